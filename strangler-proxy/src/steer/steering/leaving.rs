//! The change of the guard: what a steering gives to the process that takes its place, and when it stops to decide.

use std::collections::HashSet;

use super::{Leaving, Steering};
use crate::config::{Kill, Snapshot};

impl Steering {
    /// Begins with what another process had in force and no file says.
    pub fn adopt(&self, kill: Option<Kill>, parked: Vec<String>) {
        let state = self.lock();
        let mut holds = self.holds();
        if holds.kill.is_none() {
            holds.kill = kill;
        }
        holds.parked.extend(parked.into_iter().map(|name| (name, ())));
        self.shared.put(state.loaded.snapshot.clone().held(&holds));
    }

    /// Holds still while another process reads the files and starts: nothing is parked or resumed, and files are not
    /// looked at. Gives what stands in no file. A toggle still goes into the file, and the kill switch works.
    pub fn hold_still(&self) -> (Option<Kill>, Vec<String>) {
        let mut state = self.lock();
        state.leaving = Leaving::HoldsStill;
        let holds = self.holds();
        (holds.kill.clone(), holds.parked.keys().cloned().collect())
    }

    /// The other process has not come to serve: everything is as it was.
    pub fn go_on(&self) {
        self.lock().leaving = Leaving::No;
    }

    /// The other process serves. Files are followed for the last requests, and no more is written to the audit log of
    /// them: that is the other one's now.
    pub fn leave(&self) {
        self.lock().leaving = Leaving::Left;
    }
}

/// Some of a file holds from the start of a process only: whoever changes it is told what to do.
pub fn upgrade_is_wanted(before: &Snapshot, after: &Snapshot) {
    let keys = held_from_the_start(before, after);
    if !keys.is_empty() {
        tracing::warn!(
            ?keys,
            "in force after `strangler-proxy upgrade`, which loses no connection"
        );
    }
}

/// The keys of what has changed and holds from the start only. A listener's address does; its TLS and redirect do not.
fn held_from_the_start(before: &Snapshot, after: &Snapshot) -> Vec<&'static str> {
    let addresses = |snapshot: &Snapshot| -> HashSet<_> {
        snapshot.listeners.iter().map(|listener| listener.address.clone()).collect()
    };
    let place = |snapshot: &Snapshot| snapshot.admin.as_ref().map(|admin| admin.listen);
    let changed = [
        ("listen", addresses(before) != addresses(after)),
        ("workers", before.workers != after.workers),
        ("admin.listen", place(before) != place(after)),
    ];
    changed.into_iter().filter(|(_, is)| *is).map(|(key, _)| key).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::held_from_the_start;
    use crate::config::{Snapshot, Source, load};

    fn snapshot(text: &str) -> Snapshot {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("shop.toml");
        fs::write(&file, format!("from = \"http://127.0.0.1:1\"\n{text}")).unwrap();
        load(&Source::file(&file)).unwrap().snapshot
    }

    #[test]
    fn only_what_holds_from_the_start_wants_an_upgrade() {
        let before = snapshot("workers = 1\nlisten = [\"127.0.0.1:1\", \"127.0.0.1:2\"]");
        for (text, keys) in [
            ("workers = 1\nlisten = [\"127.0.0.1:2\", \"127.0.0.1:1\"]", &[][..]),
            (
                "workers = 1\nlisten = [{ address = \"127.0.0.1:1\", https_redirect = 443 }, \"127.0.0.1:2\"]",
                &[],
            ),
            ("workers = 1\nlisten = [\"127.0.0.1:1\"]", &["listen"]),
            ("workers = 2\nlisten = [\"127.0.0.1:1\", \"127.0.0.1:2\"]", &["workers"]),
            (
                "workers = 1\nlisten = [\"127.0.0.1:1\", \"127.0.0.1:2\"]\nadmin.enabled = false",
                &["admin.listen"],
            ),
        ] {
            assert_eq!(held_from_the_start(&before, &snapshot(text)), keys, "{text}");
        }
    }
}
