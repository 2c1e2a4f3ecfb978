//! A feed that does not go on where a module stands in it: the module waits for an operator's word, and goes on by it.

use serde_json::{Value, json};

use crate::{
    letters::buy,
    server::{Database, Home, until},
    shopping::stock,
};

/// What payments hears of ordering.
fn revenue(home: &Home) -> Value {
    let feeds = home.json(&["feeds", "list", "--format", "json"]);
    let mut feeds = feeds.as_array().unwrap().iter();
    feeds.find(|feed| feed["subscription"] == "revenue").unwrap().clone()
}

async fn stopped(home: &Home) -> Value {
    until("it has stopped", async || Some(revenue(home)).filter(|feed| feed["alarm"].is_string()))
        .await
}

fn resume(home: &Home, at: &str) -> Result<String, String> {
    let reason = "ordering came from last night's copy";
    let wish = ["feeds", "resume", "payments", "revenue", "--at", at, "--reason", reason];
    let done = home.run(&wish);
    let said = |bytes| String::from_utf8_lossy(bytes).into_owned();
    if done.status.success() { Ok(said(&done.stdout)) } else { Err(said(&done.stderr)) }
}

#[tokio::test]
async fn a_module_that_is_ahead_of_a_restored_feed_goes_on_where_an_operator_says() {
    let home = Home::new(Database::Sqlite).unwrap();
    let ordering = home.data().join("ordering.db");
    let copy = home.data().with_file_name("ordering.last-night");
    let server = home.up();
    stock(&server.operator(), &[("LAMP", "10.00", 9)]).await;
    buy(&server.operator(), "LAMP", "kept").await;
    home.verified();
    assert!(resume(&home, "head").unwrap_err().contains("it has not stopped"));
    assert_eq!(server.stop(), Some(0));
    std::fs::copy(&ordering, &copy).unwrap();

    // An order is told of twice: that it was placed, and that it was paid.
    for asked_of_a_server in [true, false] {
        let server = home.up();
        buy(&server.operator(), "LAMP", "lost").await;
        until("it is heard", async || (revenue(&home)["position"] == 4).then_some(())).await;
        assert_eq!(server.stop(), Some(0));
        std::fs::copy(&copy, &ordering).unwrap();
        let server = asked_of_a_server.then(|| home.up());
        let feed = stopped(&home).await;
        assert_eq!((&feed["position"], &feed["head"]), (&json!(4), &json!(2)));
        let alarm = feed["alarm"].as_str().unwrap();
        assert!(alarm.contains("the feed ends at 2"), "{alarm}");
        assert!(alarm.contains("`banyan feeds resume payments revenue`"), "{alarm}");
        assert!(resume(&home, "7").unwrap_err().contains("from 0 to 2 only"));
        assert_eq!(resume(&home, "head").unwrap(), "revenue goes on after position 2\n");
        drop(server);

        let server = home.up();
        buy(&server.operator(), "LAMP", "after").await;
        until("it is heard", async || (revenue(&home)["position"] == 4).then_some(())).await;
        assert_eq!(revenue(&home)["alarm"], json!(null));
        assert_eq!(server.stop(), Some(0));
        std::fs::copy(&copy, &ordering).unwrap();
        assert!(stopped(&home).await["head"] == 2);
        assert!(resume(&home, "2").is_ok());
    }
}
