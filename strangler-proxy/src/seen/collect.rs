//! The cells as Prometheus series: registered once with [`telemetry::Metrics`], added up when they are asked for.

use std::{fmt, sync::Arc};

use telemetry::prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter},
};

use super::{
    Handshake,
    cells::{BOUNDS_MICROS, Cells, Count, RouteCells, SideCells},
};

/// Labels and a number.
type Row<'a> = (&'a [(&'a str, &'a str)], u64);

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Reads one number of a route.
type Read = fn(&RouteCells) -> &Count;

/// What guards of a route have done, by name.
const GUARDED: [(&str, &str, Read); 6] = [
    ("parked", "Requests that had to wait", |cells| &cells.parked),
    ("waited", "Requests that had to wait for a place", |cells| &cells.queued),
    ("crowded", "Refused because too many were under way", |cells| &cells.crowded),
    ("limited", "Refused because they came too fast", |cells| &cells.limited),
    ("shed", "Refused because the proxy had too much to do", |cells| &cells.shed),
    ("fallbacks", "Not answered by the new side because it was down", |cells| &cells.fallbacks),
];

impl Collector for Cells {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut routes = Vec::new();
        self.each(|route, workers| routes.push((route.to_owned(), workers.to_vec())));
        let encoder = &mut encoder;
        responses(encoder, &routes)?;
        per_side(encoder, &routes, "failed", "Requests without a whole answer", |side| {
            &side.failed
        })?;
        per_side(encoder, &routes, "retried", "Requests sent a second time", |side| &side.retried)?;
        seconds(encoder, &routes)?;
        per_route(encoder, &routes, "refused", "Answered by the proxy itself", |cells| {
            &cells.refused
        })?;
        for (name, help, count) in GUARDED {
            per_route(encoder, &routes, name, help, count)?;
        }
        shadows(encoder, &routes)?;
        let help = "Handshakes of TLS with clients, by how they came out";
        counter(encoder, "tls_handshakes", help, |row| {
            Handshake::ALL
                .into_iter()
                .try_for_each(|(how, name)| row((&[("outcome", name)], self.handshakes().get(how))))
        })
    }
}

type Routes = [(String, Vec<Arc<RouteCells>>)];

