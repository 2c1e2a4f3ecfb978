//! The command line: what can be asked of `banyan`, with help that teaches.

mod operators;
mod placing;
mod shows;

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use kernel_api::Timestamp;

pub use operators::{
    AbandonArgs, BackupArgs, DeadletterArgs, DeadlettersArgs, DeadlettersCommand, FeedsArgs,
    FeedsCommand, RestoreArgs, ResumeArgs, SagaArgs, SagasArgs, SagasCommand, SagasListArgs,
};
pub use placing::{
    BenchCommand, CarveArgs, CourseArgs, DemoArgs, DoctorArgs, FaultsArgs, MergeArgs,
    PlacementArgs, RehearseArgs, TargetArgs, WishArgs,
};
pub use shows::{CarvesArgs, ShowArgs};

/// `banyan …`.
#[derive(Debug, Parser)]
#[command(
    name = "banyan",
    version,
    about = "A shop backend in one binary: catalog, stock, orders and payments as modules that can be carved out.",
    args_conflicts_with_subcommands = true,
    after_help = "Without a command, `up` runs: everything in one process, data in ./data.\n\n\
        A first walk:\n  \
        banyan up                                   serve the shop; prints where to look\n  \
        banyan import online-retail FILE            load a real year of trade as history\n  \
        banyan verify                               check every invariant over all modules\n  \
        banyan replay online-retail FILE --target http://127.0.0.1:8080\n                                              \
        trade the same file live through the public API\n  \
        banyan modules --format mermaid             draw what depends on what, and what really calls what"
)]
pub struct Cli {
    /// What to do; `up` when nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// For `up` without its name.
    #[command(flatten)]
    pub up: ServerArgs,
}

/// Where settings and data are.
#[derive(Debug, Clone, Default, Args)]
pub struct PlaceArgs {
    /// Settings file (TOML); what it leaves out keeps its default. See `banyan config`
    #[arg(long, value_name = "FILE", env = "BANYAN_CONFIG")]
    pub config: Option<PathBuf>,
    /// Data directory: databases, secrets, the lock [default: ./data]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// Where to serve.
#[derive(Debug, Clone, Default, Args)]
pub struct ServerArgs {
    /// Settings and data.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Address of the public listener [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the whole shop in one process: migrates, starts every module, prints where to look
    #[command(
        after_help = "Stops gracefully on SIGTERM or Ctrl-C: no longer ready, requests in flight end, stores close."
    )]
    Up(ServerArgs),
    /// Serve some modules here and reach the others where the settings say they are
    Serve(ServeArgs),
    /// Bring every module's schema up to date; on PostgreSQL also make its role and schema
    #[command(
        after_help = "SQLite migrates by itself on `up`. On PostgreSQL, run this once with an admin URL, which is not kept:\n  \
        banyan migrate --admin-url postgres://postgres@127.0.0.1:5432/banyan"
    )]
    Migrate(MigrateArgs),
    /// Move a module, code and data, into a process and a database of its own while it serves; it can go back
    #[command(
        after_help = "The running server copies the data, follows what changes, compares both sides, holds the module's writes for some\n\
        milliseconds, and gives it to its new owner. Both sides are then kept equal until the carve is completed or reversed.\n\n  \
        banyan carve inventory --dry-run            what it would meet\n  \
        banyan carve inventory                      into a child of the server, on SQLite\n  \
        banyan carve inventory --database URL       the same, on PostgreSQL\n  \
        banyan carve inventory --reverse            bring it back while both sides are kept equal\n  \
        banyan carve inventory --complete           give up the way back and clean up\n\n\
        Exits 1 when it did not come about, or its certificate names a fault."
    )]
    Carve(CarveArgs),
    /// Bring a carved module back: the same move, the sides swapped
    Merge(MergeArgs),
    /// Show where each module is, what moves and how far it is
    Placement(PlacementArgs),
    /// Let some of a module's calls go as if it were elsewhere, on the running server, before it is
    #[command(
        after_help = "For example: banyan rehearse inventory --calls 5% --latency 2ms --loss 1%"
    )]
    Rehearse(RehearseArgs),
    /// From nothing to a shop under load whose stock module moves into a process of its own; under two minutes
    #[command(
        after_help = "Makes its own temporary directory and ports, and leaves nothing. Exits 1 when anything was lost, doubled or refused.\n\
        `--format json` prints what it has shown alone, with the certificate of the move."
    )]
    Demo(DemoArgs),
    /// Try the program itself
    #[command(subcommand)]
    Bench(BenchCommand),
    /// Compare what rows, placement, seats and routes say; name what disagrees, and mend it
    #[command(after_help = "Exits 1 when something disagrees and was not mended.")]
    Doctor(DoctorArgs),
    /// Show the modules: what each may call by its code, and what really called what
    Modules(ModulesArgs),
    /// List every public route with its module and who may use it
    Routes(RoutesArgs),
    /// Load a file as history: products, customers, stock, orders, payments, refunds
    #[command(subcommand)]
    Import(ImportCommand),
    /// Drive a file's invoices through the public HTTP API of a running shop
    #[command(subcommand)]
    Replay(ReplayCommand),
    /// Check the invariants over all modules; exits 1 if one is broken
    #[command(
        after_help = "Waits until feeds and sagas have settled, within a bound, and reads each module through its contract.\n\
        A shop that trades meanwhile may show differences that are only work in flight: then there is no verdict (exit 1).\n\
        `--format json` gives every figure, money as decimal strings; `books.net` is the unrounded sum of all lines."
    )]
    Verify(ReportArgs),
    /// How far each module has heard the others: list, resume one that has stopped
    Feeds(FeedsArgs),
    /// Events that a subscriber could not apply: list, show, replay, discard
    Deadletters(DeadlettersArgs),
    /// Checkouts under way and stuck ones: list, show, retry, abandon
    Sagas(SagasArgs),
    /// Copy each module's data into a directory while the shop runs
    Backup(BackupArgs),
    /// Put a backup's data into an empty data directory or database; no server may run on it
    Restore(RestoreArgs),
    /// Orders: read models
    #[command(subcommand)]
    Orders(OrdersCommand),
    /// Print the settings in force and where each comes from; secrets are masked
    Config(ConfigArgs),
    /// Show or change what the running server logs, until it stops
    #[command(
        after_help = "A level (error, warn, info, debug, trace) or levels per target: banyan log-level info,saga=debug"
    )]
    LogLevel(LogLevelArgs),
    /// Print the completion script of a shell
    #[command(after_help = "For example: banyan completions bash > /etc/bash_completion.d/banyan")]
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Where.
    #[command(flatten)]
    pub server: ServerArgs,
    /// The modules to run here; all when absent. The others' internal URLs stand in the settings (`modules.<name>.url`),
    /// or are learnt from placement (`modules.placement.url`)
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub modules: Vec<String>,
    /// What it is part of.
    #[command(flatten)]
    pub member: MemberArgs,
}

