//! The one who changes things: reads, checks, writes, records, puts in force; one change at a time.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use planned::Planned;

use super::{
    Audit, Record, Shared, Toggle, audit::Open, clock, looked::Seen, toggle::EditError, write,
};
use crate::config::{
    ConfigError, Holds, Kill, KillSource, Lead, Loaded, Route, Share, Snapshot, Source, load,
    load_text, unknown::nearest,
};
use crate::tls;

/// Who changes something where a file has changed.
const BY_FILE: &str = "file";

/// The longest reason that is kept.
const REASON_BYTES_MAX: usize = 1000;

/// How often a toggle begins anew because somebody has just edited the file.
const EDITS_MAX: usize = 50;

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
    /// How the files stand to what is in force. For whoever looks: with a lock of its own, so that a health check waits for
    /// no disk.
    config: Mutex<ConfigState>,
    /// Was the kill file there at the last look? Set with `state` locked.
    kill_file: AtomicBool,
    /// Groups that nobody may toggle now, and why. Replaced whole.
    reserved: Mutex<BTreeMap<String, String>>,
}

struct State {
    loaded: Loaded,
    seen: Vec<Option<Seen>>,
    /// Has it been read since it was last seen to change?
    is_settled: bool,
    /// Files that a configuration which was refused is about: when one is mended, it is worth another look.
    suspects: Vec<PathBuf>,
    /// When the log was last told of certificates that end soon.
    warned: Instant,
    leaving: Leaving,
}

