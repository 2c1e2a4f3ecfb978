//! A replay: the file is traded live, once, whatever happens on the way, and the books have exactly its net.

use std::{
    fmt::Write,
    net::TcpListener,
    process::{Child, Stdio},
};

use banyan::online_retail::scan::scan_text;
use kernel_api::{Currency, Exact};
use serde_json::Value;

use crate::server::{Client, Home, Server, homes, until};

const SMALL: &str = include_str!("../data/small-shop.csv");

fn net_of(text: &str) -> String {
    Exact::new(scan_text(text.as_bytes()).unwrap().net_micros, Currency::GBP).amount()
}

/// Writes the text beside the data directory.
fn file(home: &Home, text: &str) -> String {
    let path = home.data().with_file_name("trade.csv");
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn replay(home: &Home, server: &Server, file: &str, more: &[&str]) -> Value {
    let arguments =
        ["replay", "online-retail", file, "--target", &server.public, "--format", "json"];
    home.json(&[&arguments, more].concat())
}

#[test]
fn a_file_is_traded_and_a_second_run_changes_nothing() {
    for home in homes() {
        let server = home.up();
        let file = file(&home, SMALL);
        let report = replay(&home, &server, &file, &[]);
        assert_eq!(report["complete"], true);
        assert_eq!(report["documents"]["sales"]["settled"], 8);
        assert_eq!(report["documents"]["returns"]["settled"], 7);
        assert_eq!(report["refusals"].as_array().unwrap().len(), 0);
        assert_eq!(report["net"], net_of(SMALL));
        let books = home.verified();
        assert_eq!(books["books"]["net"], net_of(SMALL));
        assert_eq!(books["orders"]["live"], 8);

        replay(&home, &server, &file, &[]);
        assert_eq!(home.verified()["stock"], books["stock"]);
        assert_eq!(home.verified()["orders"], books["orders"]);

        replay(&home, &server, &file, &["--run", "again"]);
        assert_eq!(home.verified()["orders"]["live"], 16, "another run trades it once more");
    }
}

/// Sales of a few customers, every fifth of them given back in part, and stock that is found and lost.
fn trade() -> String {
    let mut text = String::from(
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n",
    );
    for number in 0..240 {
        let at = format!("3/1/2011 {}:{:02}", 8 + number / 60, number % 60);
        let (customer, sku) = (20_001 + number % 7, 10_001 + number % 5);
        let (sign, letter, invoice) = match number % 5 {
            4 => ("-", "C", 600_000 + number),
            _ => ("", "", 600_000 + number),
        };
        for line in 0..3 {
            let (sku, quantity) = (sku + line, 1 + line);
            writeln!(
                text,
                "{letter}{invoice},{sku},THING,{sign}{quantity},{at},2.55,{customer},EIRE"
            )
            .unwrap();
        }
        if number % 20 == 10 {
            writeln!(text, "{},{sku},found,2,{at},0,,EIRE", 700_000 + number).unwrap();
            writeln!(text, "{},{sku},lost,-2,{at},0,,EIRE", 800_000 + number).unwrap();
        }
    }
    text
}

fn begin(home: &Home, server: &Server, file: &str) -> Child {
    // Slow enough that each kill meets it half-way.
    let arguments = ["replay", "online-retail", file, "--target", &server.public, "--rate", "60"];
    home.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until the shop's books have this many documents.
async fn traded(operator: &Client, count: i64) {
    until("the replay gets on", async || {
        let books = operator.get("/v1/books").await.expect(200);
        let live = books.as_array().unwrap().iter().find(|books| books["source"].is_null());
        live.and_then(|books| books["documents"].as_i64()).filter(|documents| *documents >= count)
    })
    .await;
}

#[tokio::test]
async fn a_shop_that_is_killed_three_times_has_traded_everything_once() {
    let trade = trade();
    for mut home in homes() {
        // What a kill leaves half done is taken up when its lease is over: three times this.
        home.set("BANYAN_ORDERING_STEP_TIMEOUT", "1s");
        // A port that was free a moment ago, for the replay knows only one.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let mut server = home.start(&["up", "--listen", &port]);
        let replay = begin(&home, &server, &file(&home, &trade));
        for kill in 1..=3 {
            traded(&server.operator(), kill * 50).await;
            server.kill();
            server = home.start(&["up", "--listen", &port]);
        }
        let output = replay.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        let found = home.verified();
        assert_eq!(found["books"]["net"], net_of(&trade));
        assert_eq!(found["orders"]["live"], 192, "{said}");
    }
}
