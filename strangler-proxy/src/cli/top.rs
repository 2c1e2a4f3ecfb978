//! `top`: old against new, live, from two looks at the counts.

use std::{
    io::{IsTerminal, Write, stdout},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use comfy_table::Table;

use super::{
    arguments::TopArgs,
    client::{file, open},
    print::{say, table},
    routes::stage,
};
use crate::steer::{
    ConfigState, RouteFigures, SideFigures,
    admin::{RouteStatus, Status},
};

/// Looking more often tells nothing more.
const EVERY_MIN: Duration = Duration::from_millis(100);

/// Clears the screen and goes to its corner (ECMA-48).
const CLEAR: &str = "\x1b[2J\x1b[H";

/// Shows.
pub fn top(wish: &TopArgs) -> Result<()> {
    let (_, _, client) = open(&wish.place)?;
    let shown = file(&wish.place);
    let client = client.with_context(|| format!("no proxy runs by {}", shown.display()))?;
    let look = || client.ask::<Status>("GET", "/status", None, &());
    let every = wish.every.get().max(EVERY_MIN);
    let (mut before, mut at) = (look()?, Instant::now());
    let mut left = wish.count;
    while left != Some(0) {
        thread::sleep(every);
        let now = look()?;
        let took = at.elapsed();
        at = Instant::now();
        if stdout().is_terminal() {
            write!(stdout(), "{CLEAR}")?;
        }
        print(&before, &now, took)?;
        before = now;
        left = left.map(|left| left - 1);
    }
    Ok(())
}

fn print(before: &Status, now: &Status, took: Duration) -> Result<()> {
    let figures = &now.figures;
    say(format!(
        "strangler-proxy {}  version {}  {} workers  {} connections  {}",
        now.version,
        now.revision,
        figures.workers,
        figures.connections,
        now.listeners.join(" ")
    ))?;
    if let Some(kill) = &now.kill {
        say(format!(
            "KILL SWITCH ON by {} ({}): everything but what is retired goes to the monolith",
            kill.source, kill.reason
        ))?;
    }
    if let ConfigState::Refused { faults, since } = &now.config {
        say(format!("THE FILE IS REFUSED since {since}; what was in force before still is:"))?;
        for fault in faults {
            say(format!("  {fault}"))?;
        }
    }
    let columns = [
        "route",
        "stage",
        "old/s",
        "old 5xx",
        "old p50",
        "old p99",
        "new/s",
        "new 5xx",
        "new p50",
        "new p99",
        "wait",
        "copies =/≠",
    ];
    let nothing = RouteFigures::default();
    let mut rows = Vec::new();
    for route in &now.routes {
        let of = |status: &Status| {
            status.figures.routes.iter().find(|figures| figures.route == route.name).cloned()
        };
        let (old, new) =
            (of(before).unwrap_or_default(), of(now).unwrap_or_else(|| nothing.clone()));
        rows.push(row(route, &old, &new, took));
    }
    say(narrow(&columns, rows))?;
    for route in &figures.routes {
        match guards(route).as_str() {
            "" => {}
            told => say(format!("{}: {told}", route.route))?,
        }
    }
    for upstream in &figures.upstreams {
        for (endpoint, _) in upstream.endpoints.iter().filter(|(_, in_use)| !in_use) {
            say(format!("OUT OF USE: {endpoint} of {}", upstream.upstream))?;
        }
    }
    Ok(())
}

fn row(
    route: &RouteStatus,
    before: &RouteFigures,
    now: &RouteFigures,
    took: Duration,
) -> Vec<String> {
    let mut cells = vec![route.name.clone(), stage(route)];
    cells.extend(side(&before.old, &now.old, took));
    cells.extend(side(&before.new, &now.new, took));
    cells.push(if now.parked > 0 { now.parked.to_string() } else { String::new() });
    cells.push(match (now.shadow_agreed, now.shadow_differed) {
        (0, 0) => String::new(),
        (agreed, differed) => format!("{agreed}/{differed}"),
    });
    cells
}

/// Without the columns that nobody has anything in, but for those of the old side: a terminal is not wide.
fn narrow(columns: &[&str], mut rows: Vec<Vec<String>>) -> Table {
    const ALWAYS: usize = 6;
    let is_used = |at: usize| {
        at < ALWAYS || rows.iter().any(|row| row.get(at).is_some_and(|cell| !cell.is_empty()))
    };
    let used: Vec<bool> = (0..columns.len()).map(is_used).collect();
    let is_used = |at: usize| used.get(at).copied().unwrap_or(false);
    let kept = columns.iter().enumerate().filter(|(at, _)| is_used(*at));
    let mut shown = table(&kept.map(|(_, column)| *column).collect::<Vec<_>>());
    for row in &mut rows {
        let cells = std::mem::take(row).into_iter().enumerate();
        shown.add_row(cells.filter(|(at, _)| is_used(*at)).map(|(_, cell)| cell));
    }
    shown
}

/// What has been done to keep failures apart, as far as there is anything to tell.
fn guards(now: &RouteFigures) -> String {
    let mut told = Vec::new();
    for (side, name) in [(&now.old, "old"), (&now.new, "new")] {
        if side.open {
            told.push(format!("{name} OPEN"));
        }
        if side.retried > 0 {
            told.push(format!("{name} retried {}", side.retried));
        }
    }
    let counts = [("fell back", now.fallbacks), ("limited", now.limited), ("no room", now.crowded)];
    let counts = counts.into_iter().filter(|(_, count)| *count > 0);
    told.extend(counts.map(|(name, count)| format!("{name} {count}")));
    told.join(", ")
}

fn side(before: &SideFigures, now: &SideFigures, took: Duration) -> [String; 4] {
    let rate = |before: u64, now: u64| {
        // A proxy that was restarted counts from nothing again.
        let more = u32::try_from(now.saturating_sub(before)).unwrap_or(u32::MAX);
        f64::from(more) / took.as_secs_f64().max(0.001)
    };
    if now.requests == 0 {
        return [const { String::new() }; 4];
    }
    let (requests, errors) = (rate(before.requests, now.requests), rate(before.errors, now.errors));
    [
        format!("{requests:.0}"),
        format!("{errors:.0}"),
        format!("{:.1} ms", now.p50_ms),
        format!("{:.1} ms", now.p99_ms),
    ]
}
