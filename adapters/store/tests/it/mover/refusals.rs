//! What cannot be moved is named before anything is begun, and nothing is done out of order.

use store::{
    Location, migrate,
    mover::{MoveError, Mover, Switch, SwitchError},
};

use super::{
    load::fill,
    pair::{CHILD, Kind, MONOLITH, Pair, copy, count, migrations, run, switch, unhurried},
};

#[test]
fn each_blocker_is_named() {
    let both = [
        ("CREATE TABLE loose (a TEXT)", "table loose has no primary key"),
        (
            "CREATE TABLE odd (id TEXT NOT NULL PRIMARY KEY, at REAL)",
            "column at of table odd is of type real, which does not move",
        ),
    ];
    for kind in [Kind::Sqlite, Kind::Postgres] {
        let Some(pair) = Pair::new(kind, Kind::Sqlite) else { continue };
        fill(&pair.source, 0);
        let ready = pair.mover().readiness().unwrap();
        assert_eq!(ready.blockers, Vec::<String>::new());
        assert_eq!(ready.rows(), 50 + 20 + 20 + 20 + 100 + 1 + 3);
        assert!(ready.bytes > 10_000);
        assert!(ready.room.unwrap() > ready.bytes);
        let Location::Sqlite { path } = &pair.target else { panic!("a file") };
        assert!(!path.exists(), "looking makes no file");
        for (sql, says) in both {
            run(&pair.source, sql);
            let found = pair.mover().readiness().unwrap().blockers;
            assert!(found.iter().any(|blocker| blocker.to_lowercase() == says), "{found:?}");
        }
        let error = pair.mover().prepare().unwrap_err();
        assert!(error.to_string().contains("table loose has no primary key"), "{error}");
        if kind == Kind::Postgres {
            run(
                &pair.source,
                "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; \
                 CREATE TRIGGER mine BEFORE INSERT ON stock FOR EACH ROW EXECUTE FUNCTION f()",
            );
            let found = pair.mover().readiness().unwrap().blockers;
            assert!(
                found.iter().any(|one| one.contains("table stock has the trigger mine")),
                "{found:?}"
            );
        } else {
            run(
                &pair.source,
                "CREATE TABLE cases (a TEXT COLLATE NOCASE NOT NULL PRIMARY KEY) WITHOUT ROWID",
            );
            let found = pair.mover().readiness().unwrap().blockers;
            assert!(found.iter().any(|one| one.contains("key of table cases")), "{found:?}");
            run(&pair.source, "CREATE TABLE nulls (a TEXT PRIMARY KEY)");
            let found = pair.mover().readiness().unwrap().blockers;
            assert!(
                found.iter().any(|one| one.contains("of the key of table nulls may be NULL")),
                "{found:?}"
            );
        }
    }
}

#[test]
fn a_target_that_is_somebodys_is_not_touched() {
    for pair in Pair::all() {
        migrate("shop", &pair.target, &migrations()).unwrap();
        run(&pair.target, "INSERT INTO stock VALUES ('theirs', 1, 0)");
        let error = pair.mover().prepare().unwrap_err();
        assert_eq!(error, MoveError::NotEmpty("table stock has 1 rows".to_owned()));
        let found = pair.mover().readiness().unwrap().blockers;
        assert_eq!(found, [error.to_string()]);
        run(&pair.target, "DELETE FROM stock; UPDATE fence SET epoch = 7, owner = 'theirs'");
        let error = pair.mover().prepare().unwrap_err();
        assert!(error.to_string().contains("epoch 7 and names theirs"), "{error}");
        run(&pair.target, "UPDATE fence SET epoch = 1, owner = ''");
        pair.mover().prepare().unwrap();
        assert_eq!(count(&pair.target, "tag"), 0, "what it was born with comes from the source");
    }
}

/// The module was moved away from there, and on since: the source's row is another by now.
#[test]
fn a_target_that_was_given_up_before_is_filled_by_who_knows_it() {
    for pair in Pair::all() {
        migrate("shop", &pair.target, &migrations()).unwrap();
        run(&pair.source, "UPDATE fence SET epoch = 3, owner = ''");
        run(&pair.target, "INSERT INTO stock VALUES ('old', 1, 0)");
        run(&pair.target, "UPDATE fence SET epoch = 2, owner = 'first'");
        let row = |epoch| store::Standing { epoch, owner: "first".to_owned() };
        for other in [vec![], vec![row(1)]] {
            let error = pair.mover().over(other).prepare().unwrap_err();
            assert!(matches!(error, MoveError::NotEmpty(_)), "{error}");
        }
        let knowing = || pair.mover().over(vec![row(2)]);
        assert_eq!(knowing().readiness().unwrap().blockers, Vec::<String>::new());
        knowing().prepare().unwrap();
        assert_eq!(count(&pair.target, "stock"), 0);
    }
}

