//! `strangler-proxy`: reads the command line, does what it says, and says in one line what went wrong.
#![allow(clippy::print_stderr, reason = "the last word of a command line")]

use std::process::ExitCode;

use clap::Parser;
use strangler_proxy::cli::{Cli, Verdict, run};

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(Verdict::Well) => ExitCode::SUCCESS,
        Ok(Verdict::Broken) => ExitCode::FAILURE,
        // Whoever was reading has gone, as in `strangler-proxy routes | head`: not our failure.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("strangler-proxy: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let cause = error.downcast_ref::<std::io::Error>();
    cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}
