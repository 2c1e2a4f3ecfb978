//! How fast the books are read, list by list, page by page.

use std::time::{Duration, Instant};

use anyhow::Result;
use contract::Answer;
use kernel_api::{PAGE_LIMIT_MAX, Page, PageRequest};

use crate::insist::insist;

/// How fast a list is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As fast as it goes: somebody waits for it.
    Full,
    /// Beside a shop that trades, whose requests come first: after each page a rest, as long as the page took at most.
    Beside,
}

/// The longest rest after a page: one that takes longer waited for somebody, and what is not read soon grows meanwhile.
const REST_MAX: Duration = Duration::from_millis(50);

/// The page after this cursor, as long as allowed.
pub fn request(after: Option<String>) -> PageRequest {
    PageRequest { after, limit: Some(PAGE_LIMIT_MAX) }
}

impl Pace {
    /// Rests after a page that was asked for then.
    pub async fn rest(self, since: Instant) {
        match self {
            Self::Full => {}
            Self::Beside => tokio::time::sleep(since.elapsed().min(REST_MAX)).await,
        }
    }

    /// Shows every item of a list to `take`, page by page.
    pub async fn each<T, R: std::fmt::Display>(
        self,
        what: &str,
        mut ask: impl AsyncFnMut(PageRequest) -> Answer<Page<T>, R>,
        mut take: impl FnMut(T),
    ) -> Result<()> {
        let mut after = None;
        loop {
            let (wanted, began) = (request(after.take()), Instant::now());
            let page = insist(what, async || ask(wanted.clone()).await).await?;
            page.items.into_iter().for_each(&mut take);
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
            self.rest(began).await;
        }
    }
}
