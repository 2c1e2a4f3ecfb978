//! A server under test: the binary on a private data directory and, for PostgreSQL, a private database.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use banyan::{
    data_dir::DataDir,
    http_client::{Ask, HttpAnswer, HttpClient, NoAnswer},
};
use bytes::Bytes;
use http::Method;
use serde_json::Value;
use store::testing::PrivateDatabase;
use tempfile::TempDir;

/// How long anything may take before a test says that it never happens.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Where the data of a test is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    /// Files.
    Sqlite,
    /// A server.
    Postgres,
}

/// A data directory with the program's settings for it; a server may run on it.
pub struct Home {
    directory: TempDir,
    database: Option<PrivateDatabase>,
    variables: Vec<(String, String)>,
}

/// A server that runs; dropping it kills it.
pub struct Server {
    child: Child,
    /// The public listener's URL.
    pub public: String,
    /// The internal listener's URL.
    pub internal: String,
    /// The operator's token.
    pub token: String,
}

impl Home {
    /// A new home; nothing where there is no PostgreSQL, which is said.
    pub fn new(database: Database) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let variables = ["BANYAN_INTERNAL_LISTEN", "BANYAN_PROXY_ADMIN"];
        let variables = variables.map(|name| (name.to_owned(), "127.0.0.1:0".to_owned())).to_vec();
        let mut home = Self { directory, database: None, variables };
        if database == Database::Postgres {
            let private = PrivateDatabase::create()?;
            home.set("BANYAN_DATABASE_URL", &private.admin_url());
            home.set("BANYAN_DATABASE_CONNECTIONS", "4");
            let done = home.run(&["migrate", "--admin-url", &private.admin_url()]);
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
            home.database = Some(private);
        }
        Some(home)
    }

    /// The PostgreSQL server's `host:port` and the database's name, where it is reached over TCP.
    pub fn database_address(&self) -> Option<(String, String)> {
        let url = self.database.as_ref()?.admin_url();
        let (_scheme, rest) = url.split_once("://")?;
        let (authority, path) = rest.split_once('/')?;
        let host = authority.rsplit_once('@').map_or(authority, |(_user, host)| host);
        let database = path.split('?').next()?;
        (!host.is_empty()).then(|| (host.to_owned(), database.to_owned()))
    }

    /// Sets a variable of the program's environment.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// A variable of the program's environment that was set.
    pub fn variable(&self, name: &str) -> Option<String> {
        let found = self.variables.iter().find(|(set, _)| set == name);
        found.map(|(_, value)| value.clone())
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The program with these arguments; `--data` is added where a command takes it.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_banyan"));
        command.args(arguments).current_dir(self.directory.path());
        for name in ["BANYAN_DATABASE_URL", "BANYAN_CONFIG", "BANYAN_OPERATOR_TOKEN"] {
            command.env_remove(name);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.env("BANYAN_DATA", self.data());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs a command that must succeed, and reads what it printed as JSON.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        let (out, err) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {out}\n{err}");
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {out}"))
    }

    /// Runs `verify` and panics with what is broken.
    pub fn verified(&self) -> Value {
        let output = self.run(&["verify", "--format", "json"]);
        let out = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{out}\n{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_str(&out).unwrap()
    }

    /// The operator's token, set by the test or made by the server.
    fn token(&self) -> String {
        let set = self.variables.iter().find(|(name, _)| name == "BANYAN_OPERATOR_TOKEN");
        set.map_or_else(
            || DataDir::at(self.data()).operator_token().unwrap().as_str().to_owned(),
            |(_, token)| token.clone(),
        )
    }

    /// Starts a server with every module.
    pub fn up(&self) -> Server {
        self.start(&["up", "--listen", "127.0.0.1:0"])
    }

    /// Starts a server and waits until it is ready.
    pub fn start(&self, arguments: &[&str]) -> Server {
        let log = std::fs::File::create(self.directory.path().join("server.log")).unwrap();
        let mut command = self.command(arguments);
        command.stdout(Stdio::null()).stderr(log);
        self.start_command(command)
    }

    /// The same with a command of the test's own.
    pub fn start_command(&self, mut command: Command) -> Server {
        // What a killed server has left behind would be taken for the new one's.
        drop(std::fs::remove_file(self.data().join("server.json")));
        let mut child = command.spawn().unwrap();
        let announced = self.data().join("server.json");
        let began = Instant::now();
        loop {
            if let Some(server) = announcement(&announced, child.id()) {
                let (public, internal) = (server.public, server.internal);
                return Server { child, public, internal, token: self.token() };
            }
            let ended = child.try_wait().unwrap();
            let log = || std::fs::read_to_string(self.directory.path().join("server.log")).unwrap();
            assert!(ended.is_none(), "the server ended: {}", log());
            assert!(began.elapsed() < PATIENCE, "the server is not ready: {}", log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn announcement(path: &Path, pid: u32) -> Option<banyan::data_dir::Server> {
    let text = std::fs::read_to_string(path).ok()?;
    let server: banyan::data_dir::Server = serde_json::from_str(&text).ok()?;
    (server.pid == pid).then_some(server)
}

impl Server {
    /// A client that shows the operator's token.
    pub fn operator(&self) -> Client {
        Client(HttpClient::new(&self.public, &self.token, 64).unwrap())
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it as the out-of-memory killer would.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop, and waits for that; its exit code.
    pub fn stop(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(began.elapsed() < PATIENCE, "it does not stop");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A client of the public API.
#[derive(Clone)]
pub struct Client(HttpClient);

/// An answer with its body as JSON (null where there is none).
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Value,
    /// As it came.
    pub raw: HttpAnswer,
}

impl Answer {
    /// The body, when the status is this one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.raw.headers.get(name)?.to_str().ok()
    }
}

impl Client {
    /// A client that shows this token.
    pub fn new(url: &str, token: &str) -> Self {
        Self(HttpClient::new(url, token, 64).unwrap())
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, None, None).await
    }

    /// POST with a key.
    pub async fn post(&self, path: &str, key: &str, body: Value) -> Answer {
        self.ask(Method::POST, path, Some(key), Some(body)).await
    }

    /// Any request.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Option<Value>,
    ) -> Answer {
        self.try_ask(method, path, key, body).await.unwrap()
    }

    /// PUT over a version.
    pub async fn put(&self, path: &str, version: &str, body: Value) -> Answer {
        let body = Some(Bytes::from(body.to_string()));
        let method = Method::PUT;
        let ask = Ask { method, path, key: None, if_match: Some(version), body, time: PATIENCE };
        answer(self.0.ask(ask).await.unwrap())
    }

    /// A body that need not be JSON.
    pub async fn raw(&self, method: Method, path: &str, key: Option<&str>, body: String) -> Answer {
        let body = Some(Bytes::from(body));
        let ask = Ask { method, path, key, if_match: None, body, time: PATIENCE };
        answer(self.0.ask(ask).await.unwrap())
    }

    /// Any request; nothing where there is no answer.
    pub async fn try_ask(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Option<Value>,
    ) -> Result<Answer, NoAnswer> {
        let body = body.map(|body| Bytes::from(body.to_string()));
        let ask = Ask { method, path, key, if_match: None, body, time: PATIENCE };
        self.0.ask(ask).await.map(answer)
    }
}

fn answer(raw: HttpAnswer) -> Answer {
    let body = serde_json::from_slice(&raw.body).unwrap_or(Value::Null);
    Answer { status: raw.status, body, raw }
}

/// A home on each database that is there.
pub fn homes() -> Vec<Home> {
    [Database::Sqlite, Database::Postgres].into_iter().filter_map(Home::new).collect()
}

/// Waits for something, bounded.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
