//! Many connections, and more than there are file descriptors: against the binary, which has a limit of its own.

use std::{
    fs,
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::raw::{Peer, Upstream, get, until};

/// The proxy as a process.
struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    /// With at most so many open files.
    fn start(upstream: &Upstream, files: u32) -> Self {
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("proxy.toml");
        let text = format!(
            "listen = [\"{address}\"]\nfrom = \"http://{}\"\nworkers = 1\nadmin.enabled = false\naccess_log = false\n",
            upstream.address
        );
        fs::write(&file, text).unwrap();
        let child = Command::new("sh")
            .args(["-c", &format!("ulimit -n {files}; exec \"$0\" run --config \"$1\"")])
            .arg(env!("CARGO_BIN_EXE_strangler-proxy"))
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        until("it listens", || std::net::TcpStream::connect(address).is_ok());
        // Read at the start only; the folder may go.
        Self { child, address }
    }

    fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches("kB").trim().parse().unwrap()
    }

    fn cpu_ticks(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn many_idle_connections_are_cheap_and_all_of_them_work() {
    const MANY: usize = 10_000;
    let upstream = Upstream::echo();
    let proxy = Process::start(&upstream, 20_000);
    let before = proxy.resident_kib();
    let mut clients: Vec<Peer> = (0..MANY)
        .map(|number| {
            let mut client = Peer::connect(proxy.address);
            // A few at a time have asked something, so that what they needed is given back.
            if number % 10 == 0 {
                assert_eq!(client.ask(get("/")).status(), 200);
            }
            client
        })
        .collect();
    let each = (proxy.resident_kib() - before) * 1024 / MANY as u64;
    assert!(each < 6 * 1024, "{each} bytes for an idle connection");
    let ticks = proxy.cpu_ticks();
    std::thread::sleep(Duration::from_millis(500));
    assert!(proxy.cpu_ticks() - ticks < 15, "idle connections cost hardly any time");
    for client in clients.iter_mut().step_by(97) {
        assert_eq!(client.ask(get("/")).status(), 200);
    }
}

#[test]
fn without_descriptors_clients_are_told_and_service_comes_back() {
    let upstream = Upstream::echo();
    let proxy = Process::start(&upstream, 64);
    let mut served = 0;
    let mut told = 0;
    let mut clients: Vec<Peer> = (0..150).map(|_| Peer::connect(proxy.address)).collect();
    for client in &mut clients {
        if client.try_send(get("/")).is_err() {
            continue;
        }
        match client.answer_or_end() {
            Some(200) => served += 1,
            Some(503) | None => told += 1,
            Some(status) => panic!("{status}"),
        }
    }
    assert!(served > 0 && told > 0, "{served} served, {told} turned away");
    let ticks = proxy.cpu_ticks();
    std::thread::sleep(Duration::from_millis(500));
    assert!(proxy.cpu_ticks() - ticks < 30, "it does not spin");
    drop(clients);
    until("there is room again", || {
        let mut client = Peer::connect(proxy.address);
        client.try_send(get("/")).is_ok() && client.answer_or_end() == Some(200)
    });
}
