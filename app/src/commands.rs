//! The commands: each one reads its arguments, does its work through the rest of this crate, and prints.

mod bench;
mod carve;
mod config;
mod deadletters;
mod demo;
mod doctor;
mod feeds;
mod graph;
mod history;
mod log_level;
mod modules;
mod orders;
mod placement;
mod replay;
mod routes;
mod sagas;
mod storage;
mod tables;
mod up;
mod verify;

use anyhow::Result;
use clap::CommandFactory;

use crate::cli::{Cli, Command, ImportCommand, OrdersCommand, ReplayCommand};

/// How a command that could do its work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it should.
    Well,
    /// It found what it was to look for: something broken.
    Broken,
}

/// Threads for background work and calls between modules; requests have the web server's own.
const BACKGROUND_THREADS: usize = 2;

/// Does what the command line says.
pub fn run(cli: Cli) -> Result<Verdict> {
    match cli.command.unwrap_or(Command::Up(cli.up)) {
        // A client that measures has a runtime of its own.
        Command::Replay(ReplayCommand::OnlineRetail(wish)) => replay::replay(wish),
        Command::Config(wish) => config::show(&wish).map(|()| Verdict::Well),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "banyan", &mut script);
            tables::say(String::from_utf8_lossy(&script)).map(|()| Verdict::Well)
        }
        command => tokio::runtime::Builder::new_multi_thread()
            .worker_threads(BACKGROUND_THREADS)
            .thread_name("background")
            .enable_all()
            .build()?
            .block_on(with_runtime(command)),
    }
}

async fn with_runtime(command: Command) -> Result<Verdict> {
    match command {
        Command::Up(server) => up::up(&server).await?,
        Command::Serve(serve) => up::serve(&serve).await?,
        Command::Migrate(migrate) => storage::migrate(&migrate)?,
        Command::Carve(wish) => return carve::carve(&wish).await,
        Command::Merge(wish) => return carve::merge(&wish).await,
        Command::Placement(wish) => placement::show(&wish).await?,
        Command::Rehearse(wish) => placement::rehearse(&wish).await?,
        Command::Bench(wish) => return bench::run(&wish).await,
        Command::Demo(wish) => return demo::run(&wish).await,
        Command::Doctor(wish) => return doctor::run(&wish).await,
        Command::Modules(wish) => modules::show(&wish).await?,
        Command::Routes(wish) => routes::show(&wish)?,
        Command::Import(ImportCommand::OnlineRetail(import)) => history::import(&import).await?,
        Command::Verify(report) => return verify::verify(&report).await,
        Command::Feeds(wish) => feeds::run(wish.command).await?,
        Command::Deadletters(wish) => deadletters::run(wish.command).await?,
        Command::LogLevel(wish) => log_level::run(wish).await?,
        Command::Sagas(wish) => sagas::run(wish.command).await?,
        Command::Backup(backup) => storage::backup(&backup).await?,
        Command::Restore(restore) => storage::restore(&restore)?,
        Command::Orders(OrdersCommand::Rebuild(report)) => orders::rebuild(&report).await?,
        Command::Replay(_) | Command::Config(_) | Command::Completions { .. } => {
            unreachable!("they need no runtime")
        }
    }
    Ok(Verdict::Well)
}
