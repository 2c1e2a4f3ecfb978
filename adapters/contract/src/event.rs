//! Events: facts that a module tells others, in the shape of CloudEvents 1.0.

use kernel_api::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

/// A fact that others may hear. Names and versions are stable and never Rust type names.
pub trait Event: Serialize + DeserializeOwned + JsonSchema {
    /// The stable name, `ordering.order.paid`.
    const NAME: &'static str;
    /// Rises when the data's shape changes incompatibly.
    const VERSION: u32;
    /// The aggregate that the fact is about: events of one key are delivered in order.
    fn key(&self) -> String;
}

/// An event as it travels (CloudEvents 1.0, structured JSON mode, with the feed's position as an extension).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Envelope {
    /// The CloudEvents version.
    pub specversion: String,
    /// Unique in its source: a UUIDv7.
    pub id: String,
    /// The module that tells it.
    pub source: String,
    /// The event's stable name.
    #[serde(rename = "type")]
    pub kind: String,
    /// The version of the data's shape.
    pub dataversion: u32,
    /// The aggregate's key.
    pub subject: String,
    /// When it became true.
    pub time: Timestamp,
    /// The dense position in the source's feed, from 1.
    pub position: u64,
    /// The W3C trace that made it true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The fact.
    pub data: Box<RawValue>,
}

impl Envelope {
    /// The fact as `E`, when this envelope carries one; `None` for another event or version.
    pub fn read<E: Event>(&self) -> Option<Result<E, serde_json::Error>> {
        (self.kind == E::NAME && self.dataversion == E::VERSION)
            .then(|| serde_json::from_str(self.data.get()))
    }
}
