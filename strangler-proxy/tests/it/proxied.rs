//! A proxy of the test: in this process, on a free port, configured by a file of its own.

use std::{fs, net::SocketAddr, path::PathBuf};

use strangler_proxy::{
    Handle, Proxy,
    config::{self, ListenAddress, Source},
    steer::{Steering, Target},
};
use tempfile::TempDir;

use crate::raw::{Message, Peer};

pub struct Proxied {
    pub handle: Handle,
    pub steering: Steering,
    pub address: SocketAddr,
    folder: TempDir,
}

impl Proxied {
    /// What is said here comes after `listen`; `workers` is 2 unless it says otherwise.
    pub fn new(toml: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("proxy.toml");
        fs::write(&file, whole(toml)).unwrap();
        let source = Source { file: Some(file), ..Source::default() };
        let loaded = config::load(&source).unwrap_or_else(|error| panic!("{error:#}"));
        let steering = Steering::new(source, loaded);
        let handle = Proxy::start(steering.shared()).unwrap();
        let ListenAddress::Tcp(address) = handle.addresses()[0].clone() else { panic!("TCP") };
        Self { handle, steering, address, folder }
    }

    /// Everything goes to this address.
    pub fn to(upstream: SocketAddr) -> Self {
        Self::new(&format!("from = \"http://{upstream}\"\n"))
    }

    /// The same with tighter times.
    pub fn with(upstream: SocketAddr, settings: &str) -> Self {
        Self::new(&format!("from = \"http://{upstream}\"\n{settings}\n"))
    }

    pub fn connect(&self) -> Peer {
        Peer::connect(self.address)
    }

    /// One request on a connection of its own.
    pub fn ask(&self, request: impl AsRef<[u8]>) -> Message {
        self.connect().ask(request)
    }

    pub fn file(&self) -> PathBuf {
        self.folder.path().join("proxy.toml")
    }

    /// Puts another text in force.
    pub fn reload(&self, toml: &str) {
        fs::write(self.file(), whole(toml)).unwrap();
        self.steering.reload("test").unwrap_or_else(|error| panic!("{error:#}"));
    }

    pub fn toggle(&self, route: &str, toggle: &str) {
        self.steering.toggle(&target(route), toggle.parse().unwrap()).unwrap();
    }

    /// All series as text.
    pub fn metrics(&self) -> String {
        let metrics = telemetry::Metrics::new();
        metrics.collect(self.handle.cells());
        metrics.collect(self.handle.guards());
        metrics.text()
    }
}

pub fn target(name: &str) -> Target {
    Target { name: name.into(), expected: None, who: "test".into(), why: "test".into() }
}

fn whole(toml: &str) -> String {
    let workers = if toml.contains("workers") { "" } else { "workers = 2\n" };
    let listen = if toml.starts_with("listen") { "" } else { "listen = [\"127.0.0.1:0\"]\n" };
    format!("{workers}{listen}admin.enabled = false\naccess_log = false\n{toml}")
}
