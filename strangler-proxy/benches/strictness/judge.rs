//! What was seen against what the RFCs leave open.
//!
//! The corpus says what *this* proxy does, and under `= or` what any other may do instead. A peer is held to the second.

use crate::{
    exchange::Seen,
    format::{Case, Kind, Outcome},
    message::Message,
};

/// How a case came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// As the RFCs allow.
    Right {
        /// And as strictly as this proxy's own corpus asks.
        strictly: bool,
    },
    /// Not so, but both sides see the same messages.
    Wrong(String),
    /// Something reached the other side that must not, or one message was taken for another.
    Dangerous(String),
}

use Verdict::{Dangerous, Right, Wrong};

/// Whose rules hold for what is forwarded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Rfc,
    Corpus,
}

pub fn requests(case: &Case, seen: &Seen) -> Verdict {
    if let Some(why) = seen.malformed {
        return Dangerous(format!("the upstream got {why}"));
    }
    match walk(case, seen, By::Corpus) {
        Right { .. } => Right { strictly: true },
        _ => walk(case, seen, By::Rfc),
    }
}

fn walk(case: &Case, seen: &Seen, by: By) -> Verdict {
    let (mut answers, mut requests) = (seen.answers.iter(), seen.requests.iter());
    // Whoever may read the message differently may find another one behind it.
    let mut is_read_differently = false;
    for outcome in &case.outcomes {
        let answer = answers.next();
        let own = answer.filter(|answer| !Seen::is_origins(answer)).map(Message::status);
        let may_pass = outcome.or.contains(&0) && by == By::Rfc;
        let forwarded = answer.is_some() && own.is_none();
        match &outcome.kind {
            Kind::Pass | Kind::Refuse(_) | Kind::Final if forwarded => {
                let Some(request) = requests.next() else {
                    return Dangerous("an answer without its request".to_owned());
                };
                if outcome.kind != Kind::Pass && !may_pass {
                    // Only a count is wrong then.
                    let is_count = case.section == "9110 7.6.2";
                    return if is_count { Wrong } else { Dangerous }(format!(
                        "let through: {}",
                        request.line.escape_ascii()
                    ));
                }
                is_read_differently |= outcome.kind != Kind::Pass;
                if outcome.kind == Kind::Pass && may_pass {
                    continue;
                }
                if let Some(bad) = first_bad(case, outcome, request, seen, by) {
                    return bad;
                }
            }
            Kind::Pass => match own {
                Some(status) if by == By::Rfc && outcome.or.contains(&status) => break,
                Some(status) => return Wrong(format!("answered with {status}")),
                None => return Wrong("no answer".to_owned()),
            },
            Kind::Refuse(_) | Kind::Final => match own {
                None => break,
                Some(status) if outcome.or.contains(&status) => break,
                Some(400..) if by == By::Rfc => break,
                Some(204) if outcome.kind == Kind::Final => break,
                Some(status) => return Wrong(format!("answered with {status}")),
            },
            Kind::Partial if forwarded => return Dangerous("half a request was passed".to_owned()),
            Kind::Partial => break,
        }
    }
    match requests.next() {
        Some(more) if !is_read_differently => {
            Dangerous(format!("also sent on: {}", more.line.escape_ascii()))
        }
        _ => Right { strictly: false },
    }
}

/// The first check that does not hold of what reached the other side.
fn first_bad(
    case: &Case,
    outcome: &Outcome,
    got: &Message,
    seen: &Seen,
    by: By,
) -> Option<Verdict> {
    // Rules of this house, and what the forwarded fields say (RFC 7239 leaves it to the configuration), bind no peer.
    let is_ours = case.section == "house" || case.section.starts_with("7239");
    if by == By::Rfc && is_ours {
        return None;
    }
    for (word, text) in &outcome.checks {
        let (name, value) = split(text);
        let right = match word.as_str() {
            // The connection may be closed at any time; it must be where the client said so.
            // Of an answer the corpus means the upstream's connection, which is not looked at here.
            "keep" | "close" if got.line.starts_with(b"HTTP/") => true,
            "keep" => by == By::Rfc || !seen.closed,
            "close" => seen.closed,
            "body" => got.body == *text,
            "line" => is_line(case, got, text, by),
            "not" => is_framing(text, by) || is_own_te(got, text) || got.values(text).is_empty(),
            "no-trailer" => got.trailers.iter().all(|(name, _)| !name.eq_ignore_ascii_case(text)),
            "trailer" => is_trailer(got, name, value, by),
            "has" | "list" => is_framing(name, by) || is_field(got, name, value, by),
            word => panic!("`{word}` is no check"),
        };
        if !right {
            return Some(Wrong(format!("{word} {}", text.escape_ascii())));
        }
    }
    None
}

fn split(text: &[u8]) -> (&[u8], &[u8]) {
    let colon = text.iter().position(|byte| *byte == b':').unwrap_or(text.len());
    (&text[..colon], text.get(colon + 1..).unwrap_or_default().trim_ascii())
}

/// RFC 9110 10.1.4: a gateway may say on its own behalf that it takes trailers.
fn is_own_te(got: &Message, name: &[u8]) -> bool {
    let is_hop = name.eq_ignore_ascii_case(b"Connection") || name.eq_ignore_ascii_case(b"TE");
    is_hop && got.values(b"Connection") == [b"TE"] && got.values(b"TE") == [b"trailers"]
}

