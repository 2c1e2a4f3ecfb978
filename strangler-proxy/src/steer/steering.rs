//! The one who changes things: reads, checks, writes, records, puts in force; one change at a time.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::{
    Audit, Record, Shared, Toggle,
    audit::Open,
    clock,
    looked::{Seen, seen},
    overlay::Toggled,
    toggle::{self, EditError},
    write,
};
use crate::config::{
    ConfigError, Fault, Holds, Kill, KillSource, Loaded, Revision, Route, Snapshot, Source, load,
    load_text, unknown::nearest,
};
use crate::tls;

/// Who changes something where a file has changed.
const BY_FILE: &str = "file";

/// The longest reason that is kept.
const REASON_BYTES_MAX: usize = 1000;

/// Steers a proxy, running or not: the command line uses it on the file alone when no proxy answers.
pub struct Steering {
    source: Source,
    shared: Shared,
    audit: Option<Audit>,
    /// Held for one change from its reading to its being in force, files and disks included.
    state: Mutex<State>,
    /// What is held over the files' word. Held only while a snapshot is put in force, never for a file: so that the kill
    /// switch waits for nothing that can hang. Locked after `state` where both are.
    holds: Mutex<Holds>,
    /// Was the kill file there at the last look? Set with `state` locked.
    kill_file: AtomicBool,
}

struct State {
    loaded: Loaded,
    seen: Vec<Option<Seen>>,
    config: ConfigState,
    /// Files that a configuration which was refused is about: when one is mended, it is worth another look.
    suspects: Vec<PathBuf>,
    /// When the log was last told of certificates that end soon.
    warned: Instant,
}

/// How often the log is told of a certificate that ends soon.
const WARN: Duration = Duration::from_secs(24 * 3600);

/// How the file stands to what is in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ConfigState {
    /// What the files say is in force.
    InForce {
        /// Since when.
        since: String,
    },
    /// What the files say is wrong, and what was in force before still is.
    Refused {
        /// Since when.
        since: String,
        /// What is wrong.
        faults: Vec<String>,
    },
}

impl ConfigState {
    /// The same state for the same reasons, whenever it began.
    fn says_the_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Refused { faults, .. }, Self::Refused { faults: others, .. }) => {
                faults == others
            }
            (Self::InForce { .. }, Self::InForce { .. }) => true,
            (Self::InForce { .. }, Self::Refused { .. })
            | (Self::Refused { .. }, Self::InForce { .. }) => false,
        }
    }
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Switch {
    /// On.
    On,
    /// Off.
    Off,
}

/// Whose toggle, and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// A route or a group.
    pub name: String,
    /// The revision that the caller has seen; any where absent.
    pub expected: Option<String>,
    /// Who asks.
    pub who: String,
    /// Why.
    pub why: String,
}

/// What a toggle has changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Changed {
    /// The routes, with their toggles before and after.
    pub routes: BTreeMap<String, (Toggle, Toggle)>,
    /// The revision now.
    pub revision: String,
    /// The file that it was written to: the configuration, or the state file over it.
    pub written: PathBuf,
    /// Is that the state file?
    pub over_the_file: bool,
    /// The commands that undo it.
    pub undo: Vec<String>,
    /// What should be known besides.
    pub notes: Vec<String>,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum SteerError {
    /// No such route or group.
    #[error("there is no route or group `{name}`{}", hint(suggestion.as_deref()))]
    Unknown {
        /// What was asked for.
        name: String,
        /// What was probably meant.
        suggestion: Option<String>,
    },
    /// Somebody else was faster.
    #[error(
        "the configuration is at version {current}, not {expected}: look at what changed, then ask again"
    )]
    Version {
        /// In the files now.
        current: String,
        /// What the caller has seen.
        expected: String,
    },
    /// The files, or what they would become, are wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The file's text cannot be edited.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// A reason is too long or has control characters.
    #[error("a reason is one line of at most {REASON_BYTES_MAX} bytes")]
    Reason,
    /// Something cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn hint(suggestion: Option<&str>) -> String {
    suggestion.map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default()
}

