//! The cases, and how the table looks.

use serde_json::{Value, json};

use crate::{measure::Sample, proxies::Contender};

/// What is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// HTTP/1.1 on both sides.
    Http1,
    /// HTTP/1.1 over TLS 1.3 with the client.
    Tls,
    /// The same with a new connection and a full handshake for every request.
    TlsNew,
    /// HTTP/2 over TLS 1.3 with the client, HTTP/1.1 with the upstream.
    Http2,
    /// Unary calls of gRPC, HTTP/2 in the clear on both sides.
    Grpc,
}

impl Wire {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Http1, "HTTP/1.1"),
        (Self::Tls, "HTTP/1.1 over TLS 1.3"),
        (Self::TlsNew, "HTTP/1.1, a new connection over TLS 1.3 for each request"),
        (Self::Http2, "HTTP/2 over TLS 1.3, HTTP/1.1 behind"),
        (Self::Grpc, "gRPC, HTTP/2 on both sides"),
    ];

    /// What it is, in words.
    pub fn words(self) -> &'static str {
        Self::ALL.iter().find(|(wire, _)| *wire == self).unwrap().1
    }

    /// By its words.
    pub fn of(words: &str) -> Self {
        Self::ALL.iter().find(|(_, known)| *known == words).unwrap().0
    }

    /// Does the client come over TLS?
    pub fn is_secured(self) -> bool {
        matches!(self, Self::Tls | Self::TlsNew | Self::Http2)
    }
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    pub name: &'static str,
    pub wire: Wire,
    pub connections: usize,
    /// Requests at once on each of them.
    pub streams: usize,
    /// Bytes of each answer's body.
    pub body: usize,
    /// Bytes of each request's body.
    pub upload: usize,
    pub workers: usize,
    /// How many routes the configuration has; the request is the last one's.
    pub routes: usize,
    pub requests: u64,
    /// How many of HTTP/1.1 are sent in a second; 0: as fast as the answers come. Only at the same rate can times be compared:
    /// a proxy that costs less waits for the load generator, and that for its core.
    pub rate: u64,
}

const MIB: usize = 1024 * 1024;

impl Case {
    /// The one that others differ from: 64 connections, 200 bytes, one worker.
    const BASE: Self = Self {
        name: "base",
        wire: Wire::Http1,
        connections: 64,
        streams: 1,
        body: 200,
        upload: 0,
        workers: 1,
        routes: 1,
        requests: 200_000,
        rate: 0,
    };

    /// Half of what the slowest of the peers can do with one core.
    const STEADY: Self = Self { name: "steady", rate: 10_000, requests: 100_000, ..Self::BASE };

    /// Many requests on each of a few connections.
    const SHARED: Self = Self { connections: 16, streams: 10, requests: 100_000, ..Self::BASE };

    pub const ALL: [Self; 14] = [
        Self::BASE,
        Self { name: "16k", body: 16 * 1024, requests: 100_000, ..Self::BASE },
        Self { name: "512", connections: 512, ..Self::BASE },
        Self { name: "two", workers: 2, ..Self::BASE },
        Self::STEADY,
        Self { name: "steady512", connections: 512, ..Self::STEADY },
        Self { name: "steady2", workers: 2, ..Self::STEADY },
        Self { name: "routes", routes: 1000, ..Self::BASE },
        Self { name: "download", connections: 4, body: 64 * MIB, requests: 40, ..Self::BASE },
        Self {
            name: "upload",
            connections: 4,
            body: 2,
            upload: 64 * MIB,
            requests: 40,
            ..Self::BASE
        },
        Self { name: "tls", wire: Wire::Tls, ..Self::BASE },
        Self {
            name: "tls-new",
            wire: Wire::TlsNew,
            connections: 16,
            requests: 5_000,
            ..Self::BASE
        },
        Self { name: "h2", wire: Wire::Http2, ..Self::SHARED },
        Self { name: "grpc", wire: Wire::Grpc, body: 64, ..Self::SHARED },
    ];

