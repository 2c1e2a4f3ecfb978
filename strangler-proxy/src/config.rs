//! The configuration: a TOML file, the environment and flags, checked whole and made into an immutable [`Snapshot`].
//!
//! Reading order: [`document`] (what the file may say), [`snapshot`] (what the engine works from), [`compile()`] (from one
//! to the other, every fault with its key), [`load()`] (the sources, and the line of each fault).

pub mod compile;
pub mod document;
pub mod fault;
mod freed;
mod leads;
pub mod load;
pub mod place;
pub mod policy;
pub mod snapshot;
pub mod unknown;
pub mod upstream;

pub use compile::{Holds, compile};
pub use document::{CertificatePart, Config, ListenPart, ListenTable, ListenTlsPart};
pub use fault::{ConfigError, Fault};
pub use leads::{Lead, Leads, Share};
pub use load::{Loaded, Source, load, load_text};
pub use policy::{
    Answer, Balance, Breaker, Fallback, Health, Limits, Outlier, Parking, Protocol, Rate, RateKey,
    Retries, Timeouts,
};
pub use snapshot::{
    AdminPlace, Client, Files, HeaderEdits, Kill, KillSource, ListenAddress, Listener, Redirect,
    Revision, Rewrite, Route, Snapshot, Tester,
};
pub use upstream::{Endpoint, Upstream};

#[cfg(test)]
mod tests;
