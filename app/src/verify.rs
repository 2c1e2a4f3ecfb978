//! `banyan verify`: do the modules' books agree with each other, to the last unit and the last millionth?
//!
//! It asks contracts only, after work in flight has settled within a bound, so it tells the same wherever modules run.

mod books;
mod figures;
mod goods;
mod money;
pub(crate) mod pages;
mod report;

use std::time::{Duration, Instant};

use anyhow::Result;
use contract::Caller;

pub use report::{Check, Verification};

use crate::{
    insist::{call, insist},
    modules::Modules,
    operations::{Operations, SubscriptionState},
};
use report::Checks;

/// How often work in flight is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A shop that trades while it is checked can show a difference that the next look no longer shows; one that is still
/// there at the last is real.
const LOOKS_MAX: u32 = 3;

/// Checks everything, waiting at most `patience` for work in flight.
pub async fn verify(
    modules: &Modules,
    operations: &dyn Operations,
    patience: Duration,
) -> Result<Verification> {
    let began = Instant::now();
    let verifier = Verifier {
        modules,
        operations,
        caller: "operator".parse().expect("a fixed name is a caller"),
    };
    let mut looks = 0;
    loop {
        looks += 1;
        let settled = verifier.settle(began + patience).await?;
        let found = verifier.look(settled, began).await?;
        if found.holds || looks >= LOOKS_MAX || !found.settled {
            return Ok(found);
        }
    }
}

struct Verifier<'a> {
    modules: &'a Modules,
    operations: &'a dyn Operations,
    caller: Caller,
}

/// Work in flight when the waiting ended.
struct InFlight {
    sagas: ordering_api::Settling,
    feeds: Vec<SubscriptionState>,
}

impl InFlight {
    fn is_settled(&self) -> bool {
        self.sagas.running == 0 && self.feeds.iter().all(SubscriptionState::is_settled)
    }
}

impl Verifier<'_> {
    /// Waits until nothing is in flight, or the time is over.
    async fn settle(&self, until: Instant) -> Result<InFlight> {
        loop {
            let ordering = &self.modules.ordering;
            let sagas =
                insist("work in flight", async || ordering.settling(&call(&self.caller), ()).await)
                    .await?;
            let feeds = self.operations.subscriptions().await?;
            let in_flight = InFlight { sagas, feeds };
            if in_flight.is_settled() || Instant::now() >= until {
                return Ok(in_flight);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn look(&self, in_flight: InFlight, began: Instant) -> Result<Verification> {
        let mut checks = Checks::default();
        let settled = in_flight.is_settled();
        self.check_flight(&in_flight, &mut checks);
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
            sagas,
            feeds,
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
            let page = pages::request(after.take());
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
        }
        let mut check = checks.check("the catalog is consistent");
        let catalog = &self.modules.catalog;
        pages::each(
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
