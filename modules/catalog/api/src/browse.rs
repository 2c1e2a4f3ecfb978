//! Looking through the products.

use kernel_api::{PageRequest, Text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which products are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Browse {
    /// Only those with this text in the title, a label or a SKU, without regard to case.
    #[serde(default)]
    pub text: Option<Text<100>>,
    /// Whose eyes see them.
    pub shown: Shown,
    /// Which page.
    #[serde(default)]
    pub page: PageRequest,
}

/// Which products somebody may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    /// Those that the public may see.
    Published,
    /// All of them.
    All,
}

/// Why there is no page to show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum PageError {
    /// `after` is not the `next` of a page of this list.
    #[error("`after` is not the `next` of a page of this list")]
    BadCursor,
}
