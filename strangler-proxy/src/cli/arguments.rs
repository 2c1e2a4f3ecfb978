//! The arguments.

use std::{net::IpAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::route::Weight;

/// `strangler-proxy …`.
#[derive(Debug, Parser)]
#[command(
    name = "strangler-proxy",
    version,
    about = "Stands in front of an application and moves its endpoints to services one by one, by toggles, without a restart.",
    after_help = "To try it, with nothing written:\n  \
        strangler-proxy run --listen 127.0.0.1:8080 --from http://127.0.0.1:3000\n\n\
        A first walk, with a configuration file:\n  \
        strangler-proxy check --config shop.toml            is it right? names line and key\n  \
        strangler-proxy run --config shop.toml              serve\n  \
        strangler-proxy explain GET /v1/stock/7             who would answer, and why\n  \
        strangler-proxy toggle stock shadow --reason first  copy safe requests to the new side\n  \
        strangler-proxy toggle stock 5 --reason try         5 % of the clients to the new side\n  \
        strangler-proxy top                                 old against new, live\n  \
        strangler-proxy kill on --reason help               everything back to the monolith, now"
)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve
    #[command(
        after_help = "The file may change while the proxy runs: it is checked whole and in force within a second; one that is wrong is\n\
        refused whole, and the one before stays.\n\n\
        Signals: SIGTERM and Ctrl-C drain and stop, SIGHUP reloads, SIGUSR1 throws the kill switch, SIGUSR2 takes it back."
    )]
    Run(RunArgs),
    /// Set the stage of a route or group, or the weight of its canary
    #[command(after_help = "Stages, in the order in which a route goes through them:\n  \
        off      everything to the old side\n  \
        shadow   the old side answers; the new one gets copies of safe requests\n  \
        canary   a share of the clients, by weight, to the new side; each stays on its side, and as the weight grows\n           \
        clients only move from old to new\n  \
        live     everything to the new side; the old one still stands\n  \
        retired  as live, and there is no old side any more: not even the kill switch goes back\n\n\
        Writes the configuration file (comments and order stay) and a line of the audit log with the command that undoes it.")]
    Toggle(ToggleArgs),
    /// The kill switch: everything to the monolith, whatever the toggles say, but for what is retired
    #[command(
        after_help = "Works when nothing else does: the same by `touch shop.kill` beside the configuration file, or by SIGUSR1.\n\
        It stays thrown over a restart, until `kill off`."
    )]
    Kill(KillArgs),
    /// Check a configuration; every fault with its line and key. Exits 1 if there is one
    Check(CheckArgs),
    /// Say which route a request takes, which side, why, and what is changed of it
    #[command(
        after_help = "Asks the running proxy, whose upstreams may be down; without one, the file.\n  \
        strangler-proxy explain GET /v1/stock/7 -H 'cookie: sid=abc'\n  \
        strangler-proxy explain POST http://shop.example/v1/orders --client 10.1.2.3\n\n\
        Or what became of a request: error answers and the access log have its trace id.\n  \
        strangler-proxy explain --trace 4bf92f3577b34da6a3ce929d0e0e4736"
    )]
    Explain(ExplainArgs),
    /// List the routes in their order with their toggles
    Routes(ReportArgs),
    /// Old against new, route by route, live
    Top(TopArgs),
    /// Put this binary in the place of the one that serves; no connection is lost
    #[command(
        after_help = "The proxy that runs starts this binary with its own arguments and hands it the listening sockets. Once it serves, the\n\
        old one ends its last requests. Whatever goes wrong before that, the old one goes on. This is also how changes of\n\
        `listen`, `admin.listen` and `workers` come into force.\n\n\
        Without a proxy that can be asked, from a script: strangler-proxy run --config FILE --take-over"
    )]
    Upgrade(UpgradeArgs),
    /// Print the completion script of a shell
    #[command(
        after_help = "For example: strangler-proxy completions bash > /etc/bash_completion.d/strangler-proxy"
    )]
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// Where the configuration is.
#[derive(Debug, Clone, Default, Args)]
pub struct PlaceArgs {
    /// Configuration file (TOML) [default: ./strangler-proxy.toml]
    #[arg(long, short, value_name = "FILE", env = "STRANGLER_PROXY_CONFIG")]
    pub config: Option<PathBuf>,
}

/// `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Where.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Address to listen at; several with commas
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// The monolith; with it no file is needed
    #[arg(long, value_name = "URL")]
    pub from: Option<String>,
    /// Worker threads [default: one per core]
    #[arg(long, value_name = "N")]
    pub workers: Option<u16>,
    /// Take the listening sockets of the proxy that runs by this file, and its place; where none does, just serve
    #[arg(long)]
    pub take_over: bool,
}

