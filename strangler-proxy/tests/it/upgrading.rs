//! A new binary in the place of the one that serves: real processes under load, and the new one killed at every step.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpListener},
    os::{
        fd::OwnedFd,
        unix::net::{UnixDatagram, UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use strangler_proxy::handover::{Wire, Wish, Word};
use tempfile::TempDir;

use crate::{
    load::Load,
    raw::{Peer, Upstream, get, ok, until},
};

const BINARY: &str = env!("CARGO_BIN_EXE_strangler-proxy");

/// A proxy of processes, each in the place of the one before.
struct Site {
    folder: TempDir,
    upstream: Upstream,
    address: SocketAddr,
    admin: SocketAddr,
    /// The first one; its output is where it says its port.
    first: Child,
    /// The one that serves.
    pid: u32,
    _output: BufReader<std::process::ChildStdout>,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let upstream = Upstream::answering(|request| ok(request.target()));
        let admin = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let file = folder.path().join("proxy.toml");
        let text = text(folder.path(), &upstream, admin, 2);
        fs::write(&file, text).unwrap();
        let mut first = Command::new(BINARY)
            .args(["run", "--config"])
            .arg(&file)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(first.stdout.take().unwrap());
        let address = served_at(&mut output);
        let pid = first.id();
        until("it can be upgraded", || folder.path().join("proxy.handover.sock").exists());
        Self { folder, upstream, address, admin, first, pid, _output: output }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("proxy.toml")
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("shop.sock")
    }

    fn set_workers(&self, workers: usize) {
        let text = text(self.folder.path(), &self.upstream, self.admin, workers);
        fs::write(self.file(), text).unwrap();
    }

    fn upgrade(&self) -> Output {
        Command::new(BINARY).args(["upgrade", "--config"]).arg(self.file()).output().unwrap()
    }

    /// Upgrades, which must go well.
    fn upgraded(&mut self) {
        let output = self.upgrade();
        let said = String::from_utf8(output.stdout).unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}{error}");
        let pid = said.split("(pid ").nth(1).and_then(|rest| rest.split(')').next());
        self.pid = pid.and_then(|pid| pid.parse().ok()).unwrap_or_else(|| panic!("{said}"));
    }

    fn serves(&self) -> bool {
        Peer::connect(self.address).ask(get("/still")).text() == "/still"
    }

    fn admin(&self, method: &str, path: &str) -> (u16, String) {
        let token = fs::read_to_string(self.folder.path().join("proxy.admin-token")).unwrap();
        let body = "{}";
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            token.trim(),
            body.len()
        );
        // The old one cuts whom it has accepted and not heard as it closes its port: whoever asks then asks again.
        let answer = std::cell::OnceCell::new();
        until("an answer", || {
            let mut peer = Peer::connect(self.admin);
            let sent = peer.try_send(&request);
            if let Some(whole) = sent.and_then(|()| peer.try_answer(false)).ok().flatten() {
                drop(answer.set(whole));
            }
            answer.get().is_some()
        });
        let answer = answer.into_inner().unwrap();
        (answer.status(), answer.text())
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        drop(self.first.kill());
        drop(self.first.wait());
        kill(self.pid);
    }
}

fn text(folder: &Path, upstream: &Upstream, admin: SocketAddr, workers: usize) -> String {
    format!(
        "listen = [\"127.0.0.1:0\", \"unix:{}\"]\nfrom = \"http://{}\"\nworkers = {workers}\n\
         admin.listen = \"{admin}\"\naccess_log = false\n\
         [[routes]]\nname = \"held\"\npath = \"/held\"\n",
        folder.join("shop.sock").display(),
        upstream.address
    )
}

fn served_at(output: &mut impl BufRead) -> SocketAddr {
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    let address = line.split("http://").nth(1).and_then(|rest| rest.split_whitespace().next());
    address.and_then(|address| address.parse().ok()).unwrap_or_else(|| panic!("{line}"))
}

fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    // It may have ended.
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap_or_default();
}

/// Has it ended, be it that nobody has asked for how?
fn has_ended(pid: u32) -> bool {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim().starts_with('Z')),
        Err(_gone) => true,
    }
}

fn workers_of(pid: u32) -> usize {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let names = tasks.flatten().map(|task| fs::read_to_string(task.path().join("comm")));
    names.flatten().filter(|name| name.starts_with("worker-")).count()
}

#[test]
fn ten_upgrades_under_load_lose_no_request() {
    let mut site = Site::new();
    let load = Load::start(site.address, site.socket());
    for workers in [1, 3, 2, 4, 1, 2, 2, 5, 1, 2] {
        let before = site.pid;
        site.set_workers(workers);
        site.upgraded();
        assert_ne!(site.pid, before);
        assert_eq!(workers_of(site.pid), workers);
        load.flows();
        until("the one before has ended", || has_ended(before));
        load.flows();
    }
    let (count, failures) = load.stop();
    assert!(failures.is_empty(), "{} of {count}: {:?}", failures.len(), failures.first());
    assert!(count > 200, "{count}");
    assert_eq!(site.admin("GET", "/status").0, 200, "the admin API has moved along");
}

#[test]
fn a_new_one_that_is_killed_at_any_step_leaves_the_old_one_serving() {
    let mut site = Site::new();
    let relay = site.folder.path().join("relay.sock");
    let text = format!(
        "{}files.handover = \"{}\"\n",
        fs::read_to_string(site.file())
            .unwrap()
            .replace("[[routes]]", "#")
            .replace("name =", "#")
            .replace("path =", "#"),
        relay.display()
    );
    let file = site.folder.path().join("new.toml");
    fs::write(&file, text).unwrap();
    for step in 0..5 {
        let load = Load::start(site.address, site.socket());
        load.flows();
        let listener = UnixListener::bind(&relay).unwrap();
        let mut new = Command::new(BINARY)
            .args(["run", "--take-over", "--config"])
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let near = Wire::new(listener.accept().unwrap().0).unwrap();
        let far = UnixStream::connect(site.folder.path().join("proxy.handover.sock")).unwrap();
        relayed(near, Wire::new(far).unwrap(), step, &mut new);
        assert!(site.serves(), "killed before message {step}");
        load.flows();
        let (_, failures) = load.stop();
        // At the last step the new one has accepted connections, and whoever is killed takes those along.
        assert!(failures.is_empty() || step == 4, "{step}: {failures:?}");
        assert_eq!(site.admin("PUT", "/parked/held").0, 200, "it is steered as before");
        assert_eq!(site.admin("DELETE", "/parked/held").0, 200);
        fs::remove_file(&relay).unwrap();
    }
    site.upgraded();
    assert!(site.serves());
}

/// Passes so many messages on, and then kills the new one before the next.
fn relayed(mut new: Wire, mut old: Wire, step: usize, child: &mut Child) {
    for at in 0..=step {
        let from_new = at % 2 == 0;
        let wish: Option<Wish> = from_new.then(|| new.receive().unwrap());
        let word: Option<Word> = (!from_new).then(|| old.receive().unwrap());
        let sockets: Vec<OwnedFd> = match &word {
            Some(Word::Sockets { names, .. }) => old.receive_sockets(names.len()).unwrap(),
            _ => Vec::new(),
        };
        if at == step {
            child.kill().unwrap();
            child.wait().unwrap();
            return;
        }
        if let Some(wish) = wish {
            old.send(&wish).unwrap();
        }
        if let Some(word) = word {
            new.send(&word).unwrap();
            new.send_sockets(&sockets).unwrap();
        }
    }
}

