//! Strictness side by side: the corpus of raw messages against this proxy, nginx and HAProxy, over real sockets, with an
//! upstream that writes down what it gets.
//!
//! `cargo bench -p strangler-proxy --bench strictness` prints, per group of cases, how many came out as the RFCs allow, and
//! names every case in which something got through that must not. `-- --list` names what else was wrong, `--only
//! ours,nginx` and `--case PART` narrow it down.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    missing_docs,
    reason = "a bench: it prints, and it stops where it cannot measure"
)]

#[path = "strictness/exchange.rs"]
mod exchange;
#[path = "../tests/corpus/format.rs"]
mod format;
#[path = "strictness/judge.rs"]
mod judge;
#[path = "peers/launch.rs"]
#[allow(dead_code, reason = "what the speed table alone needs")]
mod launch;
#[path = "strictness/message.rs"]
mod message;
#[path = "strictness/origin.rs"]
mod origin;
#[path = "strictness/stand.rs"]
mod stand;

use std::{collections::BTreeMap, path::PathBuf, thread};

use crate::{format::Case, judge::Verdict, launch::Peer, stand::Stand};

/// Cases of one folder, in the order of the table.
type Cases = Vec<(&'static str, Case)>;

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["ours", file] => launch::ours(file),
        options => compare(options),
    }
}

fn option<'a>(options: &[&'a str], name: &str) -> Option<&'a str> {
    options.iter().position(|word| *word == name).and_then(|at| options.get(at + 1)).copied()
}

fn compare(options: &[&str]) {
    let wanted = |peer: &Peer| {
        option(options, "--only").is_none_or(|list| list.split(',').any(|one| one == peer.name()))
    };
    let peers: Vec<Peer> =
        Peer::ALL.into_iter().filter(wanted).filter(|peer| peer.installed()).collect();
    let part = option(options, "--case").unwrap_or_default();
    let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let cases: Cases = ["requests", "responses"]
        .into_iter()
        .flat_map(|folder| format::read(&corpus.join(folder)).into_iter().map(move |c| (folder, c)))
        .filter(|(folder, case)| format!("{folder}/{}", case.name).contains(part))
        .collect();
    // Side by side: most of the time is spent on waiting for what must not come.
    let verdicts: Vec<Vec<Option<Verdict>>> = thread::scope(|scope| {
        let cases = &cases;
        let running = peers.iter().map(|peer| {
            scope.spawn(move || {
                let mut stand = Stand::new(*peer);
                cases.iter().map(|(folder, case)| stand.run(folder, case)).collect()
            })
        });
        let running: Vec<_> = running.collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    print(&cases, &peers, &verdicts);
    for (peer, verdicts) in peers.iter().zip(&verdicts) {
        name(*peer, &cases, verdicts, options.contains(&"--list"));
    }
}

/// Right, strictly right, dangerous, and all.
#[derive(Default, Clone, Copy)]
struct Count([usize; 4]);

impl Count {
    fn add(&mut self, verdict: &Verdict) {
        self.0[3] += 1;
        match verdict {
            Verdict::Right { strictly } => {
                self.0[0] += 1;
                self.0[1] += usize::from(*strictly);
            }
            Verdict::Wrong(_) => {}
            Verdict::Dangerous(_) => self.0[2] += 1,
        }
    }
}

fn print(cases: &Cases, peers: &[Peer], verdicts: &[Vec<Option<Verdict>>]) {
    let mut groups: BTreeMap<String, Vec<Count>> = BTreeMap::new();
    let mut all = vec![Count::default(); peers.len()];
    for (at, (folder, case)) in cases.iter().enumerate() {
        let group = case.name.split('/').next().unwrap_or_default();
        let counts = groups
            .entry(format!("{folder}/{group}"))
            .or_insert_with(|| vec![Count::default(); peers.len()]);
        for (peer, verdicts) in verdicts.iter().enumerate() {
            if let Some(verdict) = &verdicts[at] {
                counts[peer].add(verdict);
                all[peer].add(verdict);
            }
        }
    }
    let row = |name: &str, counts: &[Count]| {
        let cells = counts.iter().map(|Count([right, strictly, dangerous, all])| {
            format!(" {:>9} {strictly:>9} {dangerous:>9} |", format!("{right}/{all}"))
        });
        println!("{name:<20} |{}", cells.collect::<String>());
    };
    println!(
        "as the RFCs allow / run, as strictly as the corpus asks, and what got through that must not:"
    );
    let names = peers.iter().map(|peer| format!(" {:^29} |", peer.name())).collect::<String>();
    println!("{:<20} |{names}", "");
    let heads = format!(" {:>9} {:>9} {:>9} |", "allowed", "strict", "through").repeat(peers.len());
    println!("{:<20} |{heads}", "group");
    for (group, counts) in &groups {
        row(group, counts);
    }
    row("all", &all);
}

fn name(peer: Peer, cases: &Cases, verdicts: &[Option<Verdict>], with_wrong: bool) {
    for (at, verdict) in verdicts.iter().enumerate() {
        let (folder, case) = &cases[at];
        match verdict {
            Some(Verdict::Dangerous(why)) => {
                println!(
                    "{}: THROUGH {folder}/{} ({}): {why}",
                    peer.name(),
                    case.name,
                    case.section
                );
            }
            Some(Verdict::Wrong(why)) if with_wrong => {
                println!("{}: wrong {folder}/{} ({}): {why}", peer.name(), case.name, case.section);
            }
            _ => {}
        }
    }
}
