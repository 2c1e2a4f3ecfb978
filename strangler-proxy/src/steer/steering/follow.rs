//! Following the files: what has changed is taken up whole or refused whole.

use std::{
    sync::{TryLockError, atomic::Ordering},
    time::Instant,
};

use super::{
    BY_FILE, ConfigState, Leaving, State, Steering, Switch, WARN, chain, changes, kill_reason,
    leaving,
};
use crate::{
    config::{ConfigError, Fault, KillSource, Revision, load},
    steer::{Record, clock, looked::seen},
    tls,
};

impl Steering {
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
        if state.leaving == Leaving::HoldsStill {
            return;
        }
        let now = seen(&self.source, &state.loaded, &state.suspects);
        if now != state.seen || !state.is_settled {
            // Two changes within one tick of the file system's clock look the same, so what has changed is read once more
            // with the next look.
            state.is_settled = now == state.seen;
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
                let was_refused = matches!(*self.config(), ConfigState::Refused { .. });
                let is_renewed = loaded.snapshot.material != before.material;
                if revision == before.revision && !is_renewed && !was_refused {
                    return Ok(revision);
                }
                let changes = changes(&before, &loaded.snapshot);
                leaving::upgrade_is_wanted(&before, &loaded.snapshot);
                self.put(state, loaded);
                if state.leaving == Leaving::Left {
                    return Ok(revision);
                }
                tracing::info!(%revision, who, is_renewed, "the configuration is in force");
                tls::warn(&self.shared.get());
                let renewed = "certificates, keys or authorities have changed".to_owned();
                self.note(&Record {
                    undo: self.undo(&changes),
                    revision_before: before.revision.to_string(),
                    revision: revision.to_string(),
                    notes: is_renewed.then_some(renewed).into_iter().collect(),
                    ..Record::of("reload", who, &changes)
                });
                Ok(revision)
            }
            Err(error) if state.leaving == Leaving::Left => Err(error),
            Err(error) => {
                let faults: Vec<String> = match error.faults() {
                    [] => vec![chain(&error)],
                    faults => faults.iter().map(Fault::to_string).collect(),
                };
                let about = error.faults().iter().flat_map(|fault| fault.about.clone());
                state.suspects = about.collect();
                let known = ConfigState::Refused { since: String::new(), faults: faults.clone() };
                if who == BY_FILE && self.config().says_the_same(&known) {
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
                *self.config() = ConfigState::Refused { since: clock::now(), faults };
                Err(error)
            }
        }
    }
}