/// `upgrade`.
#[derive(Debug, Args)]
pub struct UpgradeArgs {
    /// Where.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// `toggle`.
#[derive(Debug, Args)]
pub struct ToggleArgs {
    /// The route or group
    pub name: String,
    /// off, shadow, canary, live, retired; or the weight of a canary in percent, such as 5 or 0.25
    #[arg(value_name = "STAGE|WEIGHT")]
    pub to: crate::steer::Toggle,
    /// The weight that goes with a stage: percent of clients in a canary, of requests in a shadow
    #[arg(long, value_name = "PERCENT")]
    pub weight: Option<Weight>,
    /// Why; kept in the audit log
    #[arg(long, value_name = "TEXT", value_parser = said)]
    pub reason: String,
    /// Only if the configuration is at this version (`routes` and `top` show it)
    #[arg(long, value_name = "VERSION")]
    pub version: Option<String>,
    /// Where.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// `kill`.
#[derive(Debug, Args)]
pub struct KillArgs {
    /// on or off
    pub to: OnOff,
    /// Why; kept in the audit log
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub reason: String,
    /// Where.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnOff {
    /// Everything to the monolith.
    On,
    /// As the toggles say.
    Off,
}

/// `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The file [default: ./strangler-proxy.toml]
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Where.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The method
    #[arg(required_unless_present = "trace", requires = "url")]
    pub method: Option<String>,
    /// `/v1/stock/7`, or with its host `http://shop.example/v1/stock/7`
    pub url: Option<String>,
    /// What became of the requests of this trace: its id, or a whole `traceparent`
    #[arg(long, value_name = "ID", value_parser = trace, conflicts_with_all = ["method", "url", "headers", "client", "offline"])]
    pub trace: Option<String>,
    /// A header field; may be given several times
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = field)]
    pub headers: Vec<(String, String)>,
    /// The client's address
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1")]
    pub client: IpAddr,
    /// Do not ask a running proxy: only the file
    #[arg(long)]
    pub offline: bool,
    /// Where.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// `routes`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Where.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// `top`.
#[derive(Debug, Args)]
pub struct TopArgs {
    /// Where.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// How often to look
    #[arg(long, value_name = "TIME", default_value = "1s")]
    pub every: settings::Duration,
    /// Look this often and stop
    #[arg(long, value_name = "N")]
    pub count: Option<u32>,
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

fn field(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("write `name: value`")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// The id alone: 32 hexadecimal digits.
fn trace(text: &str) -> Result<String, String> {
    let id = text.split('-').find(|part| part.len() == 32).unwrap_or(text).to_ascii_lowercase();
    let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then_some(id).ok_or_else(|| "a trace id has 32 hexadecimal digits".to_owned())
}

/// A reason that says something.
fn said(text: &str) -> Result<String, &'static str> {
    let is_silent = text.trim().is_empty();
    if is_silent { Err("say why: the audit log keeps it") } else { Ok(text.to_owned()) }
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
    fn a_request_or_a_trace_is_explained() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        for (line, right) in [
            (vec!["GET", "/a"], true),
            (vec!["GET"], false),
            (vec![], false),
            (vec!["--trace", id], true),
            (vec!["--trace", "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01"], true),
            (vec!["--trace", "7"], false),
            (vec!["GET", "/a", "--trace", id], false),
        ] {
            let words = ["x", "explain"].into_iter().chain(line.iter().copied());
            match Cli::try_parse_from(words) {
                Ok(Cli { command: Command::Explain(wish) }) => {
                    assert!(right, "{line:?}");
                    assert!(wish.trace.is_none_or(|trace| trace == id));
                }
                Ok(_) => panic!("not an explanation"),
                Err(error) => assert!(!right, "{line:?}: {error}"),
            }
        }
    }

    #[test]
    fn a_weight_alone_is_a_canary() {
        let cli = Cli::try_parse_from(["x", "toggle", "stock", "0.25", "--reason", "r"]).unwrap();
        let Command::Toggle(wish) = cli.command else { panic!("not a toggle") };
        assert_eq!(wish.to, "0.25".parse().unwrap());
        assert!(Cli::try_parse_from(["x", "toggle", "stock", "up", "--reason", "r"]).is_err());
        for silent in [
            &["x", "toggle", "stock", "live"][..],
            &["x", "toggle", "stock", "live", "--reason", " "],
        ] {
            assert!(Cli::try_parse_from(silent).is_err(), "a reason is asked for: {silent:?}");
        }
    }
}
