//! Pages of long lists, read by cursor.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How many items a page has when the caller does not say.
pub const PAGE_LIMIT_DEFAULT: u32 = 50;

/// The most items a page may have: bounds the memory of an answer.
pub const PAGE_LIMIT_MAX: u32 = 500;

/// A part of a long list, in a stable order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PageOf{T}")]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins; absent on the last page. Opaque to the caller.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<String>,
}

/// Which page is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PageRequest {
    /// The `next` of the page before; absent for the first page.
    #[serde(default)]
    pub after: Option<String>,
    /// How many items at most, 1 to [`PAGE_LIMIT_MAX`].
    #[serde(default)]
    pub limit: Option<u32>,
}

impl PageRequest {
    /// The limit in force: the default where none was asked, never above the maximum, never zero.
    pub fn limit(&self) -> u32 {
        self.limit.unwrap_or(PAGE_LIMIT_DEFAULT).clamp(1, PAGE_LIMIT_MAX)
    }
}

impl<T> Page<T> {
    /// Makes a page of rows that were read with one more than `limit`, so that the last page is known without a count.
    pub fn of(mut rows: Vec<T>, limit: u32, cursor: impl Fn(&T) -> String) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = if more { rows.last().map(cursor) } else { None };
        Self { items: rows, next }
    }

    /// The same page of other items.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(f).collect(), next: self.next }
    }
}
