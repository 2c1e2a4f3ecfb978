//! Routes that stand in each other's way. The order in the file decides, so two things are refused: a route that can
//! never be reached, and one that crosses another, where a reader cannot see which is meant, unless it says `before`.

use super::{
    Condition,
    pattern::{HostPattern, PathPattern, Segment},
    table::Match,
};
use crate::config::{
    Route,
    document::RoutePart,
    fault::{Fault, KeyPath},
};

/// Can a request be both this route's and that one's, each by itself?
pub fn meet(first: &Match, second: &Match) -> bool {
    relation(first, second) != Relation::Apart
}

/// How what one route takes relates to what another does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    /// They share nothing.
    Apart,
    /// The first takes all that the second takes.
    Contains,
    /// The second takes all that the first takes, and more.
    Inside,
    /// They share something, and each has something of its own.
    Crosses,
}

/// So many are told of: a slip in one route can put it in the way of all others, and each pair of thousands is too much
/// to read and to hold.
const TOLD_MAX: usize = 100;

/// Looks at every pair, until enough is found.
pub fn check(routes: &[Route], parts: &[RoutePart], faults: &mut Vec<Fault>) {
    let path = KeyPath::root().key("routes");
    let told = faults.len();
    for (index, (part, route)) in parts.iter().zip(routes).enumerate() {
        for (at, name) in part.before.iter().enumerate() {
            let below = parts
                .iter()
                .skip(index + 1)
                .any(|other| other.name == *name || other.group.as_ref() == Some(name));
            if !below {
                let what =
                    format_args!("there is no route or group `{name}` below this one").to_string();
                faults.push(Fault::at(&path.index(index).key("before").index(at), what));
            }
        }
        if faults.len() - told >= TOLD_MAX {
            let what = "more routes than these stand in each other's way";
            faults.push(Fault::at(&path.index(index), what));
            return;
        }
        for (later, (other_part, other)) in parts.iter().zip(routes).enumerate().skip(index + 1) {
            if faults.len() - told >= TOLD_MAX {
                break;
            }
            let here = path.index(later);
            match relation(&route.matched, &other.matched) {
                Relation::Apart | Relation::Inside => {}
                Relation::Contains => faults.push(Fault::at(
                    &here.key(first_key(other_part)),
                    format_args!(
                        "`{}` is never reached: `{}` above it takes all its requests; move it up",
                        other.name, route.name
                    ),
                )),
                Relation::Crosses if says_before(part, other_part) => {}
                Relation::Crosses => faults.push(Fault::at(
                    &here.key(first_key(other_part)),
                    format_args!(
                        "`{}` and `{}` take some of the same requests and neither is the narrower one: write `before = [\"{}\"]` in `{}`, or set them apart",
                        route.name, other.name, other.name, route.name
                    ),
                )),
            }
        }
    }
}

fn says_before(part: &RoutePart, other: &RoutePart) -> bool {
    part.before.iter().any(|name| *name == other.name || other.group.as_ref() == Some(name))
}

fn first_key(part: &RoutePart) -> &'static str {
    match (part.path.is_empty(), part.grpc.is_empty(), part.host.is_empty()) {
        (false, _, _) => "path",
        (true, false, _) => "grpc",
        (true, true, false) => "host",
        (true, true, true) => "name",
    }
}

