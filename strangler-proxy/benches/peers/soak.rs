//! A long load on this proxy alone, with clients that come, go and vanish, and a look at what it holds all the while:
//! nothing may grow.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Shutdown, TcpStream},
    time::{Duration, Instant},
};

use crate::{
    launch::Running,
    measure,
    proxies::{self, Contender},
    table::Case,
};

/// How much more it may hold in the middle of the last fifth's looks than of the second one's: what an allocator may keep to
/// itself. The middle, because a look may fall into a moment in which much is under way.
const GROWTH_MAX: f64 = 1.05;
const GROWTH_MAX_MB: f64 = 1.0;

/// Requests between two looks.
const REQUESTS: u64 = 20_000;

/// Clients that vanish between two looks.
const VANISHING: usize = 200;

struct Look {
    at: Duration,
    resident_mb: f64,
    descriptors: usize,
    threads: usize,
}

type Figure = fn(&Look) -> f64;

/// Loads it for so long; false where something has grown.
pub fn run(case: &Case, time: Duration) -> bool {
    let backend = proxies::upstream(case);
    let proxy = Contender::ours().start(case, backend.address());
    let started = Instant::now();
    let mut looks: Vec<Look> = Vec::new();
    println!("   seconds   RSS MB   descriptors   threads");
    while started.elapsed() < time {
        measure::load(case, &proxy, REQUESTS);
        (0..VANISHING).for_each(|at| vanish(&proxy, at));
        let look = look(&proxy, started.elapsed());
        println!(
            "{:>10.0} {:>8.2} {:>13} {:>9}",
            look.at.as_secs_f64(),
            look.resident_mb,
            look.descriptors,
            look.threads
        );
        looks.push(look);
    }
    let fifth = (looks.len() / 5).max(1);
    let (early, late) = (looks.iter().skip(fifth).take(fifth), looks.iter().rev().take(fifth));
    let middle = |of: Figure, looks: &mut dyn Iterator<Item = &Look>| {
        let mut found: Vec<f64> = looks.map(of).collect();
        found.sort_by(f64::total_cmp);
        found[found.len() / 2]
    };
    let kinds: [(&str, Figure, f64); 3] = [
        ("MB resident", |look| look.resident_mb, GROWTH_MAX_MB),
        ("descriptors", |look| f64::from(u32::try_from(look.descriptors).unwrap()), 2.0),
        ("threads", |look| f64::from(u32::try_from(look.threads).unwrap()), 0.0),
    ];
    let mut is_steady = true;
    for (what, of, more) in kinds {
        let (before, after) = (middle(of, &mut early.clone()), middle(of, &mut late.clone()));
        let grew = after > before.mul_add(GROWTH_MAX, more);
        println!("{what}: {before:.1} early, {after:.1} late{}", if grew { ": GREW" } else { "" });
        is_steady &= !grew;
    }
    is_steady
}

/// A client that asks a half or a whole and leaves without its answer, or sends nonsense.
fn vanish(proxy: &Running, at: usize) {
    let Ok(mut stream) = TcpStream::connect(proxy.address()) else { return };
    let sent = match at % 4 {
        0 => "GET /v1/stock/85123A HTTP/1.1\r\nHost: shop.exa",
        1 => "GET /v1/stock/85123A HTTP/1.1\r\nHost: shop.example\r\n\r\n",
        2 => "POST /v1/stock HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 100\r\n\r\nhalf",
        _ => "nonsense : / \r\n\r\n",
    };
    // It may be refused before all is written.
    drop(stream.write_all(sent.as_bytes()));
    if at % 8 == 7 {
        drop(stream.shutdown(Shutdown::Write));
        drop(stream.read(&mut [0; 512]));
    }
}

fn look(proxy: &Running, at: Duration) -> Look {
    let processes = proxy.processes();
    let entries = |what: &str| {
        let count =
            |process: &u32| fs::read_dir(format!("/proc/{process}/{what}")).unwrap().count();
        processes.iter().map(count).sum()
    };
    Look {
        at,
        resident_mb: measure::resident_mb(&processes),
        descriptors: entries("fd"),
        threads: entries("task"),
    }
}
