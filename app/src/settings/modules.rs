//! Settings of the wires to each module: where it is, and whether its extraction is rehearsed.

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use settings::Duration;

/// How many tries a rehearsed call has: as many as the remote binding would make.
const TRIES: u32 = 3;

/// The modules, by name.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Modules {
    /// Catalog.
    pub catalog: Place,
    /// Inventory.
    pub inventory: Place,
    /// Ordering.
    pub ordering: Place,
    /// Payments.
    pub payments: Place,
    /// Placement: where the processes learn where the others are. It is never carved.
    pub placement: Place,
}

/// A module's place.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Place {
    /// Where it is if not here: the internal port of a process that has it, such as http://10.0.0.7:8081.
    pub url: Option<String>,
    /// Where it is here: how many of its calls go as if it were elsewhere.
    pub rehearsal: Rehearse,
}

/// A rehearsal of a module's extraction, on live calls: they are serialised, delayed, lost and repeated as a wire would.
/// Lost requests and answers are asked for again with the same key, as over a real wire.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rehearse {
    /// So many of 100 calls; 0 rehearses nothing.
    pub percent: u8,
    /// How long a request is on its way at most.
    pub latency: Duration,
    /// So many of 100 requests get lost, and so many of 100 answers.
    pub loss_percent: u8,
    /// So many of 100 requests arrive twice.
    pub duplicate_percent: u8,
}

impl Modules {
    /// A module's place; none for a name that is no module's.
    pub fn place(&self, module: &str) -> Option<&Place> {
        self.all().into_iter().find_map(|(name, place)| (name == module).then_some(place))
    }

    /// Where a module is, if not here.
    pub fn url(&self, module: &str) -> Option<&str> {
        self.place(module)?.url.as_deref()
    }

    fn all(&self) -> [(&'static str, &Place); 5] {
        [
            ("catalog", &self.catalog),
            ("inventory", &self.inventory),
            ("ordering", &self.ordering),
            ("payments", &self.payments),
            ("placement", &self.placement),
        ]
    }

    /// What one value alone cannot tell.
    pub fn check(&self) -> Result<()> {
        for (name, place) in self.all() {
            let rehearse = &place.rehearsal;
            for (key, percent) in [
                ("percent", rehearse.percent),
                ("loss_percent", rehearse.loss_percent),
                ("duplicate_percent", rehearse.duplicate_percent),
            ] {
                ensure!(percent <= 100, "modules.{name}.rehearsal.{key} must be 0 to 100");
            }
        }
        Ok(())
    }
}

impl Rehearse {
    /// The wire to rehearse; none where nothing is to be rehearsed.
    pub fn wire(&self) -> Option<contract::Rehearsal> {
        (self.percent > 0).then(|| contract::Rehearsal {
            percent: self.percent,
            latency: (std::time::Duration::ZERO, self.latency.into()),
            loss_before_percent: self.loss_percent,
            loss_after_percent: self.loss_percent,
            duplicate_percent: self.duplicate_percent,
            tries_max: TRIES,
            seed: 0,
        })
    }
}
