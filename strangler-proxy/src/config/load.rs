//! Where a configuration comes from: the file, the state file over it, the environment, flags. What is wrong is told with
//! the file's line.

use std::{
    fs,
    path::{Path, PathBuf},
};

use settings::{SettingsError, Sources};
use sha2::{Digest, Sha256};

use super::{
    Config, ConfigError, Fault, Leads, ListenPart, Revision, Snapshot,
    compile::{Home, compile},
    fault::KeyPath,
    freed,
    place::Places,
    unknown::unknown_keys,
};
use crate::steer::overlay::Overlay;

/// Variables begin with this.
const PREFIX: &str = "STRANGLER_PROXY";

/// The largest configuration file: thousands of routes fit.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// What a configuration is made from.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// The file; none for the one-liner.
    pub file: Option<PathBuf>,
    /// What the command line gave: the flag, the key, the value.
    pub flags: Vec<(String, String, String)>,
    /// The listeners of the program that the proxy is a part of; they come before the file's.
    pub listen: Option<Vec<ListenPart>>,
    /// Where the program that the proxy is a part of leads groups of routes.
    pub leads: Leads,
    /// The variables.
    pub environment: Vec<(String, String)>,
}

/// A configuration that is whole.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// How to log: of what it says all that the engine does not work from.
    pub log: telemetry::Logging,
    /// What the engine works from.
    pub snapshot: Snapshot,
    /// The state file's toggles that are in force.
    pub overlay: Overlay,
    /// The file's text.
    pub text: String,
}

impl Source {
    /// A file, and the process's environment.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { file: Some(path.into()), environment: settings::variables(), ..Self::default() }
    }

    /// The same with a value of the command line.
    #[must_use]
    pub fn flag(mut self, flag: &str, key: &str, value: impl Into<String>) -> Self {
        self.flags.push((flag.to_owned(), key.to_owned(), value.into()));
        self
    }
}

/// Reads everything that the source names.
pub fn load(source: &Source) -> Result<Loaded, ConfigError> {
    let text = match &source.file {
        Some(path) => read(path)?,
        None => String::new(),
    };
    load_text(source, text, None)
}

/// The same with the texts at hand that are about to be written; the state file's as it stands where absent.
pub fn load_text(
    source: &Source,
    text: String,
    overlay: Option<Overlay>,
) -> Result<Loaded, ConfigError> {
    let length = text.len();
    let loaded = checked(source, text, overlay);
    freed::release(length);
    loaded
}

fn checked(source: &Source, text: String, overlay: Option<Overlay>) -> Result<Loaded, ConfigError> {
    let origin = source.file.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    let places = Places::of(&text).map_err(|syntax| {
        let mut fault = Fault::at(&KeyPath::root(), format_args!("is not TOML: {}", syntax.what));
        (fault.origin, fault.line) = (origin.clone(), Some(syntax.line));
        ConfigError::Faults(vec![fault])
    })?;
    let locate = |faults: &mut [Fault]| {
        for fault in faults {
            if fault.origin.is_empty() {
                fault.origin.clone_from(&origin);
                fault.line = fault.line.or_else(|| places.line(&fault.path));
            }
        }
    };
    let located = |mut faults: Vec<Fault>| {
        locate(&mut faults);
        faults.sort_by_key(|fault| fault.line);
        ConfigError::Faults(faults)
    };
    let unknown = unknown_keys(&places.root);
    if !unknown.is_empty() {
        return Err(located(unknown));
    }
    let mut config = layered(source, &text).map_err(|fault| located(vec![*fault]))?;
    source.leads.apply(&mut config);
    // The state file's place may stand in the configuration, so it is found first and read then.
    let home = Home { file: source.file.as_deref() };
    let bare = compile(&config, home, Revision::default()).map_err(located)?;
    let overlay = match overlay {
        Some(overlay) => overlay,
        None => Overlay::read(&bare.files.state)?,
    };
    overlay.apply(&mut config);
    source.leads.apply(&mut config);
    let revision = revision(&text, &overlay);
    // Most proxies have no state file: then what was checked is what is meant.
    let mut snapshot = if overlay.routes.is_empty() {
        Snapshot { revision, ..bare }
    } else {
        compile(&config, home, revision).map_err(|mut faults| {
            for fault in &mut faults {
                fault.origin = bare.files.state.display().to_string();
            }
            ConfigError::Faults(faults)
        })?
    };
    source.leads.bind(&mut snapshot);
    let mut warnings = snapshot.warnings.to_vec();
    locate(&mut warnings);
    snapshot.warnings = warnings.into();
    Ok(Loaded { log: config.log, snapshot, overlay, text })
}

fn layered(source: &Source, text: &str) -> Result<Config, Box<Fault>> {
    let path = source.file.as_deref().unwrap_or(Path::new("(none)"));
    let mut sources =
        Sources::new(PREFIX).text(path, text).environment(source.environment.iter().cloned());
    for (flag, key, value) in &source.flags {
        sources = sources.flag(flag, key, value.as_str());
    }
    match sources.load::<Config>() {
        Ok(loaded) => {
            let mut config = loaded.config;
            if let Some(listen) = &source.listen {
                config.listen.clone_from(listen);
            }
            Ok(config)
        }
        Err(SettingsError::Value { key, origin, detail }) => {
            let mut fault = Fault::at(&KeyPath::parse(&key), plain(&detail));
            if origin.starts_with("--") || origin.starts_with(PREFIX) {
                fault.origin = origin;
            }
            Err(Box::new(fault))
        }
        Err(error) => {
            let mut fault = Fault::at(&KeyPath::root(), format_args!("{error}"));
            if let SettingsError::UnknownKey { origin, .. } = error {
                fault.origin = origin;
            }
            Err(Box::new(fault))
        }
    }
}

/// The `config` crate repeats the key behind its message.
fn plain(detail: &str) -> &str {
    detail.split(" for key `").next().unwrap_or(detail)
}

fn read(path: &Path) -> Result<String, ConfigError> {
    let failed = |source| ConfigError::File { path: path.to_owned(), source };
    if fs::metadata(path).map_err(failed)?.len() > FILE_BYTES_MAX {
        let mut fault =
            Fault::at(&KeyPath::root(), format_args!("is larger than {FILE_BYTES_MAX} bytes"));
        fault.origin = path.display().to_string();
        return Err(ConfigError::Faults(vec![fault]));
    }
    fs::read_to_string(path).map_err(failed)
}

/// The version that edits name: it follows from what the files say, so it is the same in the command line's process, in
/// the server's and after a restart.
fn revision(text: &str, overlay: &Overlay) -> Revision {
    let mut hash = Sha256::new();
    hash.update(text.as_bytes());
    hash.update([0]);
    hash.update(overlay.text().as_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    let [a, b, c, d, e, f, ..] = digest;
    Revision([a, b, c, d, e, f])
}
