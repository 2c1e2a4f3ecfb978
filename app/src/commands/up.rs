//! `banyan up` and `banyan serve`.

use std::time::Instant;

use anyhow::{Result, ensure};

use super::tables::say;
use crate::{
    cli::{MemberArgs, ServeArgs, ServerArgs},
    server::{self, Parent, Ready},
    settings::Settings,
    shop::descriptors,
};

/// Everything in one process, and the proxy in front of it.
pub async fn up(args: &ServerArgs) -> Result<()> {
    let began = Instant::now();
    let mut settings = Settings::of_server(args)?.config;
    settings.proxy.enabled.get_or_insert(true);
    start(&settings, &MemberArgs::default(), &[], began).await
}

/// Some modules here, the others elsewhere.
pub async fn serve(args: &ServeArgs) -> Result<()> {
    let began = Instant::now();
    let settings = Settings::of_member(&args.server, &args.member)?.config;
    start(&settings, &args.member, &args.modules, began).await
}

async fn start(
    settings: &Settings,
    member: &MemberArgs,
    wanted: &[String],
    began: Instant,
) -> Result<()> {
    let all = descriptors().map(|module| module.name);
    for name in wanted {
        ensure!(
            all.contains(&name.as_str()),
            "there is no module `{name}`; there are {}",
            all.join(", ")
        );
    }
    let is_wanted = |name: &&str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    let here: Vec<_> = all.into_iter().filter(is_wanted).collect();
    let log = settings.log.start()?;
    let shown = here.join(", ");
    let greet = |ready: &Ready| drop(greet(settings, &shown, ready, began));
    let parent = if member.child { Parent::AtStandardInput } else { Parent::None };
    server::serve(settings, (here, parent), Some(log), greet).await
}

/// Where to look, for whoever has started it. That nobody reads it is no reason not to serve.
fn greet(settings: &Settings, modules: &str, ready: &Ready, began: Instant) -> Result<()> {
    let Ready { public, internal, steered, fresh_token } = ready;
    let database = if settings.database_url().is_some() { "PostgreSQL" } else { "SQLite" };
    say(format!("banyan serves {modules} on {public}"))?;
    say(format!("  API and its page   {public}/docs  ({public}/openapi.json)"))?;
    say(format!("  internal port      {internal}  (/metrics, /health/ready)"))?;
    if let Some(steered) = steered {
        say(format!(
            "  proxy              {steered}  (strangler-proxy routes --config {}/proxy.toml)",
            settings.data
        ))?;
    }
    say(format!("  data               {} ({database})", settings.data))?;
    if let Some(token) = fresh_token {
        say(format!("  operator token     {token}"))?;
        say(format!(
            "                     shown this once; kept in {}/operator.token",
            settings.data
        ))?;
    }
    say(format!("  ready in           {} ms", began.elapsed().as_millis()))
}
