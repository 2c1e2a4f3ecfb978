//! What operators say: feeds, dead letters, sagas, backups.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use events::ResumeAt;

use super::{PlaceArgs, ReportArgs};

/// `feeds`.
#[derive(Debug, Args)]
pub struct FeedsArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: FeedsCommand,
}

/// What to do with feeds.
#[derive(Debug, Subcommand)]
pub enum FeedsCommand {
    /// List the subscriptions: where each stands in its feed, what is parked, why it has stopped
    List(ReportArgs),
    /// Say where a stopped subscription goes on
    #[command(
        after_help = "A subscription stops when its feed does not go on where it stands: events were forgotten before they were read,\n\
        or the feed's database is older than what was read from it (a backup was restored). Events that it passes by have\n\
        no effect; `banyan verify` says what is missing."
    )]
    Resume(ResumeArgs),
}

/// Which subscription, and where it goes on.
#[derive(Debug, Args)]
pub struct ResumeArgs {
    /// Where.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// The subscribing module
    pub module: String,
    /// The subscription, as listed
    pub subscription: String,
    /// `start`: the oldest event that is there; `head`: what is told from now on; or the position of the last event to
    /// pass by
    #[arg(long, value_name = "start|head|POSITION", value_parser = resume_at)]
    pub at: ResumeAt,
    /// Why, for the log
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}

fn resume_at(text: &str) -> Result<ResumeAt, String> {
    match text {
        "start" => Ok(ResumeAt::Start),
        "head" => Ok(ResumeAt::Head),
        position => position
            .parse()
            .map(ResumeAt::Position)
            .map_err(|_bad| "it is `start`, `head` or a position".to_owned()),
    }
}

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
