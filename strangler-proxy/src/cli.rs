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
mod upgrade;

use anyhow::Result;
use clap::CommandFactory;
use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

pub use arguments::{Cli, Command};

/// How a command that could do its work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it should.
    Well,
    /// It found what it was to look for: something broken.
    Broken,
}

/// A file that has grown to its limit (`ulimit -f`) is an error of that write. The system's own answer is to end the process,
/// in the middle of a line of the audit log or with all its connections.
fn survive_full_files() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // What is registered stays so when the runtime has gone.
    let _entered = runtime.enter();
    drop(signal(SignalKind::from_raw(Signal::XFSZ.as_raw()))?);
    Ok(())
}

/// Does what the command line says.
pub fn run(cli: Cli) -> Result<Verdict> {
    survive_full_files()?;
    match cli.command {
        Command::Run(wish) => serve::run(&wish)?,
        Command::Toggle(wish) => toggle::toggle(&wish)?,
        Command::Kill(wish) => kill::kill(&wish)?,
        Command::Check(wish) => return check::check(&wish),
        Command::Explain(wish) => explain::explain(&wish)?,
        Command::Routes(wish) => routes::routes(&wish)?,
        Command::Upgrade(wish) => upgrade::upgrade(&wish)?,
        Command::Top(wish) => top::top(&wish)?,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "strangler-proxy", &mut script);
            print::say(String::from_utf8_lossy(&script))?;
        }
    }
    Ok(Verdict::Well)
}
