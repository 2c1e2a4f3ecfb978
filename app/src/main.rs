//! `banyan`: reads the command line, does what it says, and says in one line what went wrong.
//!
//! Where to go on: [`banyan::commands`] (what each command does), [`banyan::server`] (a running server from start to
//! stop), [`banyan::shop`] (the modules and what each may call).
#![allow(clippy::print_stderr, reason = "the last word of a command line")]

use std::process::ExitCode;

use banyan::{
    cli::Cli,
    commands::{self, Verdict},
};
use clap::Parser;

fn main() -> ExitCode {
    match commands::run(Cli::parse()) {
        Ok(Verdict::Well) => ExitCode::SUCCESS,
        Ok(Verdict::Broken) => ExitCode::FAILURE,
        // Whoever was reading has gone, as in `banyan routes | head`: not our failure.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("banyan: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let cause = error.downcast_ref::<std::io::Error>();
    cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}