fn relation(first: &Match, second: &Match) -> Relation {
    if !first.condition.shares_a_method_with(&second.condition) {
        return Relation::Apart;
    }
    let covered = |paths: &[PathPattern], by: &[PathPattern]| {
        paths.iter().all(|path| by.iter().any(|wide| contains(wide, path)))
    };
    let covered_hosts = |hosts: &[HostPattern], by: &[HostPattern]| {
        hosts.iter().all(|host| by.iter().any(|wide| host_contains(wide, host)))
    };
    let covers = |wide: &Match, narrow: &Match| {
        wide.condition.contains(&narrow.condition)
            && covered_hosts(&narrow.hosts, &wide.hosts)
            && covered(&narrow.paths, &wide.paths)
    };
    let hosts_meet = first
        .hosts
        .iter()
        .any(|a| second.hosts.iter().any(|b| host_contains(a, b) || host_contains(b, a)));
    let paths_meet = first.paths.iter().any(|a| second.paths.iter().any(|b| meets(a, b)));
    if !hosts_meet || !paths_meet {
        Relation::Apart
    } else if covers(first, second) {
        Relation::Contains
    } else if covers(second, first) || is_set_apart(&first.condition, &second.condition) {
        Relation::Inside
    } else {
        Relation::Crosses
    }
}

/// A condition on a field or parameter is a reason to come first: whoever writes one means those requests only. Where
/// both have some, or neither, the reader cannot know.
fn is_set_apart(first: &Condition, second: &Condition) -> bool {
    let asks = |condition: &Condition| condition.headers.len() + condition.query.len();
    asks(first) > 0 && asks(second) == 0
        || first.headers != second.headers && second.contains(first)
}

fn host_contains(wide: &HostPattern, narrow: &HostPattern) -> bool {
    match (wide, narrow) {
        (HostPattern::Any, _) => true,
        (HostPattern::Exact(wide), HostPattern::Exact(narrow)) => wide == narrow,
        (HostPattern::Under(wide), HostPattern::Exact(narrow)) => {
            narrow.len() > wide.len() && narrow.ends_with(&**wide)
        }
        (HostPattern::Under(wide), HostPattern::Under(narrow)) => narrow.ends_with(&**wide),
        (HostPattern::Exact(_), HostPattern::Any | HostPattern::Under(_))
        | (HostPattern::Under(_), HostPattern::Any) => false,
    }
}

/// Does every path of `narrow` fit `wide`?
fn contains(wide: &PathPattern, narrow: &PathPattern) -> bool {
    let (mut wide, mut narrow) = (wide.segments(), narrow.segments());
    loop {
        match (wide.split_first(), narrow.split_first()) {
            (Some((Segment::Rest(_), _)), _) | (None, None) => return true,
            (None, Some(_)) | (Some(_), None) => return false,
            (Some((own, wide_tail)), Some((other, narrow_tail))) => {
                let fits = match (own, other) {
                    (Segment::Literal(own), Segment::Literal(other)) => own == other,
                    (Segment::Parameter(_), Segment::Literal(other)) => !other.is_empty(),
                    (Segment::Parameter(_), Segment::Parameter(_)) => true,
                    (Segment::Literal(_), Segment::Parameter(_))
                    | (Segment::Literal(_) | Segment::Parameter(_), Segment::Rest(_))
                    | (Segment::Rest(_), _) => false,
                };
                if !fits {
                    return false;
                }
                (wide, narrow) = (wide_tail, narrow_tail);
            }
        }
    }
}

/// Is there a path that fits both?
fn meets(first: &PathPattern, second: &PathPattern) -> bool {
    let (mut first, mut second) = (first.segments(), second.segments());
    loop {
        match (first.split_first(), second.split_first()) {
            (Some((Segment::Rest(_), _)), _) | (_, Some((Segment::Rest(_), _))) | (None, None) => {
                return true;
            }
            (None, Some(_)) | (Some(_), None) => return false,
            (Some((own, own_tail)), Some((other, other_tail))) => {
                let fits = match (own, other) {
                    (Segment::Literal(own), Segment::Literal(other)) => own == other,
                    (Segment::Parameter(_), Segment::Literal(text))
                    | (Segment::Literal(text), Segment::Parameter(_)) => !text.is_empty(),
                    (Segment::Parameter(_), Segment::Parameter(_)) => true,
                    (Segment::Rest(_), _) | (_, Segment::Rest(_)) => true,
                };
                if !fits {
                    return false;
                }
                (first, second) = (own_tail, other_tail);
            }
        }
    }
}
