//! The processes that this one has started for modules that were carved out of it: one each, started again when it
//! dies, and ended with this one, however it ends.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use placement_api::{Address, Name};
use serde::{Deserialize, Serialize};
use tokio::{sync::watch, task::JoinHandle};

use super::Oneself;
use crate::{
    data_dir::{DataDir, Server},
    secrets::DeploymentSecret,
    settings::Settings,
};

/// Where their data is, in this process's data directory: a directory for each.
const CARVED: &str = "carved";
/// What a child is started with; there as long as it is wanted.
const HOSTED: &str = "hosted.json";

/// The pauses before a child that died is started again: soon, then less and less often, for what kills it at every
/// start would only load the machine.
const AGAIN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// A child that ran for so long was well: its next end is no sign of trouble.
const WELL_AFTER: Duration = Duration::from_secs(30);
/// How often a child is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long a child may take to end by itself, before it is killed: its own requests in flight are drained in it.
const END_TIME: Duration = Duration::from_secs(25);

/// What a child is started with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hosted {
    /// The module that it has.
    pub module: Name,
    /// The deployment that it is.
    pub deployment: Name,
    /// The server of its data, without a user; a file in its directory where absent.
    pub database: Option<String>,
}

/// What all children have in common.
pub struct Nursery {
    /// The data directory of this process.
    pub data: PathBuf,
    /// This process, of which they learn where everything is.
    pub parent: Address,
    /// The settings file, if any.
    pub config: Option<PathBuf>,
    /// The deployment's secret.
    pub secret: String,
    /// The operator's token.
    pub token: String,
}

impl Nursery {
    /// That of the process with these settings.
    pub fn new(
        settings: &Settings,
        oneself: &Oneself,
        secret: String,
        token: String,
    ) -> Result<Self> {
        Ok(Self {
            data: std::path::absolute(&settings.data)?,
            parent: oneself.url.clone(),
            config: settings.file.clone(),
            secret,
            token,
        })
    }

    /// The data directory of a child: one for each module in each deployment, for a module may move from one child to
    /// another.
    pub fn home(&self, module: &Name, deployment: &Name) -> PathBuf {
        let carved = self.data.join(CARVED);
        if module == deployment {
            return carved.join(module.as_str());
        }
        // No name has an at sign.
        carved.join(format!("{module}@{deployment}"))
    }

    fn home_of(&self, hosted: &Hosted) -> PathBuf {
        self.home(&hosted.module, &hosted.deployment)
    }

    fn command(&self, hosted: &Hosted) -> Result<Command> {
        let program = std::env::current_exe().context("where this program is")?;
        let mut command = Command::new(program);
        command.args(["serve", "--child", "--standby", "--modules", hosted.module.as_str()]);
        command.args(["--deployment", hosted.deployment.as_str()]);
        command.args(["--listen", "127.0.0.1:0", "--data"]).arg(self.home_of(hosted));
        if let Some(config) = &self.config {
            command.env("BANYAN_CONFIG", config);
        }
        // Over what the file and the environment say: these are this process's own, not the child's.
        command
            .env("BANYAN_INTERNAL_LISTEN", "127.0.0.1:0")
            .env("BANYAN_PROXY_ENABLED", "false")
            .env(DeploymentSecret::VARIABLE, &self.secret)
            .env("BANYAN_OPERATOR_TOKEN", &self.token)
            .env("BANYAN_MODULES_PLACEMENT_URL", self.parent.as_str())
            .env("BANYAN_DATABASE_URL", hosted.database.as_deref().unwrap_or_default())
            .env_remove("BANYAN_DATA")
            .env_remove("BANYAN_INTERNAL_URL");
        // The pipe closes when this process ends, however it ends; then the child ends, too.
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        Ok(command)
    }
}

