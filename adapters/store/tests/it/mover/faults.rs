//! A mover that dies at any point is followed by another one that brings the move to its end.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use store::mover::{Hook, MoveError, Mover, Point, SideName, SwitchError};

use super::{
    load::{Load, fill},
    pair::{CHILD, Kind, MONOLITH, Pair, assert_equal, copy, count, run, switch, texts, unhurried},
};

fn killed() -> MoveError {
    MoveError::Away { side: SideName::Source, what: "killed by the test".to_owned() }
}

/// Dies at each point once, however many movers share it.
fn dies_everywhere() -> (Hook, Arc<Mutex<BTreeSet<String>>>) {
    let died: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let seen = Arc::clone(&died);
    let hook: Hook = Arc::new(move |point| {
        let is_first = seen.lock().unwrap().insert(format!("{point:?}"));
        if is_first { Err(killed()) } else { Ok(()) }
    });
    (hook, died)
}

fn dies_at(point: Point) -> Hook {
    Arc::new(move |here| if here == point { Err(killed()) } else { Ok(()) })
}

/// What a coordinator does that knows nothing but the databases: every call by another mover, from the start after
/// every death.
fn once(mover: &dyn Fn() -> Mover, to: &str) -> Result<(), MoveError> {
    mover().prepare()?;
    let (source, target) = mover().standing()?;
    if source.owner == to {
        // The point of no return is behind us.
        assert!(source == target || target.epoch < source.epoch);
        mover().flip()?;
        return Ok(());
    }
    mover().capture()?;
    let pace = store::mover::Pace { chunk_rows: 200, rows_per_second: None };
    while !mover().copy(&pace, &mut |_progress| std::ops::ControlFlow::Break(()))?.is_whole {}
    mover().follow()?;
    assert_equal(&mover().verify()?);
    for _try in 0..400 {
        match mover().switch(&unhurried(to)) {
            Ok(switched) => {
                assert_eq!(switched.standing.owner, to);
                return Ok(());
            }
            Err(SwitchError::NotNow(_)) => {}
            Err(SwitchError::Failed(error) | SwitchError::Doubtful(error)) => return Err(error),
        }
    }
    panic!("400 times it was not now");
}

