//! The feed of a module that can move while it is read.

use std::{sync::Arc, time::Duration};

use ::store::FeedPage;
use async_trait::async_trait;
use contract::{Doubt, NotExecuted, Reason};
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use crate::{Feed, FeedRead, WAIT_MAX};

/// How long a read that is told `Moved` waits for where to: several times what it takes to learn of a switch, and short
/// enough that a reader which must go on elsewhere is not kept.
const NEWS_MAX: Duration = Duration::from_secs(1);

/// A module's feed wherever the module is. Whoever reads it never learns of a switch: a read that waits for news at
/// the old place is given up and asked again at the new one, from the same position. Positions move with the module,
/// so nothing is lost or repeated.
pub struct FeedSwitch {
    source: String,
    /// Replaced whole; whoever waits for news also waits for this.
    target: watch::Sender<Arc<dyn Feed>>,
    doubt: Doubt,
}

impl FeedSwitch {
    /// The feed of `source` is at `target`. Who is told `Moved` raises the doubt.
    pub fn new(source: impl Into<String>, target: Arc<dyn Feed>, doubt: Doubt) -> Arc<Self> {
        Arc::new(Self { source: source.into(), target: watch::Sender::new(target), doubt })
    }

    /// Reads go to `target` from now on, those that wait for news included.
    pub fn swap(&self, target: Arc<dyn Feed>) {
        self.target.send_replace(target);
    }
}

#[async_trait]
impl Feed for FeedSwitch {
    fn source(&self) -> &str {
        &self.source
    }

    async fn read(&self, ask: FeedRead) -> Result<FeedPage, NotExecuted> {
        let until = Instant::now() + ask.wait.min(WAIT_MAX);
        let patience = Instant::now() + NEWS_MAX;
        let mut target = self.target.subscribe();
        loop {
            let feed = Arc::clone(&target.borrow_and_update());
            let wait = until.saturating_duration_since(Instant::now());
            let page = tokio::select! {
                biased;
                // The sender lives as long as this borrow of it.
                Ok(()) = target.changed() => continue,
                page = feed.read(FeedRead { wait, ..ask.clone() }) => page,
            };
            match page {
                Err(why) if why.reason == Reason::Moved => {
                    self.doubt.raise();
                    match timeout_at(patience, target.changed()).await {
                        Ok(Ok(())) => {}
                        Ok(Err(_)) | Err(_) => return Err(why),
                    }
                }
                page => return page,
            }
        }
    }
}