/// The deployment that a process is part of.
#[derive(Debug, Clone, Default, Args)]
pub struct MemberArgs {
    /// The deployment's name: it owns the modules whose data names it [default: monolith]
    #[arg(long, value_name = "NAME")]
    pub deployment: Option<String>,
    /// Open data only to have it filled by `banyan carve --to`: what names no owner is not taken for one's own
    #[arg(long)]
    pub standby: bool,
    /// End when standard input ends: for the process that starts this one
    #[arg(long, hide = true)]
    pub child: bool,
}

/// `migrate`.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// Where.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// PostgreSQL URL of a role that may create roles and schemas
    #[arg(long, value_name = "URL", env = "BANYAN_ADMIN_URL", hide_env_values = true)]
    pub admin_url: Option<String>,
    /// Only this module
    #[arg(long, value_name = "NAME")]
    pub module: Option<String>,
}

/// How a report is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

/// How routes are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum RoutesFormat {
    /// For people
    #[default]
    Table,
    /// For programs
    Json,
    /// As a configuration of strangler-proxy, all of them off
    Proxy,
}

/// A report about a place.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Where.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// How the graph of modules is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
    /// A picture: paste it into any Markdown that draws Mermaid.
    Mermaid,
}

/// `modules`.
#[derive(Debug, Args)]
pub struct ModulesArgs {
    /// Where.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    pub format: GraphFormat,
}

/// `routes`.
#[derive(Debug, Args)]
pub struct RoutesArgs {
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    pub format: RoutesFormat,
    /// Only this module
    #[arg(long, value_name = "NAME")]
    pub module: Option<String>,
}

/// `import`.
#[derive(Debug, Subcommand)]
pub enum ImportCommand {
    /// A file in the format of UCI "Online Retail", plain or .zst
    #[command(
        after_help = "Every row ends in the books or is listed by line and reason. Running it twice changes nothing, and a run that\n\
        was killed is completed by the next. The file has no goods receipts: the smallest opening balance per SKU that keeps\n\
        stock non-negative is booked first, with that reason. Imported orders are marked as history."
    )]
    OnlineRetail(ImportArgs),
}

