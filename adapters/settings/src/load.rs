//! Layering: defaults, file, environment, command line.

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
};

use config::{Config, File, FileFormat};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    MASK, SettingsError, environment,
    keys::{Known, leaves},
};

/// Where a configuration comes from, in rising order of strength.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    prefix: String,
    ignored: Vec<String>,
    file: Option<PathBuf>,
    /// The file's text, where it is at hand.
    text: Option<String>,
    environment: Vec<(String, String)>,
    flags: Vec<(String, String, String)>,
}

/// A configuration in force.
#[derive(Debug, Clone)]
pub struct Loaded<C> {
    /// The values.
    pub config: C,
    /// Each key with its value in force and where it is from, secrets masked: the rows of `banyan config`.
    pub settings: Vec<Setting>,
}

/// One key in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// The key, `http.keep_alive`.
    pub key: String,
    /// The value, masked where it is a secret; empty where there is none.
    pub value: String,
    /// Where it is from.
    pub origin: Origin,
}

/// Where a value is from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "from", content = "name", rename_all = "snake_case")]
pub enum Origin {
    /// Compiled in.
    Default,
    /// This file.
    File(String),
    /// This variable.
    Environment(String),
    /// This command line flag.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::File(name) | Self::Environment(name) | Self::Flag(name) => name,
        })
    }
}

impl Sources {
    /// Defaults only; variables will be those that begin with `prefix` and `_`.
    pub fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), ..Self::default() }
    }

    /// Reads this file; it must be there.
    #[must_use]
    pub fn file(self, path: impl Into<PathBuf>) -> Self {
        Self { file: Some(path.into()), ..self }
    }

    /// Takes this as the text of a file that was read already, or is about to be written.
    #[must_use]
    pub fn text(self, path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        Self { file: Some(path.into()), text: Some(text.into()), ..self }
    }

    /// Reads this file where it is there and no other was named.
    #[must_use]
    pub fn file_if_present(self, path: impl AsRef<Path>) -> Self {
        if self.file.is_none() && path.as_ref().is_file() {
            return self.file(path.as_ref());
        }
        self
    }

    /// Reads the process's environment.
    #[must_use]
    pub fn process_environment(self) -> Self {
        self.environment(environment::variables())
    }

    /// Reads these variables as the environment.
    #[must_use]
    pub fn environment(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        self.environment.extend(variables);
        self
    }

    /// Leaves alone variables that begin with this, prefix included, such as `BANYAN_TEST_`.
    #[must_use]
    pub fn ignoring(mut self, start: &str) -> Self {
        self.ignored.push(start.to_owned());
        self
    }

    /// A value that the command line gave: `--listen`, `http.listen`, `127.0.0.1:8080`.
    #[must_use]
    pub fn flag(mut self, flag: &str, key: &str, value: impl Into<String>) -> Self {
        self.flags.push((flag.to_owned(), key.to_owned(), value.into()));
        self
    }

    /// Layers everything and checks it: unknown keys and wrong values are refused with their name.
    pub fn load<C: Serialize + DeserializeOwned + Default>(
        &self,
    ) -> Result<Loaded<C>, SettingsError> {
        let defaults = serde_json::to_value(C::default()).map_err(SettingsError::Defaults)?;
        let known = Known::of(&defaults);
        let mut origins = BTreeMap::new();
        let mut builder = Config::builder();
        for (key, value) in leaves(&defaults) {
            // A masked secret is not its value; its struct's own default stands in.
            if !value.is_null() && value.as_str() != Some(MASK) && !is_empty_table(&value) {
                builder = layer(builder.set_default(&key, plain(&value)), &key, &Origin::Default)?;
            }
        }
        if let Some(path) = &self.file {
            let text = self.read_file(path, &known, &mut origins)?;
            builder = builder.add_source(File::from_str(&text, FileFormat::Toml));
        }
        for (key, value, origin) in self.overrides(&known)? {
            let value = if known.is_list(&key) { list(&value) } else { value.into() };
            builder = layer(builder.set_override(&key, value), &key, &origin)?;
            origins.insert(key, origin);
        }
        let merged = layer(builder.build(), "", &Origin::Default)?;
        let config = read::<C>(merged, &origins)?;
        let settings = settings(&config, &origins)?;
        Ok(Loaded { config, settings })
    }

    fn read_file(
        &self,
        path: &Path,
        known: &Known,
        origins: &mut BTreeMap<String, Origin>,
    ) -> Result<String, SettingsError> {
        let text = match &self.text {
            Some(text) => text.clone(),
            None => fs::read_to_string(path)
                .map_err(|source| SettingsError::File { path: path.to_owned(), source })?,
        };
        let syntax = |error: config::ConfigError| SettingsError::Syntax {
            path: path.to_owned(),
            detail: one_line(&error.to_string()),
        };
        let alone = Config::builder().add_source(File::from_str(&text, FileFormat::Toml));
        let document: Value = alone.build().map_err(syntax)?.try_deserialize().map_err(syntax)?;
        let origin = Origin::File(path.display().to_string());
        for (key, _) in leaves(&document) {
            if key.is_empty() {
                continue;
            }
            if !known.has(&key) {
                return Err(unknown(known, &key, &origin));
            }
            origins.insert(key, origin.clone());
        }
        Ok(text)
    }

    /// What the environment and then the command line set, in that order.
    fn overrides(&self, known: &Known) -> Result<Vec<(String, String, Origin)>, SettingsError> {
        let mut found = Vec::new();
        let start = format!("{}_", self.prefix);
        for (variable, value) in &self.environment {
            let Some(name) = variable.strip_prefix(&start) else { continue };
            if self.ignored.iter().any(|ignored| variable.starts_with(ignored.as_str())) {
                continue;
            }
            let origin = Origin::Environment(variable.clone());
            match known.meant_by(name).as_slice() {
                [key] => found.push((key.clone(), value.clone(), origin)),
                [] => {
                    let dotted = name.trim_start_matches('_').to_ascii_lowercase();
                    return Err(unknown(known, &dotted.replace("__", "."), &origin));
                }
                [first, second, ..] => {
                    return Err(SettingsError::Ambiguous {
                        variable: variable.clone(),
                        first: first.clone(),
                        second: second.clone(),
                    });
                }
            }
        }
        for (flag, key, value) in &self.flags {
            let origin = Origin::Flag(flag.clone());
            if !known.has(key) {
                return Err(unknown(known, key, &origin));
            }
            found.push((key.clone(), value.clone(), origin));
        }
        Ok(found)
    }
}

