//! `banyan log-level`.

use anyhow::{Context, Result};
use http::Method;

use super::tables::say;
use crate::{cli::LogLevelArgs, operations::LogLevel, reach::server_client, settings::Settings};

const PATH: &str = "/ops/log-level";

/// Shows or changes what the running server logs.
pub async fn run(args: LogLevelArgs) -> Result<()> {
    let client = server_client(&Settings::of(&args.place)?.config)?;
    let now: LogLevel = match args.level {
        None => client.json(Method::GET, PATH, None::<&()>).await,
        Some(level) => client.json(Method::PUT, PATH, Some(&LogLevel { level })).await,
    }
    .context("the log level")?;
    say(now.level)
}
