//! `explain`: who answers a request, and why.

use anyhow::{Context, Result};

use super::{
    arguments::{ExplainArgs, Format},
    client::{file, open},
    print::{json, say},
};
use crate::{
    route::{Stage, Weight, decide::AllUsable},
    seen::Remembered,
    steer::{Asked, Explanation, Steering, explain as told},
};

/// Explains.
pub fn explain(wish: &ExplainArgs) -> Result<()> {
    if let Some(trace) = &wish.trace {
        return recall(wish, trace);
    }
    let asked = Asked {
        method: wish.method.clone().unwrap_or_default(),
        url: wish.url.clone().unwrap_or_default(),
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

/// A weight says nothing where the stage has none.
fn toggle(stage: Stage, weight: Weight) -> String {
    match stage {
        Stage::Canary | Stage::Shadow => format!("{stage}, weight {weight} %"),
        Stage::Off | Stage::Live | Stage::Retired => stage.to_string(),
    }
}

/// What became of the requests of a trace.
fn recall(wish: &ExplainArgs, trace: &str) -> Result<()> {
    let (_, _, client) = open(&wish.place)?;
    let shown = file(&wish.place);
    let client = client.with_context(|| {
        format!("no proxy runs by {}: only one that runs remembers requests", shown.display())
    })?;
    let told: Vec<Remembered> = client.ask("GET", &format!("/explain/{trace}"), None, &())?;
    match wish.format {
        Format::Json => json(&told),
        Format::Table => told.iter().enumerate().try_for_each(|(at, one)| {
            if at > 0 {
                say("")?;
            }
            remembered(one)
        }),
    }
}

fn remembered(told: &Remembered) -> Result<()> {
    let row = |name: &str, value: &str| say(format!("{name:<12}{value}"));
    row("at", &told.at)?;
    let client = told.client.map_or_else(|| "unknown".to_owned(), |client| client.to_string());
    match told.method.as_str() {
        "" => row("request", &format!("from {client}, refused before it was routed"))?,
        method => row("request", &format!("{method} {}{} from {client}", told.host, told.path))?,
    }
    if let Some(then) = &told.route {
        let group = then.group.as_ref().map(|group| format!(", group {group}")).unwrap_or_default();
        row("route", &format!("{}{group} ({})", then.route, toggle(then.stage, then.weight)))?;
        let (side, because) = (told.side.as_deref(), told.because.as_deref());
        row("side", &format!("{}: {}", side.unwrap_or_default(), because.unwrap_or_default()))?;
        if let Some(bucket) = told.bucket {
            row("bucket", &format!("{bucket} of 10000"))?;
        }
        for tried in &told.tries {
            row("tried", &format!("{}: {}", tried.endpoint, tried.cause))?;
        }
        let upstream = if side == Some("new") { then.to.as_ref() } else { Some(&then.from) };
        if let (Some(endpoint), Some(upstream)) = (&told.endpoint, upstream) {
            row("asked", &format!("{endpoint} of {upstream}"))?;
        }
        if told.copied {
            row("copy to", then.to.as_deref().unwrap_or_default())?;
        }
        then.request_headers.iter().try_for_each(|edit| row("request", edit))?;
        then.response_headers.iter().try_for_each(|edit| row("answer", edit))?;
    }
    match (&told.cause, &told.detail) {
        (Some(cause), Some(detail)) => {
            row("status", &format!("{}: {detail} ({cause})", told.status))?
        }
        (Some(_) | None, _) => row("status", &told.status.to_string())?,
    }
    let waited = if told.waited_ms >= 0.1 {
        format!(", of which {:.1} ms waited", told.waited_ms)
    } else {
        String::new()
    };
    row("took", &format!("{:.1} ms{waited}", told.took_ms))?;
    match &told.route {
        Some(then) => row("version", &format!("{} (of the configuration then)", then.revision)),
        None => Ok(()),
    }
}

fn print(told: &Explanation) -> Result<()> {
    let row = |name: &str, value: &str| say(format!("{name:<12}{value}"));
    let group = told.group.as_ref().map(|group| format!(", group {group}")).unwrap_or_default();
    row("route", &format!("{}{group} ({})", told.route, toggle(told.stage, told.weight)))?;
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
