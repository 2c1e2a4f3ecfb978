//! A large SQLite file goes by its pages, and whatever comes in between, what arrives is the same as by rows.

use std::{
    ops::ControlFlow,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use store::{
    Location,
    mover::{Hook, MoveError, Mover, Pace, Point, Progress, SideName},
};

use super::{
    load::{Load, fill},
    pair::{
        CHILD, Kind, MONOLITH, Pair, assert_equal, connect, copy, count, open_as, run, switch,
        texts,
    },
};

/// A source whose file is large enough; most of it is free again, so that it is soon compared.
fn large() -> Pair {
    let pair = Pair::new(Kind::Sqlite, Kind::Sqlite).unwrap();
    fill(&pair.source, 0);
    run(
        &pair.source,
        "INSERT INTO folder WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 120000)
         SELECT 'page', n, hex(randomblob(160)), n FROM n;
         DELETE FROM folder WHERE number > 6000",
    );
    pair
}

fn captured(pair: &Pair) -> Mover {
    let mover = pair.mover();
    mover.prepare().unwrap();
    mover.capture().unwrap();
    mover
}

/// What lies beside the target's file.
fn beside(pair: &Pair) -> Vec<PathBuf> {
    let Location::Sqlite { path } = &pair.target else { panic!("a file") };
    let all = std::fs::read_dir(path.parent().unwrap()).unwrap();
    let all = all.map(|entry| entry.unwrap().path());
    all.filter(|one| one.to_str().unwrap().contains("-carve")).collect()
}

/// The target says that it is a copy and nothing else, and has no rows yet.
fn assert_sealed_and_bare(pair: &Pair) {
    assert_eq!(texts(&pair.target, "SELECT owner AS text FROM fence"), ["carve:m1"]);
    assert_eq!(count(&pair.target, "folder"), 0);
    assert!(open_as(&pair.target, MONOLITH).is_standby());
}

/// Copies what is left, and tells whether all of it went by rows.
fn copy_by_rows(mover: &Mover) -> bool {
    let pace = Pace { chunk_rows: 1000, rows_per_second: None };
    let mut by_rows = true;
    let mut watch = |progress: &Progress| {
        by_rows &= !progress.is_seeding;
        ControlFlow::Continue(())
    };
    assert!(mover.copy(&pace, &mut watch).unwrap().is_whole);
    by_rows
}

#[test]
fn a_large_file_goes_by_pages_while_rows_change() {
    let pair = large();
    let mover = captured(&pair);
    // As the target's process does, which has the file open while it is filled.
    let child = open_as(&pair.target, CHILD);
    let mut statements = [
        "DELETE FROM folder WHERE owner = 'page' AND number % 1000 = 7",
        "UPDATE badge SET holder = 'free' WHERE id = 'b0'; UPDATE badge SET holder = 'h0' WHERE id = 'b9'",
        "UPDATE folder SET number = number + 1000000 WHERE owner = 'page' AND number < 100",
        "DELETE FROM book WHERE id = 'first3'; INSERT INTO book VALUES ('a', 's1', 'new')",
    ]
    .into_iter();
    let mut seen = Vec::new();
    let copied = mover.copy(&Pace::default(), &mut |progress| {
        seen.push(progress.clone());
        assert!(open_as(&pair.target, MONOLITH).is_standby());
        if let Some(sql) = statements.next() {
            run(&pair.source, sql);
        }
        ControlFlow::Continue(())
    });
    assert_eq!(statements.next(), None, "the copy had too few steps");
    assert!(seen.iter().all(|progress| progress.is_seeding));
    assert!(seen.windows(2).all(|two| two[0].rows <= two[1].rows));
    let expected = seen.last().unwrap().rows_expected;
    assert_eq!((copied.unwrap().rows, expected > 6000), (expected, true));
    assert!(beside(&pair).is_empty());
    // Nothing of the source's own came along.
    assert_eq!(texts(&pair.target, "SELECT owner AS text FROM fence"), ["carve:m1"]);
    let made = "SELECT name AS text FROM sqlite_schema WHERE name LIKE 'carve%' AND type IN ('table', 'trigger')";
    assert_eq!(texts(&pair.target, made), ["carve_m1_state"]);
    assert!(child.is_standby());

    mover.follow().unwrap();
    assert_equal(&mover.verify().unwrap());
    switch(&mover, CHILD);
    let back = mover.back();
    run(&pair.target, "DELETE FROM folder WHERE owner = 'page' AND number % 1000 = 8");
    back.follow().unwrap();
    assert_equal(&back.verify().unwrap());
    switch(&back, MONOLITH);
    assert_eq!(mover.remove().unwrap().away.len(), 0);
    assert_eq!(Mover::leftovers(&pair.target).unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn writers_notice_nothing_of_a_copy_by_pages() {
    let pair = Arc::new(large());
    pair.mover().prepare().unwrap();
    let load = Load::start(&pair.source, &pair.target, 3);
    load.more(20).await;
    let here = Arc::clone(&pair);
    tokio::task::spawn_blocking(move || {
        let mover = captured(&here);
        let mut steps = 0;
        mover
            .copy(&Pace::default(), &mut |progress| {
                assert!(progress.is_seeding);
                steps += 1;
                ControlFlow::Continue(())
            })
            .unwrap();
        assert!(steps > 4);
        assert_equal(&mover.verify().unwrap());
        switch(&mover, CHILD);
    })
    .await
    .unwrap();
    load.more(20).await;
    load.end(&pair.target).await;
    assert_equal(&pair.mover().back().verify().unwrap());
}

fn dies_at_step(step: u32) -> Hook {
    let steps = AtomicU32::new(0);
    Arc::new(move |point| {
        if point == Point::Seeding && steps.fetch_add(1, Ordering::Relaxed) + 1 == step {
            let what = "killed by the test".to_owned();
            return Err(MoveError::Away { side: SideName::Source, what });
        }
        Ok(())
    })
}

/// On the way into the file beside, and out of it into the target.
#[test]
fn a_death_among_the_pages_leaves_a_bare_target_and_the_rows_are_copied() {
    for step in [1, 4, 6, 8] {
        let pair = large();
        let dying = captured(&pair).hooked(dies_at_step(step));
        let go_on = &mut |_progress: &Progress| ControlFlow::Continue(());
        let died = dying.copy(&Pace::default(), go_on);
        assert!(matches!(died, Err(MoveError::Away { .. })), "step {step}: {died:?}");
        drop(dying);
        assert_sealed_and_bare(&pair);
        run(&pair.source, "DELETE FROM folder WHERE owner = 'page' AND number % 1000 = 9");
        let mover = pair.mover();
        assert!(copy_by_rows(&mover));
        assert!(beside(&pair).is_empty());
        assert_equal(&mover.verify().unwrap());
        switch(&mover, CHILD);
    }
}

/// A killed process leaves the file.
#[test]
fn what_a_death_leaves_beside_the_target_is_removed() {
    let pair = large();
    let Location::Sqlite { path } = &pair.target else { panic!("a file") };
    let names = ["-carve", "-carve-wal"].map(|end| format!("{}{end}", path.display()));
    let leave = || names.iter().for_each(|name| std::fs::write(name, "half a page").unwrap());
    let mover = captured(&pair);
    leave();
    copy(&mover, 1000);
    assert!(beside(&pair).is_empty());
    leave();
    mover.remove().unwrap();
    assert!(beside(&pair).is_empty());
}

#[test]
fn whoever_stops_it_goes_on_by_rows() {
    let pair = large();
    let mover = captured(&pair);
    let stopped = mover.copy(&Pace::default(), &mut |_progress| ControlFlow::Break(())).unwrap();
    assert_eq!((stopped.is_whole, stopped.rows), (false, 0));
    assert_sealed_and_bare(&pair);
    assert!(copy_by_rows(&mover));
    assert_equal(&mover.verify().unwrap());
}

#[test]
fn a_copy_with_a_rate_and_one_that_began_by_rows_go_by_rows() {
    let pair = large();
    let mover = captured(&pair);
    let pace = Pace { chunk_rows: 500, rows_per_second: Some(1_000_000) };
    let stop = &mut |progress: &Progress| {
        assert!(!progress.is_seeding);
        ControlFlow::Break(())
    };
    assert!(!mover.copy(&pace, stop).unwrap().is_whole);
    assert!(copy_by_rows(&mover));
    assert_equal(&mover.verify().unwrap());
}

/// Between the file beside and the target's turn another mover has come to the end of the copy, by rows.
#[test]
fn who_comes_late_overwrites_nothing() {
    let pair = large();
    let mover = captured(&pair);
    let mut other = Some(pair.mover());
    let copied = mover.copy(&Pace::default(), &mut |_progress| {
        if let Some(other) = other.take() {
            assert!(copy_by_rows(&other));
            other.follow().unwrap();
            run(&pair.source, "DELETE FROM folder WHERE owner = 'page' AND number > 1000");
            switch(&other, CHILD);
            run(&pair.target, "DELETE FROM folder WHERE owner = 'page' AND number > 100");
        }
        ControlFlow::Continue(())
    });
    assert!(matches!(copied, Err(MoveError::OutOfOrder(_))), "{copied:?}");
    assert_eq!(count(&pair.target, "folder"), 200);
    let mut target = connect(&pair.target);
    target.batch_execute("UPDATE stock SET on_hand = on_hand + 1").unwrap();
}
