//! An operator's wishes, sent to the running server's internal port.

use std::path::Path;

use anyhow::{Context, Result};
use async_trait::async_trait;
use http::Method;
use serde::{Deserialize, Serialize};

use super::{
    CallCount, DeadLetter, LetterKey, LetterOrder, Operations, Resumption, SubscriptionState,
};
use crate::http_client::HttpClient;

/// The server that has the data directory.
pub struct RemoteOperations(pub HttpClient);

/// What `POST /ops/backup` takes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackUp {
    /// Where to: an absolute path on the server's machine.
    pub directory: std::path::PathBuf,
    /// Only this module.
    pub module: Option<String>,
}

const NOTHING: Option<&()> = None;

#[async_trait]
impl Operations for RemoteOperations {
    async fn subscriptions(&self) -> Result<Vec<SubscriptionState>> {
        self.0.json(Method::GET, "/ops/subscriptions", NOTHING).await
    }

    async fn resume(&self, wish: &Resumption) -> Result<u64> {
        self.0.json(Method::POST, "/ops/subscriptions/resume", Some(wish)).await
    }

    async fn dead_letters(&self) -> Result<Vec<DeadLetter>> {
        self.0.json(Method::GET, "/ops/deadletters", NOTHING).await
    }

    async fn dead_letter(&self, key: &LetterKey) -> Result<DeadLetter> {
        self.0.json(Method::POST, "/ops/deadletters/show", Some(key)).await
    }

    async fn order_letter(&self, key: &LetterKey, order: LetterOrder) -> Result<()> {
        let path = match order {
            LetterOrder::Replay => "/ops/deadletters/replay",
            LetterOrder::Discard => "/ops/deadletters/discard",
        };
        self.0.json(Method::POST, path, Some(key)).await
    }

    async fn calls(&self) -> Result<Vec<CallCount>> {
        self.0.json(Method::GET, "/ops/calls", NOTHING).await
    }

    async fn back_up(&self, directory: &Path, module: Option<&str>) -> Result<Vec<String>> {
        // The server works elsewhere: a relative path would be relative to there.
        let directory = std::path::absolute(directory).context("the directory's path")?;
        let wish = BackUp { directory, module: module.map(str::to_owned) };
        self.0.json(Method::POST, "/ops/backup", Some(&wish)).await
    }
}
