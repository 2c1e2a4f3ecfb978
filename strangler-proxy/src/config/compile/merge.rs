//! Levels over each other: what a route says, then its upstream, then `[defaults]`, then what is built in.

use std::{sync::Arc, time::Duration};

use crate::{
    config::{
        Answer, Breaker, Endpoint, Fallback, Health, Limits, Outlier, Parking, Rate, RateKey,
        Retries, Timeouts, Upstream,
        document::{
            BreakerPart, DefaultsPart, FallbackPart, HealthPart, LimitsPart, OutlierPart,
            ParkingPart, PoolPart, RetriesPart, TimeoutsPart, UpstreamPart,
        },
        fault::{Fault, KeyPath},
    },
    route::KeySource,
};

/// How often names are resolved and files are read: an endpoint that moves is followed within this.
const REFRESH: Duration = Duration::from_secs(5);

/// Idle connections per endpoint and worker: more than a worker has requests under way at its full load, since a connection
/// that is closed after each burst and opened for the next costs more than the request itself. None idles for longer than
/// [`POOL_IDLE_TIME`].
const POOL_IDLE: u32 = 1024;

/// Below the shortest keep-alive that servers commonly have (actix and Node: 5 s), so that the proxy closes first and no
/// request meets a connection that is just going.
const POOL_IDLE_TIME: Duration = Duration::from_secs(4);

/// A name in metrics, logs and on the command line.
pub fn is_name(name: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(good)
}

/// A token of RFC 9110.
pub fn is_field_name(name: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(token)
}

/// A field's value that no one reads as two lines.
pub fn is_field_value(value: &str) -> bool {
    let visible = |byte: u8| byte == b'\t' || (byte >= b' ' && byte != 0x7f);
    value.trim() == value && value.bytes().all(visible)
}

fn time(levels: &[Option<settings::Duration>], built_in: Duration) -> Duration {
    levels.iter().flatten().next().map_or(built_in, |time| time.get())
}

/// A time of zero switches the time-out off.
fn optional(levels: &[Option<settings::Duration>], built_in: Option<Duration>) -> Option<Duration> {
    let written = levels.iter().flatten().next().map(|time| time.get());
    written.map_or(built_in, |time| (!time.is_zero()).then_some(time))
}

pub fn timeouts(levels: [&TimeoutsPart; 3]) -> Timeouts {
    let built_in = Timeouts::DEFAULT;
    Timeouts {
        connect: time(&levels.map(|level| level.connect), built_in.connect),
        first_byte: time(&levels.map(|level| level.first_byte), built_in.first_byte),
        idle: time(&levels.map(|level| level.idle), built_in.idle),
        stream: time(&levels.map(|level| level.stream), built_in.stream),
        total: optional(&levels.map(|level| level.total), built_in.total),
        per_try: optional(&levels.map(|level| level.per_try), built_in.per_try),
    }
}

/// Times that must not be zero.
pub fn check_timeouts(part: &TimeoutsPart, path: &KeyPath, faults: &mut Vec<Fault>) {
    for (key, value) in [
        ("connect", part.connect),
        ("first_byte", part.first_byte),
        ("idle", part.idle),
        ("stream", part.stream),
    ] {
        if value.is_some_and(|time| time.get().is_zero()) {
            faults.push(Fault::at(&path.key(key), "must be above 0"));
        }
    }
}

pub fn retries(route: &RetriesPart, defaults: &RetriesPart) -> Retries {
    let built_in = Retries::DEFAULT;
    let on = route.on.as_ref().or(defaults.on.as_ref());
    let has = |status: u16, built_in: bool| on.map_or(built_in, |on| on.contains(&status));
    Retries {
        tries: route.tries.or(defaults.tries).unwrap_or(built_in.tries),
        budget_percent: route.budget.or(defaults.budget).unwrap_or(built_in.budget_percent),
        backoff: time(&[route.backoff, defaults.backoff], built_in.backoff),
        backoff_longest: time(
            &[route.backoff_longest, defaults.backoff_longest],
            built_in.backoff_longest,
        ),
        on_502: has(502, built_in.on_502),
        on_503: has(503, built_in.on_503),
        on_504: has(504, built_in.on_504),
    }
}

