//! The cells as the figures that `top` and `status` show: sums over the workers, and times by quantile.

use std::{collections::BTreeMap, sync::Arc};

use super::cells::{BOUNDS_MICROS, Cells, Count, RouteCells, SideCells};
use crate::steer::{RouteFigures, SideFigures};

/// The figures of every route that has ever been configured, by name.
pub fn of(cells: &Cells) -> BTreeMap<String, RouteFigures> {
    let mut found = BTreeMap::new();
    cells.each(|route, workers| {
        let sum = |count: fn(&RouteCells) -> &Count| -> u64 {
            workers.iter().map(|cells| count(cells).get()).sum()
        };
        let figures = RouteFigures {
            route: route.to_owned(),
            old: side(workers, |cells| &cells.from),
            new: side(workers, |cells| &cells.to),
            parked: 0,
            refused: sum(|cells| &cells.refused),
            limited: sum(|cells| &cells.limited),
            crowded: sum(|cells| &cells.crowded) + sum(|cells| &cells.shed),
            fallbacks: sum(|cells| &cells.fallbacks),
            shadow_agreed: sum(|cells| &cells.shadow_agreed),
            shadow_differed: sum(|cells| &cells.shadow_differed),
        };
        found.insert(route.to_owned(), figures);
    });
    found
}

fn side(workers: &[Arc<RouteCells>], of: fn(&RouteCells) -> &SideCells) -> SideFigures {
    let mut buckets = [0_u64; BOUNDS_MICROS.len() + 1];
    let mut figures = SideFigures::default();
    for side in workers.iter().map(|cells| of(cells)) {
        for (sum, bucket) in buckets.iter_mut().zip(&side.buckets) {
            *sum += bucket.get();
        }
        figures.requests += side.responses.iter().map(Count::get).sum::<u64>();
        figures.errors += side.responses.last().map_or(0, Count::get);
        figures.errors += side.broken.get();
        figures.retried += side.retried.get();
    }
    figures.p50_ms = quantile(&buckets, 0.5);
    figures.p99_ms = quantile(&buckets, 0.99);
    figures
}

/// The time in milliseconds that this share of the requests stays under, taken as even within a bucket.
#[allow(clippy::cast_precision_loss, reason = "counts beyond 2^52 do not come")]
fn quantile(buckets: &[u64], share: f64) -> f64 {
    let all: u64 = buckets.iter().sum();
    let wanted = all as f64 * share;
    let (mut below, mut low) = (0.0, 0.0);
    for (count, high) in buckets.iter().zip(BOUNDS_MICROS) {
        let (count, high) = (*count as f64, high as f64);
        if count > 0.0 && below + count >= wanted {
            return (low + (high - low) * (wanted - below) / count) / 1000.0;
        }
        below += count;
        low = high;
    }
    // Longer than the last bound, or nothing at all.
    if all == 0 { 0.0 } else { low / 1000.0 }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::seen::Cells;

    #[test]
    fn a_side_is_summed_over_the_workers() {
        let cells = Cells::default();
        let (one, two) = (cells.add("stock"), cells.add("stock"));
        for _ in 0..98 {
            one.from.answered(200, Duration::from_micros(800));
        }
        two.from.answered(500, Duration::from_millis(40));
        two.from.answered(200, Duration::from_millis(40));
        two.from.broken.add(1);
        let figures = super::of(&cells);
        let old = &figures["stock"].old;
        assert_eq!((old.requests, old.errors), (100, 2));
        assert!(old.p50_ms > 0.5 && old.p50_ms < 1.0, "{}", old.p50_ms);
        assert!(old.p99_ms > 25.0 && old.p99_ms <= 50.0, "{}", old.p99_ms);
        assert_eq!(figures["stock"].new, Default::default());
    }
}