async fn dies_at_every_point(source: Kind, target: Kind) {
    let Some(pair) = Pair::new(source, target) else { return };
    fill(&pair.source, 500);
    pair.mover().prepare().unwrap();
    let load = Load::start(&pair.source, &pair.target, 3);
    load.more(20).await;
    let pair = Arc::new(pair);
    let here = Arc::clone(&pair);
    tokio::task::spawn_blocking(move || {
        let (hook, died) = dies_everywhere();
        let forth = || here.mover().hooked(Arc::clone(&hook));
        let mut tries = 0;
        while let Err(error) = once(&forth, CHILD) {
            assert_eq!(error, killed());
            tries += 1;
            assert!(tries < 20);
        }
        assert_eq!(died.lock().unwrap().len(), 7, "{:?}", died.lock().unwrap());
        assert!(tries >= 7);
        assert_equal(&here.mover().back().verify().unwrap());
    })
    .await
    .unwrap();
    load.more(20).await;
    load.end(&pair.target).await;
    let back = pair.mover().back();
    assert_equal(&back.verify().unwrap());
    assert_eq!(count(&pair.source, "reservation"), count(&pair.target, "reservation"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_death_at_any_point_from_sqlite_to_sqlite() {
    dies_at_every_point(Kind::Sqlite, Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_death_at_any_point_from_sqlite_to_postgres() {
    dies_at_every_point(Kind::Sqlite, Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_death_at_any_point_from_postgres_to_postgres() {
    dies_at_every_point(Kind::Postgres, Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_death_at_any_point_from_postgres_to_sqlite() {
    dies_at_every_point(Kind::Postgres, Kind::Sqlite).await;
}

/// The target then has what the source took back: leases ended, positions given. The next batch undoes that.
#[test]
fn a_switch_that_dies_before_its_end_leaves_no_trace() {
    for pair in Pair::all() {
        fill(&pair.source, 0);
        let mover = pair.copied();
        mover.follow().unwrap();
        for point in [Point::Locked, Point::CaughtUp, Point::Sealing] {
            let lease = "UPDATE cursor SET lease_owner = 'me', lease_until_at = 77 WHERE subscription = 'c1'";
            run(&pair.source, lease);
            let dying = pair.mover().hooked(dies_at(point));
            assert_eq!(dying.switch(&unhurried(CHILD)), Err(SwitchError::Failed(killed())));
            let (source, target) = mover.standing().unwrap();
            assert_eq!((source.epoch, source.owner.as_str()), (1, ""));
            assert_eq!(target.owner, "carve:m1");
            assert_equal(&mover.verify().unwrap());
            let until = texts(
                &pair.target,
                "SELECT CAST(lease_until_at AS TEXT) AS text FROM cursor WHERE subscription = 'c1'",
            );
            assert_eq!(until, ["77"], "{point:?}");
        }
        switch(&mover, CHILD);
        assert_equal(&mover.back().verify().unwrap());
    }
}

#[test]
fn between_the_two_rows_nobody_owns_the_module_and_a_flip_ends_it() {
    for pair in Pair::all() {
        fill(&pair.source, 0);
        let mover = pair.copied();
        let dying = pair.mover().hooked(dies_at(Point::SourceCommitted));
        let ended = dying.switch(&unhurried(CHILD));
        assert_eq!(ended, Err(SwitchError::Doubtful(killed())));
        let (source, target) = mover.standing().unwrap();
        assert_eq!((source.epoch, source.owner.as_str()), (2, CHILD));
        assert_eq!(target.owner, "carve:m1");
        for (location, deployment) in [(&pair.source, MONOLITH), (&pair.target, CHILD)] {
            assert!(super::pair::open_as(location, deployment).is_standby());
        }
        assert!(matches!(mover.follow(), Err(MoveError::OutOfOrder(_))));
        for _again in 0..2 {
            assert_eq!(pair.mover().flip().unwrap(), source);
        }
        // Asked for once more, the switch says how it ended.
        assert_eq!(pair.mover().switch(&unhurried(CHILD)).unwrap().standing, source);
        assert!(!super::pair::open_as(&pair.target, CHILD).is_standby());
        assert!(super::pair::open_as(&pair.source, MONOLITH).is_standby());
    }
}

#[test]
fn a_full_disk_on_the_target_leaves_the_source_as_it_is() {
    for source in [Kind::Sqlite, Kind::Postgres] {
        let Some(pair) = Pair::new(source, Kind::Sqlite) else { continue };
        fill(&pair.source, 20_000);
        pair.mover().prepare().unwrap();
        let mover = pair.mover().starving(100);
        mover.capture().unwrap();
        let pace = store::mover::Pace { chunk_rows: 1000, rows_per_second: None };
        let go_on = &mut |_progress: &store::mover::Progress| std::ops::ControlFlow::Continue(());
        for _try in 0..2 {
            let error = mover.copy(&pace, go_on).unwrap_err();
            assert!(matches!(error, MoveError::Full { side: SideName::Target, .. }), "{error}");
        }
        // The source serves; and when there is room the copy goes on where it was.
        run(&pair.source, "UPDATE stock SET on_hand = on_hand + 1");
        let mut first = None;
        pair.mover()
            .copy(&pace, &mut |progress| {
                first.get_or_insert(progress.rows);
                std::ops::ControlFlow::Continue(())
            })
            .unwrap();
        assert!(first.unwrap() > 1000, "it did not begin again");
        assert_equal(&pair.mover().verify().unwrap());
    }
}

#[test]
fn a_side_that_is_away_is_named_and_its_rest_is_removed_later() {
    let Some(pair) = Pair::new(Kind::Sqlite, Kind::Postgres) else { return };
    let mover = pair.copied();
    let mut sides = mover.sides().clone();
    sides.target =
        store::Location::Postgres { url: "postgres://nobody@127.0.0.1:1/nothing".to_owned() };
    let broken = Mover::new(sides);
    let error = broken.follow().unwrap_err();
    assert!(matches!(error, MoveError::Away { side: SideName::Target, .. }), "{error}");
    let removed = broken.remove().unwrap();
    assert_eq!(removed.away.len(), 1, "{:?}", removed.away);
    assert_eq!(Mover::leftovers(&pair.source).unwrap(), []);
    assert!(!Mover::leftovers(&pair.target).unwrap().is_empty());
    assert_eq!(mover.remove().unwrap().away.len(), 0);
    assert_eq!(Mover::leftovers(&pair.target).unwrap(), []);
    assert_eq!(count(&pair.target, "stock"), 0);
    // And then it can begin anew.
    let again = pair.mover_named("m2");
    again.prepare().unwrap();
    again.capture().unwrap();
    copy(&again, 10);
    switch(&again, CHILD);
}
