//! The wall clock jumps by days, forth and back, all the time: nothing but dates may show it.

use std::{fs, process::Command};

use crate::{
    process::Process,
    raw::{Upstream, get, ok},
};

/// Every look at the wall clock is a week away from the one before.
const JUMPING: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
#include <sys/time.h>
static long long jump(void) {
    static int looks;
    return (__atomic_add_fetch(&looks, 1, __ATOMIC_RELAXED) % 3 - 1) * 604800LL;
}
int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, now);
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) now->tv_sec += jump();
    return result;
}
"#;

#[test]
fn a_clock_that_jumps_changes_no_decision() {
    let upstream = Upstream::new(|peer, _| {
        while let Some(request) = peer.request() {
            if request.target() == "/slow" {
                drop(peer.the_rest());
                return;
            }
            if peer.try_send(ok(request.target())).is_err() {
                return;
            }
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let (source, library) = (folder.path().join("jump.c"), folder.path().join("jump.so"));
    fs::write(&source, JUMPING).unwrap();
    let made = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .arg("-ldl")
        .status()
        .expect("who links Rust has a C compiler");
    assert!(made.success());
    let toml = format!(
        "from = \"http://{}\"\n[[routes]]\nname = \"slow\"\npath = \"/slow\"\ntimeouts.first_byte = \"150ms\"\n\
         [[routes]]\nname = \"rare\"\npath = \"/rare\"\nlimits.rate = \"1/h\"\nlimits.burst = 3\n",
        upstream.address
    );
    let mut proxy = Process::start(":", &toml, |command, folder| {
        command.env("LD_PRELOAD", &library);
        command.stdout(fs::File::create(folder.path().join("access.log")).unwrap());
    });
    let mut client = proxy.connect();
    for _ in 0..300 {
        let answer = client.ask(get("/well"));
        assert_eq!(answer.text(), "/well");
        assert!(answer.field("date").is_some_and(|date| date.ends_with(" GMT")), "{answer:?}");
    }
    assert_eq!(client.ask(get("/slow")).status(), 504, "time-outs go by the other clock");
    let statuses: Vec<u16> = (0..6).map(|_| proxy.ask(get("/rare")).status()).collect();
    assert_eq!(statuses, [200, 200, 200, 429, 429, 429], "so do rates");
    assert!(proxy.is_running());
    // The library is in force: the dates of the log jump.
    let log = || fs::read_to_string(proxy.folder.path().join("access.log")).unwrap();
    crate::raw::until("the log is written", || log().lines().count() > 300);
    let log = log();
    let days: std::collections::BTreeSet<_> =
        log.lines().filter_map(|line| line.get(7..17)).collect();
    assert!(days.len() >= 3, "{days:?}");
}
