//! What `verify` says: every invariant with what breaks it, and every figure.

use serde::Serialize;

use super::figures::{Books, Orders, Payments, Stock};
use crate::operations::SubscriptionState;

/// How many findings of one invariant are named; the rest are counted.
const FINDINGS_MAX: usize = 20;

/// The whole of it.
#[derive(Debug, Serialize)]
pub struct Verification {
    /// Do all invariants hold?
    pub holds: bool,
    /// Had all work in flight come to its end before the figures were taken?
    pub settled: bool,
    /// How long it took.
    pub seconds: f64,
    /// The invariants.
    pub checks: Vec<Check>,
    /// What was earned.
    pub books: Books,
    /// What is there.
    pub stock: Stock,
    /// What was bought.
    pub orders: Orders,
    /// What was paid.
    pub payments: Payments,
    /// Work in flight.
    pub sagas: ordering_api::Settling,
    /// How far every subscription is.
    pub feeds: Vec<SubscriptionState>,
}

/// One invariant.
#[derive(Debug, Serialize)]
pub struct Check {
    /// What must hold.
    pub invariant: &'static str,
    /// Does it?
    pub holds: bool,
    /// How many things break it.
    pub broken: u64,
    /// The first of them.
    pub findings: Vec<String>,
}

/// The invariants as they are looked at.
#[derive(Default)]
pub struct Checks(Vec<Check>);

/// The invariant that is being looked at.
pub struct Looking<'a>(&'a mut Check);

impl Checks {
    /// Begins with an invariant, which holds until something is found.
    pub fn check(&mut self, invariant: &'static str) -> Looking<'_> {
        let at =
            self.0.iter().position(|check| check.invariant == invariant).unwrap_or_else(|| {
                self.0.push(Check { invariant, holds: true, broken: 0, findings: Vec::new() });
                self.0.len() - 1
            });
        Looking(self.0.get_mut(at).expect("it was found or pushed"))
    }

    /// All of them.
    pub fn into_vec(self) -> Vec<Check> {
        self.0
    }
}

impl Looking<'_> {
    /// This breaks it.
    pub fn broken(&mut self, finding: String) {
        self.0.holds = false;
        self.0.broken += 1;
        if self.0.findings.len() < FINDINGS_MAX {
            self.0.findings.push(finding);
        }
    }

    /// Breaks it unless the two agree.
    pub fn agree<T: PartialEq + std::fmt::Display>(&mut self, what: &str, one: T, other: T) {
        if one != other {
            self.broken(format!("{what}: {one} and {other}"));
        }
    }
}
