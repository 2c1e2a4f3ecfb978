//! Who is measured, and how it is started and ended.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use strangler_proxy::{
    config::{self, Source},
    engine::Proxy,
    steer::Shared,
};
use tempfile::TempDir;

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    Ours,
    Nginx,
    Haproxy,
}

/// A started process; ended when dropped.
pub struct Running {
    name: &'static str,
    child: Child,
    address: String,
    folder: TempDir,
}

impl Peer {
    pub const ALL: [Self; 3] = [Self::Ours, Self::Nginx, Self::Haproxy];

    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
        }
    }

    /// Says so where it is not there.
    pub fn installed(self) -> bool {
        let program = self.program();
        let there = Path::new(program).exists();
        if !there {
            eprintln!("skipped: {program} is not installed");
        }
        there
    }

    fn program(self) -> &'static str {
        match self {
            Self::Ours => "/proc/self/exe",
            Self::Nginx => "/usr/sbin/nginx",
            Self::Haproxy => "/usr/sbin/haproxy",
        }
    }

    /// Starts it on these cores with the configuration for a free address and a folder of its own.
    pub fn start(self, cores: &str, config: impl Fn(&str, &Path) -> String) -> Running {
        let folder = tempfile::tempdir().unwrap();
        let address = free_address();
        let file = folder.path().join("peer.conf");
        fs::write(&file, config(&address, folder.path())).unwrap();
        let mut command = on(cores);
        match self {
            Self::Ours => command.arg(std::env::current_exe().unwrap()).arg("ours").arg(&file),
            Self::Nginx => {
                command.arg(self.program()).arg("-c").arg(&file).arg("-p").arg(folder.path())
            }
            Self::Haproxy => command.arg(self.program()).arg("-db").arg("-f").arg(&file),
        };
        Running::of(self.name(), command, address, folder)
    }
}

/// This proxy as a program of its own would start it, until it is told to end: what `ours FILE` runs.
pub fn ours(file: &str) {
    let loaded = config::load(&Source::file(file)).unwrap_or_else(|error| panic!("{error:#}"));
    let handle = Proxy::start(&Shared::new(loaded.snapshot)).unwrap();
    loop {
        std::thread::park();
        assert!(!handle.addresses().is_empty(), "it listens");
    }
}

/// A command that runs what follows on these cores only.
pub fn on(cores: &str) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", cores]);
    command
}

impl Running {
    pub fn of(name: &'static str, mut command: Command, address: String, folder: TempDir) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("it starts");
        let running = Self { name, child, address, folder };
        let until = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(&running.address).is_err() {
            assert!(Instant::now() < until, "{name} does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        running
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// A file of its folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The process and its children: nginx works in those.
    pub fn processes(&self) -> Vec<u32> {
        let parent = self.child.id();
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
        let children = children.unwrap_or_default();
        let children = children.split_whitespace().map(|word| word.parse().unwrap());
        std::iter::once(parent).chain(children).collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // nginx's master takes its workers along only when asked politely.
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        drop(asked);
        let until = Instant::now() + Duration::from_secs(5);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

pub fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}