pub fn check_retries(part: &RetriesPart, path: &KeyPath, faults: &mut Vec<Fault>) {
    /// More tries than this help no one.
    const TRIES_MAX: u8 = 10;
    if part.tries.is_some_and(|tries| tries > TRIES_MAX) {
        faults.push(Fault::at(&path.key("tries"), format_args!("must be 0 to {TRIES_MAX}")));
    }
    percent(part.budget, &path.key("budget"), faults);
    let known = [502, 503, 504];
    let wrong = part.on.iter().flatten().find(|status| !known.contains(status));
    if let Some(status) = wrong {
        let what = format_args!("{status} is not tried again: 502, 503 and 504 may be").to_string();
        faults.push(Fault::at(&path.key("on"), what));
    }
}

fn percent(value: Option<u8>, path: &KeyPath, faults: &mut Vec<Fault>) {
    if value.is_some_and(|percent| percent > 100) {
        faults.push(Fault::at(path, "is a percentage: 0 to 100"));
    }
}

pub fn breaker(route: &BreakerPart, defaults: &BreakerPart) -> Breaker {
    let built_in = Breaker::DEFAULT;
    let number =
        |own: Option<u32>, default: Option<u32>, built_in| own.or(default).unwrap_or(built_in);
    Breaker {
        failures: number(route.failures, defaults.failures, built_in.failures),
        rate_percent: route.rate.or(defaults.rate).unwrap_or(built_in.rate_percent),
        window: time(&[route.window, defaults.window], built_in.window),
        requests_min: number(route.requests_min, defaults.requests_min, built_in.requests_min),
        open: time(&[route.open, defaults.open], built_in.open),
        probes: number(route.probes, defaults.probes, built_in.probes),
    }
}

pub fn check_breaker(part: &BreakerPart, path: &KeyPath, faults: &mut Vec<Fault>) {
    percent(part.rate, &path.key("rate"), faults);
    for (key, value) in [("failures", part.failures), ("probes", part.probes)] {
        if value == Some(0) {
            faults.push(Fault::at(&path.key(key), "must be above 0"));
        }
    }
    for (key, value) in [("window", part.window), ("open", part.open)] {
        if value.is_some_and(|time| time.get().is_zero()) {
            faults.push(Fault::at(&path.key(key), "must be above 0"));
        }
    }
}

pub fn parking(route: &ParkingPart, defaults: &ParkingPart) -> Parking {
    let built_in = Parking::DEFAULT;
    let bytes = route.bytes.or(defaults.bytes).map(settings::ByteSize::get);
    Parking {
        requests: route.requests.or(defaults.requests).unwrap_or(built_in.requests),
        bytes: bytes.unwrap_or(built_in.bytes),
        time: time(&[route.time, defaults.time], built_in.time),
        resume: time(&[route.resume, defaults.resume], built_in.resume),
    }
}

pub fn limits(
    route: &LimitsPart,
    defaults: &LimitsPart,
    path: &KeyPath,
    faults: &mut Vec<Fault>,
) -> Limits {
    let built_in = Limits::DEFAULT;
    let priority = route.priority.or(defaults.priority).unwrap_or(built_in.priority);
    if priority > 9 {
        faults.push(Fault::at(&path.key("priority"), "must be 0 to 9"));
    }
    let concurrency = route.concurrency.or(defaults.concurrency);
    if concurrency == Some(0) {
        faults.push(Fault::at(
            &path.key("concurrency"),
            "must be above 0; to close a route, park it or redirect it",
        ));
    }
    Limits {
        body: route.body.or(defaults.body).map(settings::ByteSize::get),
        concurrency,
        queue: route.queue.or(defaults.queue).unwrap_or(built_in.queue),
        queue_time: time(&[route.queue_time, defaults.queue_time], built_in.queue_time),
        rate: rate(route, defaults, path, faults),
        priority,
    }
}

