//! Lists longer than a page.

use anyhow::Result;
use contract::Answer;
use kernel_api::{PAGE_LIMIT_MAX, Page, PageRequest};

use crate::insist::insist;

/// The page after this cursor, as long as allowed.
pub fn request(after: Option<String>) -> PageRequest {
    PageRequest { after, limit: Some(PAGE_LIMIT_MAX) }
}

/// Shows every item of a list to `take`, page by page.
pub async fn each<T, R: std::fmt::Display>(
    what: &str,
    mut ask: impl AsyncFnMut(PageRequest) -> Answer<Page<T>, R>,
    mut take: impl FnMut(T),
) -> Result<()> {
    let mut after = None;
    loop {
        let wanted = request(after.take());
        let page = insist(what, async || ask(wanted.clone()).await).await?;
        page.items.into_iter().for_each(&mut take);
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}
