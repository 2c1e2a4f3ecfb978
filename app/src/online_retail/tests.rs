//! The reader against the real file, against the project's own small one, and against anything at all.

use std::{collections::BTreeMap, path::PathBuf};

use proptest::prelude::*;

use super::{
    Documents, Item, Kind,
    scan::{Scan, scan, scan_text},
};

const SMALL: &str = include_str!("../../tests/data/small-shop.csv");
const BAD: &str = include_str!("../../tests/data/bad-rows.csv");

fn opening(scan: &Scan) -> BTreeMap<String, i64> {
    scan.balances.opening().map(|(sku, units)| (sku.to_string(), units)).collect()
}

#[test]
fn the_real_file_gives_its_known_figures() {
    let file = "../shared/data/online-retail-2010-12-to-2011-08.csv.zst";
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    if !path.exists() {
        println!("skipped: {file} is not there");
        return;
    }
    let scan = scan(&path).unwrap();
    assert_eq!(scan.rows, 320_705);
    assert_eq!(scan.net_micros, 5_761_931_382_000);
    assert_eq!(scan.listed_micros, 0);
    let documents: u64 = scan.documents.values().sum();
    // 16,459 invoices; four rows adjust the stock of a code that is no product, three of them as the only row.
    assert_eq!((documents, scan.listed.len()), (16_456, 4), "{:?}", scan.listed);
    assert_eq!(scan.documents[&Kind::Return], 2_554);
    assert_eq!(scan.documents[&Kind::BadDebt], 3);
    assert_eq!(scan.balances.skus(), 3_670);
}

#[test]
fn the_small_file_has_every_trap() {
    let scan = scan_text(SMALL.as_bytes()).unwrap();
    assert_eq!(scan.rows, 34);
    assert_eq!(scan.listed.len(), 1, "{:?}", scan.listed);
    assert_eq!(
        scan.listed[0].to_string(),
        "line 10 (invoice 700005): a stock adjustment of `DOT`, which is no product"
    );
    let kinds = [Kind::Sale, Kind::Return, Kind::StockAdjustment, Kind::BadDebt]
        .map(|kind| scan.documents[&kind]);
    assert_eq!(kinds, [8, 7, 3, 3]);
    let expected = [
        ("10001A", 11),
        ("10002", 29),
        ("10003", 5),
        ("10004", 0),
        ("10005", 3),
        ("10006", 74_215),
        ("10007", 505),
        ("GIFT_0001_20", 1),
    ];
    assert_eq!(opening(&scan), expected.map(|(sku, units)| (sku.to_owned(), units)).into());
}

#[test]
fn a_bad_row_is_listed_by_line_and_reason_and_the_rest_is_taken() {
    let scan = scan_text(BAD.as_bytes()).unwrap();
    let lines: Vec<u64> = scan.listed.iter().map(|listed| listed.number).collect();
    assert_eq!(lines, [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 17, 18]);
    assert_eq!(scan.rows, 17);
    assert_eq!(scan.documents[&Kind::Sale], 3);
    assert_eq!(scan.net_micros, 3 * 2_550_000);
    // What can be read of the listed rows is worth as much as it says: no money leaves in silence.
    assert_eq!(scan.listed_micros, 3 * 2_550_000);
}

#[test]
fn an_invoice_keeps_its_rows_together_across_minutes_and_other_invoices() {
    let seventh = Documents::new(SMALL.as_bytes()).unwrap().find_map(|item| match item.unwrap() {
        Item::Document(document) if document.invoice == "700007" => Some(document),
        Item::Document(_) | Item::Listed(_) => None,
    });
    let seventh = seventh.unwrap();
    assert_eq!(seventh.at.to_string(), "2011-03-01T10:01:00Z");
    assert_eq!(seventh.lines.len(), 3);
    assert_eq!(seventh.micros(), Some(4_250_000 + 10_000));
}

#[test]
fn rows_have_the_number_of_their_line_however_lines_end() {
    let numbers = |text: &str| -> Vec<u64> {
        let mut numbers = Vec::new();
        for item in Documents::new(text.as_bytes()).unwrap() {
            match item.unwrap() {
                Item::Document(document) => {
                    numbers.extend(document.lines.iter().map(|line| line.number));
                }
                Item::Listed(listed) => numbers.push(listed.number),
            }
        }
        numbers.sort_unstable();
        numbers
    };
    let windows = SMALL.replace('\n', "\r\n");
    assert_eq!(numbers(&windows), numbers(SMALL));
    assert_eq!(numbers(SMALL).first(), Some(&2));
}

#[test]
fn another_table_is_refused_by_the_column_it_lacks() {
    let refused = scan_text(&b"InvoiceNo,StockCode,Quantity\n1,2,3\n"[..]).unwrap_err();
    assert!(refused.to_string().ends_with("it has no `Description`"), "{refused}");
}

proptest! {
    #[test]
    fn anything_at_all_is_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let header = SMALL.lines().next().unwrap().as_bytes();
        let text = [header, b"\n", &bytes].concat();
        drop(scan_text(&text[..]));
    }

    #[test]
    fn every_row_is_booked_or_listed(rows in proptest::collection::vec(row(), 0..40)) {
        let header = SMALL.lines().next().unwrap();
        let text = format!("{header}\n{}", rows.join("\n"));
        let mut booked = 0;
        let mut numbers = Vec::new();
        for item in Documents::new(text.as_bytes()).unwrap() {
            match item.unwrap() {
                Item::Document(document) => {
                    booked += document.lines.len();
                    numbers.extend(document.lines.iter().map(|line| line.number));
                }
                Item::Listed(listed) => numbers.push(listed.number),
            }
        }
        numbers.sort_unstable();
        let all: Vec<u64> = (2..).take(rows.len()).collect();
        prop_assert_eq!(numbers, all);
        prop_assert!(booked <= rows.len());
    }
}

/// Rows that are nearly right.
fn row() -> impl Strategy<Value = String> {
    let invoice = prop_oneof!["C?70000[0-9]", "A70000[0-3]", "[0-9x]{0,3}"];
    let code = prop_oneof![
        "1000[0-3][Aa]?",
        Just("POST".to_owned()),
        Just("BANK CHARGES".to_owned()),
        "[ #-+]{1,4}"
    ];
    let quantity = prop_oneof![(-30_i64..30).prop_map(|units| units.to_string()), "[0-9.e-]{0,22}"];
    let price = prop_oneof!["-?[0-9]{1,3}(\\.[0-9]{1,3})?", "[0-9.e-]{1,22}", Just("0".to_owned())];
    let at = ("1?[0-9]/[123]?[0-9]/2011", 0..24_u8, "[0-6][0-9]")
        .prop_map(|(date, hour, minute)| format!("{date} {hour}:{minute}"));
    let customer = prop_oneof![Just(String::new()), "2000[12]"];
    (invoice, code, quantity, at, price, customer).prop_map(
        |(invoice, code, quantity, at, price, customer)| {
            format!("{invoice},{code},name,{quantity},{at},{price},{customer},RSA")
        },
    )
}
