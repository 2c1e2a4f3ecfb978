//! The certificate: what a carve has measured, judged.

use placement_api::{Carve, Certificate, Outcome};

use super::{facts::Facts, limits::PAUSE_MAX};

/// What the carve proves, so far or at its end.
pub(crate) fn certificate(carve: &Carve, facts: &Facts, configuration: &str) -> Certificate {
    let faults = faults(carve, facts);
    Certificate {
        carve: carve.id,
        module: carve.module.clone(),
        from: carve.from.clone(),
        to: carve.to.clone(),
        who: carve.who.clone(),
        reason: carve.reason.clone(),
        plan: carve.plan.clone(),
        begun_at: carve.begun_at,
        ended_at: carve.ended_at,
        outcome: carve.outcome,
        clean: faults.is_empty(),
        faults,
        switches: facts.switches.clone(),
        clients: facts.clients,
        rows_copied: facts.progress.rows_copied,
        rows_followed: facts.rows_followed,
        compared: facts.compared.clone(),
        invariants: facts.invariants.clone(),
        leftovers: facts.leftovers.clone(),
        configuration_sha256: configuration.to_owned(),
        restarts: facts.restarts,
    }
}

/// What is not as it should be.
fn faults(carve: &Carve, facts: &Facts) -> Vec<String> {
    let mut faults = Vec::new();
    if carve.outcome == Some(Outcome::Refused) {
        faults.push(format!("it was refused: {}", facts.says));
    }
    if facts.clients.errors > 0 {
        faults.push(format!("clients saw {} errors", facts.clients.errors));
    }
    let differing = facts.compared.iter().filter(|table| !table.equal);
    faults.extend(differing.map(|table| format!("`{}` differs between the sides", table.table)));
    let longest = u64::try_from(PAUSE_MAX.as_micros()).unwrap_or(u64::MAX);
    for switch in facts.switches.iter().filter(|switch| switch.pause.total_us > longest) {
        let took = switch.pause.total_us / 1000;
        faults.push(format!("writes stood still for {took} ms at epoch {}", switch.epoch));
    }
    for invariant in facts.invariants.iter().filter(|invariant| !invariant.broken.is_empty()) {
        faults.push(format!("the invariant `{}` is broken", invariant.name));
    }
    faults.extend(facts.leftovers.iter().map(|left| format!("left over: {left}")));
    faults.extend(facts.notes.iter().cloned());
    faults
}
