//! The proxy as a process of its own, with whatever a test makes of its surroundings.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::raw::{Message, Peer, until};

pub const BINARY: &str = env!("CARGO_BIN_EXE_strangler-proxy");

pub struct Process {
    pub child: Child,
    pub address: SocketAddr,
    pub folder: TempDir,
}

impl Process {
    /// The shell does this first; `more` sets up the rest. Its file has `toml` behind `listen`.
    pub fn start(shell: &str, toml: &str, more: impl FnOnce(&mut Command, &TempDir)) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("proxy.toml");
        let text =
            format!("listen = [\"{address}\"]\nadmin.enabled = false\nworkers = 1\n{toml}\n");
        fs::write(&file, text).unwrap();
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("{shell}; exec \"$0\" run --config \"$1\"")])
            .arg(BINARY)
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        more(&mut command, &folder);
        let child = command.spawn().unwrap();
        until("it listens", || TcpStream::connect(address).is_ok());
        Self { child, address, folder }
    }

    pub fn connect(&self) -> Peer {
        Peer::connect(self.address)
    }

    pub fn ask(&self, request: impl AsRef<[u8]>) -> Message {
        self.connect().ask(request)
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
