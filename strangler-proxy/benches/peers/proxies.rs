//! How the peers are started: the same features on in each, access log off, on the proxies' core.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{measure::proxies_load_cores, table::Case};

/// Who is measured.
#[derive(Debug, Clone, Copy)]
pub enum Peer {
    Ours,
    Nginx,
    Haproxy,
}

/// A started process; ended when dropped.
pub struct Running {
    peer: Peer,
    child: Child,
    address: String,
    _folder: TempDir,
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

    pub fn start(self, case: &Case, upstream: &str) -> Running {
        let folder = tempfile::tempdir().unwrap();
        let address = free_address();
        let file = folder.path().join("peer.conf");
        fs::write(&file, self.config(case, &address, upstream, folder.path())).unwrap();
        let cores = if case.workers == 1 { "1" } else { "0,1" };
        let mut command = Command::new("taskset");
        command.args(["-c", cores]);
        match self {
            Self::Ours => command.arg(std::env::current_exe().unwrap()).arg("ours").arg(&file),
            Self::Nginx => {
                command.arg(self.program()).arg("-c").arg(&file).arg("-p").arg(folder.path())
            }
            Self::Haproxy => command.arg(self.program()).arg("-db").arg("-f").arg(&file),
        };
        Running::of(self, command, address, folder)
    }

    fn config(self, case: &Case, address: &str, upstream: &str, folder: &Path) -> String {
        let (workers, folder) = (case.workers, folder.display());
        match self {
            Self::Ours => format!(
                "workers = {workers}\naccess_log = false\nadmin.enabled = false\n\
                 listen = [\"{address}\"]\nfrom = \"http://{upstream}\"\n"
            ),
            Self::Nginx => format!(
                "worker_processes {workers}; daemon off; pid {folder}/pid; error_log stderr warn;\n\
                 events {{ worker_connections 4096; }}\n\
                 http {{ access_log off; keepalive_requests 100000000;\n\
                 client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;\n\
                 uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;\n\
                 upstream up {{ server {upstream}; keepalive 600; keepalive_requests 100000000; }}\n\
                 server {{ listen {address} reuseport; location / {{ proxy_pass http://up; proxy_http_version 1.1;\n\
                 proxy_set_header Connection \"\"; proxy_set_header Host $host;\n\
                 proxy_set_header X-Request-Id $request_id;\n\
                 proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n\
                 proxy_set_header X-Forwarded-Proto $scheme; }} }} }}\n"
            ),
            Self::Haproxy => format!(
                "global\n  nbthread {workers}\n  maxconn 4096\n\
                 defaults\n  mode http\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n\
                 \x20 option http-keep-alive\n  http-reuse always\n\
                 frontend f\n  bind {address}\n  unique-id-format %{{+X}}o%ci%cp%fi%fp%Ts%rt%pid\n\
                 \x20 unique-id-header X-Request-Id\n  default_backend b\n\
                 backend b\n  option forwardfor\n  http-request set-header X-Forwarded-Proto http\n\
                 \x20 server s {upstream} maxconn 4096\n"
            ),
        }
    }
}

/// The trivial upstream, on the load's core.
pub fn upstream(case: &Case) -> Running {
    let address = free_address();
    let mut command = Command::new("taskset");
    command.args(["-c", proxies_load_cores(case)]).arg(std::env::current_exe().unwrap()).args([
        "upstream",
        &address,
        &case.body.to_string(),
    ]);
    Running::of(Peer::Ours, command, address, tempfile::tempdir().unwrap())
}

impl Running {
    fn of(peer: Peer, mut command: Command, address: String, folder: TempDir) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("it starts");
        let running = Self { peer, child, address, _folder: folder };
        let until = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(&running.address).is_err() {
            assert!(Instant::now() < until, "{} does not listen", peer.name());
            std::thread::sleep(Duration::from_millis(20));
        }
        running
    }

    pub fn peer(&self) -> Peer {
        self.peer
    }

    pub fn address(&self) -> &str {
        &self.address
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

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}