#[test]
fn what_cannot_serve_does_not_take_over() {
    let mut site = Site::new();
    let right = fs::read_to_string(site.file()).unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    for (text, told) in [
        (format!("{right}nmae = 1\n"), "nmae"),
        (
            right.replace("127.0.0.1:0\"", &format!("{}\"", taken.local_addr().unwrap())),
            "the new one ended",
        ),
    ] {
        fs::write(site.file(), text).unwrap();
        let output = site.upgrade();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains(told) && error.contains("goes on"), "{error}");
        assert!(site.serves());
    }
    fs::write(site.file(), right).unwrap();
    site.upgraded();
    assert!(site.serves());
}

#[test]
fn strangers_and_nonsense_at_the_socket_change_nothing() {
    let mut site = Site::new();
    let path = site.folder.path().join("proxy.handover.sock");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    for wish in [Wish::Begin, Wish::Serving { sockets: Vec::new() }] {
        let mut wire = Wire::new(UnixStream::connect(&path).unwrap()).unwrap();
        wire.send(&wish).unwrap();
        assert!(matches!(wire.receive::<Word>().unwrap(), Word::No { .. }));
    }
    let mut wire = Wire::new(UnixStream::connect(&path).unwrap()).unwrap();
    wire.send(&Wish::Upgrade { binary: "/nowhere/proxy".into() }).unwrap();
    let Word::No { why } = wire.receive::<Word>().unwrap() else { panic!("it cannot be started") };
    assert!(why.contains("/nowhere/proxy"), "{why}");
    let mut wire = Wire::new(UnixStream::connect(&path).unwrap()).unwrap();
    wire.send(&"what").unwrap();
    assert!(wire.receive::<Word>().is_err());
    assert!(site.serves());
    site.upgraded();
    assert!(site.serves());
}

fn status(site: &Site) -> serde_json::Value {
    serde_json::from_str(&site.admin("GET", "/status").1).unwrap()
}

#[test]
fn what_is_parked_stays_parked_and_the_switch_stays_thrown() {
    let mut site = Site::new();
    assert_eq!(site.admin("PUT", "/parked/held").0, 200);
    assert_eq!(site.admin("PUT", "/kill").0, 200);
    site.upgraded();
    // Both listen at the admin port for a moment; the old one still says how it knew of the switch.
    until("the new one answers", || status(&site)["kill"]["source"] == "file");
    assert_eq!(status(&site)["routes"][0]["parked"], true);
    assert_eq!(site.admin("DELETE", "/kill").0, 200);
    assert_eq!(site.admin("DELETE", "/parked/held").0, 200);
    assert_eq!(Peer::connect(site.address).ask(get("/held")).text(), "/held");
}

#[test]
fn a_service_manager_opens_the_socket_and_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::answering(|request| ok(request.target()));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let told = UnixDatagram::bind(folder.path().join("notify")).unwrap();
    told.set_read_timeout(Some(crate::raw::PATIENCE)).unwrap();
    let file = folder.path().join("proxy.toml");
    let text = format!(
        "listen = [\"{address}\"]\nfrom = \"http://{}\"\nworkers = 3\nadmin.enabled = false\naccess_log = false\n",
        upstream.address
    );
    fs::write(&file, text).unwrap();
    // Whoever connects before the service runs is served by it.
    let mut early = Peer::connect(address);
    let mut child = Command::new("sh")
        .args([
            "-c",
            "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" run --config \"$1\"",
        ])
        .arg(BINARY)
        .arg(&file)
        .env("NOTIFY_SOCKET", folder.path().join("notify"))
        .stdin(OwnedFd::from(listener))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    assert_eq!(early.ask(get("/early")).text(), "/early");
    let mut state = [0; 100];
    let count = told.recv(&mut state).unwrap();
    let state = String::from_utf8_lossy(&state[..count]).into_owned();
    assert_eq!(state, format!("READY=1\nMAINPID={}", child.id()));
    for _ in 0..10 {
        assert_eq!(Peer::connect(address).ask(get("/now")).text(), "/now");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}
