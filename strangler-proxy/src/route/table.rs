//! Finding the first route of the file that fits, without looking at all of them: a tree of path segments per host.
//!
//! The order in the file decides, whatever the shape of the tree: each node knows the first route below it, and a branch
//! that cannot come before what was found is not entered. So the work depends on the path's depth and on how many routes
//! share its beginning, not on how many there are.

use std::collections::HashMap;

use super::{
    Condition, Facts,
    pattern::{HostPattern, Parts, PathPattern, Segment, bare_host},
};

/// A route, by its place in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteId(pub u16);

/// What a route matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// One of these hosts.
    pub hosts: Box<[HostPattern]>,
    /// One of these paths.
    pub paths: Box<[PathPattern]>,
    /// And this.
    pub condition: Condition,
}

/// All routes.
#[derive(Debug, Clone, Default)]
pub struct Table {
    any: Tree,
    exact: HashMap<Box<[u8]>, Tree, Hashing>,
    /// By suffix, `.example.com`; empty in most files.
    under: HashMap<Box<[u8]>, Tree, Hashing>,
}

/// Names in the table are the operator's, not a client's, so no one can make them collide on purpose; a keyed hash would
/// be most of the cost of a lookup.
type Hashing = std::hash::BuildHasherDefault<Fnv>;

/// FNV-1a: names are short.
#[derive(Debug, Clone)]
pub struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}
impl std::hash::Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    fn write_usize(&mut self, length: usize) {
        // The length of a slice: one byte of it sets lengths apart well enough.
        self.write(&length.to_le_bytes()[..1]);
    }
    fn finish(&self) -> u64 {
        // The map takes its group from the top bits and its place from the bottom ones; FNV leaves the top bits poor.
        self.0 ^ (self.0 >> 29)
    }
}

/// The routes of a host pattern.
#[derive(Debug, Clone, Default)]
struct Tree {
    root: Node,
}

#[derive(Debug, Clone)]
struct Node {
    /// The first route in this node and below.
    first: u16,
    literals: HashMap<Box<[u8]>, Node, Hashing>,
    parameter: Option<Box<Node>>,
    /// Routes whose pattern ends here, in the file's order.
    ends: Vec<Entry>,
    /// Routes that take all that remains, in the file's order.
    rests: Vec<Entry>,
}

impl Default for Node {
    fn default() -> Self {
        Self {
            first: u16::MAX,
            literals: HashMap::default(),
            parameter: None,
            ends: Vec::new(),
            rests: Vec::new(),
        }
    }
}

#[derive(Debug, Clone)]
struct Entry {
    route: u16,
    condition: Option<Box<Condition>>,
}

impl Table {
    /// The table of routes in their order: the first has [`RouteId`] 0.
    pub fn new<'m>(routes: impl IntoIterator<Item = &'m Match>) -> Self {
        let mut table = Self::default();
        for (route, matched) in (0_u16..).zip(routes) {
            let condition =
                (!matched.condition.is_empty()).then(|| Box::new(matched.condition.clone()));
            let entry = Entry { route, condition };
            for host in &matched.hosts {
                let tree = match host {
                    HostPattern::Any => &mut table.any,
                    HostPattern::Exact(name) => {
                        table.exact.entry(name.as_bytes().into()).or_default()
                    }
                    HostPattern::Under(suffix) => {
                        table.under.entry(suffix.as_bytes().into()).or_default()
                    }
                };
                for path in &matched.paths {
                    tree.root.add(path.segments(), &entry);
                }
            }
        }
        table
    }

    /// The first route of the file that fits; nothing where none does.
    pub fn find(&self, facts: &Facts<'_>) -> Option<RouteId> {
        let mut best = u16::MAX;
        if !self.exact.is_empty() || !self.under.is_empty() {
            self.find_by_host(facts, &mut best);
        }
        self.any.root.find(Parts::of(facts.path), facts, &mut best);
        (best != u16::MAX).then_some(RouteId(best))
    }

    fn find_by_host(&self, facts: &Facts<'_>, best: &mut u16) {
        /// A longer host is none (RFC 1035): it fits no pattern but `*`.
        const HOST_BYTES_MAX: usize = 255;
        let host = bare_host(facts.host);
        let mut lower = [0_u8; HOST_BYTES_MAX];
        let Some(lower) = lower.get_mut(..host.len()) else { return };
        lower.copy_from_slice(host);
        lower.make_ascii_lowercase();
        let lower: &[u8] = lower;
        let search = |tree: Option<&Tree>, best: &mut u16| {
            if let Some(tree) = tree {
                tree.root.find(Parts::of(facts.path), facts, best);
            }
        };
        search(self.exact.get(lower), best);
        if self.under.is_empty() {
            return;
        }
        for at in 1..lower.len() {
            let suffix = lower.get(at..).unwrap_or_default();
            if suffix.first() == Some(&b'.') {
                search(self.under.get(suffix), best);
            }
        }
    }
}

impl Node {
    fn add(&mut self, segments: &[Segment], entry: &Entry) {
        // Routes are added in their order, so the first to come is the first.
        self.first = self.first.min(entry.route);
        let push = |list: &mut Vec<Entry>| {
            // Two hosts or paths of one route may lead here.
            if list.last().is_none_or(|last| last.route != entry.route) {
                list.push(entry.clone());
            }
        };
        match segments.split_first() {
            None => push(&mut self.ends),
            Some((Segment::Rest(_), _)) => push(&mut self.rests),
            Some((Segment::Literal(text), tail)) => {
                self.literals.entry(text.clone()).or_default().add(tail, entry);
            }
            Some((Segment::Parameter(_), tail)) => {
                self.parameter.get_or_insert_default().add(tail, entry);
            }
        }
    }

    fn find(&self, mut parts: Parts<'_>, facts: &Facts<'_>, best: &mut u16) {
        take(&self.rests, facts, best);
        let Some(part) = parts.next() else {
            take(&self.ends, facts, best);
            return;
        };
        if let Some(below) = self.literals.get(part).filter(|below| below.first < *best) {
            below.find(parts, facts, best);
        }
        if let Some(below) = self.parameter.as_deref().filter(|below| below.first < *best)
            && !part.is_empty()
        {
            below.find(parts, facts, best);
        }
    }
}

/// The first of these that comes before `best` and whose condition holds.
fn take(entries: &[Entry], facts: &Facts<'_>, best: &mut u16) {
    for entry in entries {
        if entry.route >= *best {
            return;
        }
        if entry.condition.as_ref().is_none_or(|condition| condition.holds(facts)) {
            *best = entry.route;
            return;
        }
    }
}

#[cfg(test)]
mod tests;
