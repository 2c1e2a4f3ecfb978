//! What operators say about where modules are: carve, merge, look, rehearse, mend.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{CarvesArgs, Format, PlaceArgs, ReportArgs, ShowArgs};
use crate::faults::{Fault, Pair, Way};

/// `carve`.
#[derive(Debug, Args)]
pub struct CarveArgs {
    /// The module
    pub module: placement_api::Name,
    /// Where it goes.
    #[command(flatten)]
    pub target: TargetArgs,
    /// How it goes.
    #[command(flatten)]
    pub course: CourseArgs,
    /// Before the switch, lead reads of these shares of the clients to the copy, one after the other. Needs a proxy in front;
    /// a client that has written reads at the owner until the copy holds it
    #[arg(long, value_name = "PERCENT,…", value_delimiter = ',', value_parser = share)]
    pub reads: Vec<placement_api::Percent>,
    /// How long each of these shares lasts
    #[arg(long, value_name = "TIME", default_value = "30s", requires = "reads")]
    pub reads_each: settings::Duration,
    /// Say what it would meet, and change nothing; exits 1 when something stands in the way
    #[arg(long)]
    pub dry_run: bool,
    /// What is wanted of a carve that is under way.
    #[command(flatten)]
    pub wish: WishArgs,
}

/// Where a module goes.
#[derive(Debug, Clone, Default, Args)]
pub struct TargetArgs {
    /// The internal URL of a process that runs already, started with `banyan serve --modules MODULE --deployment NAME
    /// --standby`; without it a child of the running server is started
    #[arg(long, value_name = "URL")]
    pub to: Option<placement_api::Address>,
    /// The name of the deployment that will own the module [default: the module's name]
    #[arg(long, value_name = "NAME")]
    pub deployment: Option<placement_api::Name>,
    /// A PostgreSQL URL without user, where the data goes; a SQLite file in the data directory without it
    #[arg(long, value_name = "URL")]
    pub database: Option<String>,
    /// A PostgreSQL URL of a role that may make roles and schemas: makes the module's own first. It is not kept
    #[arg(long, value_name = "URL", requires = "database")]
    pub admin_url: Option<String>,
}

/// How a move goes.
#[derive(Debug, Clone, Default, Args)]
pub struct CourseArgs {
    /// How long both sides are kept equal after the switch, before it completes by itself; until `--complete` without it
    #[arg(long, value_name = "TIME")]
    pub observe: Option<settings::Duration>,
    /// The most rows to copy in a second
    #[arg(long, value_name = "ROWS")]
    pub rate: Option<u32>,
    /// Why, for the certificate
    #[arg(long, value_name = "TEXT", default_value = "an operator's wish")]
    pub reason: String,
    /// Come back once it has begun, instead of watching it
    #[arg(long)]
    pub detach: bool,
    /// Write the certificate (JSON) to a file
    #[arg(long, value_name = "FILE")]
    pub certificate: Option<PathBuf>,
    /// Where.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// What is wanted of a carve that is under way.
#[derive(Debug, Clone, Default, Args)]
#[group(multiple = false)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is an option of the command line, at most one is given"
)]
pub struct WishArgs {
    /// Go no further than it is; what was copied is kept fresh
    #[arg(long)]
    pub pause: bool,
    /// Go on
    #[arg(long)]
    pub resume: bool,
    /// After the switch: bring the module back, losing nothing
    #[arg(long)]
    pub reverse: bool,
    /// After the switch: give up the way back, and clean up
    #[arg(long)]
    pub complete: bool,
    /// Before the switch: give it up, and clean up
    #[arg(long)]
    pub cancel: bool,
}

/// `merge`.
#[derive(Debug, Args)]
pub struct MergeArgs {
    /// The module
    pub module: placement_api::Name,
    /// How it goes.
    #[command(flatten)]
    pub course: CourseArgs,
}

/// `placement`.
#[derive(Debug, Args)]
pub struct PlacementArgs {
    /// What to show.
    #[command(flatten)]
    pub report: ReportArgs,
    /// Show it anew every second, until Ctrl-C
    #[arg(long)]
    pub watch: bool,
}