/// `import online-retail`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The file
    pub file: PathBuf,
    /// Where.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// How to print the result
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// `replay`.
#[derive(Debug, Subcommand)]
pub enum ReplayCommand {
    /// A file in the format of UCI "Online Retail", plain or .zst
    #[command(
        after_help = "Receives the file's opening stock, then puts carts, checks them out, pays, returns and adjusts, keeping the order of\n\
        each customer. Each request has a key derived from its invoice: run it again after a kill of either side and it goes on.\n\
        Exits 1 when something was refused, or when the shop stayed away for longer than --patience."
    )]
    OnlineRetail(ReplayArgs),
}

/// `replay online-retail`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// The file
    pub file: PathBuf,
    /// The shop's public URL, such as http://127.0.0.1:8080
    #[arg(long, value_name = "URL")]
    pub target: String,
    /// Invoices per second; as fast as allowed when absent
    #[arg(long, value_name = "N", value_parser = rate)]
    pub rate: Option<f64>,
    /// First day, 2010-12-01
    #[arg(long, value_name = "DATE", value_parser = day)]
    pub from: Option<Timestamp>,
    /// Last day, 2011-08-31
    #[arg(long, value_name = "DATE", value_parser = day)]
    pub to: Option<Timestamp>,
    /// Only so many invoices, the first ones of these days
    #[arg(long, value_name = "N")]
    pub first: Option<usize>,
    /// Invoices in flight at once
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub concurrency: u16,
    /// How long to ask again while the shop is away or busy, before giving up
    #[arg(long, value_name = "TIME", default_value = "120s")]
    pub patience: settings::Duration,
    /// A name that sets the keys of this run apart, to trade the same file once more
    #[arg(long, value_name = "NAME", value_parser = run_name)]
    pub run: Option<String>,
    /// The operator token; read from the data directory when absent
    #[arg(long, value_name = "TOKEN", env = "BANYAN_OPERATOR_TOKEN", hide_env_values = true)]
    pub operator_token: Option<String>,
    /// Where.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// How to print the result
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// `orders`.
#[derive(Debug, Subcommand)]
pub enum OrdersCommand {
    /// Build the read models again from the order events
    Rebuild(ReportArgs),
}

/// `config`.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// Where.
    #[command(flatten)]
    pub server: ServerArgs,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// `log-level`.
#[derive(Debug, Args)]
pub struct LogLevelArgs {
    /// The new level; the present one is shown when absent
    pub level: Option<String>,
    /// Where.
    #[command(flatten)]
    pub place: PlaceArgs,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate: &f64| rate.is_finite() && *rate > 0.0);
    rate.ok_or_else(|| "a rate is a number above 0".to_owned())
}

/// A part of a key: short, and without what separates the parts.
fn run_name(text: &str) -> Result<String, String> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let fits = (1..=32).contains(&text.len()) && text.bytes().all(good);
    fits.then(|| text.to_owned())
        .ok_or_else(|| "a name is 1 to 32 of a-z, A-Z, 0-9, - and _".to_owned())
}

fn day(text: &str) -> Result<Timestamp, String> {
    format!("{text}T00:00:00Z").parse().map_err(|_bad| "a day is written 2010-12-01".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_argument_means_up_and_its_options_stand_alone() {
        let cli = Cli::try_parse_from(["banyan", "--data", "elsewhere"]).unwrap();
        assert!(cli.command.is_none());
        assert_eq!(cli.up.place.data, Some(PathBuf::from("elsewhere")));
        assert!(Cli::try_parse_from(["banyan"]).unwrap().command.is_none());
    }

    #[test]
    fn days_are_whole() {
        assert_eq!(day("2011-03-01").unwrap().to_string(), "2011-03-01T00:00:00Z");
        assert!(day("1.3.2011").is_err());
    }

    #[test]
    fn a_replay_has_a_rate_above_zero_and_a_short_name() {
        assert_eq!(rate("0.5"), Ok(0.5));
        assert!(["0", "-1", "inf", "NaN", "fast"].iter().all(|bad| rate(bad).is_err()));
        assert!(run_name("second-time_2").is_ok());
        let long = "a".repeat(33);
        assert!(["", "a:b", "é", &long].iter().all(|bad| run_name(bad).is_err()));
    }
}
