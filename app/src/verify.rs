//! `banyan verify`: do the modules' books agree with each other, to the last unit and the last millionth?
//!
//! It asks contracts only, after work in flight has settled within a bound, so it tells the same wherever modules run.

mod books;
mod figures;
mod goods;
mod money;
mod pace;
mod report;

use std::time::{Duration, Instant};

use anyhow::Result;
use contract::Caller;

pub use pace::Pace;
pub use report::{Check, Verification};

use crate::{
    insist::{call, insist},
    modules::Modules,
    operations::{Operations, SubscriptionState},
    shop::descriptors,
};
use report::Checks;

/// How often work in flight is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Checks everything, waiting at most `patience` for a look at a shop at rest. In one that trades all the time a
/// difference may be no more than work in flight, which the answer then says: it was not settled.
pub async fn verify(
    modules: &Modules,
    operations: &dyn Operations,
    (patience, pace): (Duration, Pace),
) -> Result<Verification> {
    let began = Instant::now();
    let verifier = Verifier {
        modules,
        operations,
        pace,
        caller: "operator".parse().expect("a fixed name is a caller"),
    };
    let until = began + patience;
    loop {
        let before = verifier.settle(until).await?;
        let mut found = verifier.look(&before, began).await?;
        if !found.holds {
            found.settled = before.is_settled() && verifier.in_flight().await? == before;
        }
        if found.holds || found.settled || Instant::now() >= until {
            return Ok(found);
        }
    }
}

struct Verifier<'a> {
    modules: &'a Modules,
    operations: &'a dyn Operations,
    pace: Pace,
    caller: Caller,
}

/// Work in flight. That of a shop in which nothing happened in between is the same: each change is told in a feed.
#[derive(PartialEq)]
struct InFlight {
    sagas: ordering_api::Settling,
    feeds: Vec<SubscriptionState>,
}

/// Each module with one that it hears.
fn hearings() -> impl Iterator<Item = (&'static str, &'static str)> {
    descriptors()
        .into_iter()
        .flat_map(|module| module.hears.iter().map(move |source| (module.name, *source)))
}

impl InFlight {
    fn is_settled(&self) -> bool {
        self.sagas.running == 0
            && self.feeds.iter().all(SubscriptionState::is_settled)
            && hearings().all(|(module, source)| self.tells_of(module, source))
    }

    /// A module between two places has no process that tells of what it hears.
    fn tells_of(&self, module: &str, source: &str) -> bool {
        self.feeds.iter().any(|feed| feed.module == module && feed.source == source)
    }
}

impl Verifier<'_> {
    /// Waits until nothing is in flight, or the time is over.
    async fn settle(&self, until: Instant) -> Result<InFlight> {
        loop {
            let in_flight = self.in_flight().await?;
            if in_flight.is_settled() || Instant::now() >= until {
                return Ok(in_flight);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn in_flight(&self) -> Result<InFlight> {
        let ordering = &self.modules.ordering;
        let sagas =
            insist("work in flight", async || ordering.settling(&call(&self.caller), ()).await)
                .await?;
        let feeds = self.operations.subscriptions().await?;
        Ok(InFlight { sagas, feeds })
    }

    async fn look(&self, in_flight: &InFlight, began: Instant) -> Result<Verification> {
        let mut checks = Checks::default();
        let settled = in_flight.is_settled();
        self.check_flight(in_flight, &mut checks);
        let stock = self.check_stock(&mut checks).await?;
        let orders = self.check_orders(&mut checks).await?;
        let payments = self.check_ledger(&mut checks).await?;
        let books = self.check_books(&payments, &mut checks).await?;
        self.check_read_models(&mut checks).await?;
        let InFlight { sagas, feeds } = in_flight;
        let checks = checks.into_vec();
        Ok(Verification {
            holds: checks.iter().all(|check| check.holds),
            settled,
            seconds: began.elapsed().as_secs_f64(),
            checks,
            books,
            stock,
            orders,
            payments,
            sagas: *sagas,
            feeds: feeds.clone(),
        })
    }

    fn check_flight(&self, in_flight: &InFlight, checks: &mut Checks) {
        let mut feeds = checks.check("every event that was told was delivered or dead-lettered");
        for feed in &in_flight.feeds {
            let name = format!("{} hears {} ({})", feed.module, feed.source, feed.subscription);
            if let Some(alarm) = &feed.alarm {
                feeds.broken(format!("{name}: stands still: {alarm}"));
            } else if feed.position != feed.head {
                feeds.broken(format!("{name}: at {} of {}", feed.position, feed.head));
            }
            if feed.parked > feed.waiting {
                feeds.broken(format!("{name}: {} parked", feed.parked));
            } else if feed.waiting > 0 {
                feeds.broken(format!(
                    "{name}: {} wait behind dead ones: see `banyan deadletters list`",
                    feed.waiting
                ));
            }
        }
        let mut sagas = checks.check("every saga has come to its end");
        let (running, stuck) = (in_flight.sagas.running, in_flight.sagas.stuck);
        if running > 0 {
            sagas.broken(format!("{running} are under way and did not end in time"));
        }
        if stuck > 0 {
            sagas.broken(format!("{stuck} are stuck: see `banyan sagas list --stuck`"));
        }
    }

    async fn check_read_models(&self, checks: &mut Checks) -> Result<()> {
        let mut check = checks.check("the read models of orders are what their events say");
        let ordering = &self.modules.ordering;
        let mut after = None;
        loop {
            let (page, began) = (pace::request(after.take()), Instant::now());
            let audit = insist("read models", async || {
                ordering.audit(&call(&self.caller), page.clone()).await
            })
            .await?;
            for difference in audit.differences {
                check.broken(format!("order {}: {}", difference.order, difference.what));
            }
            after = audit.next;
            if after.is_none() {
                break;
            }
            self.pace.rest(began).await;
        }
        let mut check = checks.check("the catalog is consistent");
        let catalog = &self.modules.catalog;
        self.pace
            .each(
                "catalog",
                async |page| catalog.audit(&call(&self.caller), page).await,
                |audited| {
                    for violation in audited.violations {
                        check.broken(format!("product {}: {violation:?}", audited.product));
                    }
                },
            )
            .await
    }
}
