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
    /// Beside a shop that trades, whose requests come first: small pages, and a rest after each.
    Beside,
}

/// A page of a list that is read beside a shop: what it takes is about what a request of a buyer takes.
const PAGE_BESIDE: u32 = 100;

/// A rest is so many times as long as the page before it took: of a processor, a third is used.
const REST: u32 = 2;

/// The longest rest: where a page takes longer than half of it, it waited for something else.
const REST_MAX: Duration = Duration::from_millis(50);

impl Pace {
    /// The page after this cursor.
    pub fn request(self, after: Option<String>) -> PageRequest {
        let limit = match self {
            Self::Full => PAGE_LIMIT_MAX,
            Self::Beside => PAGE_BESIDE,
        };
        PageRequest { after, limit: Some(limit) }
    }

    /// Rests after a page that was asked for then.
    pub async fn rest(self, since: Instant) {
        match self {
            Self::Full => {}
            Self::Beside => tokio::time::sleep((since.elapsed() * REST).min(REST_MAX)).await,
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
            let (wanted, began) = (self.request(after.take()), Instant::now());
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
