//! From the outbox to the effect on SQLite: events per second as fast as it goes, and latency at half the wanted rate.
//!
//! Both modules have a file of their own and durable commits. An event is told in a transaction of its teller, and its
//! effect is one written row in a transaction of its hearer, with the cursor. Latency runs from before the telling
//! transaction to after the hearing one.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a bench prints, and fails loudly"
)]

use std::{
    sync::{Arc, Mutex, atomic::Ordering},
    time::{Duration, Instant},
};

use contract::{Call, Caller, Deadline, Envelope, Event, Never, Ownership};
use diesel::prelude::*;
use events::{ApplyError, Handler, LocalFeed, Readers, SubscriberConfig, Subscription, subscribe};
use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::{EmbeddedMigrations, Migrations, Store, Tx, cached, embed_migrations, on, testing};
use tokio::sync::watch;

const MIGRATIONS: Migrations = Migrations { sqlite: SQLITE, postgres: POSTGRES };
const SQLITE: EmbeddedMigrations = embed_migrations!("tests/migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("tests/migrations/postgres");

/// Callers that tell at once, as fast as they can.
const TELLERS: u64 = 64;
/// Events that each of them tells.
const EACH: u64 = 1_000;
/// The rate at which latency is measured: half of the 10,000 events/s that are wanted.
const RATE: u64 = 5_000;
/// For so many seconds.
const SECONDS: u64 = 8;
/// Of which so many warm up.
const WARM_UP: u64 = 2;

diesel::table! {
    heard (subject) {
        subject -> Text,
        last -> BigInt,
        count -> BigInt,
    }
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Sold {
    sku: String,
    quantity: i64,
    /// Nanoseconds since the bench began.
    told_ns: u64,
}

impl Event for Sold {
    const NAME: &'static str = "bench.sold";
    const VERSION: u32 = 1;
    fn key(&self) -> String {
        self.sku.clone()
    }
}

/// Counts units per SKU, and keeps when each event was told.
#[derive(Default)]
struct Ears(Mutex<Vec<u64>>);

impl Handler for Ears {
    fn apply(&self, tx: &mut Tx<'_>, event: &Envelope) -> Result<(), ApplyError> {
        let Some(event) = event.read::<Sold>() else { return Ok(()) };
        let event = event?;
        let quantity = event.quantity;
        let row = (heard::subject.eq(&event.sku), heard::last.eq(quantity), heard::count.eq(1));
        on!(tx.connection(), |c| cached(
            diesel::insert_into(heard::table)
                .values(row)
                .on_conflict(heard::subject)
                .do_update()
                .set((heard::last.eq(quantity), heard::count.eq(heard::count + 1)))
        )
        .execute(c))?;
        self.0.lock().unwrap().push(event.told_ns);
        Ok(())
    }
}

struct Bench {
    teller: Store,
    ears: Arc<Ears>,
    subscription: Subscription,
    began: Instant,
    _keep: Vec<testing::Private>,
    _ownership: watch::Sender<Ownership>,
}

fn start() -> Bench {
    let (teller, one) = testing::both(&MIGRATIONS, "teller").remove(0);
    let (hearer, other) = testing::both(&MIGRATIONS, "hearer").remove(0);
    let feed = Arc::new(LocalFeed::new(teller.clone(), Arc::new(Readers::new())));
    let ears = Arc::new(Ears::default());
    let (owner, ownership) = watch::channel(Ownership::Here { epoch: 1 });
    let config = SubscriberConfig::new("ears");
    let handler: Arc<dyn Handler> = Arc::<Ears>::clone(&ears);
    let subscription = subscribe(config, hearer, feed, handler, ownership);
    let began = Instant::now();
    Bench { teller, ears, subscription, began, _keep: vec![one, other], _ownership: owner }
}

async fn tell(store: &Store, began: Instant, number: u64) {
    let told_ns = began.elapsed().as_nanos() as u64;
    let call = Call::new(Caller::module("bench"), Deadline::within(Duration::from_secs(30)));
    let told = store.write::<_, Never>(&call, move |tx| {
        Ok(tx.emit(&Sold { sku: format!("SKU-{}", number % 512), quantity: 1, told_ns })?)
    });
    told.await.unwrap();
}

async fn heard(subscription: &Subscription, events: u64) {
    while subscription.counters().events.load(Ordering::Relaxed) < events {
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
}

async fn throughput() {
    let bench = start();
    let mut tellers = tokio::task::JoinSet::new();
    for teller in 0..TELLERS {
        let (store, began) = (bench.teller.clone(), bench.began);
        tellers.spawn(async move {
            for number in 0..EACH {
                tell(&store, began, teller * EACH + number).await;
            }
        });
    }
    while tellers.join_next().await.is_some() {}
    let told = bench.began.elapsed();
    heard(&bench.subscription, TELLERS * EACH).await;
    let took = bench.began.elapsed();
    bench.subscription.stop().await;
    let batches = bench.subscription.counters().batches.load(Ordering::Relaxed);
    println!(
        "as fast as it goes, {TELLERS} tellers, one transaction per event: told {:.0}/s, in effect {:.0}/s ({:.1} events per transaction); wanted 10,000/s",
        rate(told),
        rate(took),
        (TELLERS * EACH) as f64 / batches as f64,
    );
}

/// Each side alone: a feed is filled, and then heard.
async fn one_by_one() {
    let (teller, _one) = testing::both(&MIGRATIONS, "teller").remove(0);
    let (hearer, _other) = testing::both(&MIGRATIONS, "hearer").remove(0);
    let began = Instant::now();
    for chunk in 0..TELLERS {
        let call = Call::new(Caller::module("bench"), Deadline::within(Duration::from_secs(60)));
        let told = teller.write::<_, Never>(&call, move |tx| {
            for number in 0..EACH {
                let sku = format!("SKU-{}", (chunk * EACH + number) % 512);
                tx.emit(&Sold { sku, quantity: 1, told_ns: 0 })?;
            }
            Ok(())
        });
        told.await.unwrap();
    }
    let told = began.elapsed();
    let feed = Arc::new(LocalFeed::new(teller, Arc::new(Readers::new())));
    let (_owner, ownership) = watch::channel(Ownership::Here { epoch: 1 });
    let ears: Arc<dyn Handler> = Arc::new(Ears::default());
    let began = Instant::now();
    let subscription = subscribe(SubscriberConfig::new("ears"), hearer, feed, ears, ownership);
    heard(&subscription, TELLERS * EACH).await;
    let took = began.elapsed();
    subscription.stop().await;
    println!(
        "one side at a time: told {:.0}/s in transactions of {EACH}, then in effect {:.0}/s",
        rate(told),
        rate(took)
    );
}

fn rate(time: Duration) -> f64 {
    (TELLERS * EACH) as f64 / time.as_secs_f64()
}

async fn latency() {
    let bench = start();
    let mut tellers = tokio::task::JoinSet::new();
    let telling = async {
        let mut tick = tokio::time::interval(Duration::from_millis(1));
        let mut told = 0;
        while told < RATE * SECONDS {
            tick.tick().await;
            for _ in 0..RATE / 1000 {
                let (store, began, number) = (bench.teller.clone(), bench.began, told);
                tellers.spawn(async move { tell(&store, began, number).await });
                told += 1;
            }
            while tellers.try_join_next().is_some() {}
        }
    };
    let ((), histogram) = tokio::join!(telling, watch_latency(&bench));
    let took = bench.began.elapsed();
    bench.subscription.stop().await;
    let ms = |quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0;
    println!(
        "at {RATE}/s ({:.0}/s reached), from before telling to after the effect: p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, max {:.2} ms; wanted p99 under 50 ms",
        (RATE * SECONDS) as f64 / took.as_secs_f64(),
        ms(0.5),
        ms(0.99),
        ms(0.999),
        histogram.max() as f64 / 1000.0,
    );
}

/// Microseconds of each event, once the counter of committed ones has passed it.
async fn watch_latency(bench: &Bench) -> Histogram<u64> {
    let mut histogram = Histogram::new(3).unwrap();
    let mut done = 0;
    while done < RATE * SECONDS {
        let committed = bench.subscription.counters().events.load(Ordering::Relaxed);
        if committed > done {
            let now = bench.began.elapsed().as_nanos() as u64;
            let told = bench.ears.0.lock().unwrap();
            for told_ns in told.iter().skip(done as usize).take((committed - done) as usize) {
                if *told_ns > WARM_UP * 1_000_000_000 {
                    histogram.record((now - told_ns) / 1_000).unwrap();
                }
            }
            done = committed;
        }
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    histogram
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(throughput());
    runtime.block_on(one_by_one());
    runtime.block_on(latency());
}