impl Steering {
    /// Takes the wheel of a configuration that was loaded. The kill file is looked at before anything is in force, so
    /// that a proxy that was killed comes back killed.
    pub fn new(source: Source, loaded: Loaded) -> Self {
        let files = loaded.snapshot.files.clone();
        let mut holds = Holds::default();
        let kill_file = source.file.is_some() && files.kill.exists();
        if kill_file {
            let reason = kill_reason(&files.kill);
            holds.kill = Some(Kill { source: KillSource::File, reason });
        }
        let snapshot = loaded.snapshot.clone().held(&holds);
        let shared = Shared::new(snapshot);
        let config = ConfigState::InForce { since: clock::now() };
        let (suspects, warned) = (Vec::new(), Instant::now());
        let seen = seen(&source, &loaded, &suspects);
        let state = State { loaded, seen, config, suspects, warned };
        // Without a configuration file nothing is written.
        let audit = source.file.as_ref().map(|_| Audit::at(files.audit));
        Self {
            source,
            shared,
            audit,
            state: Mutex::new(state),
            holds: Mutex::new(holds),
            kill_file: AtomicBool::new(kill_file),
        }
    }

    /// The snapshot in force.
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The configuration's file.
    pub fn file(&self) -> Option<&Path> {
        self.source.file.as_deref()
    }

    /// How the files stand to what is in force.
    pub fn config_state(&self) -> ConfigState {
        self.lock().config.clone()
    }

    /// The routes whose toggle the state file has.
    pub fn over_the_file(&self) -> Vec<String> {
        self.lock().loaded.overlay.routes.keys().cloned().collect()
    }

    /// Writes down that the proxy runs.
    pub fn started(&self, who: &str) {
        let snapshot = self.shared.get();
        tls::warn(&snapshot);
        self.note(&Record {
            what: "start".into(),
            who: who.into(),
            revision: snapshot.revision.to_string(),
            ..Record::default()
        });
    }

    /// Looks whether a file has changed, and follows it.
    pub fn look(&self) {
        let kill = self.shared.get().files.kill.clone();
        let state = match self.state.try_lock() {
            Ok(state) => Some(state),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        };
        let there = self.file().is_some() && kill.exists();
        let was_there = self.kill_file.load(Ordering::SeqCst);
        // While somebody changes something and may hang, the switch is only thrown: it is taken back when it is sure that
        // it was not just that somebody who throws it.
        if there != was_there && (there || state.is_some()) {
            self.kill_file.store(there, Ordering::SeqCst);
            let switch = if there { Switch::On } else { Switch::Off };
            let reason = if there { kill_reason(&kill) } else { String::new() };
            let is_thrown = self.throw(switch, KillSource::File, &reason);
            self.tell(switch, "file", &reason, is_thrown);
        }
        let Some(mut state) = state else { return };
        let now = seen(&self.source, &state.loaded, &state.suspects);
        if now != state.seen {
            state.seen = now;
            drop(self.take_up(&mut state, BY_FILE));
        }
        if state.warned.elapsed() >= WARN {
            state.warned = Instant::now();
            tls::warn(&self.shared.get());
        }
    }

    /// Reads the files again. What is wrong is refused whole, and what was in force stays.
    pub fn reload(&self, who: &str) -> Result<Revision, ConfigError> {
        let mut state = self.lock();
        state.seen = seen(&self.source, &state.loaded, &state.suspects);
        self.take_up(&mut state, who)
    }

