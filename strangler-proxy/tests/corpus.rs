//! The codec against the strictness corpus, each case whole and byte by byte.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may"
)]

#[path = "corpus/format.rs"]
mod format;
#[path = "corpus/gateway.rs"]
mod gateway;

use std::{collections::BTreeSet, path::PathBuf};

use format::{Case, Kind, Outcome};
use gateway::{Passed, Saw};
use strangler_proxy::http1::Cause;

fn cases(folder: &str) -> Vec<Case> {
    format::read(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(folder))
}

#[test]
fn requests_come_out_as_the_corpus_says() {
    hold(&cases("requests"), 1000, gateway::requests);
}

#[test]
fn responses_come_out_as_the_corpus_says() {
    hold(&cases("responses"), 160, gateway::responses);
}

#[test]
fn every_case_names_its_section() {
    for case in cases("requests").iter().chain(&cases("responses")) {
        let (rfc, part) = case.section.split_once(' ').unwrap_or(("house", ""));
        let right = rfc == "house" || rfc.parse::<u16>().is_ok() && !part.is_empty();
        assert!(right, "{}: `{}`", case.name, case.section);
    }
}

#[test]
fn every_cause_has_a_case() {
    // Seen only by whoever holds the connections; its tests are there.
    let elsewhere = [Cause::Unsolicited, Cause::BodyTooLarge, Cause::Malformed];
    let mut named = BTreeSet::new();
    for case in cases("requests").iter().chain(&cases("responses")) {
        for outcome in &case.outcomes {
            if let Kind::Refuse(causes) = &outcome.kind {
                named.extend(causes.iter().cloned());
            }
        }
    }
    for cause in Cause::ALL.iter().filter(|cause| !elsewhere.contains(cause)) {
        assert!(named.contains(cause.as_str()), "no case is refused for {cause}");
    }
}

#[test]
fn a_refused_request_is_answered_as_the_corpus_says() {
    for case in cases("requests") {
        for outcome in &case.outcomes {
            let Kind::Refuse(causes) = &outcome.kind else { continue };
            for name in causes {
                let cause = Cause::ALL.iter().find(|cause| cause.as_str() == name);
                let cause =
                    cause.unwrap_or_else(|| panic!("{}: no cause is called {name}", case.name));
                assert!(outcome.or.contains(&cause.status()), "{}: {}", case.name, cause.status());
            }
        }
    }
}

/// Runs every case in one piece and in many; says all that fail.
fn hold(cases: &[Case], at_least: usize, run: fn(&Case, usize) -> Vec<Saw>) {
    assert!(cases.len() >= at_least, "only {} cases", cases.len());
    let mut failed = Vec::new();
    for case in cases {
        // A byte at a time is what shows a parser that looks too far; long cases would take minutes so.
        let steps =
            if case.bytes.len() < 3000 { vec![usize::MAX, 1, 7] } else { vec![usize::MAX, 997] };
        for step in steps {
            if let Err(why) = judge(case, &run(case, step)) {
                failed.push(format!("{} ({step} bytes at a time): {why}", case.name));
            }
        }
    }
    assert!(failed.is_empty(), "{} of {}:\n{}", failed.len(), cases.len(), failed.join("\n"));
}

fn judge(case: &Case, saw: &[Saw]) -> Result<(), String> {
    if saw.len() != case.outcomes.len() {
        return Err(format!("{} outcomes are expected, saw {saw:?}", case.outcomes.len()));
    }
    for (outcome, saw) in case.outcomes.iter().zip(saw) {
        match (&outcome.kind, saw) {
            (Kind::Partial, Saw::Partial) | (Kind::Final, Saw::Final) => {}
            (Kind::Refuse(causes), Saw::Refused(cause))
                if causes.iter().any(|one| one == cause.as_str()) => {}
            (Kind::Pass, Saw::Passed(passed)) => check(outcome, passed)?,
            (expected, saw) => return Err(format!("expected {expected:?}, saw {saw:?}")),
        }
    }
    Ok(())
}

fn check(outcome: &Outcome, passed: &Passed) -> Result<(), String> {
    for (word, text) in &outcome.checks {
        let shown = text.escape_ascii();
        let right = match word.as_str() {
            "line" => passed.line == *text,
            "body" => passed.body == *text,
            "close" => !passed.keep_alive,
            "keep" => passed.keep_alive,
            "not" => passed.values(text).is_empty(),
            "no-trailer" => {
                passed.trailers.iter().all(|(name, _)| !name.eq_ignore_ascii_case(text))
            }
            "trailer" => {
                let (name, value) = named(text);
                passed.trailers.iter().any(|(one, other)| one == name && other == value)
            }
            "has" => {
                let (name, value) = named(text);
                passed.values(name) == [value]
            }
            "list" => {
                let (name, values) = named(text);
                passed.values(name) == values.split(|byte| *byte == b'|').collect::<Vec<_>>()
            }
            word => return Err(format!("`{word}` is no check")),
        };
        if !right {
            return Err(format!("{word} {shown}: {passed:?}"));
        }
    }
    Ok(())
}

fn named(text: &[u8]) -> (&[u8], &[u8]) {
    let colon = text.iter().position(|byte| *byte == b':').expect("a check names a field");
    (&text[..colon], text[colon + 1..].strip_prefix(b" ").unwrap_or(&text[colon + 1..]))
}
