//! What can be wrong with a configuration: each fault with its key and, where it stands in the file, its line.

use std::{fmt, path::PathBuf};

use serde::Serialize;

/// One step of the way to a value: a key, or a place in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A key of a table.
    Key(String),
    /// An entry of a list.
    Index(usize),
}

/// The way to a value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyPath(pub Vec<Step>);

impl KeyPath {
    /// The file itself.
    pub fn root() -> Self {
        Self::default()
    }

    /// The value of a key below this.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        let mut steps = self.0.clone();
        steps.push(Step::Key(key.to_owned()));
        Self(steps)
    }

    /// An entry of this list.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        let mut steps = self.0.clone();
        steps.push(Step::Index(index));
        Self(steps)
    }

    /// Reads `routes[3].limits.body`, as serde's path tells it.
    pub fn parse(text: &str) -> Self {
        let mut steps = Vec::new();
        for part in text.split('.').filter(|part| !part.is_empty() && *part != "?") {
            let (key, indices) = part.split_once('[').unwrap_or((part, ""));
            if !key.is_empty() {
                steps.push(Step::Key(key.to_owned()));
            }
            let numbers =
                indices.split('[').filter_map(|index| index.trim_end_matches(']').parse().ok());
            steps.extend(numbers.map(Step::Index));
        }
        Self(steps)
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if at > 0 => write!(f, ".{key}")?,
                Step::Key(key) => f.write_str(key)?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The file, variable or flag; empty where the configuration was made in the program.
    pub origin: String,
    /// The line in the file.
    pub line: Option<usize>,
    /// The key.
    pub key: String,
    /// What is wrong, and what to do.
    pub what: String,
    /// The way to the value, from which the line is found.
    #[serde(skip)]
    pub path: KeyPath,
    /// Files that it is about: when one of them changes, the configuration is worth another look.
    #[serde(skip)]
    pub about: Vec<PathBuf>,
}

impl Fault {
    /// A fault of a value.
    pub fn at(path: &KeyPath, what: impl fmt::Display) -> Self {
        Self {
            origin: String::new(),
            line: None,
            key: path.to_string(),
            what: what.to_string(),
            path: path.clone(),
            about: Vec::new(),
        }
    }
}

/// `shop.toml:12: routes[1].weight: what to do`
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.origin.as_str(), self.line) {
            ("", _) => {}
            (origin, Some(line)) => write!(f, "{origin}:{line}: ")?,
            (origin, None) => write!(f, "{origin}: ")?,
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.what)
    }
}

/// A configuration that cannot be used; the one in force stays.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is wrong.
    #[error("{}", list(.0))]
    Faults(Vec<Fault>),
}

impl ConfigError {
    /// What is wrong, where it is more than that a file cannot be read.
    pub fn faults(&self) -> &[Fault] {
        match self {
            Self::File { .. } => &[],
            Self::Faults(faults) => faults,
        }
    }
}

fn list(faults: &[Fault]) -> String {
    faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("\n")
}
