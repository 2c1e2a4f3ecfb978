//! The servers: started on ports that were free, measured by the kernel's own figures, ended by their own ids.

use std::{
    fs,
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use banyan::data_dir;
use tempfile::TempDir;

const MODULES: [&str; 4] = ["catalog", "inventory", "ordering", "payments"];
const SECRET: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const TOKEN: &str = "the-operator-token-of-a-bench";

/// How long a server may take until it is ready.
const PATIENCE: Duration = Duration::from_secs(30);

/// The unit of `/proc/<pid>/stat`: Linux shows hundredths of a second to user space, whatever the kernel ticks in.
const TICK: Duration = Duration::from_millis(10);

/// A shop that runs in one or several processes.
pub struct Deployment {
    pub name: &'static str,
    processes: Vec<Process>,
    /// Which process the client talks to.
    front: usize,
}

struct Process {
    child: Child,
    public: String,
    home: TempDir,
}

impl Deployment {
    /// `banyan serve`: everything in one process, and no proxy in front, as the others have none.
    pub fn one_process() -> Self {
        let processes = vec![Process::start(&["serve"], &free_address(), &[])];
        Self { name: "one process", processes, front: 0 }
    }

    /// `banyan serve --modules x` for each module.
    pub fn process_per_module() -> Self {
        let addresses = MODULES.map(|module| (module, free_address()));
        let mut processes: Vec<_> = addresses
            .iter()
            .map(|(here, internal)| {
                let elsewhere = addresses.iter().filter(|(module, _)| module != here);
                let urls: Vec<_> = elsewhere
                    .map(|(module, address)| {
                        let name = format!("BANYAN_MODULES_{}_URL", module.to_uppercase());
                        (name, format!("http://{address}"))
                    })
                    .collect();
                Process::spawn(&["serve", "--modules", here], internal, &urls)
            })
            .collect();
        // Together, for a process may wait for another.
        processes.iter_mut().for_each(Process::wait);
        let front = MODULES.iter().position(|module| *module == "ordering").unwrap();
        Self { name: "one process per module", processes, front }
    }

    /// The URL that the client talks to: where most of the work is.
    pub fn front(&self) -> &str {
        &self.processes.get(self.front).unwrap().public
    }

    /// The operator's token.
    pub fn token(&self) -> &'static str {
        TOKEN
    }

    /// How much processor time all processes have used since they began.
    pub fn cpu(&self) -> Duration {
        self.processes.iter().map(Process::cpu).sum()
    }
}

impl Process {
    fn start(arguments: &[&str], internal: &str, variables: &[(String, String)]) -> Self {
        let mut process = Self::spawn(arguments, internal, variables);
        process.wait();
        process
    }

    fn spawn(arguments: &[&str], internal: &str, variables: &[(String, String)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_banyan"))
            .args(arguments)
            .args(["--listen", "127.0.0.1:0", "--data"])
            .arg(home.path().join("data"))
            .current_dir(home.path())
            .env("BANYAN_DEPLOYMENT_SECRET", SECRET)
            .env("BANYAN_OPERATOR_TOKEN", TOKEN)
            .env("BANYAN_INTERNAL_LISTEN", internal)
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::null())
            .stderr(fs::File::create(home.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        Self { child, public: String::new(), home }
    }

    /// Waits until the server says where it is.
    fn wait(&mut self) {
        let home = self.home.path();
        let began = Instant::now();
        loop {
            let text = fs::read_to_string(home.join("data/server.json")).unwrap_or_default();
            if let Ok(server) = serde_json::from_str::<data_dir::Server>(&text) {
                self.public = server.public;
                return;
            }
            let ended = self.child.try_wait().unwrap();
            let log = || fs::read_to_string(home.join("log")).unwrap_or_default();
            assert!(ended.is_none() && began.elapsed() < PATIENCE, "no server: {}", log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // The name may have spaces, but ends with the last parenthesis; user and system time are fields 14 and 15.
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let times = fields.split_whitespace().skip(11).take(2);
        let ticks: u32 = times.map(|ticks| ticks.parse::<u32>().unwrap()).sum();
        TICK * ticks
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// An address of loopback that was free a moment ago: the processes must know each other's before any runs.
fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}
