//! What can be wrong with a configuration: each in one line that names the key.

use std::path::PathBuf;

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no TOML.
    #[error("the configuration file {} is not TOML: {detail}", path.display())]
    Syntax {
        /// Which.
        path: PathBuf,
        /// Where and why, in one line.
        detail: String,
    },
    /// A key that there is not.
    #[error("unknown setting `{key}` ({origin}){}", hint(suggestion.as_deref()))]
    UnknownKey {
        /// The key, or the variable's name.
        key: String,
        /// Where it stands.
        origin: String,
        /// The nearest key that there is.
        suggestion: Option<String>,
    },
    /// A variable that two keys could mean.
    #[error(
        "`{variable}` could mean `{first}` or `{second}`: write it with `__` between the parts"
    )]
    Ambiguous {
        /// The variable.
        variable: String,
        /// One key.
        first: String,
        /// The other.
        second: String,
    },
    /// A value that its key cannot have.
    #[error("setting `{key}` ({origin}): {detail}")]
    Value {
        /// The key.
        key: String,
        /// Where it stands.
        origin: String,
        /// What is wrong.
        detail: String,
    },
    /// The defaults cannot be written down: a bug.
    #[error("the default configuration cannot be written down")]
    Defaults(#[source] serde_json::Error),
}

fn hint(suggestion: Option<&str>) -> String {
    suggestion.map(|key| format!("; did you mean `{key}`?")).unwrap_or_default()
}
