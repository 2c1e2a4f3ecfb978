//! The server's half of feeds over HTTP, without a web framework.
//!
//! Mount [`FeedServer::answer`] at `GET /feed/{module}` on the internal port.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use ::store::FeedPage;
use contract::{NotExecuted, Reason, rpc};

use crate::{EVENTS_PER_PAGE_MAX, Feed, FeedRead, Reader, WAIT_MAX};

/// Readers that may wait for news at once: each costs a parked request, and a deployment has a few per module.
const WAITING_MAX: usize = 256;

/// The data of one answer: half of what a reader takes by default ([`contract::RemoteLimits::answer_bytes_max`]).
const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// An event's envelope without its data, generously.
const EVENT_BYTES: usize = 512;

/// The feeds that this process shows to others.
pub struct FeedServer {
    registry: Arc<rpc::Registry>,
    feeds: RwLock<BTreeMap<String, Arc<dyn Feed>>>,
    places: tokio::sync::Semaphore,
}

impl FeedServer {
    /// Shows nothing yet. Peers prove themselves as they do for calls.
    pub fn new(registry: Arc<rpc::Registry>) -> Self {
        let places = tokio::sync::Semaphore::new(WAITING_MAX);
        Self { registry, feeds: RwLock::default(), places }
    }

    /// Shows this feed from now on.
    pub fn insert(&self, feed: Arc<dyn Feed>) {
        let name = feed.source().to_owned();
        self.feeds.write().unwrap_or_else(PoisonError::into_inner).insert(name, feed);
    }

    /// No longer shows this module's feed.
    pub fn remove(&self, module: &str) {
        self.feeds.write().unwrap_or_else(PoisonError::into_inner).remove(module);
    }

    /// Answers `GET /feed/{module}?{query}`: 200 with a page, else what stands in the way as JSON. It may take as long
    /// as the reader is willing to wait for news.
    pub async fn answer(&self, module: &str, query: &str, head: &rpc::Head) -> rpc::Reply {
        let peer = match self.registry.peer(head) {
            Ok(peer) => peer,
            Err(reply) => return reply,
        };
        let ask = match parse(query, &peer) {
            Ok(ask) => ask,
            Err(detail) => return refused(400, Reason::Malformed, &detail),
        };
        let feed = {
            let feeds = self.feeds.read().unwrap_or_else(PoisonError::into_inner);
            feeds.get(module).map(Arc::clone)
        };
        let Some(feed) = feed else {
            let detail = format!("this process does not show the feed of `{module}`");
            return refused(404, Reason::Moved, &detail);
        };
        let Ok(_place) = self.places.try_acquire() else {
            return refused(503, Reason::Overloaded, "too many readers wait");
        };
        match feed.read(ask).await {
            Ok(page) => reply(200, &bounded(page)),
            Err(why) => reply(503, &why),
        }
    }
}

/// The page without the events that would make the answer larger than a reader takes; the first one always stays.
fn bounded(mut page: FeedPage) -> FeedPage {
    let mut bytes = 0;
    let fit = page.events.iter().take_while(|event| {
        let first = bytes == 0;
        bytes += event.data.get().len() + EVENT_BYTES;
        first || bytes <= PAGE_BYTES_MAX
    });
    let fit = fit.count();
    page.events.truncate(fit);
    page
}

/// The readable form of a read: `after=7&limit=256&wait_ms=20000&reader=ordering&done=7`.
pub(crate) fn query(ask: &FeedRead) -> String {
    let wait_ms = ask.wait.as_millis();
    let mut text = format!("after={}&limit={}&wait_ms={wait_ms}", ask.after, ask.limit);
    if let Some(reader) = &ask.reader {
        // The peer's own name is known from its credential; only what follows it is told.
        let name = reader.name.split_once('/').map_or(reader.name.as_str(), |(_peer, name)| name);
        let name: String = name.bytes().map(encoded).collect();
        text.push_str(&format!("&reader={name}&done={}", reader.done));
    }
    if ask.hops > 0 {
        text.push_str(&format!("&hops={}", ask.hops));
    }
    text
}

fn encoded(byte: u8) -> String {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    }
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
            let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
            bytes.push(high * 16 + low);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

fn parse(query: &str, peer: &str) -> Result<FeedRead, String> {
    let mut ask = FeedRead { limit: EVENTS_PER_PAGE_MAX, ..FeedRead::head() };
    let (mut name, mut done) = (None, None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (field, value) = pair.split_once('=').unwrap_or((pair, ""));
        let number = || value.parse::<u64>().map_err(|_bad| format!("{field} is no number"));
        match field {
            "after" => ask.after = number()?,
            "limit" => ask.limit = u32::try_from(number()?).unwrap_or(u32::MAX),
            "wait_ms" => ask.wait = Duration::from_millis(number()?).min(WAIT_MAX),
            "done" => done = Some(number()?),
            "hops" => ask.hops = u8::try_from(number()?).unwrap_or(u8::MAX),
            "reader" => {
                let text = decoded(value).filter(|name| !name.is_empty() && name.len() <= 200);
                name = Some(text.ok_or_else(|| "reader is no name".to_owned())?);
            }
            _ => return Err(format!("there is no parameter `{field}`")),
        }
    }
    if let (Some(name), Some(done)) = (name, done) {
        ask.reader = Some(Reader { name: format!("{peer}/{name}"), done });
    }
    Ok(ask)
}

fn refused(status: u16, reason: Reason, detail: &str) -> rpc::Reply {
    reply(status, &NotExecuted::new(reason, detail))
}

fn reply(status: u16, body: &impl serde::Serialize) -> rpc::Reply {
    let body = serde_json::to_vec(body).expect("what is sent here has string keys only");
    rpc::Reply { status, body }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_survives_its_query() {
        let reader = Reader { name: "payments/books of 100%".into(), done: 6 };
        let wait = Duration::from_millis(1500);
        let ask = FeedRead { after: 7, limit: 50, wait, reader: Some(reader), hops: 1 };
        assert_eq!(parse(&query(&ask), "payments"), Ok(ask));
        assert_eq!(parse(&query(&FeedRead::head()), "x"), Ok(FeedRead::head()));
        for bad in ["after=-1", "after=x", "what=1", "reader=%zz&done=1"] {
            assert!(parse(bad, "x").is_err(), "{bad}");
        }
    }
}
