//! What is done to a carve that is struck.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use rusqlite::Connection;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};
use serde::{Deserialize, Serialize};

use super::{
    MODULE, Way,
    ground::{Ground, Place, psql},
};
use crate::{data_dir::DataDir, trial::Trial};

/// How long a fault lasts that passes: longer than a call waits, shorter than a process is taken for gone.
const LASTS: Duration = Duration::from_secs(3);

/// How often a session of a server is ended while every one is.
const AGAIN: Duration = Duration::from_millis(100);

/// What is done to a carve. The server is coordinator and proxy, and beside it the source of a module that moves out or
/// the target of one that moves back; its child is the other of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// kill -9 of the server. It is started again.
    KillServer,
    /// kill -9 of the module's own process.
    KillChild,
    /// The server stands still for seconds: its leases run out.
    StopServer,
    /// The module's own process stands still for seconds: what is asked of it runs into time-outs.
    StopChild,
    /// For seconds each write to a file is an error, and each session of a database server is ended.
    Errors,
    /// The source's database is locked for seconds: what is asked of it runs into time-outs.
    LockSource,
    /// The target's.
    LockTarget,
    /// The source's disk is full for seconds.
    FillSource,
    /// The target's.
    FillTarget,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::KillServer,
        Self::KillChild,
        Self::StopServer,
        Self::StopChild,
        Self::Errors,
        Self::LockSource,
        Self::LockTarget,
        Self::FillSource,
        Self::FillTarget,
    ];

    /// Does it to the shop and waits until it is over. `false` where there was nothing to strike: no such process yet, no
    /// such file, no disk of its own.
    pub async fn hit(self, way: Way, trial: &mut Trial, ground: &Ground) -> Result<bool> {
        let (here, away) = &ground.places;
        let (source, target) = match way {
            Way::Out => (here, away),
            Way::Back => (away, here),
        };
        match self {
            Self::KillServer => {
                trial.kill()?;
                trial.restart()?;
            }
            Self::KillChild => {
                return with_child(trial, async |child| kill(child, Signal::KILL)).await;
            }
            Self::StopServer => stand_still(trial.pid()).await?,
            Self::StopChild => return with_child(trial, stand_still).await,
            Self::Errors => errors(trial, ground).await?,
            Self::LockSource => return lock(source).await,
            Self::LockTarget => return lock(target).await,
            Self::FillSource => return fill(ground.disk(source)).await,
            Self::FillTarget => return fill(ground.disk(target)).await,
        }
        Ok(true)
    }
}

/// Does something to the module's own process, once there is one.
async fn with_child(trial: &Trial, hit: impl AsyncFn(u32) -> Result<()>) -> Result<bool> {
    let home = trial.data().path().join("carved").join(MODULE);
    match DataDir::at(home).server()? {
        Some(child) => hit(child.pid).await.map(|()| true),
        None => Ok(false),
    }
}

async fn stand_still(process: u32) -> Result<()> {
    kill(process, Signal::STOP)?;
    tokio::time::sleep(LASTS).await;
    kill(process, Signal::CONT)
}

fn kill(process: u32, signal: Signal) -> Result<()> {
    match kill_process(pid(process)?, signal) {
        // A process that has ended meanwhile is no trouble.
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error).context("kill"),
    }
}

fn pid(process: u32) -> Result<Pid> {
    i32::try_from(process).ok().and_then(Pid::from_raw).context("the id of a process")
}

/// No process of the shop may write to a file, and none stays connected to a server.
async fn errors(trial: &Trial, ground: &Ground) -> Result<()> {
    let servers: Vec<_> = [&ground.places.0, &ground.places.1]
        .into_iter()
        .filter_map(|place| match place {
            Place::Server(url) => Some(url.clone()),
            Place::File(_) => None,
        })
        .collect();
    let maximum = getrlimit(Resource::Fsize).maximum;
    let until = Instant::now() + LASTS;
    while Instant::now() < until {
        limit(trial.pid(), Some(0), maximum)?;
        let urls = servers.clone();
        tokio::task::spawn_blocking(move || urls.iter().try_for_each(|url| end_sessions(url)))
            .await??;
        tokio::time::sleep(AGAIN).await;
    }
    limit(trial.pid(), maximum, maximum)
}

/// Limits how far a process and its children may write into a file.
fn limit(process: u32, current: Option<u64>, maximum: Option<u64>) -> Result<()> {
    let mut all = vec![process];
    for task in fs::read_dir(format!("/proc/{process}/task"))? {
        let children = fs::read_to_string(task?.path().join("children")).unwrap_or_default();
        all.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
    }
    for process in all {
        let limit = Rlimit { current, maximum };
        match prlimit(Some(pid(process)?), Resource::Fsize, limit) {
            // Who has ended meanwhile writes nothing.
            Ok(_) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => return Err(error).context("prlimit"),
        }
    }
    Ok(())
}

fn end_sessions(url: &str) -> Result<()> {
    psql(
        url,
        &["SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
           WHERE datname = current_database() AND pid <> pg_backend_pid()"],
    )
}

/// Locks a database for seconds, once there is something to lock.
async fn lock(place: &Place) -> Result<bool> {
    let place = place.clone();
    tokio::task::spawn_blocking(move || match place {
        Place::File(path) => lock_file(&path),
        Place::Server(url) => lock_tables(&url),
    })
    .await?
}

fn lock_file(path: &Path) -> Result<bool> {
    if !path.exists() {
        return Ok(false);
    }
    let c = Connection::open(path)?;
    c.busy_timeout(LASTS)?;
    c.execute_batch("BEGIN IMMEDIATE")?;
    std::thread::sleep(LASTS);
    c.execute_batch("ROLLBACK")?;
    Ok(true)
}

fn lock_tables(url: &str) -> Result<bool> {
    let lock = format!(
        // Who waits longest for a lock and is not this one gives up where two wait for each other.
        "DO $$ DECLARE t regclass; BEGIN
           PERFORM set_config('deadlock_timeout', '30s', true);
           FOR t IN SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace = '{MODULE}'::regnamespace
           LOOP EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', t); END LOOP;
           PERFORM pg_sleep({});
         END $$",
        LASTS.as_secs()
    );
    psql(url, &[&lock]).map(|()| true)
}

/// Fills a disk for seconds.
async fn fill(disk: Option<&Path>) -> Result<bool> {
    let Some(disk) = disk else { return Ok(false) };
    let ballast = disk.join("ballast");
    let mut file = File::create(&ballast)?;
    for size in [1 << 20, 1 << 12, 1] {
        let block = vec![0; size];
        // Until there is no room for a block of this size.
        while file.write_all(&block).is_ok() {}
    }
    tokio::time::sleep(LASTS).await;
    fs::remove_file(ballast)?;
    Ok(true)
}