    fn take_up(&self, state: &mut State, who: &str) -> Result<Revision, ConfigError> {
        let before = self.shared.get();
        match load(&self.source) {
            Ok(loaded) => {
                let revision = loaded.snapshot.revision;
                let was_refused = matches!(state.config, ConfigState::Refused { .. });
                let is_renewed = loaded.snapshot.material != before.material;
                if revision == before.revision && !is_renewed && !was_refused {
                    return Ok(revision);
                }
                let changes = changes(&before, &loaded.snapshot);
                self.put(state, loaded);
                tracing::info!(%revision, who, is_renewed, "the configuration is in force");
                tls::warn(&self.shared.get());
                let renewed = "certificates, keys or authorities have changed".to_owned();
                self.note(&Record {
                    what: "reload".into(),
                    who: who.into(),
                    before: changes.iter().map(|(name, (old, _))| (name.clone(), *old)).collect(),
                    after: changes.iter().map(|(name, (_, new))| (name.clone(), *new)).collect(),
                    undo: self.undo(&changes),
                    revision_before: before.revision.to_string(),
                    revision: revision.to_string(),
                    notes: is_renewed.then_some(renewed).into_iter().collect(),
                    ..Record::default()
                });
                Ok(revision)
            }
            Err(error) => {
                let faults: Vec<String> = match error.faults() {
                    [] => vec![chain(&error)],
                    faults => faults.iter().map(Fault::to_string).collect(),
                };
                let about = error.faults().iter().flat_map(|fault| fault.about.clone());
                state.suspects = about.collect();
                let known = ConfigState::Refused { since: String::new(), faults: faults.clone() };
                if who == BY_FILE && state.config.says_the_same(&known) {
                    return Err(error);
                }
                tracing::error!(
                    ?faults,
                    who,
                    "the configuration is refused; the one in force stays"
                );
                self.note(&Record {
                    what: "refused".into(),
                    who: who.into(),
                    notes: faults.clone(),
                    revision_before: before.revision.to_string(),
                    ..Record::default()
                });
                state.config = ConfigState::Refused { since: clock::now(), faults };
                Err(error)
            }
        }
    }

    /// Sets the toggle of a route or of all routes of a group, in the file.
    pub fn toggle(&self, target: &Target, toggle: Toggle) -> Result<Changed, SteerError> {
        check_reason(&target.why)?;
        // Held until the end: another process that toggles waits here. Before the state, which others here want.
        let mut log = self.open()?;
        let mut state = self.lock();
        // The truth is what the files say now, not what was read of them at some time.
        let loaded = load(&self.source)?;
        let before = loaded.snapshot.clone();
        if let Some(expected) = &target.expected
            && *expected != before.revision.to_string()
        {
            let current = before.revision.to_string();
            return Err(SteerError::Version { current, expected: expected.clone() });
        }
        let names = names(&before, &target.name)?;
        let (after, written, over_the_file) = self.write(loaded, &names, toggle)?;
        let routes = changes(&before, &after.snapshot);
        let changed = Changed {
            undo: self.undo(&routes),
            notes: notes(&after.snapshot, &self.shared.get(), &names),
            revision: after.snapshot.revision.to_string(),
            routes,
            written,
            over_the_file,
        };
        let record = Record {
            what: "toggle".into(),
            who: target.who.clone(),
            why: target.why.clone(),
            target: target.name.clone(),
            before: changed.routes.iter().map(|(name, (old, _))| (name.clone(), *old)).collect(),
            after: changed.routes.iter().map(|(name, (_, new))| (name.clone(), *new)).collect(),
            revision_before: before.revision.to_string(),
            revision: changed.revision.clone(),
            undo: changed.undo.clone(),
            ..Record::default()
        };
        self.put(&mut state, after);
        // What `seen` has stays as it is: the next look reads the file, and whatever somebody has saved since.
        if let Some((path, log)) = &mut log {
            let path = path.clone();
            log.append(&record).map_err(|source| SteerError::Write { path, source })?;
        }
        Ok(changed)
    }

