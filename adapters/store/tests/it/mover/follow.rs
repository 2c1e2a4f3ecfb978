//! What changes while rows are copied, and after, arrives as it is.

use std::{
    ops::ControlFlow,
    sync::mpsc,
    time::{Duration, Instant},
};

use store::{
    Location, Store, backup,
    mover::{Mover, Pace, Progress},
    restore,
};

use super::{
    load::fill,
    pair::{CHILD, Kind, Pair, assert_equal, connect, copy, count, migrations, run, switch, texts},
};

/// Runs a statement on the source after each chunk.
fn copy_while(mover: &Mover, pair: &Pair, chunk_rows: u64, statements: &[&str]) {
    let mut statements = statements.iter();
    let pace = Pace { chunk_rows, rows_per_second: None };
    let copied = mover.copy(&pace, &mut |_progress| {
        if let Some(sql) = statements.next() {
            run(&pair.source, sql);
        }
        ControlFlow::Continue(())
    });
    assert!(copied.unwrap().is_whole);
    assert_eq!(statements.next(), None, "the copy had too few chunks");
}

#[test]
fn rows_that_change_while_they_are_copied() {
    for pair in Pair::all() {
        fill(&pair.source, 100);
        let mover = pair.mover();
        mover.prepare().unwrap();
        mover.capture().unwrap();
        copy_while(
            &mover,
            &pair,
            7,
            &[
                // Tables come by name: badge is under way.
                "UPDATE badge SET holder = 'free' WHERE id = 'b0'",
                // A row that is not copied yet takes the value that a copied one had.
                "UPDATE badge SET holder = 'h0' WHERE id = 'b9'",
                "DELETE FROM badge WHERE id IN ('b1', 'b8')",
                "DELETE FROM book WHERE id = 'first3'; INSERT INTO book VALUES ('a', 's1', 'new')",
                "DELETE FROM shelf WHERE id = 's4'",
                "UPDATE folder SET number = number + 100 WHERE owner = 'o1'",
                "UPDATE folder SET owner = 'a' WHERE owner = 'o9' AND number = 1",
                "DELETE FROM folder WHERE owner = 'o2'",
                "INSERT INTO reservation VALUES ('r', 'sku1', 1, 1); DELETE FROM reservation",
                "UPDATE tag SET word = 'zzz' || word WHERE word < 'old000020'",
                "DELETE FROM tag WHERE word > 'old000090' AND word < 'p'",
            ],
        );
        assert!(count(&pair.target, "folder") > 0);
        mover.follow().unwrap();
        assert_equal(&mover.verify().unwrap());
    }
}

#[test]
fn rows_exchange_what_must_be_unique() {
    for pair in Pair::all() {
        fill(&pair.source, 0);
        let mover = pair.copied();
        run(
            &pair.source,
            "UPDATE badge SET holder = 'x', nickname = 'y' WHERE id = 'b1';
             UPDATE badge SET holder = 'h1', nickname = 'n1' WHERE id = 'b2';
             UPDATE badge SET holder = 'h3', nickname = 'n3' WHERE id = 'b1' AND false;
             UPDATE badge SET holder = 'h2', nickname = 'n2' WHERE id = 'b1';
             UPDATE badge SET is_active = false, nickname = 'same' WHERE id IN ('b5', 'b6');
             UPDATE badge SET nickname = 'same' WHERE id = 'b7'",
        );
        assert_eq!(mover.follow().unwrap().rows, 5);
        assert_equal(&mover.verify().unwrap());
        // A row's key goes to another row.
        run(
            &pair.source,
            "UPDATE badge SET id = 'tmp' WHERE id = 'b1'; UPDATE badge SET id = 'b1' WHERE id = 'b2';
             UPDATE badge SET id = 'b2' WHERE id = 'tmp'; DELETE FROM badge WHERE id = 'b9'",
        );
        mover.follow().unwrap();
        assert_equal(&mover.verify().unwrap());
    }
}

/// More changes than a mover holds at once, in one batch.
#[test]
fn many_changes_are_one_batch() {
    for pair in Pair::all() {
        fill(&pair.source, 10_000);
        let mover = pair.mover();
        mover.prepare().unwrap();
        mover.capture().unwrap();
        copy(&mover, 5000);
        run(&pair.source, "UPDATE tag SET folder = 1000 WHERE word LIKE 'old%'");
        let followed = mover.follow().unwrap();
        assert_eq!(followed.rows, 20_000, "each row's old key and its new one");
        assert_eq!(followed.left, 0);
        assert_equal(&mover.verify().unwrap());
    }
}

/// Commit order is not the order in which transactions wrote.
#[test]
fn a_transaction_that_commits_late_is_not_passed_by() {
    for target in [Kind::Sqlite, Kind::Postgres] {
        let Some(pair) = Pair::new(Kind::Postgres, target) else { return };
        fill(&pair.source, 0);
        let mover = pair.copied();
        let mut late = connect(&pair.source);
        late.batch_execute("BEGIN; UPDATE stock SET on_hand = 7 WHERE sku = 'sku1'; INSERT INTO stock VALUES ('late', 1, 0)")
            .unwrap();
        run(&pair.source, "UPDATE stock SET on_hand = 8 WHERE sku = 'sku2'");
        assert_eq!(mover.follow().unwrap().rows, 1);
        run(&pair.source, "UPDATE stock SET on_hand = 9 WHERE sku = 'sku3'");
        assert_eq!(mover.follow().unwrap().rows, 1);
        // Not there yet on either side, and that is no difference.
        assert_equal(&mover.verify().unwrap());
        late.batch_execute("COMMIT").unwrap();
        assert_eq!(mover.follow().unwrap().rows, 2);
        assert_eq!(
            texts(&pair.target, "SELECT sku AS text FROM stock WHERE on_hand = 7"),
            ["sku1"]
        );
        assert_equal(&mover.verify().unwrap());
    }
}