/// The data directories of all children, also of those that are wanted no more.
pub fn carved(data: &Path) -> io::Result<Vec<PathBuf>> {
    let homes = match fs::read_dir(data.join(CARVED)) {
        Ok(homes) => homes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    homes.map(|home| Ok(home?.path())).collect()
}

/// The children of this process.
pub struct Children {
    nursery: Nursery,
    /// By their data directories.
    running: Mutex<BTreeMap<PathBuf, Running>>,
}

struct Running {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Children {
    /// Starts those that an earlier process has left wanted.
    pub fn start(nursery: Nursery) -> Result<Self> {
        let children = Self { nursery, running: Mutex::default() };
        let homes = carved(&children.nursery.data).context("the directory of carved modules")?;
        for home in homes {
            if let Some(hosted) = read(&home.join(HOSTED))? {
                children.supervise(hosted)?;
            }
        }
        Ok(children)
    }

    /// What they have in common.
    pub fn nursery(&self) -> &Nursery {
        &self.nursery
    }

    /// What the child is started with that has the module in this deployment, where there is one.
    pub fn hosted(&self, module: &Name, deployment: &Name) -> Result<Option<Hosted>> {
        read(&self.nursery.home(module, deployment).join(HOSTED))
    }

    /// Wants a child from now on. Again with the same is nothing new.
    pub fn want(&self, hosted: Hosted) -> Result<()> {
        let home = self.nursery.home_of(&hosted);
        fs::create_dir_all(&home).with_context(|| home.display().to_string())?;
        DataDir::at(&home).write(HOSTED, &serde_json::to_string(&hosted)?)?;
        self.supervise(hosted)
    }

    /// Wants it no more: waits until it has ended. Its data stays.
    pub async fn unwant(&self, module: &Name, deployment: &Name) -> Result<()> {
        let home = self.nursery.home(module, deployment);
        match fs::remove_file(home.join(HOSTED)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).context("a child that is not wanted any more"),
        }
        let running = self.running().remove(&home);
        if let Some(running) = running {
            running.end().await;
        }
        Ok(())
    }

    /// Where a child can be reached, once it is ready.
    pub fn server(&self, module: &Name, deployment: &Name) -> Option<Server> {
        DataDir::at(self.nursery.home(module, deployment)).server().ok().flatten()
    }

    /// Ends them all. They are started again with the next process.
    pub async fn stop(&self) {
        let all = std::mem::take(&mut *self.running());
        futures_util::future::join_all(all.into_values().map(Running::end)).await;
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Running>> {
        // One insertion or removal cannot be half done.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn supervise(&self, hosted: Hosted) -> Result<()> {
        let home = self.nursery.home_of(&hosted);
        let mut running = self.running();
        if running.contains_key(&home) {
            return Ok(());
        }
        let (stop, stopped) = watch::channel(false);
        let command = self.nursery.command(&hosted)?;
        let task = tokio::spawn(supervised(hosted.module, command, stopped));
        running.insert(home, Running { stop, task });
        Ok(())
    }
}

impl Running {
    async fn end(self) {
        self.stop.send_replace(true);
        drop(self.task.await);
    }
}

/// Starts a child as often as it ends, until it is to stop.
async fn supervised(module: Name, mut command: Command, mut stopped: watch::Receiver<bool>) {
    let mut pause = AGAIN.0;
    loop {
        let began = Instant::now();
        match command.spawn() {
            Ok(child) => {
                let pid = child.id();
                tracing::info!(%module, pid, "a child is started");
                let ended = watched(child, &mut stopped).await;
                if *stopped.borrow() {
                    return;
                }
                tracing::warn!(%module, pid, ended, "a child has ended; it is started again soon");
            }
            Err(error) => tracing::error!(%module, %error, "a child cannot be started"),
        }
        pause = if began.elapsed() > WELL_AFTER { AGAIN.0 } else { (pause * 2).min(AGAIN.1) };
        let stop = tokio::time::timeout(pause, stopped.wait_for(|stop| *stop)).await;
        if stop.is_ok() {
            return;
        }
    }
}

/// Watches a child until it ends, by itself or because it is to stop; how it ended.
async fn watched(mut child: Child, stopped: &mut watch::Receiver<bool>) -> String {
    let mut until = None;
    loop {
        match child.try_wait() {
            Ok(None) => {}
            Ok(Some(status)) => return status.to_string(),
            Err(error) => return error.to_string(),
        }
        if until.is_none() && *stopped.borrow() {
            drop(child.stdin.take());
            until = Some(Instant::now() + END_TIME);
        }
        if until.is_some_and(|until| until <= Instant::now()) {
            // It has had its time; what it left is undone by the next one that opens its data.
            drop(child.kill());
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = stopped.changed(), if until.is_none() => {}
        }
    }
}

fn read(path: &Path) -> Result<Option<Hosted>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(
            serde_json::from_str(&text)
                .with_context(|| format!("{} is damaged", path.display()))?,
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}
