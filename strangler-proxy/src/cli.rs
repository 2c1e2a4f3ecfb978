//! The command line: what can be asked of `strangler-proxy`, with help that teaches.

mod arguments;
mod check;
mod client;
mod explain;
mod kill;
mod print;
mod routes;
mod serve;
mod toggle;
mod top;

use anyhow::Result;
use clap::CommandFactory;

pub use arguments::{Cli, Command};

/// How a command that could do its work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it should.
    Well,
    /// It found what it was to look for: something broken.
    Broken,
}

/// Does what the command line says.
pub fn run(cli: Cli) -> Result<Verdict> {
    match cli.command {
        Command::Run(wish) => serve::run(&wish)?,
        Command::Toggle(wish) => toggle::toggle(&wish)?,
        Command::Kill(wish) => kill::kill(&wish)?,
        Command::Check(wish) => return check::check(&wish),
        Command::Explain(wish) => explain::explain(&wish)?,
        Command::Routes(wish) => routes::routes(&wish)?,
        Command::Top(wish) => top::top(&wish)?,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "strangler-proxy", &mut script);
            print::say(String::from_utf8_lossy(&script))?;
        }
    }
    Ok(Verdict::Well)
}
