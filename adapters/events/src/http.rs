//! The feed of a module in another process, read over HTTP.

use std::time::Duration;

use ::store::FeedPage;
use async_trait::async_trait;
use contract::{NotExecuted, Reason, Remote};

use crate::{Feed, FeedRead, feed::away, serve::query};

/// What an answer may take besides the wait that was asked for.
const MARGIN: Duration = Duration::from_secs(5);

/// A process that is asked for a feed which it does not have passes the question on: that is the second wire, and the
/// last, so that two processes which take each other for the owner do not ask each other for ever.
const HOPS_MAX: u8 = 2;

/// Reads `GET /feed/{module}` of the process that owns the module.
pub struct HttpFeed {
    source: String,
    reader: String,
    remote: Remote,
}

impl HttpFeed {
    /// The feed of `source` at `remote`, read in the name of the module `reader`.
    pub fn new(source: impl Into<String>, reader: impl Into<String>, remote: Remote) -> Self {
        Self { source: source.into(), reader: reader.into(), remote }
    }
}

#[async_trait]
impl Feed for HttpFeed {
    fn source(&self) -> &str {
        &self.source
    }

    async fn read(&self, ask: FeedRead) -> Result<FeedPage, NotExecuted> {
        if ask.hops >= HOPS_MAX {
            let detail = "passed on to a process that does not have the feed";
            return Err(NotExecuted::new(Reason::Moved, detail));
        }
        let ask = FeedRead { hops: ask.hops + 1, ..ask };
        let path = format!("/feed/{}?{}", self.source, query(&ask));
        // Whoever reads is named by its module, also by a process that passes its question on.
        let named = ask.reader.as_ref().and_then(|reader| reader.name.split_once('/'));
        let reader = named.map_or(self.reader.as_str(), |(module, _subscription)| module);
        let (status, body) = self.remote.get(&path, reader, ask.wait + MARGIN).await?;
        if status == 200 {
            return serde_json::from_slice(&body)
                .map_err(|error| away(format!("the feed's page cannot be read: {error}")));
        }
        // Some proxy in between answers in its own words; ours says why.
        Err(serde_json::from_slice(&body)
            .unwrap_or_else(|_foreign| away(format!("the feed answered with status {status}"))))
    }
}
