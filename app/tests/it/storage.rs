//! Backup and restore, and a stop that lets requests end.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rusqlite::Connection;
use serde_json::json;

use crate::{
    server::{Database, Home, homes},
    shopping::stock,
};

#[test]
fn a_backup_of_a_running_shop_restores_into_an_empty_one_of_either_kind() {
    for home in homes() {
        let small = format!("{}/tests/data/small-shop.csv", env!("CARGO_MANIFEST_DIR"));
        let server = home.up();
        home.json(&["import", "online-retail", &small, "--format", "json"]);
        let before = home.verified();
        let copy = home.data().with_file_name("copy");
        let done = home.run(&["backup", copy.to_str().unwrap()]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        assert_eq!(std::fs::read_dir(&copy).unwrap().count(), 5);
        assert_eq!(server.stop(), Some(0));

        for other in homes() {
            let done = other.run(&["restore", copy.to_str().unwrap()]);
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
            let after = other.verified();
            for part in ["books", "stock", "orders", "payments"] {
                assert_eq!(after[part], before[part], "{part}");
            }
            let again = other.run(&["restore", copy.to_str().unwrap()]);
            assert_eq!(again.status.code(), Some(1), "data that is there is not overwritten");
        }
    }
}

#[test]
fn one_damaged_file_of_a_backup_keeps_all_from_being_restored() {
    let (home, other) =
        (Home::new(Database::Sqlite).unwrap(), Home::new(Database::Sqlite).unwrap());
    let small = format!("{}/tests/data/small-shop.csv", env!("CARGO_MANIFEST_DIR"));
    home.json(&["import", "online-retail", &small, "--format", "json"]);
    let copy = home.data().with_file_name("copy");
    assert!(home.run(&["backup", copy.to_str().unwrap()]).status.success());
    let file = copy.join("payments.backup");
    let whole = std::fs::read(&file).unwrap();
    for bad in [&whole[..whole.len() / 2], &std::fs::read(copy.join("catalog.backup")).unwrap()] {
        std::fs::write(&file, bad).unwrap();
        let refused = other.run(&["restore", copy.to_str().unwrap()]);
        assert_eq!(refused.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&refused.stderr).contains("payments.backup"));
    }
    std::fs::write(&file, whole).unwrap();
    let done = other.run(&["restore", copy.to_str().unwrap()]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(other.verified()["books"], home.verified()["books"]);
}

const MODULES: [&str; 4] = ["catalog", "inventory", "ordering", "payments"];

/// A shop with the small file's trade in it, and nobody who has it open.
fn traded() -> Home {
    let home = Home::new(Database::Sqlite).unwrap();
    let small = format!("{}/tests/data/small-shop.csv", env!("CARGO_MANIFEST_DIR"));
    home.json(&["import", "online-retail", &small, "--format", "json"]);
    home
}

fn file(home: &Home, module: &str) -> PathBuf {
    home.data().join(format!("{module}.db"))
}

/// That the shop does not open, in one line that says this.
#[track_caller]
fn refused(home: &Home, says: &str) {
    let output = home.run(&["verify"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.lines().count() == 1 && error.contains(says), "{error}");
}

#[test]
fn a_module_whose_file_is_gone_or_anothers_is_not_taken_for_a_new_one() {
    let (home, other) = (traded(), traded());
    let (ours, kept) = (file(&home, "inventory"), home.data().with_file_name("kept.db"));
    fs::rename(&ours, &kept).unwrap();
    refused(&home, "inventory.db is missing, empty or another file");
    assert!(!home.run(&["migrate"]).status.success() && !ours.exists(), "nothing is made");
    fs::write(&ours, "").unwrap();
    refused(&home, "inventory.db is missing, empty or another file");
    Connection::open(&ours).unwrap().execute_batch("CREATE TABLE shelf (id)").unwrap();
    refused(&home, "inventory.db is missing, empty or another file");
    let put = |from: &Path| assert!(fs::copy(from, &ours).unwrap() > 0);
    put(&file(&home, "catalog"));
    refused(&home, "inventory.db is no file of inventory");
    put(&file(&other, "inventory"));
    refused(&home, "inventory.db is no file of inventory");
    put(&kept);
    home.verified();

    // A backup fills the place of one that was lost.
    let copy = home.data().with_file_name("copy");
    assert!(home.run(&["backup", copy.to_str().unwrap()]).status.success());
    fs::remove_file(&ours).unwrap();
    let done = home.run(&["restore", copy.to_str().unwrap(), "--module", "inventory"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    home.verified();
}

#[test]
fn data_from_before_modules_were_remembered_opens_and_a_new_module_is_made() {
    let home = traded();
    let remembered = home.data().join("modules.json");
    let unmarked = "PRAGMA application_id = 0; PRAGMA user_version = 0";
    for module in MODULES {
        Connection::open(file(&home, module)).unwrap().execute_batch(unmarked).unwrap();
    }
    fs::remove_file(&remembered).unwrap();
    home.verified();
    // The small file by itself may be lost: the databases say whose they are.
    fs::remove_file(&remembered).unwrap();
    home.verified();

    // As a later version finds it that has one module more.
    let text = fs::read_to_string(&remembered).unwrap();
    fs::write(&remembered, text.replace(",\"payments\"", "")).unwrap();
    fs::remove_file(file(&home, "payments")).unwrap();
    assert!(home.run(&["feeds", "list"]).status.success());
    fs::remove_file(file(&home, "payments")).unwrap();
    refused(&home, "payments.db is missing, empty or another file");
}

#[test]
fn a_restore_that_was_cut_off_is_no_shop() {
    let (home, other) = (traded(), Home::new(Database::Sqlite).unwrap());
    let copy = home.data().with_file_name("copy");
    assert!(home.run(&["backup", copy.to_str().unwrap()]).status.success());
    fs::create_dir(other.data()).unwrap();
    fs::copy(file(&home, "inventory"), file(&other, "inventory")).unwrap();
    // Catalog is restored, then inventory is in the way.
    let cut = other.run(&["restore", copy.to_str().unwrap()]);
    assert!(String::from_utf8_lossy(&cut.stderr).contains("inventory is not empty"));
    refused(&other, "a restore into");
    let up = other.run(&["up"]);
    let error = String::from_utf8(up.stderr).unwrap();
    assert!(error.contains("was cut off") && error.contains("banyan restore"), "{error}");
    // Again is no way around it.
    assert_eq!(other.run(&["restore", copy.to_str().unwrap()]).status.code(), Some(1));
    refused(&other, "a restore into");
    for module in MODULES {
        drop(fs::remove_file(file(&other, module)));
    }
    let done = other.run(&["restore", copy.to_str().unwrap()]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(other.verified()["books"], home.verified()["books"]);
}

#[tokio::test]
async fn a_stop_lets_requests_end() {
    let home = Home::new(Database::Sqlite).unwrap();
    let server = home.up();
    let operator = server.operator();
    stock(&operator, &[("LAMP", "10.00", 5)]).await;
    let lines = json!({ "lines": [{ "sku": "LAMP", "quantity": 1 }] });
    let cart = operator.post("/v1/carts", "cart", lines).await.expect(201);
    let path = format!("/v1/carts/{}/checkout", cart["id"].as_str().unwrap());
    // The provider takes its time over this one.
    let paying = tokio::spawn(async move {
        operator.post(&path, "pay", json!({ "payment_token": "tok_late" })).await.status
    });
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    let stopping = tokio::task::spawn_blocking(move || server.stop());
    let status = paying.await.unwrap();
    assert!([201, 202].contains(&status), "{status}");
    assert_eq!(stopping.await.unwrap(), Some(0));
    let found = home.verified();
    assert_eq!(found["orders"]["live"], 1);
}
