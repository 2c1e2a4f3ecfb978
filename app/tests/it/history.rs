//! The past: a file is imported once, whatever happens on the way, and the books have exactly its net.

use std::{
    io::Read,
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use banyan::online_retail::{scan::scan_text, source::Source};
use kernel_api::{Currency, Exact};
use serde_json::{Value, json};

use crate::server::{Database, Home, PATIENCE, homes};

/// The project's own small file, with every trap of the real one.
fn small() -> String {
    format!("{}/tests/data/small-shop.csv", env!("CARGO_MANIFEST_DIR"))
}

/// The real file, where it is.
fn real() -> Option<PathBuf> {
    let file = "../shared/data/online-retail-2010-12-to-2011-08.csv.zst";
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    if !path.exists() {
        eprintln!("skipped: {file} is not there");
        return None;
    }
    Some(path)
}

fn import(home: &Home, file: &str) -> Value {
    home.json(&["import", "online-retail", file, "--format", "json"])
}

#[test]
fn a_file_ends_in_the_books_and_a_second_run_changes_nothing() {
    for home in homes() {
        let first = import(&home, &small());
        assert_eq!(first["rows"], 34);
        assert_eq!(first["listed"].as_array().unwrap().len(), 1);
        let books = home.verified();
        assert_eq!(books["books"]["net"], first["net"]);
        assert_eq!(books["books"]["sources"][0]["net_in_books"], first["net"]);
        assert_eq!(books["orders"]["history"], 8);

        let second = import(&home, &small());
        for new in ["documents_new", "products_new", "customers_new"] {
            assert_eq!(second[new], 0, "{second}");
        }
        assert_eq!(second["opening_units_new"], 0, "{second}");
        let mut again = home.verified();
        let mut before = books.clone();
        for report in [&mut again, &mut before] {
            report["seconds"] = Value::Null;
        }
        assert_eq!(again, before);
    }
}

#[test]
fn a_year_in_two_files_is_the_same_as_in_one_and_a_row_is_never_counted_twice() {
    let text = std::fs::read_to_string(small()).unwrap();
    let (header, rows) = text.split_once('\n').unwrap();
    let middle = rows.find("C700009").unwrap();
    let (one, two) = (Home::new(Database::Sqlite).unwrap(), Home::new(Database::Sqlite).unwrap());
    import(&one, &small());
    let (before, after) = rows.split_at(middle);
    for (number, part) in [before, after].into_iter().enumerate() {
        let path = two.data().with_file_name(format!("part-{number}.csv"));
        std::fs::write(&path, format!("{header}\n{part}")).unwrap();
        import(&two, path.to_str().unwrap());
    }
    let (one, both) = (one.verified(), two.verified());
    assert_eq!(both["stock"], one["stock"]);
    assert_eq!(both["orders"], one["orders"]);
    assert_eq!(both["books"]["net"], one["books"]["net"]);
    assert_eq!(both["payments"]["refunded"], one["payments"]["refunded"]);
    let refused = two.run(&["import", "online-retail", &small()]);
    let error = String::from_utf8(refused.stderr).unwrap();
    assert!(error.contains("is in the books from another file"), "{error}");
}

#[test]
fn a_running_server_takes_the_import_and_verifies_itself() {
    for home in homes() {
        let server = home.up();
        let first = import(&home, &small());
        assert_eq!(first["documents_new"], 18);
        assert_eq!(home.verified()["books"]["net"], first["net"]);
        assert_eq!(server.stop(), Some(0));
        assert_eq!(home.verified()["books"]["net"], first["net"]);
    }
}

#[tokio::test]
async fn who_is_a_customer_already_stays_that_customer() {
    for home in homes() {
        let server = home.up();
        let operator = server.operator();
        let live = json!({ "reference": "20001", "name": "Ada" });
        let live = operator.post("/v1/customers", "ada", live).await.expect(201);
        let first = import(&home, &small());
        assert_eq!((&first["documents_new"], &first["customers_new"]), (&json!(18), &json!(3)));
        let orders = format!("/v1/orders?customer={}", live["id"].as_str().unwrap());
        let orders = operator.get(&orders).await.expect(200);
        assert_eq!(orders["items"][0]["reference"], "700001");
        let second = import(&home, &small());
        assert_eq!((&second["documents_new"], &second["customers_new"]), (&json!(0), &json!(0)));
        assert_eq!(home.verified()["books"]["net"], first["net"]);
    }
}

#[test]
fn a_killed_import_is_completed_by_the_next() {
    let Some(file) = real() else { return };
    let home = Home::new(Database::Sqlite).unwrap();
    // A part of the real file: every kind of row, and several batches, in seconds.
    let part = home.data().with_file_name("part.csv");
    let mut text = String::new();
    Source::open(&file).unwrap().read_to_string(&mut text).unwrap();
    let rows: String = text.split_inclusive('\n').take(30_000).collect();
    std::fs::write(&part, &rows).unwrap();
    let expected = scan_text(rows.as_bytes()).unwrap();
    let part = part.to_str().unwrap();

    // Each kill comes a little later than the one before: among the products, in the documents, near the end.
    for kilobytes in [600, 2_000, 5_000] {
        let mut child = home
            .command(&["import", "online-retail", part])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let began = Instant::now();
        while size(&home) < kilobytes * 1_000 && child.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < PATIENCE, "the import does not move");
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let done = import(&home, part);
    let net = Exact::new(expected.net_micros, Currency::GBP).amount();
    assert_eq!((&done["rows"], &done["net"]), (&json!(29_999), &json!(net)));
    let found = home.verified();
    assert_eq!((&found["books"]["net"], &found["books"]["ledger_net"]), (&json!(net), &json!(net)));
    assert_eq!(found["books"]["sources"][0]["rows"], 29_999);
}

/// What all databases of a home weigh.
fn size(home: &Home) -> u64 {
    let Ok(files) = std::fs::read_dir(home.data()) else { return 0 };
    files.filter_map(|file| Some(file.ok()?.metadata().ok()?.len())).sum()
}
