//! The state file: toggles of routes whose configuration file cannot be written, laid over it.

use std::{collections::BTreeMap, fs, io::ErrorKind, path::Path};

use serde::{Deserialize, Serialize};

use crate::{
    config::{Config, ConfigError, Fault, fault::KeyPath},
    route::{Stage, Weight},
};

/// Toggles by route.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Overlay {
    /// The toggles.
    pub routes: BTreeMap<String, Toggled>,
}

/// What a toggle has set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Toggled {
    /// The stage.
    pub stage: Stage,
    /// The weight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<Weight>,
}

impl Overlay {
    /// Reads the file; no file is no toggle.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(ConfigError::File { path: path.to_owned(), source }),
        };
        toml_edit::de::from_str(&text).map_err(|error| {
            let mut fault = Fault::at(&KeyPath::root(), error.message());
            fault.origin = path.display().to_string();
            ConfigError::Faults(vec![fault])
        })
    }

    /// Lays the toggles over a configuration. One for a route that is gone is left alone.
    pub fn apply(&self, config: &mut Config) {
        for route in &mut config.routes {
            if let Some(toggled) = self.routes.get(&route.name) {
                (route.stage, route.weight) = (toggled.stage, toggled.weight.or(route.weight));
            }
        }
    }

    /// The file's text; empty where there is no toggle.
    pub fn text(&self) -> String {
        if self.routes.is_empty() {
            return String::new();
        }
        let body = toml_edit::ser::to_string_pretty(self).unwrap_or_default();
        format!(
            "# Toggles over a configuration file that cannot be written. Delete this file to go back to what that says.\n\n{body}"
        )
    }
}