/// `rehearse`.
#[derive(Debug, Args)]
pub struct RehearseArgs {
    /// The module
    pub module: placement_api::Name,
    /// So many of 100 calls go as if the module were elsewhere; 0% ends the rehearsal
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub calls: u8,
    /// How long a request is on its way
    #[arg(long, value_name = "TIME", default_value = "0ms")]
    pub latency: settings::Duration,
    /// So many of 100 requests, and of answers, get lost; they are asked again by their key
    #[arg(long, value_name = "PERCENT", default_value = "0%", value_parser = percent)]
    pub loss: u8,
    /// Where.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Where.
    #[command(flatten)]
    pub report: ReportArgs,
    /// Mend what can be mended without a decision; asking twice changes nothing more
    #[arg(long)]
    pub repair: bool,
}

/// `bench`.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Strike carves under load at each of their steps, and see that each ends wholly on one side with nothing lost
    #[command(
        after_help = "Each carve has a shop of its own on a temporary directory; its disks can be filled where this user may\n\
        mount them. Exits 1 when one did not end as it must; one that found nothing to strike (no such process yet, no such\n\
        file, no disk of its own) says so and counts for itself.\n\
        For example: banyan bench faults --step hold --step observe --fault kill-server"
    )]
    Faults(FaultsArgs),
    /// Flip every toggle of the proxy and reload its file while a file is traded, and see that no request fails
    #[command(
        after_help = "The shop is a fresh one on PostgreSQL with a second process of it as the new side. Exits 1 when anything failed.\n\
        For example: banyan bench toggles online-retail.csv.zst --first 2000"
    )]
    Toggles(ShowArgs),
    /// Move modules to PostgreSQL and back while a file is traded, and see that no client notices
    #[command(
        after_help = "The shop is a fresh one on SQLite. Inventory, payments and ordering move out and are merged back, once each,\n\
        then by turns for as many cycles as are wanted; the file is traded again and again meanwhile. Exits 1 when anything\n\
        failed or a pause was too long.\n\
        For example: banyan bench carves online-retail.csv.zst --first 2000 --cycles 3"
    )]
    Carves(CarvesArgs),
}

/// `bench faults`.
#[derive(Debug, Args)]
pub struct FaultsArgs {
    /// Only at this step, such as `hold`; all when absent
    #[arg(long = "step", value_name = "STEP")]
    pub steps: Vec<String>,
    /// Only this fault; all when absent
    #[arg(long = "fault", value_enum)]
    pub faults: Vec<Fault>,
    /// Only this way; both when absent
    #[arg(long = "way", value_enum)]
    pub ways: Vec<Way>,
    /// Between which databases
    #[arg(long = "pair", value_enum, default_value = "sqlite")]
    pub pair: Pair,
    /// An administrator's URL of a PostgreSQL server, where each carve gets databases of its own
    #[arg(long, value_name = "URL", default_value = "postgres://postgres@127.0.0.1:5432/postgres")]
    pub server: String,
    /// Strike each so many times; `fence` at other moments of the pause each time
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub times: usize,
    /// So many carves at once
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub at_once: usize,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

fn percent(text: &str) -> Result<u8, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse().ok();
    number.filter(|percent| *percent <= 100).ok_or_else(|| "it is 0% to 100%, whole".to_owned())
}

fn share(text: &str) -> Result<placement_api::Percent, String> {
    percent(text)
        .ok()
        .and_then(placement_api::Percent::new)
        .ok_or_else(|| "it is 1% to 100%, whole".to_owned())
}

#[cfg(test)]
mod tests {
    use super::{percent, share};

    #[test]
    fn percentages_are_whole_and_at_most_100() {
        assert_eq!((percent("5%"), percent("100")), (Ok(5), Ok(100)));
        assert!(["101%", "-1%", "0.5%", "%", ""].iter().all(|bad| percent(bad).is_err()));
        assert_eq!(share("10%").map(placement_api::Percent::get), Ok(10));
        assert!(["0%", "101%", "0.5"].iter().all(|bad| share(bad).is_err()));
    }
}