/// A body may be framed anew, as long as it stays the same.
fn is_framing(name: &[u8], by: By) -> bool {
    let framing = [&b"Content-Length"[..], b"Transfer-Encoding", b"Trailer"];
    by == By::Rfc && framing.iter().any(|one| name.eq_ignore_ascii_case(one))
}

/// RFC 9110 7.7: a path may be passed on as it came.
fn is_line(case: &Case, got: &Message, wanted: &[u8], by: By) -> bool {
    if got.line == *wanted {
        return true;
    }
    if by == By::Corpus {
        return false;
    }
    if wanted.starts_with(b"HTTP/") {
        // The words of a status line say nothing (RFC 9112 4).
        return got.line.get(..12) == wanted.get(..12);
    }
    let words: Vec<&[u8]> = got.line.split(|byte| *byte == b' ').collect();
    let [method, target, version] = words[..] else { return false };
    let came = [method, b" ", target, b" "].concat();
    let is_raw = target.starts_with(b"/")
        && case.bytes.windows(came.len()).any(|part| part == came)
        && version == b"HTTP/1.1";
    let is_same_method = wanted.split(|byte| *byte == b' ').next() == Some(method);
    is_raw && is_same_method
}

/// RFC 9110 6.5.1: trailers may be dropped.
fn is_trailer(got: &Message, name: &[u8], value: &[u8], by: By) -> bool {
    let found = got.trailers.iter().find(|(one, _)| one.eq_ignore_ascii_case(name));
    found.map_or(by == By::Rfc, |(_, found)| found == value)
}

fn is_field(got: &Message, name: &[u8], value: &[u8], by: By) -> bool {
    // The corpus was written for another client and another name of the proxy.
    let value = replaced(value, b"192.0.2.17", b"127.0.0.1");
    let values = got.values(name);
    let wanted: Vec<&[u8]> = value.split(|byte| *byte == b'|').collect();
    if values == wanted || values == [&value[..]] {
        return true;
    }
    if by == By::Corpus {
        return false;
    }
    if name.eq_ignore_ascii_case(b"Host") {
        // A configuration may name the host without its port.
        let host = |text: &[u8]| {
            let end = text.iter().rposition(|byte| *byte == b':').unwrap_or(text.len());
            let end = if text.ends_with(b"]") { text.len() } else { end };
            text[..end].to_ascii_lowercase()
        };
        return values.len() == 1 && host(values[0]) == host(&value);
    }
    if name.eq_ignore_ascii_case(b"Via") {
        // Whatever it calls itself.
        let members = |values: &[&[u8]]| values.join(&b","[..]).split(|byte| *byte == b',').count();
        return members(&values) == members(&wanted) && !values.is_empty();
    }
    // Lines of one name may become one line, and the case of these words is nothing.
    let joined = values.join(&b", "[..]);
    joined.eq_ignore_ascii_case(&wanted.join(&b", "[..]))
}

fn replaced(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    match text.windows(from.len()).position(|part| part == from) {
        Some(at) => [&text[..at], to, &text[at + from.len()..]].concat(),
        None => text.to_vec(),
    }
}

pub fn responses(case: &Case, seen: &Seen) -> Verdict {
    match &seen.probe {
        Some(probe) if probe.body == b"probe" || probe.status() >= 500 => {}
        Some(probe) => {
            return Dangerous(format!("the next request got {}", probe.line.escape_ascii()));
        }
        None => return Dangerous("the next request got no answer".to_owned()),
    }
    if let Some(why) = seen.garbage {
        return Dangerous(format!("the client got {why}"));
    }
    if seen.answers.len() > 1 {
        return Dangerous("the client got a second answer".to_owned());
    }
    match answered(case, seen, By::Corpus) {
        Right { .. } => Right { strictly: true },
        _ => answered(case, seen, By::Rfc),
    }
}

fn answered(case: &Case, seen: &Seen, by: By) -> Verdict {
    let mut interim = seen.interim.iter();
    for outcome in &case.outcomes {
        let is_interim = outcome.checks.iter().any(|(word, text)| {
            word == "line" && text.starts_with(b"HTTP/1.1 1") && !text.starts_with(b"HTTP/1.1 101")
        });
        let got = if is_interim { interim.next() } else { seen.answers.first() };
        // What the proxy itself answers has 502 or 504; the cases have no such status.
        let own = got.map(Message::status).filter(|status| matches!(status, 500..=504));
        let may_pass = outcome.or.contains(&0) && by == By::Rfc;
        match (&outcome.kind, got) {
            (Kind::Pass, Some(_)) if own.is_some() => {
                let status = own.unwrap_or_default();
                if by == By::Rfc && outcome.or.iter().any(|or| *or >= 500) {
                    break;
                }
                return Wrong(format!("answered with {status}"));
            }
            (Kind::Pass, Some(got)) => {
                if let Some(bad) = first_bad(case, outcome, got, seen, by) {
                    return bad;
                }
                if !is_interim {
                    break;
                }
            }
            // RFC 9110 15.2: a proxy must pass them on.
            (Kind::Pass, None) if is_interim => return Wrong("no interim answer".to_owned()),
            (Kind::Pass, None) => return Wrong("no answer".to_owned()),
            (Kind::Refuse(_) | Kind::Partial | Kind::Final, None) => break,
            (Kind::Refuse(_) | Kind::Partial | Kind::Final, Some(got)) => {
                if own.is_none() && !may_pass {
                    return Dangerous(format!("let through: {}", got.line.escape_ascii()));
                }
                break;
            }
        }
    }
    Right { strictly: false }
}