/// The sides of a route by their word in labels.
fn sides(cells: &RouteCells) -> [(&'static str, &SideCells); 2] {
    [("old", &cells.from), ("new", &cells.to)]
}

/// One counter over all workers.
fn sum(workers: &[Arc<RouteCells>], of: impl Fn(&RouteCells) -> u64) -> u64 {
    workers.iter().map(|cells| of(cells)).fold(0, u64::wrapping_add)
}

fn counter<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    mut rows: impl FnMut(&mut dyn FnMut(Row<'_>) -> fmt::Result) -> fmt::Result + 'a,
) -> fmt::Result {
    let name = format!("strangler_{name}");
    let mut family = encoder.encode_descriptor(&name, help, None, MetricType::Counter)?;
    rows(&mut |(labels, number)| {
        // Nothing to tell yet: a thousand routes would be a wall of zeros.
        if number == 0 {
            return Ok(());
        }
        ConstCounter::new(number).encode(family.encode_family(&labels)?)
    })
}

fn responses(encoder: &mut DescriptorEncoder<'_>, routes: &Routes) -> fmt::Result {
    counter(encoder, "responses", "Answers, by side and class of the status", |row| {
        for (route, workers) in routes {
            for (at, class) in CLASSES.iter().enumerate() {
                for side in ["old", "new"] {
                    let number = sum(workers, |cells| {
                        let found = sides(cells).into_iter().find(|(name, _)| *name == side);
                        found.and_then(|(_, side)| side.responses.get(at)).map_or(0, Count::get)
                    });
                    row((&[("route", route), ("side", side), ("class", class)], number))?;
                }
            }
        }
        Ok(())
    })
}

fn per_side(
    encoder: &mut DescriptorEncoder<'_>,
    routes: &Routes,
    name: &str,
    help: &str,
    count: fn(&SideCells) -> &Count,
) -> fmt::Result {
    counter(encoder, name, help, |row| {
        for (route, workers) in routes {
            let old = sum(workers, |cells| count(&cells.from).get());
            row((&[("route", route), ("side", "old")], old))?;
            let new = sum(workers, |cells| count(&cells.to).get());
            row((&[("route", route), ("side", "new")], new))?;
        }
        Ok(())
    })
}

fn per_route(
    encoder: &mut DescriptorEncoder<'_>,
    routes: &Routes,
    name: &str,
    help: &str,
    count: fn(&RouteCells) -> &Count,
) -> fmt::Result {
    counter(encoder, name, help, |row| {
        for (route, workers) in routes {
            row((&[("route", route)], sum(workers, |cells| count(cells).get())))?;
        }
        Ok(())
    })
}

fn shadows(encoder: &mut DescriptorEncoder<'_>, routes: &Routes) -> fmt::Result {
    const OUTCOMES: [(&str, Read); 4] = [
        ("agreed", |cells| &cells.shadow_agreed),
        ("differed", |cells| &cells.shadow_differed),
        ("failed", |cells| &cells.shadow_failed),
        ("left_out", |cells| &cells.shadow_left_out),
    ];
    counter(encoder, "shadows", "Copies of requests, by how their status compared", |row| {
        for (route, workers) in routes {
            for (outcome, count) in OUTCOMES {
                let number = sum(workers, |cells| count(cells).get());
                row((&[("route", route), ("outcome", outcome)], number))?;
            }
        }
        Ok(())
    })
}

fn seconds(encoder: &mut DescriptorEncoder<'_>, routes: &Routes) -> fmt::Result {
    let help = "Time from the request's head to the end of the answer";
    let mut family = encoder.encode_descriptor(
        "strangler_request_seconds",
        help,
        None,
        MetricType::Histogram,
    )?;
    for (route, workers) in routes {
        for (at, side) in ["old", "new"].into_iter().enumerate() {
            let of = |read: &dyn Fn(&SideCells) -> u64| {
                sum(workers, |cells| sides(cells).get(at).map_or(0, |(_, side)| read(side)))
            };
            let mut buckets = Vec::with_capacity(BOUNDS_MICROS.len() + 1);
            let mut count = 0;
            for bucket in 0..=BOUNDS_MICROS.len() {
                let here = of(&|side| side.buckets.get(bucket).map_or(0, Count::get));
                let bound = BOUNDS_MICROS.get(bucket).copied().map_or(f64::MAX, to_seconds);
                buckets.push((bound, here));
                count += here;
            }
            if count > 0 {
                let total = to_seconds(of(&|side| side.micros.get()));
                let labels = [("route", route.as_str()), ("side", side)];
                let mut one = family.encode_family(&labels)?;
                one.encode_histogram::<[(&str, &str); 0]>(total, count, &buckets, None)?;
            }
        }
    }
    Ok(())
}

fn to_seconds(micros: u64) -> f64 {
    std::time::Duration::from_micros(micros).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use telemetry::Metrics;

    use crate::seen::Cells;

    #[test]
    fn a_route_is_shown_per_side_over_all_workers() {
        let (metrics, cells) = (Metrics::new(), Cells::default());
        metrics.collect(cells.clone());
        let (one, two) = (cells.add("stock"), cells.add("stock"));
        one.from.answered(200, Duration::from_millis(3));
        two.from.answered(200, Duration::from_millis(3));
        two.to.answered(503, Duration::from_millis(1));
        two.to.failed.add(1);
        two.shadow_differed.add(4);
        let text = metrics.text();
        for line in [
            r#"strangler_responses_total{route="stock",side="old",class="2xx"} 2"#,
            r#"strangler_responses_total{route="stock",side="new",class="5xx"} 1"#,
            r#"strangler_failed_total{route="stock",side="new"} 1"#,
            r#"strangler_shadows_total{route="stock",outcome="differed"} 4"#,
            r#"strangler_request_seconds_bucket{le="0.005",route="stock",side="old"} 2"#,
            r#"strangler_request_seconds_bucket{le="0.0025",route="stock",side="old"} 0"#,
            r#"strangler_request_seconds_count{route="stock",side="old"} 2"#,
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        assert!(!text.contains(r#"class="3xx""#), "{text}");
    }
}