/// Does another process take this one's place?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaving {
    No,
    /// It is about to.
    HoldsStill,
    /// It has.
    Left,
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
    /// Somebody edits the file all the time.
    #[error("the file is being edited at this moment: ask again")]
    Busy,
    /// Somebody else has the group's toggles for now.
    #[error("`{group}` is not to be toggled now: {why}")]
    Reserved {
        /// Which group.
        group: String,
        /// Why.
        why: String,
    },
    /// Another binary takes over at this moment.
    #[error("another binary takes over at this moment: ask again")]
    Leaving,
    /// Something cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn led(group: &str, Lead { to, share }: &Lead) -> String {
    match share {
        Share::All => format!("{group} is led to {to}"),
        Share::Reads { weight, .. } => {
            format!("{weight} % of the reads of {group} are led to {to}")
        }
    }
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
        let state = State {
            loaded,
            // Nothing of the files has been seen: they may have changed since they were loaded, so the first look reads
            // them.
            seen: Vec::new(),
            is_settled: false,
            suspects: Vec::new(),
            warned: Instant::now(),
            leaving: Leaving::No,
        };
        // Without a configuration file nothing is written.
        let audit = source.file.as_ref().map(|_| Audit::at(files.audit));
        Self {
            source,
            shared,
            audit,
            state: Mutex::new(state),
            holds: Mutex::new(holds),
            config: Mutex::new(config),
            kill_file: AtomicBool::new(kill_file),
            reserved: Mutex::default(),
        }
    }

    /// Has every toggle of these groups refused from now on, each for its reason, and of no others. An edit of the file is
    /// not refused, nor is the kill switch.
    pub fn reserve(&self, groups: BTreeMap<String, String>) {
        *self.reserved() = groups;
    }

    fn reserved(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.reserved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leads these groups from now on, and no others, whatever stage the files say: for the program
    /// that the proxy is a part of. Nobody toggles them meanwhile; the kill switch goes before it. False where it was so.
    ///
    /// It is laid over the text in force, so that a file which somebody is editing stands in nobody's way.
    pub fn lead(
        &self,
        groups: &BTreeMap<String, Lead>,
        who: &str,
        why: &str,
    ) -> Result<bool, ConfigError> {
        let mut state = self.lock();
        let Some(former) = self.source.leads.put(groups) else { return Ok(false) };
        let (text, overlay) = (state.loaded.text.clone(), state.loaded.overlay.clone());
        let loaded = match load_text(&self.source, text, Some(overlay)) {
            Ok(loaded) => loaded,
            Err(refused) => {
                self.source.leads.back(former);
                return Err(refused);
            }
        };
        let before = self.shared.get();
        let changes = changes(&before, &loaded.snapshot);
        self.shared.put(loaded.snapshot.clone().held(&self.holds()));
        self.source.leads.done(&former);
        state.loaded = loaded;
        self.note(&Record {
            why: why.into(),
            revision: before.revision.to_string(),
            notes: groups.iter().map(|(group, lead)| led(group, lead)).collect(),
            ..Record::of("lead", who, &changes)
        });
        Ok(true)
    }

    /// The replica that a group's reads are led to holds all that was committed by `as_of`, and that is told until `until`:
    /// then they go to the old side by themselves. False where no reads are led.
    pub fn fresh(&self, group: &str, as_of: Instant, until: Instant) -> bool {
        self.source.leads.fresh(group, (as_of, until))
    }

    fn check_reserved(&self, snapshot: &Snapshot, names: &[String]) -> Result<(), SteerError> {
        let reserved = self.reserved();
        for name in names {
            for group in snapshot.named(name).filter_map(|route| route.group.as_deref()) {
                let led = || Some(format!("it is led to {}", self.source.leads.of(group)?));
                if let Some(why) = reserved.get(group).cloned().or_else(led) {
                    let group = group.to_owned();
                    return Err(SteerError::Reserved { group, why });
                }
            }
        }
        Ok(())
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
        self.config().clone()
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

    /// Sets the toggle of a route or of all routes of a group, in the file.
    pub fn toggle(&self, target: &Target, toggle: Toggle) -> Result<Changed, SteerError> {
        check_reason(&target.why)?;
        // Held until the end: another process that toggles waits here. Before the state, which others here want.
        let mut log = self.open()?;
        let mut state = self.lock();
        for _ in 0..EDITS_MAX {
            if let Some(changed) = self.try_toggle(&mut state, log.as_mut(), target, toggle)? {
                return Ok(changed);
            }
        }
        Err(SteerError::Busy)
    }

    /// Nothing where somebody has edited the file in this very moment.
    fn try_toggle(
        &self,
        state: &mut State,
        log: Option<&mut (PathBuf, Open)>,
        target: &Target,
        toggle: Toggle,
    ) -> Result<Option<Changed>, SteerError> {
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
        self.check_reserved(&before, &names)?;
        let planned = Planned::of(&self.source, loaded, &names, toggle)?;
        let after = &planned.after.snapshot;
        let routes = changes(&before, after);
        let changed = Changed {
            undo: self.undo(&routes),
            notes: notes(after, &self.shared.get(), &names),
            revision: after.revision.to_string(),
            routes,
            written: planned.written().to_owned(),
            over_the_file: planned.is_over_the_file(),
        };
        let record = Record {
            why: target.why.clone(),
            target: target.name.clone(),
            revision_before: before.revision.to_string(),
            revision: changed.revision.clone(),
            undo: changed.undo.clone(),
            ..Record::of("toggle", &target.who, &changed.routes)
        };
        if !logged(log, &record, || planned.write())? {
            return Ok(None);
        }
        // What `seen` has stays as it is: the next look reads the file, and whatever somebody has saved since.
        self.put(state, planned.after);
        Ok(Some(changed))
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
        if state.leaving != Leaving::No {
            return Err(SteerError::Leaving);
        }
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
        *self.config() = ConfigState::InForce { since: clock::now() };
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

    fn config(&self) -> MutexGuard<'_, ConfigState> {
        self.config.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change puts its result in at its end, so a panic before it leaves the state of before.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The log first: a change that it does not have is worse than a line of a change that a crash has prevented, and the
/// revisions of the next line show which it was. What could not be done is taken back.
fn logged(
    mut log: Option<&mut (PathBuf, Open)>,
    record: &Record,
    change: impl FnOnce() -> Result<bool, SteerError>,
) -> Result<bool, SteerError> {
    if let Some((path, log)) = &mut log {
        let path = path.clone();
        log.append(record).map_err(|source| SteerError::Write { path, source })?;
    }
    let done = change();
    if let (Some((_, log)), Ok(false) | Err(_)) = (log, &done) {
        log.take_back();
    }
    done
}

fn check_reason(reason: &str) -> Result<(), SteerError> {
    let fits = reason.len() <= REASON_BYTES_MAX && !reason.chars().any(char::is_control);
    fits.then_some(()).ok_or(SteerError::Reason)
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

mod follow;
mod leaving;
mod planned;
#[cfg(test)]
mod tests;