/// The border of the copy: whoever wrote without being logged has ended when `capture` returns.
#[test]
fn capture_waits_for_a_transaction_that_it_did_not_hear_of() {
    let Some(pair) = Pair::new(Kind::Postgres, Kind::Sqlite) else { return };
    fill(&pair.source, 0);
    let mover = pair.mover();
    mover.prepare().unwrap();
    let mut open = connect(&pair.source);
    open.batch_execute("BEGIN; UPDATE stock SET on_hand = 7 WHERE sku = 'sku1'").unwrap();
    let (done, is_done) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            mover.capture().unwrap();
            done.send(()).unwrap();
        });
        // Tables come by name; `stock` has to wait, and other writers of it do not queue for long.
        let waited = is_done.recv_timeout(Duration::from_millis(300));
        assert_eq!(waited, Err(mpsc::RecvTimeoutError::Timeout));
        let since = Instant::now();
        run(&pair.source, "UPDATE stock SET on_hand = 8 WHERE sku = 'sku2'");
        assert!(since.elapsed() < Duration::from_secs(20));
        open.batch_execute("COMMIT").unwrap();
        is_done.recv_timeout(Duration::from_secs(60)).unwrap();
    });
    copy(&mover, 100);
    assert_equal(&mover.verify().unwrap());
}

#[test]
fn what_replaces_a_row_deletes_it_too() {
    let pair = Pair::new(Kind::Sqlite, Kind::Sqlite).unwrap();
    fill(&pair.source, 0);
    let mover = pair.copied();
    // b3 has that holder: it goes without a DELETE.
    run(&pair.source, "INSERT OR REPLACE INTO badge VALUES ('new', 'h3', NULL, true)");
    assert_eq!(mover.follow().unwrap().rows, 2);
    assert_eq!(count(&pair.target, "badge"), 20);
    assert_equal(&mover.verify().unwrap());
}

#[test]
fn a_truncate_is_refused_while_a_table_moves() {
    let Some(pair) = Pair::new(Kind::Postgres, Kind::Sqlite) else { return };
    let mover = pair.copied();
    let error = connect(&pair.source).batch_execute("TRUNCATE tag").unwrap_err();
    assert!(error.to_string().contains("table tag is being moved"), "{error}");
    mover.remove().unwrap();
    run(&pair.source, "TRUNCATE tag");
}

/// What the follower writes is not captured for the way back, so nothing goes round in circles.
#[test]
fn followed_rows_do_not_come_back() {
    for pair in Pair::all() {
        fill(&pair.source, 0);
        let mover = pair.copied();
        switch(&mover, CHILD);
        let back = mover.back();
        run(&pair.target, "UPDATE stock SET on_hand = 6 WHERE sku = 'sku6'");
        assert_eq!(back.follow().unwrap().rows, 1);
        assert_eq!(back.follow().unwrap().rows, 0);
        assert_eq!(
            texts(&pair.source, "SELECT sku AS text FROM stock WHERE on_hand = 6"),
            ["sku6"]
        );
        switch(&back, super::pair::MONOLITH);
        assert_eq!(mover.follow().unwrap().rows, 0);
    }
}

#[test]
fn a_module_that_is_being_moved_opens_and_is_backed_up() {
    for pair in Pair::all() {
        fill(&pair.source, 0);
        let mover = pair.copied();
        let home = tempfile::tempdir().unwrap();
        for (at, side) in [&pair.source, &pair.target].into_iter().enumerate() {
            let open: Store = super::pair::open_as(side, "anyone");
            drop(open);
            let file = home.path().join(format!("{at}.jsonl"));
            backup("shop", side, &file).unwrap();
            assert!(!std::fs::read_to_string(&file).unwrap().contains("carve_m1"));
            let place = Location::Sqlite { path: home.path().join(format!("{at}.db")) };
            restore("shop", &place, &migrations(), &file).unwrap();
            assert_eq!(count(&place, "folder"), 100);
        }
        drop(mover);
    }
}

/// However small its tables, and however short the calls.
#[test]
fn a_rate_holds() {
    for pair in Pair::all() {
        fill(&pair.source, 300);
        let mover = pair.mover();
        mover.prepare().unwrap();
        mover.capture().unwrap();
        let pace = Pace { rows_per_second: Some(1000), ..Pace::default() };
        let since = Instant::now();
        let mut chunks = 0;
        loop {
            let mut watch = |_progress: &Progress| {
                chunks += 1;
                ControlFlow::Break(())
            };
            if mover.copy(&pace, &mut watch).unwrap().is_whole {
                break;
            }
        }
        // 515 rows, the last chunk of which is not waited for.
        assert!(since.elapsed() > Duration::from_millis(400), "{:?}", since.elapsed());
        assert!(chunks > 8, "{chunks} chunks");
        mover.follow().unwrap();
        assert_equal(&mover.verify().unwrap());
    }
}
