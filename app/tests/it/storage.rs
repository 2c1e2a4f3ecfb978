//! Backup and restore, and a stop that lets requests end.

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
        assert_eq!(std::fs::read_dir(&copy).unwrap().count(), 4);
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
