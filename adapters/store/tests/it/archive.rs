//! Backup and restore: whole or not at all, between either database.

use std::{fs, path::Path};

use contract::Never;
use diesel::prelude::*;
use store::{Location, Store, backup, on, provision, restore, testing};
use tempfile::TempDir;

use crate::shop::{MIGRATIONS, Reserved, call, command, receive, reservation, reserve};

async fn trade(store: &Store) {
    store
        .write::<_, Never>(&call(), |tx| {
            receive(tx, "la\"mp\n\u{1f4a1}", 10)?;
            Ok(receive(tx, "chair", 10)?)
        })
        .await
        .unwrap();
    store.command(&command("k1"), "reserve", &"chair", |tx| reserve(tx, "chair", 2)).await.unwrap();
    store.sequence(&call(), 100).await.unwrap();
    // On PostgreSQL this event has no position yet when the backup is made.
    store
        .write::<_, Never>(&call(), |tx| {
            Ok(tx.emit(&Reserved { id: "last".into(), sku: "chair".into() })?)
        })
        .await
        .unwrap();
}

async fn reservations(store: &Store) -> Vec<(String, String, i64, i64)> {
    store.read::<_, Never>(&call(), |c| Ok(on!(c, |c| reservation::table.load(c))?)).await.unwrap()
}

fn open(location: &Location) -> Store {
    Store::open("shop", location, store::Limits::default(), kernel_api::Clock::system()).unwrap()
}

/// An empty place on SQLite and, where there is a server, on PostgreSQL.
fn empty_places(
    directory: &TempDir,
    n: usize,
) -> Vec<(Location, Option<testing::PrivateDatabase>)> {
    let mut places =
        vec![(Location::Sqlite { path: directory.path().join(format!("new/{n}.db")) }, None)];
    if let Some(database) = testing::PrivateDatabase::create() {
        let location = provision(&database.admin_url(), "shop", "secret").unwrap();
        places.push((location, Some(database)));
    }
    places
}

#[tokio::test]
async fn a_backup_restores_into_either_database() {
    let directory = tempfile::tempdir().unwrap();
    for (n, (source, _keep)) in testing::both(&MIGRATIONS, "shop").into_iter().enumerate() {
        trade(&source).await;
        let path = directory.path().join(format!("{n}.backup"));
        let made = backup("shop", source.location(), &path).unwrap();
        for (place, _keep) in empty_places(&directory, n) {
            let restored = restore("shop", &place, &MIGRATIONS, &path).unwrap();
            assert_eq!(made, restored);
            let target = open(&place);
            assert_eq!(reservations(&target).await, reservations(&source).await);
            // The answer of the command came along, and the feed goes on where it was.
            let again = target
                .command(&command("k1"), "reserve", &"chair", |tx| reserve(tx, "chair", 2))
                .await
                .unwrap();
            assert_eq!(again, reservations(&source).await[0].0);
            target.sequence(&call(), 100).await.unwrap();
            let feed = target.feed(&call(), 0, 100).await.unwrap();
            assert_eq!(feed.events.iter().map(|e| e.position).collect::<Vec<_>>(), [1, 2]);
            assert_eq!(feed.events[1].read::<Reserved>().unwrap().unwrap().id, "last");
            // And again out of the target: the same rows.
            let second = directory.path().join(format!("{n}.{}.backup", target.is_postgres()));
            assert_eq!(backup("shop", &place, &second).unwrap().rows, made.rows);
            let refused = restore("shop", &place, &MIGRATIONS, &path).unwrap_err().to_string();
            assert!(refused.contains("is not empty"), "{refused}");
        }
    }
}

fn refused(directory: &TempDir, module: &str, path: &Path) -> String {
    let place = Location::Sqlite { path: directory.path().join("untouched.db") };
    let error = restore(module, &place, &MIGRATIONS, path).unwrap_err().to_string();
    assert!(!directory.path().join("untouched.db").exists(), "nothing was made: {error}");
    error
}

