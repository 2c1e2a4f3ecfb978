//! How configuration is loaded, layered, checked and shown: defaults compiled in, then a file, then the environment, then
//! the command line. The one place that reads the environment.
//!
//! A configuration is a struct with `Default`, `Serialize` and `Deserialize`; its default value says which keys there are.
//! Structs in it carry `#[serde(default, deny_unknown_fields)]`.
//!
//! ```
//! use settings::{Duration, Secret, Sources};
//!
//! #[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
//! #[serde(default, deny_unknown_fields)]
//! struct Config {
//!     http: Http,
//!     token: Option<Secret<String>>,
//! }
//! #[derive(Debug, serde::Serialize, serde::Deserialize)]
//! #[serde(default, deny_unknown_fields)]
//! struct Http {
//!     keep_alive: Duration,
//! }
//! impl Default for Http {
//!     fn default() -> Self {
//!         Self { keep_alive: Duration::from_secs(75) }
//!     }
//! }
//!
//! let loaded = Sources::new("BANYAN")
//!     .environment([("BANYAN_HTTP_KEEP_ALIVE".to_owned(), "30s".to_owned())])
//!     .flag("--token", "token", "hush")
//!     .load::<Config>()?;
//! assert_eq!(loaded.config.http.keep_alive.get().as_secs(), 30);
//! let shown: Vec<_> = loaded.settings.iter().map(|s| format!("{} = {} ({})", s.key, s.value, s.origin)).collect();
//! assert_eq!(shown, [
//!     "http.keep_alive = 30s (BANYAN_HTTP_KEEP_ALIVE)",
//!     "token = ******** (--token)",
//! ]);
//! # Ok::<(), settings::SettingsError>(())
//! ```
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may")
)]

mod duration;
mod environment;
mod error;
mod keys;
mod load;
mod secret;
mod size;
#[cfg(test)]
mod tests;

pub use duration::{Duration, DurationError, some_time};
pub use environment::{variable, variables};
pub use error::SettingsError;
pub use load::{Loaded, Origin, Setting, Sources};
pub use secret::{MASK, Secret};
pub use size::{ByteSize, ByteSizeError};
