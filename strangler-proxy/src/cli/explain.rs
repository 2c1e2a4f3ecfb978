//! `explain`: who answers a request, and why.

use anyhow::Result;

use super::{
    arguments::{ExplainArgs, Format},
    client::open,
    print::{json, say},
};
use crate::{
    route::decide::AllUsable,
    steer::{Asked, Explanation, Steering, explain as told},
};

/// Explains.
pub fn explain(wish: &ExplainArgs) -> Result<()> {
    let asked = Asked {
        method: wish.method.clone(),
        url: wish.url.clone(),
        headers: wish.headers.clone(),
        client: Some(wish.client),
    };
    let (source, loaded, client) = open(&wish.place)?;
    let explanation = match client.filter(|_| !wish.offline) {
        Some(client) => client.ask("POST", "/explain", None, &asked)?,
        None => {
            let snapshot = Steering::new(source, loaded).shared().get();
            told(&asked, &snapshot, &AllUsable)?
        }
    };
    match wish.format {
        Format::Json => json(&explanation),
        Format::Table => print(&explanation),
    }
}

fn print(told: &Explanation) -> Result<()> {
    let row = |name: &str, value: &str| say(format!("{name:<12}{value}"));
    let group = told.group.as_ref().map(|group| format!(", group {group}")).unwrap_or_default();
    row("route", &format!("{}{group} ({}, weight {} %)", told.route, told.stage, told.weight))?;
    row("side", &format!("{}: {}", told.side, told.because))?;
    match (&told.key, told.bucket) {
        (Some(key), Some(bucket)) => {
            let weight = told.weight.hundredths();
            let relation = if bucket < weight { "<" } else { ">=" };
            row("bucket", &format!("{bucket} {relation} {weight} of 10000, by {key}"))?;
        }
        (Some(key), None) => row("key", key)?,
        (None, _) => {}
    }
    match &told.redirect {
        Some(redirect) => row("redirect", redirect)?,
        None => {
            row("upstream", &format!("{} ({})", told.upstream, told.endpoints.join(", ")))?;
            row("target", &told.target)?;
            row("host", &told.host)?;
        }
    }
    if let Some(shadow) = &told.shadow {
        row("copy to", shadow)?;
    }
    if told.act == "park" {
        row("parked", "it waits within the route's parking limits")?;
    }
    for edit in &told.request_headers {
        row("request", edit)?;
    }
    for edit in &told.response_headers {
        row("answer", edit)?;
    }
    row("version", &told.revision)
}
