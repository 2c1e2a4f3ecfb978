//! Steering on real files.

use std::{collections::BTreeSet, os::unix::fs::PermissionsExt};

use super::*;
use crate::{
    config::Fallback,
    route::{Facts, Side, Stage, Weight, Why, decide, decide::AllUsable},
};

const FILE: &str = "# The shop.\nfrom = \"http://127.0.0.1:1\"\n\n[[routes]]\nname = \"stock\"\ngroup = \"inventory\"\npath = \"/stock\"\nto = \"http://127.0.0.1:2\"\nstage = \"off\" # for now\n\n[[routes]]\nname = \"moves\"\ngroup = \"inventory\"\npath = \"/moves\"\nto = \"http://127.0.0.1:2\"\nstage = \"live\"\n";

struct Place {
    home: tempfile::TempDir,
    steering: Steering,
}

impl Place {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("shop.toml"), FILE).unwrap();
        let steering = open(&home);
        Self { home, steering }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path("shop.toml")).unwrap()
    }

    fn toggle(&self, name: &str, to: &str) -> Result<Changed, SteerError> {
        self.steering.toggle(&target(name), to.parse().unwrap())
    }

    fn stage(&self, name: &str) -> (Stage, Weight) {
        let snapshot = self.steering.shared().get();
        let route = snapshot.named(name).next().unwrap();
        (route.stage, route.weight)
    }

    fn records(&self) -> Vec<Record> {
        let text = fs::read_to_string(self.path("shop.audit.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn open(home: &tempfile::TempDir) -> Steering {
    let source = Source { file: Some(home.path().join("shop.toml")), ..Source::default() };
    let loaded = load(&source).unwrap();
    Steering::new(source, loaded)
}

fn target(name: &str) -> Target {
    Target { name: name.into(), expected: None, who: "me".into(), why: "because".into() }
}

#[test]
fn a_toggle_is_in_the_file_in_force_and_in_the_log_and_its_undo_undoes_it() {
    let place = Place::new();
    let generation = place.steering.shared().get().generation;
    let changed = place.toggle("stock", "5").unwrap();
    assert!(!changed.over_the_file);
    assert_eq!(
        place.text(),
        FILE.replace("\"off\" # for now\n", "\"canary\" # for now\nweight = 5\n")
    );
    assert_eq!(place.stage("stock"), (Stage::Canary, "5".parse().unwrap()));
    assert_eq!(place.steering.shared().get().generation, generation + 1);
    assert_eq!(place.steering.shared().get().revision.to_string(), changed.revision);
    let records = place.records();
    let [record] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!((record.who.as_str(), record.why.as_str()), ("me", "because"));
    assert_eq!(record.revision, changed.revision);
    assert!(record.at.ends_with('Z'));
    let undo = record.undo.first().unwrap();
    assert!(undo.starts_with("strangler-proxy toggle stock off --weight 0 --config /"), "{undo}");
    // What was written is what another process reads.
    assert_eq!(open(&place.home).shared().get().revision.to_string(), changed.revision);
}

#[test]
fn a_group_is_toggled_whole() {
    let place = Place::new();
    let changed = place.toggle("inventory", "shadow").unwrap();
    assert_eq!(changed.routes.len(), 2);
    assert_eq!(changed.undo.len(), 2, "each route has its own way back");
    assert_eq!((place.stage("stock").0, place.stage("moves").0), (Stage::Shadow, Stage::Shadow));
}

#[test]
fn what_would_be_wrong_changes_nothing() {
    let place = Place::new();
    let before = place.steering.shared().get().generation;
    let error = place.toggle("stock", "canary").unwrap_err().to_string();
    assert!(error.contains("a canary needs a `weight`"), "{error}");
    assert!(
        matches!(place.toggle("stok", "live"), Err(SteerError::Unknown { suggestion: Some(meant), .. }) if meant == "stock")
    );
    assert!(matches!(place.toggle("(rest)", "live"), Err(SteerError::Unknown { .. })));
    let long = Target { why: "x".repeat(1001), ..target("stock") };
    assert!(matches!(
        place.steering.toggle(&long, "live".parse().unwrap()),
        Err(SteerError::Reason)
    ));
    let lines = Target { why: "a\nb".into(), ..target("stock") };
    assert!(matches!(
        place.steering.toggle(&lines, "live".parse().unwrap()),
        Err(SteerError::Reason)
    ));
    assert_eq!((place.text().as_str(), place.steering.shared().get().generation), (FILE, before));
    assert_eq!(place.records(), []);
}

#[test]
fn whoever_has_seen_another_version_is_refused() {
    let place = Place::new();
    let seen = place.steering.shared().get().revision.to_string();
    place.toggle("moves", "off").unwrap();
    let late = Target { expected: Some(seen), ..target("stock") };
    let error = place.steering.toggle(&late, "live".parse().unwrap()).unwrap_err();
    assert!(matches!(error, SteerError::Version { .. }), "{error}");
    let now = place.steering.shared().get().revision.to_string();
    let fresh = Target { expected: Some(now), ..target("stock") };
    place.steering.toggle(&fresh, "live".parse().unwrap()).unwrap();
}

/// The edit of somebody with an editor, not yet taken up, is not overwritten by a toggle.
#[test]
fn a_toggle_keeps_what_was_just_edited() {
    let place = Place::new();
    let edited = FILE.replace("# The shop.", "# The shop, edited.\nworkers = 3");
    fs::write(place.path("shop.toml"), edited).unwrap();
    place.toggle("stock", "live").unwrap();
    assert!(place.text().starts_with("# The shop, edited."));
    assert_eq!(place.steering.shared().get().workers, Some(3));
}

#[test]
fn over_a_read_only_file_there_is_a_state_file() {
    let place = Place::new();
    let mode = |mode| {
        fs::set_permissions(place.path("shop.toml"), fs::Permissions::from_mode(mode)).unwrap()
    };
    mode(0o444);
    let changed = place.toggle("stock", "7").unwrap();
    assert!(changed.over_the_file);
    assert_eq!(
        (place.text().as_str(), changed.written.as_path()),
        (FILE, place.path("shop.state.toml").as_path())
    );
    assert_eq!(place.stage("stock"), (Stage::Canary, "7".parse().unwrap()));
    assert_eq!(place.steering.over_the_file(), ["stock"]);
    // It outlives a restart.
    let again = open(&place.home);
    assert_eq!(again.shared().get().named("stock").next().unwrap().stage, Stage::Canary);
    // Once the file can be written, what the state file said must not hide it.
    mode(0o644);
    let changed = place.toggle("stock", "live").unwrap();
    assert!(!changed.over_the_file && place.steering.over_the_file().is_empty());
    assert!(!place.path("shop.state.toml").exists());
    assert_eq!(place.stage("stock").0, Stage::Live);
}

#[test]
fn a_changed_file_is_taken_up_and_a_wrong_one_refused_whole() {
    let place = Place::new();
    fs::write(place.path("shop.toml"), FILE.replace("\"off\"", "\"live\"")).unwrap();
    place.steering.look();
    assert_eq!(place.stage("stock").0, Stage::Live);
    let [.., record] = &place.records()[..] else { panic!("no record") };
    assert_eq!((record.what.as_str(), record.who.as_str()), ("reload", "file"));
    assert_eq!(record.after.get("stock").unwrap().stage, Stage::Live);

    fs::write(place.path("shop.toml"), FILE.replace("\"live\"", "\"lve\"")).unwrap();
    place.steering.look();
    assert_eq!(place.stage("stock").0, Stage::Live, "the one before stays");
    let ConfigState::Refused { faults, .. } = place.steering.config_state() else {
        panic!("not refused")
    };
    assert!(faults[0].contains("shop.toml:16: routes[1].stage: `lve` is no stage"), "{faults:?}");
    assert!(place.toggle("stock", "off").is_err(), "nothing is edited into a wrong file");

    fs::write(place.path("shop.toml"), FILE).unwrap();
    place.steering.look();
    assert!(matches!(place.steering.config_state(), ConfigState::InForce { .. }));
    assert_eq!(place.stage("stock").0, Stage::Off);
    fs::remove_file(place.path("shop.toml")).unwrap();
    place.steering.look();
    assert!(matches!(place.steering.config_state(), ConfigState::Refused { .. }));
}

#[test]
fn the_kill_switch_works_by_file_and_by_call_and_outlives_a_restart() {
    let place = Place::new();
    let killed = |steering: &Steering| steering.shared().get().kill.clone();
    place.steering.switch(Switch::On, KillSource::Api, "me", "smoke");
    assert_eq!(killed(&place.steering).unwrap().reason, "smoke");
    assert_eq!(killed(&open(&place.home)).unwrap().reason, "smoke", "a restart keeps it");
    place.steering.look();
    assert_eq!(killed(&place.steering).unwrap().source, KillSource::Api, "its own file is no news");
    // A reload and a toggle leave it thrown.
    let changed = place.toggle("stock", "live").unwrap();
    assert!(killed(&place.steering).is_some() && !changed.notes.is_empty());
    place.steering.switch(Switch::Off, KillSource::Api, "me", "");
    assert!(killed(&place.steering).is_none() && !place.path("shop.kill").exists());

    fs::write(place.path("shop.kill"), "by hand\n").unwrap();
    place.steering.look();
    let kill = killed(&place.steering).unwrap();
    assert_eq!((kill.source, kill.reason.as_str()), (KillSource::File, "by hand"));
    fs::remove_file(place.path("shop.kill")).unwrap();
    place.steering.look();
    assert!(killed(&place.steering).is_none());
    let what: Vec<String> = place.records().into_iter().map(|record| record.what).collect();
    assert_eq!(what, ["kill", "toggle", "unkill", "kill", "unkill"]);
}

/// It must work when nothing else does: with a wrong file, and where nothing can be written.
#[test]
fn the_kill_switch_needs_nothing() {
    let place = Place::new();
    place.toggle("moves", "retired").unwrap();
    fs::write(place.path("shop.toml"), "not toml at all").unwrap();
    place.steering.look();
    let notes = place.steering.switch(Switch::On, KillSource::Signal, "signal", "");
    assert!(notes.iter().any(|note| note.contains("moves")), "it says who is retired: {notes:?}");
    assert!(place.steering.shared().get().kill.is_some());

    let gone = Place::new();
    fs::remove_dir_all(gone.home.path()).unwrap();
    let notes = gone.steering.switch(Switch::On, KillSource::Signal, "signal", "");
    assert!(notes.iter().any(|note| note.contains("a restart will undo it")), "{notes:?}");
    assert!(gone.steering.shared().get().kill.is_some());
}

#[test]
fn what_is_parked_stays_parked_over_a_reload() {
    let place = Place::new();
    let parked = || {
        let snapshot = place.steering.shared().get();
        snapshot.routes.iter().filter(|route| route.parked).count()
    };
    assert_eq!(place.steering.park(&target("inventory"), Switch::On).unwrap(), ["stock", "moves"]);
    place.toggle("stock", "live").unwrap();
    assert_eq!(parked(), 2);
    place.steering.park(&target("stock"), Switch::Off).unwrap();
    assert_eq!(parked(), 1);
}

#[test]
fn two_processes_that_toggle_at_once_lose_nothing() {
    let place = Place::new();
    let source = Source { file: Some(place.path("shop.toml")), ..Source::default() };
    std::thread::scope(|scope| {
        for name in ["stock", "moves"] {
            let source = source.clone();
            scope.spawn(move || {
                let steering = Steering::new(source.clone(), load(&source).unwrap());
                for weight in 1..=20 {
                    steering.toggle(&target(name), weight.to_string().parse().unwrap()).unwrap();
                }
            });
        }
    });
    place.steering.look();
    let last: Weight = "20".parse().unwrap();
    assert_eq!((place.stage("stock").1, place.stage("moves").1), (last, last));
    assert_eq!(place.records().iter().filter(|record| record.what == "toggle").count(), 40);
}

/// Waits for it, but not for ever.
fn soon(is_so: impl Fn() -> bool) -> bool {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !is_so() {
        if std::time::Instant::now() > end {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

#[test]
fn the_kill_switch_waits_for_no_lock() {
    let place = Place::new();
    let steering = &place.steering;
    let killed = || steering.shared().get().kill.is_some();
    let log = fs::File::create(place.path("shop.audit.jsonl")).unwrap();
    log.lock().unwrap();
    std::thread::scope(|scope| {
        // Another process holds the log's lock: this one waits for it.
        let toggles = scope.spawn(|| place.toggle("stock", "live"));
        let both = [Switch::On, Switch::Off].repeat(20);
        let all = both.into_iter().all(|switch| {
            let thrown = scope.spawn(move || throw(steering, switch));
            soon(|| killed() == (switch == Switch::On) && thrown.is_finished())
        });
        log.unlock().unwrap();
        assert!(all);
        toggles.join().unwrap().unwrap();
    });
    // Nor for a change that is under way: by the API and by the file.
    let held = steering.lock();
    std::thread::scope(|scope| {
        scope.spawn(|| throw(steering, Switch::On));
        let is_killed = soon(killed);
        drop(held);
        assert!(is_killed);
    });
    assert!(place.path("shop.kill").exists());
    throw(steering, Switch::Off);
    assert!(!place.path("shop.kill").exists() && !killed());
    let held = steering.lock();
    std::thread::scope(|scope| {
        fs::write(place.path("shop.kill"), "help").unwrap();
        let look = scope.spawn(|| steering.look());
        let is_killed = soon(|| killed() && look.is_finished());
        fs::remove_file(place.path("shop.kill")).unwrap();
        let look = scope.spawn(|| steering.look());
        let is_killed = is_killed && soon(|| look.is_finished()) && killed();
        drop(held);
        assert!(is_killed);
    });
    steering.look();
    assert!(!killed());
    assert_eq!(place.stage("stock").0, Stage::Live);
}

fn throw(steering: &Steering, switch: Switch) {
    steering.switch(switch, KillSource::Api, "me", "because");
}

/// What somebody saves while a toggle is being written is seen all the same.
#[test]
fn what_was_saved_during_a_toggle_is_taken_up() {
    let place = Place::new();
    let path = place.path("shop.toml");
    for round in 0..60 {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for save in 0..20 {
                    let text = format!("{FILE}# saved {round} {save}\n");
                    // As an editor does, with a draft of its own.
                    let draft = place.path("draft");
                    fs::write(&draft, text).unwrap();
                    fs::rename(&draft, &path).unwrap();
                }
            });
            place.toggle("stock", if round % 2 == 0 { "live" } else { "off" }).unwrap();
        });
        place.steering.look();
        let said = load(&place.steering.source).unwrap().snapshot.revision;
        assert_eq!(place.steering.shared().get().revision, said, "round {round}");
    }
}

#[test]
fn a_change_without_room_in_the_log_is_no_change() {
    let home = tempfile::tempdir().unwrap();
    let text = format!("files.audit = \"/dev/full\"\n{FILE}");
    fs::write(home.path().join("shop.toml"), &text).unwrap();
    let place = Place { steering: open(&home), home };
    let before = place.steering.shared().get().generation;
    let error = place.toggle("stock", "live").unwrap_err();
    assert!(matches!(&error, SteerError::Write { path, .. } if path.ends_with("full")), "{error}");
    assert_eq!((place.text(), place.steering.shared().get().generation), (text, before));
}

#[test]
fn a_file_that_cannot_be_replaced_takes_its_line_of_the_log_back() {
    let place = Place::new();
    place.toggle("moves", "off").unwrap();
    let records = place.records();
    let log = || place.steering.audit.as_ref().unwrap().open().unwrap();
    let record = Record { what: "toggle".into(), ..Record::default() };
    let mut open = (place.path("shop.audit.jsonl"), log());
    let failed = || Err(SteerError::Busy);
    assert!(logged(Some(&mut open), &record, failed).is_err());
    assert!(!logged(Some(&mut open), &record, || Ok(false)).unwrap());
    assert_eq!(place.records(), records);
    assert!(logged(Some(&mut open), &record, || Ok(true)).unwrap());
    assert_eq!(place.records().len(), records.len() + 1);
}

#[test]
fn a_reserved_group_is_toggled_by_nobody_until_it_is_free() {
    let place = Place::new();
    let text = place.text();
    let why = BTreeMap::from([("inventory".to_owned(), "it moves".to_owned())]);
    place.steering.reserve(why);
    for name in ["inventory", "stock"] {
        let error = place.toggle(name, "live").unwrap_err();
        assert_eq!(error.to_string(), "`inventory` is not to be toggled now: it moves");
    }
    assert_eq!(place.text(), text);
    place.steering.reserve(BTreeMap::new());
    place.toggle("stock", "live").unwrap();
    assert_eq!(place.stage("stock").0, Stage::Live);
}

#[test]
fn a_group_is_led_over_what_the_file_says_and_back() {
    let place = Place::new();
    let text = place.text();
    let to = "http://127.0.0.1:7".to_owned();
    let lead = |groups: &BTreeMap<String, Lead>| place.steering.lead(groups, "placement", "");
    let led = BTreeMap::from([("inventory".to_owned(), Lead::all(&to))]);
    let upstream = |name: &str| {
        let snapshot = place.steering.shared().get();
        let route = snapshot.named(name).next().unwrap();
        route.to.map(|to| snapshot.upstream(to).name.to_string())
    };
    let (old, _) = (upstream("stock").unwrap(), place.stage("stock"));
    // Somebody is in the middle of an edit.
    fs::write(place.path("shop.toml"), "[[routes").unwrap();
    assert!(lead(&led).unwrap());
    assert!(!lead(&led).unwrap());
    for name in ["stock", "moves"] {
        assert_eq!((place.stage(name).0, upstream(name).unwrap()), (Stage::Live, to.clone()));
    }
    fs::write(place.path("shop.toml"), &text).unwrap();
    place.steering.reload("me").unwrap();
    assert_eq!(place.stage("stock").0, Stage::Live);
    let error = place.toggle("stock", "off").unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("`inventory` is not to be toggled now: it is led to {to}")
    );
    let nowhere = BTreeMap::from([("inventory".to_owned(), Lead::all("nowhere"))]);
    assert!(lead(&nowhere).is_err());
    assert_eq!(upstream("stock").unwrap(), to, "what cannot be is refused, and what was so stays");

    place.steering.switch(Switch::On, KillSource::Api, "me", "trouble");
    assert!(place.steering.shared().get().kill.is_some(), "the kill switch goes before it");
    place.steering.switch(Switch::Off, KillSource::Api, "me", "");
    assert!(lead(&BTreeMap::new()).unwrap());
    assert_eq!((place.stage("stock").0, upstream("stock").unwrap()), (Stage::Off, old));
    assert_eq!(place.text(), text);
    assert_eq!(place.records().iter().filter(|record| record.what == "lead").count(), 2);
}