fn rate(
    route: &LimitsPart,
    defaults: &LimitsPart,
    path: &KeyPath,
    faults: &mut Vec<Fault>,
) -> Option<Rate> {
    let text = route.rate.as_deref().or(defaults.rate.as_deref())?;
    let parsed = text.split_once('/').and_then(|(requests, per)| {
        let requests: u32 = requests.trim().parse().ok().filter(|requests| *requests > 0)?;
        let per = per.trim();
        let written = if per.starts_with(|c: char| c.is_ascii_digit()) {
            per.to_owned()
        } else {
            format!("1{per}")
        };
        let per: settings::Duration = written.parse().ok()?;
        (!per.get().is_zero()).then_some((requests, per.get()))
    });
    let Some((requests, per)) = parsed else {
        let what = format_args!("`{text}` is no rate: `100/s`, `6000/m` or `10/250ms`").to_string();
        faults.push(Fault::at(&path.key("rate"), what));
        return None;
    };
    let key = match route.rate_key.as_deref().or(defaults.rate_key.as_deref()) {
        None => RateKey::By(KeySource::Address),
        Some("route") => RateKey::Route,
        Some(text) => match KeySource::parse(text) {
            Ok(source) => RateKey::By(source),
            Err(error) => {
                faults.push(Fault::at(&path.key("rate_key"), format_args!("{error}, or `route`")));
                return None;
            }
        },
    };
    let burst = route.burst.or(defaults.burst).unwrap_or(requests).max(1);
    Some(Rate { requests, per, burst, key })
}

pub fn fallback(
    part: Option<&FallbackPart>,
    path: &KeyPath,
    faults: &mut Vec<Fault>,
) -> Option<Fallback> {
    Some(match part? {
        FallbackPart::Word(word) if word == "monolith" => Fallback::Monolith,
        FallbackPart::Word(word) if word == "none" => Fallback::None,
        FallbackPart::Word(word) => {
            let what = format_args!(
                "`{word}`: write \"monolith\", \"none\" or {{ status = 503, body = \"…\" }}"
            );
            faults.push(Fault::at(path, what));
            return None;
        }
        FallbackPart::Answer(answer) => {
            if !(200..=599).contains(&answer.status) {
                faults.push(Fault::at(&path.key("status"), "must be 200 to 599"));
            }
            let content_type =
                answer.content_type.as_deref().unwrap_or("text/plain; charset=utf-8");
            if !is_field_value(content_type) || content_type.is_empty() {
                faults.push(Fault::at(&path.key("content_type"), "is no media type"));
            }
            Fallback::Answer(Answer {
                status: answer.status,
                content_type: content_type.into(),
                body: answer.body.as_str().into(),
            })
        }
    })
}

pub fn check_pool(part: &PoolPart, path: &KeyPath, faults: &mut Vec<Fault>) {
    if part.connections == Some(0) {
        faults.push(Fault::at(&path.key("connections"), "must be above 0"));
    }
}

pub fn check_upstream(part: &UpstreamPart, path: &KeyPath, faults: &mut Vec<Fault>) {
    check_pool(&part.pool, &path.key("pool"), faults);
    check_timeouts(&part.timeouts, &path.key("timeouts"), faults);
    if part.refresh.is_some_and(|time| time.get() < Duration::from_millis(100)) {
        faults.push(Fault::at(&path.key("refresh"), "must be at least 100ms"));
    }
    if part.host.as_deref().is_some_and(|host| !is_field_value(host) || host.is_empty()) {
        faults.push(Fault::at(&path.key("host"), "is no host"));
    }
    check_watch(&part.health, &part.outlier, path, faults);
}

/// What holds for all routes and upstreams that say nothing else is held to the same rules.
pub fn check_defaults(part: &DefaultsPart, faults: &mut Vec<Fault>) {
    let path = &KeyPath::root().key("defaults");
    check_timeouts(&part.timeouts, &path.key("timeouts"), faults);
    check_retries(&part.retries, &path.key("retries"), faults);
    check_breaker(&part.breaker, &path.key("breaker"), faults);
    check_pool(&part.pool, &path.key("pool"), faults);
    check_watch(&part.health, &part.outlier, path, faults);
}

