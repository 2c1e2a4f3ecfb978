//! A shop that others try: this program on a temporary directory, with ports of its own. It can be killed and started
//! again; when it is dropped, everything of it is gone.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use store::Scratch;

use crate::{
    data_dir::{DataDir, Server},
    secrets::DeploymentSecret,
};

/// How long a start may take.
const READY_TIME: Duration = Duration::from_secs(60);

/// How often something is waited for.
pub const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The settings that are an address: the public one, the internal one, the proxy's.
const PORTS: [&str; 3] = ["BANYAN_HTTP_LISTEN", "BANYAN_INTERNAL_LISTEN", "BANYAN_PROXY_ADMIN"];

/// A shop on trial.
pub struct Trial {
    home: PathBuf,
    server: Child,
    /// What it was started with: `up` or `serve`.
    command: &'static str,
    /// Its settings; addresses among them, so that it is found again after a restart.
    variables: Vec<(String, String)>,
}

impl Drop for Trial {
    fn drop(&mut self) {
        // Its children end with it: the pipe to each closes.
        drop(self.server.kill());
        drop(self.server.wait());
        drop(fs::remove_dir_all(&self.home));
    }
}

impl Trial {
    /// The deployment's secret: the one that the shop was given, else the one that it made.
    pub fn secret(&self) -> Result<DeploymentSecret> {
        match self.variables.iter().find(|(name, _)| name == DeploymentSecret::VARIABLE) {
            Some((_, text)) => DeploymentSecret::parse(text),
            None => self.data().deployment_secret(),
        }
    }

    /// A fresh shop, started; `variables` are its settings.
    pub fn start(variables: &[(&str, &str)]) -> Result<Self> {
        Self::start_in(Self::place(), variables)
    }

    /// A directory that nobody has; it is not made yet.
    pub fn place() -> PathBuf {
        std::env::temp_dir().join(format!("banyan-trial-{}", kernel_api::Id::<Self>::fresh()))
    }

    /// The same on such a directory, where something may be prepared.
    pub fn start_in(home: PathBuf, variables: &[(&str, &str)]) -> Result<Self> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let variables = variables.iter().map(own).collect();
        Self::laid_out(home, "up", variables, |_home, _variables| Ok(()))
    }

    /// The same with its data in this database.
    pub fn start_on(database: &Scratch) -> Result<Self> {
        let url = database.admin_url();
        let variables = vec![("BANYAN_DATABASE_URL".to_owned(), url.clone())];
        Self::laid_out(Self::place(), "up", variables, |home, variables| {
            let mut migrate = program(home, variables)?;
            let migrated = migrate.args(["migrate", "--admin-url", &url]).output()?;
            let said = String::from_utf8_lossy(&migrated.stderr);
            ensure!(migrated.status.success(), "banyan migrate: {said}");
            Ok(())
        })
    }

    /// One more process of this shop, which has no proxy before it.
    pub fn another(&self) -> Result<Self> {
        let mut variables = self.variables.clone();
        variables.retain(|(name, _)| !PORTS.contains(&name.as_str()));
        let secrets = [
            (DeploymentSecret::VARIABLE, self.secret()?.to_text()),
            ("BANYAN_OPERATOR_TOKEN", self.data().operator_token()?.as_str().to_owned()),
        ];
        variables.extend(secrets.map(|(name, secret)| (name.to_owned(), secret)));
        Self::laid_out(Self::place(), "serve", variables, |_home, _variables| Ok(()))
    }

    /// Lays out a home with ports of its own, and starts this command there once `prepare` has done its part.
    fn laid_out(
        home: PathBuf,
        command: &'static str,
        mut variables: Vec<(String, String)>,
        prepare: impl FnOnce(&Path, &[(String, String)]) -> Result<()>,
    ) -> Result<Self> {
        fs::create_dir_all(&home).with_context(|| home.display().to_string())?;
        for name in PORTS {
            // Free a moment ago; whoever else takes such ports takes one that the system chooses.
            let port = TcpListener::bind("127.0.0.1:0")?;
            variables.push((name.to_owned(), port.local_addr()?.to_string()));
        }
        prepare(&home, &variables)?;
        let server = spawn(&home, command, &variables)?;
        Ok(Self { home, server, command, variables })
    }

    /// Where its proxy is steered.
    pub fn admin(&self) -> String {
        let found = self.variables.iter().find(|(name, _)| name == PORTS[2]);
        format!("http://{}", found.map_or("", |(_, address)| address))
    }

    /// Where its files are.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Its data directory.
    pub fn data(&self) -> DataDir {
        DataDir::at(self.home.join("data"))
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.server.id()
    }

    /// Kills it, as the out-of-memory killer would.
    pub fn kill(&mut self) -> Result<()> {
        self.server.kill()?;
        self.server.wait()?;
        Ok(())
    }

    /// Starts it again on what it left.
    pub fn restart(&mut self) -> Result<()> {
        // What a killed server has left behind would be taken for the new one's.
        drop(fs::remove_file(self.data().file("server.json")));
        self.server = spawn(&self.home, self.command, &self.variables)?;
        Ok(())
    }

    /// Waits until it serves.
    pub async fn ready(&mut self) -> Result<Server> {
        let began = Instant::now();
        loop {
            if let Some(server) = self.data().server()?
                && server.pid == self.pid()
            {
                return Ok(server);
            }
            let log = || fs::read_to_string(self.home.join("server.log")).unwrap_or_default();
            ensure!(self.server.try_wait()?.is_none(), "the server has ended: {}", log());
            ensure!(began.elapsed() < READY_TIME, "the server is not ready: {}", log());
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Runs a command to its end on a thread of its own; what it printed, and whether it was content.
    pub async fn run(&self, arguments: &[&str]) -> Result<(Vec<u8>, bool)> {
        let mut command = program(&self.home, &self.variables)?;
        command.args(arguments);
        let what = arguments.join(" ");
        let output = tokio::task::spawn_blocking(move || command.output()).await?;
        let output = output.with_context(|| what.clone())?;
        if output.stdout.is_empty() && !output.status.success() {
            bail!("banyan {what}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok((output.stdout, output.status.success()))
    }
}

fn spawn(home: &Path, what: &str, variables: &[(String, String)]) -> Result<Child> {
    let program = program(home, variables)?;
    let mut command = Command::new("/bin/sh");
    // A write beyond a limit is then an error, as on a full disk, and kills nobody.
    command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$1\""]).arg(program.get_program()).arg(what);
    command.current_dir(home).env_clear();
    command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdout(Stdio::null());
    let log = fs::File::options().create(true).append(true).open(home.join("server.log"))?;
    command.stderr(log).spawn().context("this program cannot be started")
}

/// This program, in a directory of its own, with nothing of the caller's settings.
fn program(home: &Path, variables: &[(String, String)]) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.current_dir(home).env_clear();
    command
        .env("BANYAN_DATA", home.join("data"))
        .envs(variables.iter().map(|(name, value)| (name, value)));
    Ok(command)
}