    /// Writes the toggle to the file, or over it where it cannot be written.
    fn write(
        &self,
        loaded: Loaded,
        names: &[String],
        toggle: Toggle,
    ) -> Result<(Loaded, PathBuf, bool), SteerError> {
        let state_path = loaded.snapshot.files.state.clone();
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| SteerError::Write { path, source }
        };
        let mut overlay = loaded.overlay.clone();
        if let Some(path) = self.source.file.as_deref().filter(|path| write::is_writable(path)) {
            let routes: Vec<&str> = names.iter().map(String::as_str).collect();
            let text = toggle::edit(&loaded.text, &routes, toggle)?;
            // What the state file said of these routes would hide what the file says now.
            overlay.routes.retain(|name, _| !names.contains(name));
            let after = load_text(&self.source, text.clone(), Some(overlay.clone()))?;
            write::replace(path, &text).map_err(failed(path))?;
            if overlay != loaded.overlay {
                write_overlay(&state_path, &overlay.text()).map_err(failed(&state_path))?;
            }
            return Ok((after, path.to_owned(), false));
        }
        for name in names {
            overlay
                .routes
                .insert(name.clone(), Toggled { stage: toggle.stage, weight: toggle.weight });
        }
        let after = load_text(&self.source, loaded.text, Some(overlay.clone()))?;
        write_overlay(&state_path, &overlay.text()).map_err(failed(&state_path))?;
        Ok((after, state_path, true))
    }

    /// Throws the kill switch, or takes it back. Works when nothing else does: whatever cannot be written is noted, and
    /// the switch is thrown all the same.
    pub fn switch(
        &self,
        switch: Switch,
        source: KillSource,
        who: &str,
        reason: &str,
    ) -> Vec<String> {
        // At first, whatever the disk does and whoever holds the files.
        let is_thrown = self.throw(switch, source, reason);
        let state = self.lock();
        let path = state.loaded.snapshot.files.kill.clone();
        let mut notes = Vec::new();
        // The file keeps the switch thrown over a restart. It says what is in force now: somebody else may have come
        // between.
        let now = if self.holds().kill.is_some() { Switch::On } else { Switch::Off };
        let kept = match now {
            Switch::On | Switch::Off if self.file().is_none() => Ok(()),
            Switch::On => write::replace(&path, &format!("{}\n", reason.trim())),
            Switch::Off => write::remove(&path),
        };
        if let Err(error) = kept {
            notes.push(match now {
                Switch::On => format!(
                    "a restart will undo it, for {} cannot be written: {error}",
                    path.display()
                ),
                Switch::Off => format!(
                    "a restart will throw it again, for {} cannot be removed: {error}",
                    path.display()
                ),
            });
        }
        self.kill_file.store(self.file().is_some() && path.exists(), Ordering::SeqCst);
        drop(state);
        self.tell(switch, who, reason, is_thrown);
        notes.extend(retired(&self.shared.get()));
        notes
    }

    /// Says whether it was not so before.
    fn throw(&self, switch: Switch, source: KillSource, reason: &str) -> bool {
        let kill = match switch {
            Switch::On => Some(Kill { source, reason: reason.trim().to_owned() }),
            Switch::Off => None,
        };
        let mut holds = self.holds();
        if holds.kill == kill {
            return false;
        }
        holds.kill = kill;
        // What is in force, not what was read last: that may be held by somebody.
        self.shared.put((*self.shared.get()).clone().held(&holds));
        true
    }

    fn tell(&self, switch: Switch, who: &str, reason: &str, is_thrown: bool) {
        if !is_thrown {
            return;
        }
        let (what, undo) = match switch {
            Switch::On => ("kill", "off"),
            Switch::Off => ("unkill", "on"),
        };
        tracing::warn!(who, reason, "kill switch: {what}");
        self.note(&Record {
            what: what.into(),
            who: who.into(),
            why: reason.trim().into(),
            notes: retired(&self.shared.get())
                .into_iter()
                .filter(|_| switch == Switch::On)
                .collect(),
            undo: vec![format!("strangler-proxy kill {undo}{}", self.flag())],
            ..Record::default()
        });
    }

    /// Parks a route or group, or lets it go. Returns the routes.
    pub fn park(&self, target: &Target, switch: Switch) -> Result<Vec<String>, SteerError> {
        check_reason(&target.why)?;
        let state = self.lock();
        let names = names(&state.loaded.snapshot, &target.name)?;
        let mut holds = self.holds();
        for name in &names {
            match switch {
                Switch::On => holds.parked.insert(name.clone(), ()),
                Switch::Off => holds.parked.remove(name),
            };
        }
        self.shared.put(state.loaded.snapshot.clone().held(&holds));
        drop(holds);
        let what = if switch == Switch::On { "park" } else { "resume" };
        self.note(&Record {
            what: what.into(),
            who: target.who.clone(),
            why: target.why.clone(),
            target: target.name.clone(),
            ..Record::default()
        });
        Ok(names)
    }

    fn put(&self, state: &mut State, loaded: Loaded) {
        self.shared.put(loaded.snapshot.clone().held(&self.holds()));
        state.loaded = loaded;
        state.suspects = Vec::new();
        state.config = ConfigState::InForce { since: clock::now() };
    }

    fn open(&self) -> Result<Option<(PathBuf, Open)>, SteerError> {
        let Some(audit) = &self.audit else { return Ok(None) };
        let path = audit.path().to_owned();
        match audit.open() {
            Ok(log) => Ok(Some((path, log))),
            Err(source) => Err(SteerError::Write { path, source }),
        }
    }

    /// For what has happened already: a log that cannot be written is told, and stops nothing.
    fn note(&self, record: &Record) {
        let Some(audit) = &self.audit else { return };
        if let Err(error) = audit.append(record) {
            let path = audit.path().display();
            tracing::error!(%error, %path, ?record, "the audit log cannot be written");
        }
    }

    fn undo(&self, changes: &BTreeMap<String, (Toggle, Toggle)>) -> Vec<String> {
        let flag = self.flag();
        let command = |(name, (before, _)): (&String, &(Toggle, Toggle))| {
            let weight =
                before.weight.map(|weight| format!(" --weight {weight}")).unwrap_or_default();
            format!("strangler-proxy toggle {name} {}{weight}{flag} --reason undo", before.stage)
        };
        changes.iter().map(command).collect()
    }

    fn flag(&self) -> String {
        self.file().map(|path| format!(" --config {}", path.display())).unwrap_or_default()
    }

    fn holds(&self) -> MutexGuard<'_, Holds> {
        // Changed by single assignments.
        self.holds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change puts its result in at its end, so a panic before it leaves the state of before.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn check_reason(reason: &str) -> Result<(), SteerError> {
    let fits = reason.len() <= REASON_BYTES_MAX && !reason.chars().any(char::is_control);
    fits.then_some(()).ok_or(SteerError::Reason)
}