fn check_watch(
    health: &HealthPart,
    outlier: &OutlierPart,
    path: &KeyPath,
    faults: &mut Vec<Fault>,
) {
    /// The length of a service's name that is one byte in the question.
    const GRPC_SERVICE_MAX: usize = 127;
    /// As often as the checks look what is due.
    const INTERVAL_MIN: Duration = Duration::from_millis(50);
    let here = path.key("health");
    if health.path.as_deref().is_some_and(|path| {
        !path.starts_with('/') || !path.bytes().all(|byte| byte.is_ascii_graphic())
    }) {
        faults.push(Fault::at(&here.key("path"), "must begin with `/` and have no spaces"));
    }
    if health.grpc.as_deref().is_some_and(|service| {
        service.len() > GRPC_SERVICE_MAX || !service.bytes().all(|byte| byte.is_ascii_graphic())
    }) {
        let what = format!(
            "is the name of a service, at most {GRPC_SERVICE_MAX} characters, or \"\" for the server"
        );
        faults.push(Fault::at(&here.key("grpc"), what));
    }
    if health.grpc.is_some() && health.path.is_some() {
        faults.push(Fault::at(
            &here.key("grpc"),
            "one question is enough: leave out `path` or `grpc`",
        ));
    }
    for (key, value) in [("rise", health.rise), ("fall", health.fall)] {
        if value == Some(0) {
            faults.push(Fault::at(&here.key(key), "must be above 0"));
        }
    }
    if health.interval.is_some_and(|time| time.get() < INTERVAL_MIN) {
        faults.push(Fault::at(&here.key("interval"), "must be at least 50ms"));
    }
    if health.timeout.is_some_and(|time| time.get() < Duration::from_millis(10)) {
        faults.push(Fault::at(&here.key("timeout"), "must be at least 10ms"));
    }
    let here = path.key("outlier");
    percent(outlier.ejected_max, &here.key("ejected_max"), faults);
    if outlier.failures == Some(0) {
        let what = "must be above 0; to take no endpoint out, write `ejected_max = 0`";
        faults.push(Fault::at(&here.key("failures"), what));
    }
}

pub fn upstream(
    name: Arc<str>,
    endpoints: Vec<Endpoint>,
    part: &UpstreamPart,
    defaults: &DefaultsPart,
) -> Upstream {
    let (health, outlier) = (&part.health, &part.outlier);
    let ill = Outlier::DEFAULT;
    let well = Health::DEFAULT;
    let asked = health.path.as_deref().or(defaults.health.path.as_deref());
    // What an upstream says itself takes the place of either question of the defaults.
    let asked = if health.grpc.is_some() { None } else { asked };
    let service = health.grpc.as_deref().or(defaults.health.grpc.as_deref());
    let service = if asked.is_some() { None } else { service };
    let idle_time = [part.pool.idle_time, defaults.pool.idle_time];
    Upstream {
        name,
        endpoints: endpoints.into(),
        protocol: part.protocol.unwrap_or_default(),
        host: part.host.as_deref().map(Into::into),
        refresh: time(&[part.refresh], REFRESH),
        pool_idle: part.pool.idle.or(defaults.pool.idle).unwrap_or(POOL_IDLE),
        connections_max: part.pool.connections.or(defaults.pool.connections),
        pool_idle_time: time(&idle_time, POOL_IDLE_TIME),
        balance: part.balance.or(defaults.balance).unwrap_or_default(),
        health: Health {
            path: asked.map(Into::into),
            grpc: service.map(Into::into),
            interval: time(&[health.interval, defaults.health.interval], well.interval),
            timeout: time(&[health.timeout, defaults.health.timeout], well.timeout),
            rise: health.rise.or(defaults.health.rise).unwrap_or(well.rise),
            fall: health.fall.or(defaults.health.fall).unwrap_or(well.fall),
        },
        outlier: Outlier {
            failures: outlier.failures.or(defaults.outlier.failures).unwrap_or(ill.failures),
            ejection: time(&[outlier.ejection, defaults.outlier.ejection], ill.ejection),
            ejected_percent_max: outlier
                .ejected_max
                .or(defaults.outlier.ejected_max)
                .unwrap_or(ill.ejected_percent_max),
        },
        tls: None,
    }
}
