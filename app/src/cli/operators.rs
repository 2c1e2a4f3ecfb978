//! What operators say: dead letters, sagas, backups.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{PlaceArgs, ReportArgs};

/// `deadletters`.
#[derive(Debug, Args)]
pub struct DeadlettersArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: DeadlettersCommand,
}

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub enum DeadlettersCommand {
    /// List them, per subscribing module
    List(ReportArgs),
    /// Show one: the whole event and its last error
    Show(DeadletterArgs),
    /// Apply one again, and the events of its key that wait behind it
    Replay(DeadletterArgs),
    /// Give one up for good; the events of its key go on without it
    Discard(DeadletterArgs),
}

/// Which dead letter.
#[derive(Debug, Args)]
pub struct DeadletterArgs {
    /// Where.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// The subscribing module
    pub module: String,
    /// The subscription, as listed
    pub subscription: String,
    /// The event's position, as listed
    pub position: u64,
}

/// `sagas`.
#[derive(Debug, Args)]
pub struct SagasArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: SagasCommand,
}

/// What to do with sagas.
#[derive(Debug, Subcommand)]
pub enum SagasCommand {
    /// List those that are under way or stuck
    List(SagasListArgs),
    /// Show one: its state and its last error
    Show(SagaArgs),
    /// Let a stuck one go on from where it stands
    Retry(SagaArgs),
    /// Give a stuck one up: what it has done is undone, unless --close says that it was settled by hand
    Abandon(AbandonArgs),
}

/// Which sagas.
#[derive(Debug, Args)]
pub struct SagasListArgs {
    /// How and where.
    #[command(flatten)]
    pub report: ReportArgs,
    /// Only those that are stuck
    #[arg(long)]
    pub stuck: bool,
}

/// Which saga.
#[derive(Debug, Args)]
pub struct SagaArgs {
    /// Where.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// The saga's id, as listed
    pub id: String,
}

/// Which saga, and how.
#[derive(Debug, Args)]
pub struct AbandonArgs {
    /// Which.
    #[command(flatten)]
    pub saga: SagaArgs,
    /// Undo nothing: it was settled by hand in every module that it had touched; say how
    #[arg(long, value_name = "NOTE")]
    pub close: Option<String>,
}

/// `backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The directory to make; must not exist
    pub directory: PathBuf,
    /// Where.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Only this module
    #[arg(long, value_name = "NAME")]
    pub module: Option<String>,
}

/// `restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// A directory that `backup` made
    pub directory: PathBuf,
    /// Where.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Only this module
    #[arg(long, value_name = "NAME")]
    pub module: Option<String>,
}