/// Nothing to say is no file.
fn write_overlay(path: &Path, text: &str) -> io::Result<()> {
    if text.is_empty() { write::remove(path) } else { write::replace(path, text) }
}

fn names(snapshot: &Snapshot, name: &str) -> Result<Vec<String>, SteerError> {
    let rest = snapshot.rest();
    let named = snapshot.named(name).filter(|route| route.id != rest);
    let names: Vec<String> = named.map(|route| route.name.to_string()).collect();
    if !names.is_empty() {
        return Ok(names);
    }
    let known = snapshot.routes.iter().filter(|route| route.id != rest);
    let known = known.flat_map(|route| [Some(&*route.name), route.group.as_deref()]).flatten();
    let suggestion = nearest(name, known).map(str::to_owned);
    Err(SteerError::Unknown { name: name.to_owned(), suggestion })
}

fn toggle_of(route: &Route) -> Toggle {
    Toggle { stage: route.stage, weight: Some(route.weight) }
}

/// The toggles that differ.
fn changes(before: &Snapshot, after: &Snapshot) -> BTreeMap<String, (Toggle, Toggle)> {
    let old: BTreeMap<&str, Toggle> =
        before.routes.iter().map(|route| (&*route.name, toggle_of(route))).collect();
    let changed = after.routes.iter().filter_map(|route| {
        let (old, new) = (*old.get(&*route.name)?, toggle_of(route));
        (old != new).then(|| (route.name.to_string(), (old, new)))
    });
    changed.collect()
}

fn notes(after: &Snapshot, in_force: &Snapshot, names: &[String]) -> Vec<String> {
    let mut notes = Vec::new();
    if in_force.kill.is_some() {
        notes.push("the kill switch is on: until it is off everything goes to the monolith, whatever the stage".to_owned());
    }
    let retires = after.routes.iter().any(|route| {
        names.iter().any(|name| **name == *route.name)
            && route.stage == crate::route::Stage::Retired
    });
    if retires {
        notes
            .push("a retired route has no old side: not even the kill switch goes back".to_owned());
    }
    notes
}

/// Retired routes have nowhere to go back to: whoever throws the switch must know.
fn retired(snapshot: &Snapshot) -> Option<String> {
    let names: Vec<&str> = snapshot
        .routes
        .iter()
        .filter(|route| route.stage == crate::route::Stage::Retired)
        .map(|route| &*route.name)
        .collect();
    (!names.is_empty())
        .then(|| format!("not for what is retired, since it has no old side: {}", names.join(", ")))
}

fn kill_reason(path: &Path) -> String {
    /// A reason, not a book.
    const READ_MAX: usize = 1000;
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(READ_MAX).collect()
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

/// For those who only look: what a running proxy would have in force.
pub fn look_at(source: &Source) -> Result<Arc<Snapshot>, ConfigError> {
    Ok(Steering::new(source.clone(), load(source)?).shared.get())
}

#[cfg(test)]
mod tests;