fn unknown(known: &Known, key: &str, origin: &Origin) -> SettingsError {
    let suggestion = known.nearest(key);
    SettingsError::UnknownKey { key: key.to_owned(), origin: origin.to_string(), suggestion }
}

fn layer<T>(
    made: Result<T, config::ConfigError>,
    key: &str,
    origin: &Origin,
) -> Result<T, SettingsError> {
    made.map_err(|error| value_error(key, origin, &error.to_string()))
}

fn value_error(key: &str, origin: &Origin, detail: &str) -> SettingsError {
    let detail = one_line(detail);
    SettingsError::Value { key: key.to_owned(), origin: origin.to_string(), detail }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn read<C: DeserializeOwned>(
    merged: Config,
    origins: &BTreeMap<String, Origin>,
) -> Result<C, SettingsError> {
    serde_path_to_error::deserialize(merged).map_err(|error| {
        let key = error.path().to_string();
        let origin = origins.get(&key).unwrap_or(&Origin::Default);
        value_error(&key, origin, &error.inner().to_string())
    })
}

fn settings<C: Serialize>(
    config: &C,
    origins: &BTreeMap<String, Origin>,
) -> Result<Vec<Setting>, SettingsError> {
    let document = serde_json::to_value(config).map_err(SettingsError::Defaults)?;
    let setting = |(key, value): (String, Value)| {
        // A secret that is written as a table `{ file = … }` has its origin one level down.
        let below = format!("{key}.");
        let found = origins.get(&key).or_else(|| {
            origins
                .range(below.clone()..)
                .next()
                .filter(|(at, _)| at.starts_with(&below))
                .map(|(_, origin)| origin)
        });
        let origin = found.cloned().unwrap_or(Origin::Default);
        Setting { key, value: shown(&value), origin }
    };
    Ok(leaves(&document).into_iter().map(setting).collect())
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(","),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

fn is_empty_table(value: &Value) -> bool {
    value.as_object().is_some_and(|table| table.is_empty())
}

/// A value in the words of the `config` crate.
fn plain(value: &Value) -> config::Value {
    let kind = match value {
        Value::Null => config::ValueKind::Nil,
        Value::Bool(it) => (*it).into(),
        Value::Number(it) => match (it.as_i64(), it.as_u64(), it.as_f64()) {
            (Some(it), _, _) => it.into(),
            (None, Some(it), _) => it.into(),
            (None, None, it) => it.unwrap_or_default().into(),
        },
        Value::String(it) => it.clone().into(),
        Value::Array(items) => config::ValueKind::Array(items.iter().map(plain).collect()),
        Value::Object(members) => config::ValueKind::Table(
            members.iter().map(|(name, member)| (name.clone(), plain(member))).collect(),
        ),
    };
    config::Value::new(None, kind)
}

/// `a,b, c` as a list; nothing between two commas is nothing.
fn list(text: &str) -> config::Value {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    let items = items.map(|item| config::Value::new(None, item)).collect::<Vec<_>>();
    config::Value::new(None, config::ValueKind::Array(items))
}