#[tokio::test]
async fn a_damaged_backup_is_refused_before_anything_is_touched() {
    let directory = tempfile::tempdir().unwrap();
    let (source, _keep) = testing::sqlite(&MIGRATIONS);
    trade(&source).await;
    let path = directory.path().join("good");
    backup("shop", source.location(), &path).unwrap();
    let good = fs::read_to_string(&path).unwrap();
    assert!(
        backup("shop", source.location(), &path).unwrap_err().to_string().contains("there already")
    );

    let bad = directory.path().join("bad");
    let check = |text: &str, says: &str| {
        fs::write(&bad, text).unwrap();
        let error = refused(&directory, "shop", &bad);
        assert!(error.contains(says), "{error}");
    };
    check(&good.replace("\"chair\"", "\"choir\""), "its checksum is wrong");
    check(&good[..good.len() / 2], "cut off");
    check(&format!("{good}more\n"), "something follows");
    check("hello\n", "no backup of a module");
    check("", "cut off");
    let error = refused(&directory, "payments", &path);
    assert!(error.contains("it is a backup of shop"), "{error}");
    let error = refused(&directory, "shop", &directory.path().join("nowhere"));
    assert!(error.contains("nowhere"), "{error}");
}

/// The header and the footer stand right, and a row breaks a key: everything is undone.
#[tokio::test]
async fn a_restore_that_fails_half_way_leaves_the_database_empty() {
    use sha2::{Digest, Sha256};

    let directory = tempfile::tempdir().unwrap();
    let (source, _keep) = testing::sqlite(&MIGRATIONS);
    trade(&source).await;
    let path = directory.path().join("good");
    backup("shop", source.location(), &path).unwrap();
    let good = fs::read_to_string(&path).unwrap();
    let (body, _footer) = good.trim_end().rsplit_once('\n').unwrap();
    let body = format!("{}\n", body.replace("[10,2,\"chair\"]", "[10,2,\"table\"]"));
    let sum: String = Sha256::digest(&body).iter().map(|b| format!("{b:02x}")).collect();
    let rows = body.lines().filter(|line| line.starts_with('[')).count();
    fs::write(&path, format!("{body}{{\"rows\":{rows},\"sha256\":\"{sum}\"}}\n")).unwrap();
    for (place, _keep) in empty_places(&directory, 9) {
        let error = restore("shop", &place, &MIGRATIONS, &path).unwrap_err().to_string();
        assert!(error.to_lowercase().contains("foreign key"), "{error}");
        assert_eq!(reservations(&open(&place)).await, []);
    }
}

#[tokio::test]
async fn what_is_written_while_a_restore_begins_is_not_overwritten() {
    let Some((source, _keep)) = testing::postgres(&MIGRATIONS, "shop") else { return };
    trade(&source).await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shop.backup");
    backup("shop", source.location(), &path).unwrap();

    let (target, _keep) = testing::postgres(&MIGRATIONS, "shop").unwrap();
    let (begun, has_begun) = std::sync::mpsc::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let writer = target.clone();
    let writing = tokio::spawn(async move {
        let call = call();
        let written = writer.write::<_, Never>(&call, move |tx| {
            receive(tx, "lamp", 1)?;
            begun.send(()).unwrap();
            released.recv().unwrap();
            Ok(())
        });
        written.await.unwrap();
    });
    tokio::task::spawn_blocking(move || has_begun.recv().unwrap()).await.unwrap();
    let place = target.location().clone();
    let restoring =
        tokio::task::spawn_blocking(move || restore("shop", &place, &MIGRATIONS, &path));
    loop {
        #[derive(QueryableByName)]
        struct Waiting {
            #[diesel(sql_type = diesel::sql_types::BigInt)]
            count: i64,
        }
        let waits = "SELECT count(*) AS count FROM pg_locks WHERE NOT granted AND relation = 'fence'::regclass";
        let call = call();
        let waiting = target.read::<_, Never>(&call, move |c| {
            Ok(on!(c, |c| diesel::sql_query(waits).get_result::<Waiting>(c))?.count)
        });
        if waiting.await.unwrap() == 1 {
            break;
        }
        assert!(!restoring.is_finished(), "it did not wait for who was writing");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    release.send(()).unwrap();
    writing.await.unwrap();
    let refused = restoring.await.unwrap().unwrap_err().to_string();
    assert!(refused.contains("is not empty"), "{refused}");
}
