//! Logs that cannot be written: the disk is full, nobody reads, the file may not grow. Requests go on.

use std::{
    fs::{File, OpenOptions},
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::{
    process::Process,
    raw::{Upstream, get, ok},
};

/// A monolith that answers, and a route whose upstream is dead: each of its requests is a warning.
fn both(upstream: &Upstream) -> String {
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    format!(
        "from = \"http://{}\"\n[[routes]]\nname = \"dead\"\npath = \"/dead\"\nfrom = \"http://{dead}\"\n\
         breaker.failures = 1000000\nbreaker.rate = 0\nretries.tries = 0\n",
        upstream.address
    )
}

fn serves_all(proxy: &mut Process, rounds: usize) {
    let mut client = proxy.connect();
    for _ in 0..rounds {
        assert_eq!(client.ask(get("/well")).text(), "/well");
        assert!([502, 503].contains(&client.ask(get("/dead")).status()));
    }
    assert!(proxy.is_running());
}

#[test]
fn a_full_disk_under_the_logs_costs_no_request() {
    let upstream = Upstream::answering(|request| ok(request.target()));
    let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut proxy = Process::start(":", &both(&upstream), |command, _| {
        command.stdout(full()).stderr(full());
    });
    serves_all(&mut proxy, 200);
}

#[test]
fn whoever_stops_reading_the_logs_stops_no_request() {
    let upstream = Upstream::answering(|request| ok(request.target()));
    let mut proxy = Process::start(":", &both(&upstream), |command, _| {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
    });
    // Several times what the pipes and the queue of the access log have room for.
    serves_all(&mut proxy, 2000);
}

#[test]
fn a_log_that_may_not_grow_ends_nothing() {
    let upstream = Upstream::answering(|request| ok(request.target()));
    let log = |folder: &TempDir, name| File::create(folder.path().join(name)).unwrap();
    let limit = |command: &mut Command, folder: &TempDir| {
        command.stdout(log(folder, "access.log")).stderr(log(folder, "error.log"));
    };
    let mut proxy = Process::start("ulimit -f 8", &both(&upstream), limit);
    serves_all(&mut proxy, 200);
    let grown = std::fs::metadata(proxy.folder.path().join("error.log")).unwrap().len();
    assert!((512..=8192).contains(&grown), "{grown}");
}