#[test]
fn a_step_before_its_turn_is_refused() {
    for pair in Pair::all() {
        fill(&pair.source, 0);
        let mover = pair.mover();
        migrate("shop", &pair.target, &migrations()).unwrap();
        let early =
            |error: MoveError| assert!(matches!(error, MoveError::OutOfOrder(_)), "{error}");
        early(mover.follow().unwrap_err());
        early(mover.verify().unwrap_err());
        mover.prepare().unwrap();
        early(
            mover
                .copy(&store::mover::Pace::default(), &mut |_| std::ops::ControlFlow::Continue(()))
                .unwrap_err(),
        );
        mover.capture().unwrap();
        early(mover.follow().unwrap_err());
        early(mover.flip().unwrap_err());
        let SwitchError::Failed(error) = mover.switch(&Switch::to(CHILD)).unwrap_err() else {
            panic!("not refused")
        };
        early(error);
        copy(&mover, 1000);
        early(mover.back().follow().unwrap_err());
        for nobody in ["", "carve:x"] {
            assert!(matches!(
                mover.switch(&Switch::to(nobody)),
                Err(SwitchError::Failed(MoveError::Unfit(_)))
            ));
        }
        switch(&mover, CHILD);
        early(mover.follow().unwrap_err());
        early(mover.capture().unwrap_err());
    }
}

#[test]
fn a_migration_waits_for_the_end_of_a_move() {
    for pair in Pair::all() {
        let mover = pair.copied();
        for side in [&pair.source, &pair.target] {
            // Nothing to do is no reason to refuse.
            migrate("shop", side, &migrations()).unwrap();
            let error = migrate("shop", side, &crate::shop::MIGRATIONS).unwrap_err();
            assert!(error.to_string().contains("is being carved"), "{error}");
        }
        mover.remove().unwrap();
    }
}

/// After a move is over the old side may be filled again: its row says that it was left for this very source.
#[test]
fn a_side_that_was_left_is_filled_again_by_another_move() {
    for pair in Pair::all() {
        fill(&pair.source, 100);
        let there = pair.copied();
        switch(&there, CHILD);
        there.remove().unwrap();
        run(&pair.target, "DELETE FROM tag WHERE word LIKE 'old%'; UPDATE stock SET on_hand = 5");
        let mut sides = there.back().sides().clone();
        sides.id = store::mover::MoveId::new("m2").unwrap();
        let back = Mover::new(sides);
        back.prepare().unwrap();
        assert_eq!(count(&pair.source, "stock"), 0);
        back.capture().unwrap();
        copy(&back, 100);
        assert_eq!(switch(&back, MONOLITH).standing.epoch, 3);
        assert_eq!(count(&pair.source, "tag"), 1);
        assert!(!super::pair::open_as(&pair.source, MONOLITH).is_standby());
    }
}

#[test]
fn a_move_that_is_given_up_leaves_an_empty_sealed_target() {
    for pair in Pair::all() {
        fill(&pair.source, 0);
        let mover = pair.copied();
        assert!(mover.remove().unwrap().things > 10);
        for side in [&pair.source, &pair.target] {
            assert_eq!(Mover::leftovers(side).unwrap(), []);
        }
        assert_eq!(count(&pair.target, "stock"), 0);
        assert!(super::pair::open_as(&pair.target, CHILD).is_standby());
        assert!(!super::pair::open_as(&pair.source, MONOLITH).is_standby());
        assert_eq!(mover.remove().unwrap().things, 0);
        // The foreign keys are back.
        let orphan = "INSERT INTO book VALUES ('x', 'no shelf', '')";
        assert!(super::pair::connect(&pair.target).batch_execute(orphan).is_err());
        let again = pair.mover_named("m2");
        again.prepare().unwrap();
        again.capture().unwrap();
        copy(&again, 50);
        assert!(again.switch(&unhurried(CHILD)).is_ok());
    }
}