    /// What it is, in words.
    fn about(&self) -> String {
        let size = |bytes: usize| {
            if bytes >= MIB { format!("{} MiB", bytes / MIB) } else { format!("{bytes} bytes") }
        };
        let upload =
            if self.upload > 0 { format!("{} up, ", size(self.upload)) } else { String::new() };
        let routes =
            if self.routes > 1 { format!("{} routes, ", self.routes) } else { String::new() };
        let streams = if self.streams > 1 {
            format!(" with {} streams each", self.streams)
        } else {
            String::new()
        };
        let rate = if self.rate > 0 { format!(", {} a second", self.rate) } else { String::new() };
        format!(
            "{}; {} connections{streams}, {upload}{} down, {routes}{} worker(s), {} requests a round{rate}",
            self.wire.words(),
            self.connections,
            size(self.body),
            self.workers,
            self.requests
        )
    }
}

/// Of one contender: medians over the rounds.
struct Row<'a> {
    name: &'a str,
    cpu: f64,
    low: f64,
    high: f64,
    p50: f64,
    p99: f64,
    per_second: f64,
    resident: f64,
    ratio: f64,
}

fn rows<'a>(contenders: &'a [Contender], samples: &[Vec<Sample>]) -> Vec<Row<'a>> {
    let cpu = |samples: &[Sample]| median(samples.iter().map(|sample| sample.cpu_micros));
    let ours = contenders
        .iter()
        .zip(samples)
        .find(|(contender, _)| contender.name == "ours")
        .map_or(f64::NAN, |(_, samples)| cpu(samples));
    let row = |(contender, samples): (&'a Contender, &Vec<Sample>)| {
        let of = |field: fn(&Sample) -> f64| median(samples.iter().map(field));
        let all = samples.iter().map(|sample| sample.cpu_micros);
        Row {
            name: contender.name,
            cpu: cpu(samples),
            low: all.clone().fold(f64::MAX, f64::min),
            high: all.fold(0.0, f64::max),
            p50: of(|sample| sample.p50_micros),
            p99: of(|sample| sample.p99_micros),
            per_second: of(|sample| sample.per_second),
            resident: of(|sample| sample.resident_mb),
            ratio: ours / cpu(samples),
        }
    };
    contenders.iter().zip(samples).map(row).collect()
}

/// One line per contender: medians, the spread of the CPU figure, and its ratio to ours.
pub fn print(case: &Case, contenders: &[Contender], samples: &[Vec<Sample>]) {
    println!("\n{}: {}", case.name, case.about());
    println!(
        "  proxy          CPU us/req  (min..max)        p50 us  p99 us   req/s   RSS MB  ours/theirs"
    );
    for row in rows(contenders, samples) {
        println!(
            "  {:<14} {:>10.2}  ({:>6.2}..{:>6.2}) {:>9.0} {:>7.0} {:>7.0} {:>8.1}  {:>6.2}",
            row.name,
            row.cpu,
            row.low,
            row.high,
            row.p50,
            row.p99,
            row.per_second,
            row.resident,
            row.ratio,
        );
    }
}

/// The same for a program.
pub fn json(case: &Case, contenders: &[Contender], samples: &[Vec<Sample>]) -> Value {
    let rows: Vec<Value> = rows(contenders, samples)
        .iter()
        .map(|row| {
            json!({
                "proxy": row.name, "cpu_micros": row.cpu, "cpu_micros_min": row.low,
                "cpu_micros_max": row.high, "p50_micros": row.p50, "p99_micros": row.p99,
                "per_second": row.per_second, "resident_mb": row.resident,
                "ours_over_theirs": row.ratio,
            })
        })
        .collect();
    json!({
        "case": case.name, "wire": case.wire.words(), "connections": case.connections,
        "streams": case.streams, "body": case.body,
        "upload": case.upload, "workers": case.workers, "routes": case.routes,
        "requests": case.requests, "rate": case.rate, "rows": rows,
    })
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
