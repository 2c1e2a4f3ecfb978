//! `banyan doctor`: do the fence rows, placement, and every process's seats say the same?
//!
//! The rows of the databases are the truth: placement follows them, and seats follow placement. What disagrees is
//! named; what can be mended without a decision is. So is what ended carves have left in the databases.

mod leftovers;

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Result, anyhow};
use contract::{Call, Caller, Deadline};
use http::Method;
use placement_api::{Carves, Placed, Placement, Process, SeatState, Waits};
use serde::Serialize;

use crate::{
    data_dir::DataDir,
    http_client::HttpClient,
    placing::{Identity, Release},
};

/// How long each question may take.
const CALL_TIME: Duration = Duration::from_secs(10);

/// What was found.
#[derive(Debug, Serialize)]
pub struct Diagnosis {
    /// Nothing disagrees any more.
    pub healthy: bool,
    /// How many processes and modules were looked at.
    pub processes: usize,
    /// Modules.
    pub modules: usize,
    /// What disagrees.
    pub findings: Vec<Finding>,
}

/// Something that disagrees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind: `row`, `owner`, `seat`, `gate`, `away`, `leftover`.
    pub kind: &'static str,
    /// The module.
    pub module: String,
    /// Where.
    pub at: String,
    /// What disagrees, and what to do.
    pub detail: String,
    /// It was mended.
    pub mended: bool,
}

/// What is known of everything, at about one moment.
struct Facts {
    placed: Vec<Placed>,
    /// The carves under way, as gates name them.
    carves: Vec<String>,
    processes: Vec<(Process, Known)>,
}

/// What a process says.
struct Known {
    client: HttpClient,
    identity: Option<Identity>,
    seats: Vec<SeatState>,
}

/// Looks, and mends if it is asked to. `data` is the directory of the server that steers carves.
pub async fn examine(
    placement: &dyn Placement,
    (control, data): (&str, &DataDir),
    mend: Mend,
) -> Result<Diagnosis> {
    let facts = facts(placement, control).await?;
    let mut findings = rows(&facts);
    for (process, known) in &facts.processes {
        for (mut finding, cure) in seats(&facts, process, known) {
            if mend == Mend::Yes {
                finding.mended = cure.apply(&known.client).await.is_ok();
            }
            findings.push(finding);
        }
    }
    let table = async || placement.placed(&call(), ()).await.map_err(|fault| anyhow!("{fault}"));
    for remains in leftovers::find(&facts, data, table).await? {
        let mut finding = remains.finding();
        if mend == Mend::Yes {
            finding.mended = remains.remove().await.is_ok();
        }
        findings.push(finding);
    }
    Ok(Diagnosis {
        healthy: findings.iter().all(|finding| finding.mended),
        processes: facts.processes.len(),
        modules: facts.placed.len(),
        findings,
    })
}

/// Shall it be mended?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mend {
    /// What can be.
    Yes,
    /// Only looked at.
    No,
}

fn call() -> Call {
    let operator: Caller = "operator".parse().expect("a fixed name is a caller");
    Call::new(operator, Deadline::within(CALL_TIME))
}

async fn facts(placement: &dyn Placement, control: &str) -> Result<Facts> {
    let placed = placement.placed(&call(), ()).await.map_err(|fault| anyhow!("{fault}"))?.placed;
    let carves = placement.carves(&call(), Carves::default()).await;
    let carves = carves.map_err(|fault| anyhow!("{fault}"))?.items.into_iter();
    let carves = carves.filter(|carve| carve.outcome.is_none());
    let mut processes = Vec::new();
    let found = placement.processes(&call(), ()).await.map_err(|fault| anyhow!("{fault}"))?;
    for process in found {
        let client = HttpClient::new(process.url.as_str(), control, 1)?;
        let identity = client.json(Method::GET, "/ops/process", None::<&()>).await.ok();
        let seats = client.json(Method::GET, "/ops/seats", None::<&()>).await;
        processes.push((process, Known { client, identity, seats: seats.unwrap_or_default() }));
    }
    Ok(Facts { placed, carves: carves.map(|carve| carve.id.to_string()).collect(), processes })
}