/// The percentages of a group's reads, one after the other: whoever is led there stays, what writes stays where it is, and
/// who has written waits for the replica.
#[test]
fn reads_are_led_ahead_by_percentages() {
    let place = Place::new();
    let to = "http://127.0.0.1:7";
    let mark = || ("x-replica".to_owned(), "1".to_owned());
    let lead = |percent: &str| {
        let share = Share::Reads { weight: percent.parse().unwrap(), mark: mark() };
        let lead = Lead { to: to.to_owned(), share };
        let led = BTreeMap::from([("inventory".to_owned(), lead)]);
        place.steering.lead(&led, "placement", "").unwrap()
    };
    let side = |method: &str, client: u8| {
        let snapshot = place.steering.shared().get();
        let headers: Vec<(String, String)> = Vec::new();
        let facts = Facts {
            method: method.as_bytes(),
            host: b"shop.example",
            path: b"/stock",
            query: b"",
            client: Some([192, 0, 2, client].into()),
            headers: &headers,
        };
        let decision = decide(&facts, &snapshot, &AllUsable);
        (decision.side, decision.why)
    };
    let ahead = || -> BTreeSet<u8> {
        (0..200).filter(|client| side("GET", *client).0 == Side::New).collect()
    };
    assert!(!place.steering.shared().get().writers.is_watched());
    assert!(lead("10"));
    assert!(place.steering.shared().get().writers.is_watched());
    assert!(ahead().is_empty(), "nothing is known of the replica yet");
    let now = || Instant::now() + Duration::from_millis(1);
    let holds = || place.steering.fresh("inventory", now(), now() + Duration::from_secs(60));
    assert!(holds());
    let mut before = ahead();
    assert!((5..40).contains(&before.len()), "{before:?}");
    for percent in ["50", "100"] {
        assert!(lead(percent));
        let after = ahead();
        assert!(after.is_superset(&before) && after.len() > before.len(), "{after:?}");
        before = after;
    }
    assert_eq!(before.len(), 200);
    assert_eq!(side("POST", 1), (Side::Old, Why::NotARead));
    let snapshot = place.steering.shared().get();
    let route = snapshot.named("stock").next().unwrap();
    assert_eq!(&*route.request_headers.set, [("x-replica".into(), "1".into())]);
    assert_eq!(route.fallback, Fallback::Monolith);
    // An edit of the file changes nothing of it.
    place.steering.reload("me").unwrap();
    assert_eq!(ahead().len(), 200);
    // The switch: all of it is led, and whoever has read ahead reads on.
    let live = BTreeMap::from([("inventory".to_owned(), Lead::all(to))]);
    assert!(place.steering.lead(&live, "placement", "").unwrap());
    assert_eq!(side("POST", 1), (Side::New, Why::Live));
    assert_eq!(ahead().len(), 200);
    assert!(!place.steering.shared().get().writers.is_watched());
    assert!(!holds(), "no reads are led");
    assert!(place.steering.lead(&BTreeMap::new(), "placement", "").unwrap());
    assert!(ahead().is_empty());
}

/// The file system's clock ticks every few milliseconds: two edits of one length within a tick look the same.
#[test]
fn an_edit_that_looks_like_the_one_before_is_seen() {
    let place = Place::new();
    let edit =
        |stage: &str| fs::write(place.path("shop.toml"), FILE.replace("\"off\"", stage)).unwrap();
    place.steering.look();
    edit("\"live\"");
    let at = fs::metadata(place.path("shop.toml")).unwrap().modified().unwrap();
    place.steering.look();
    assert_eq!(place.stage("stock").0, Stage::Live);
    edit("\"off\" ");
    fs::File::options()
        .write(true)
        .open(place.path("shop.toml"))
        .unwrap()
        .set_modified(at)
        .unwrap();
    place.steering.look();
    assert_eq!(place.stage("stock").0, Stage::Off);
    let reloads = place.records().len();
    place.steering.look();
    place.steering.look();
    assert_eq!(place.records().len(), reloads, "looking again is no change");
}
