//! Toggles that are killed half-way, or come while the file is edited: the file is always whole and right.

use std::{
    fs,
    io::Write,
    process::{Command, Output, Stdio},
    thread,
    time::Duration,
};

use strangler_proxy::config::{Source, load};
use tempfile::TempDir;

use crate::{
    process::BINARY,
    proxied::Proxied,
    raw::{Upstream, get, ok, until},
};

const FILE: &str = "# The shop.\nlisten = \"127.0.0.1:0\"\nfrom = \"http://127.0.0.1:1\"\nadmin.enabled = false\n\
    [[routes]]\nname = \"stock\" # kept\npath = \"/stock\"\nto = \"http://127.0.0.1:2\"\nstage = \"off\"\n";

fn place() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("shop.toml"), FILE).unwrap();
    folder
}

fn toggle(folder: &TempDir, shell: &str, to: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("{shell}; exec \"$0\" toggle stock \"$2\" --reason try -c \"$1\"")])
        .arg(BINARY)
        .arg(folder.path().join("shop.toml"))
        .arg(to)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn is_right(folder: &TempDir) {
    let source = Source { file: Some(folder.path().join("shop.toml")), ..Source::default() };
    let loaded = load(&source).unwrap_or_else(|error| panic!("{error}"));
    assert!(loaded.text.starts_with("# The shop.\n") && loaded.text.contains("# kept"));
    let log = fs::read_to_string(folder.path().join("shop.audit.jsonl")).unwrap_or_default();
    for line in log.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|_| panic!("`{line}`"));
    }
    assert!(log.is_empty() || log.ends_with('\n'));
}

#[test]
fn a_toggle_that_is_killed_leaves_the_file_whole() {
    let folder = place();
    for round in 0..60_u64 {
        let to = ["live", "5", "off"][usize::try_from(round).unwrap() % 3];
        let mut child = toggle(&folder, ":", to).spawn().unwrap();
        // Somewhere between its start and its end, each time elsewhere.
        thread::sleep(Duration::from_micros(round * 700));
        child.kill().unwrap();
        child.wait().unwrap();
        is_right(&folder);
    }
    assert!(
        toggle(&folder, ":", "live").status().unwrap().success(),
        "what was killed holds no lock"
    );
    let text = fs::read_to_string(folder.path().join("shop.toml")).unwrap();
    assert!(text.contains("stage = \"live\""), "{text}");
    is_right(&folder);
}

#[test]
fn without_room_on_the_disk_nothing_changes_and_it_says_so() {
    let folder = place();
    // The log may not grow at all; then the file may not either.
    for blocks in [0, 1] {
        let mut log = fs::File::create(folder.path().join("shop.audit.jsonl")).unwrap();
        log.write_all(&[b"{}\n".as_slice(); 160].concat()).unwrap();
        let output = toggle(&folder, &format!("ulimit -f {blocks}"), "live").output().unwrap();
        assert!(!output.status.success());
        let text = fs::read_to_string(folder.path().join("shop.toml")).unwrap();
        assert_eq!(text, FILE);
        is_right(&folder);
    }
    let full = fs::read_to_string(folder.path().join("shop.toml")).unwrap();
    fs::write(folder.path().join("shop.toml"), format!("files.audit = \"/dev/full\"\n{full}"))
        .unwrap();
    let Output { status, stderr, .. } =
        toggle(&folder, ":", "live").stderr(Stdio::piped()).output().unwrap();
    let error = String::from_utf8(stderr).unwrap();
    assert!(!status.success() && error.contains("/dev/full"), "{error}");
    let text = fs::read_to_string(folder.path().join("shop.toml")).unwrap();
    assert!(text.ends_with(FILE), "{text}");
}

#[test]
fn edits_of_the_file_and_toggles_at_once_end_with_what_the_file_says() {
    let (old, new) = (Upstream::answering(|_| ok("old")), Upstream::answering(|_| ok("new")));
    let text = |number: usize| {
        format!(
            "# {number:03}\nlisten = [\"127.0.0.1:0\"]\nadmin.enabled = false\naccess_log = false\nfrom = \"http://{}\"\n\
             [[routes]]\nname = \"stock\"\npath = \"/stock\"\nto = \"http://{}\"\nstage = \"off\"\n",
            old.address, new.address
        )
    };
    let proxy = Proxied::new(&format!("from = \"http://{}\"\n", old.address));
    fs::write(proxy.file(), text(0)).unwrap();
    proxy.steering.reload("test").unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1..=40 {
                // As an editor saves: whole, and moved into its place.
                let draft = proxy.file().with_extension("draft");
                fs::write(&draft, text(number)).unwrap();
                fs::rename(&draft, proxy.file()).unwrap();
            }
        });
        for _ in 0..2 {
            scope.spawn(|| {
                for to in ["live", "50", "shadow", "off"].iter().cycle().take(40) {
                    // Whoever edits all the time keeps toggles out; that is said, and no more.
                    drop(
                        proxy
                            .steering
                            .toggle(&crate::proxied::target("stock"), to.parse().unwrap()),
                    );
                    proxy.steering.look();
                }
            });
        }
        for _ in 0..100 {
            assert_eq!(proxy.ask(get("/stock")).status(), 200);
        }
    });
    assert!(
        fs::read_to_string(proxy.file()).unwrap().starts_with("# 040\n"),
        "the last edit is there"
    );
    until("what the file says is in force", || {
        proxy.steering.look();
        let source = Source { file: Some(proxy.file()), ..Source::default() };
        load(&source).unwrap().snapshot.revision == proxy.steering.shared().get().revision
    });
}
