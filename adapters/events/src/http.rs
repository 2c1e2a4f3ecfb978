//! The feed of a module in another process, read over HTTP.

use std::time::Duration;

use ::store::FeedPage;
use async_trait::async_trait;
use contract::{NotExecuted, Remote};

use crate::{Feed, FeedRead, feed::away, serve::query};

/// What an answer may take besides the wait that was asked for.
const MARGIN: Duration = Duration::from_secs(5);

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
        let path = format!("/feed/{}?{}", self.source, query(&ask));
        let (status, body) = self.remote.get(&path, &self.reader, ask.wait + MARGIN).await?;
        if status == 200 {
            return serde_json::from_slice(&body)
                .map_err(|error| away(format!("the feed's page cannot be read: {error}")));
        }
        // Some proxy in between answers in its own words; ours says why.
        Err(serde_json::from_slice(&body)
            .unwrap_or_else(|_foreign| away(format!("the feed answered with status {status}"))))
    }
}