/// What the rows say against placement.
fn rows(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    let finding = |kind, module: &str, at: &str, detail: String| Finding {
        kind,
        module: module.to_owned(),
        at: at.to_owned(),
        detail,
        mended: false,
    };
    for placed in &facts.placed {
        let module = placed.module.as_str();
        // Several processes of a deployment share one place of data.
        let mut owners: BTreeMap<String, u64> = BTreeMap::new();
        for (process, known) in &facts.processes {
            let houses = known.identity.iter().flat_map(|identity| &identity.houses);
            for house in houses.filter(|house| house.housed.module == placed.module) {
                let row = &house.housed;
                let owns = row.owner == process.deployment.as_str()
                    || (row.owner.is_empty() && placed.owner == process.deployment);
                if owns {
                    owners.insert(process.deployment.to_string(), row.epoch);
                }
            }
        }
        match owners.get(placed.owner.as_str()) {
            Some(epoch) if *epoch == placed.epoch => {}
            Some(epoch) => {
                let detail = format!("its row says epoch {epoch}, placement {}", placed.epoch);
                findings.push(finding("row", module, placed.owner.as_str(), detail));
            }
            None => {
                let detail = "no process of its owner tells of its data: start it, or see in its log, or in \
                              that of the server whose child it is, why it ends"
                    .to_owned();
                findings.push(finding("away", module, placed.owner.as_str(), detail));
            }
        }
        for other in owners.keys().filter(|owner| *owner != placed.owner.as_str()) {
            let detail =
                format!("its own row names it the owner, placement names {}", placed.owner);
            findings.push(finding("owner", module, other, detail));
        }
    }
    findings
}

/// What mends a seat.
enum Cure {
    /// It is told where the module is.
    Settle(Placed),
    /// A gate that nobody opens any more is opened.
    Release(Release),
    /// Nothing from here.
    None,
}

impl Cure {
    async fn apply(&self, client: &HttpClient) -> Result<()> {
        match self {
            Self::Settle(placed) => {
                let _waits: Waits =
                    client.json(Method::POST, "/ops/seats/settle", Some(placed)).await?;
            }
            Self::Release(wish) => {
                let _waits: Waits =
                    client.json(Method::POST, "/ops/seats/release", Some(wish)).await?;
            }
            Self::None => return Err(anyhow!("it cannot be reached")),
        }
        Ok(())
    }
}

/// What a process's seats say against placement.
fn seats(facts: &Facts, process: &Process, known: &Known) -> Vec<(Finding, Cure)> {
    let at = process.url.to_string();
    let finding = |kind, module: &str, detail: String| Finding {
        kind,
        module: module.to_owned(),
        at: at.clone(),
        detail,
        mended: false,
    };
    if known.identity.is_none() {
        let detail = format!(
            "a process of {} does not answer; if it has ended, it is forgotten in some seconds: ask again",
            process.deployment
        );
        return vec![(finding("away", "", detail), Cure::None)];
    }
    let mut findings = Vec::new();
    // Where placement itself is, each process's settings say.
    for placed in facts.placed.iter().filter(|placed| placed.module.as_str() != "placement") {
        let module = placed.module.as_str();
        let Some(seat) = known.seats.iter().find(|seat| seat.module == placed.module) else {
            continue;
        };
        let wrong_owner = seat.owner != placed.owner;
        if seat.epoch < placed.epoch || (seat.epoch == placed.epoch && wrong_owner) {
            let detail = format!(
                "its seat knows {} at epoch {}, placement {} at {}",
                seat.owner, seat.epoch, placed.owner, placed.epoch
            );
            findings.push((finding("seat", module, detail), Cure::Settle(placed.clone())));
        }
        if let Some(carve) = seat.held_by
            && !facts.carves.contains(&carve.to_string())
        {
            let detail = format!("its gate is held for carve {carve}, which is over");
            let release = Release { module: placed.module.clone(), carve };
            findings.push((finding("gate", module, detail), Cure::Release(release)));
        }
    }
    findings
}
