//! The command line: help, errors in one line, exit codes, and what needs no server.

use crate::server::{Database, Home};

fn home() -> Home {
    Home::new(Database::Sqlite).unwrap()
}

#[test]
fn a_wrong_use_is_2_and_a_failure_is_1_with_one_line() {
    let home = home();
    assert_eq!(home.run(&["no-such-command"]).status.code(), Some(2));
    assert_eq!(home.run(&["import", "online-retail"]).status.code(), Some(2));
    for (arguments, says) in [
        (&["import", "online-retail", "missing.csv"][..], "missing.csv"),
        (&["up", "--config", "missing.toml"][..], "missing.toml"),
        (&["serve", "--modules", "bakery"][..], "there is no module `bakery`"),
        (&["restore", "nowhere"][..], "nowhere"),
        (&["verify"][..], "there is no shop in"),
    ] {
        let output = home.run(arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {error}");
        let last = error.lines().last().unwrap_or_default();
        assert!(last.starts_with("banyan: ") && last.contains(says), "{arguments:?}: {error}");
    }
}

#[test]
fn unknown_settings_are_refused_by_name() {
    let home = home();
    let file = home.data().parent().unwrap().join("banyan.toml");
    std::fs::write(&file, "[http]\nlissten = \"127.0.0.1:1\"\n").unwrap();
    let output = home.run(&["config"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(error.contains("http.lissten") && error.lines().count() == 1, "{error}");
}

#[test]
fn settings_that_no_server_can_run_with_are_refused_by_name() {
    for (variable, value, named) in [
        ("BANYAN_HTTP_WORKERS", "513", "http.workers"),
        ("BANYAN_HTTP_CALL_TIME", "0s", "http.call_time"),
        ("BANYAN_DATABASE_READERS", "0", "database.readers"),
        ("BANYAN_DATABASE_READERS", "100000", "database.readers"),
        ("BANYAN_PAYMENTS_PROVIDER_TIMEOUT", "0s", "payments.provider_timeout"),
        ("BANYAN_LOG_LEVEL", "loud", "`loud` is no log level"),
    ] {
        let mut home = home();
        home.set(variable, value);
        let output = home.run(&["up"]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{variable}: {error}");
        assert!(error.starts_with("banyan: ") && error.lines().count() == 1, "{error}");
        assert!(error.contains(named), "{error}");
    }
}

#[test]
fn config_says_what_is_in_force_and_from_where() {
    let mut home = home();
    home.set("BANYAN_OPERATOR_TOKEN", "a-token-of-the-tests-own");
    home.set("BANYAN_STOP_DRAIN", "7s");
    let rows = home.json(&["config", "--listen", "127.0.0.1:9999", "--format", "json"]);
    let row =
        |key: &str| rows.as_array().unwrap().iter().find(|row| row["key"] == key).unwrap().clone();
    assert_eq!(row("http.listen")["value"], "127.0.0.1:9999");
    assert_eq!(row("http.listen")["origin"]["name"], "--listen");
    assert_eq!(row("stop.drain")["origin"]["name"], "BANYAN_STOP_DRAIN");
    assert_eq!(row("operator.token")["value"], "********");
    assert_eq!(row("internal.listen")["origin"]["from"], "environment");
    assert_eq!(row("stop.notice")["origin"]["from"], "default");
}

#[test]
fn the_program_explains_itself_without_a_server() {
    let home = home();
    let routes = home.json(&["routes", "--format", "json"]);
    let paths: Vec<_> = routes.as_array().unwrap().iter().map(|row| &row["path"]).collect();
    assert!(paths.iter().any(|path| *path == "/v1/carts"), "{paths:?}");
    let modules = home.json(&["modules", "--format", "json"]);
    assert_eq!(modules["modules"].as_array().unwrap().len(), 5);
    let picture = String::from_utf8(home.run(&["modules", "--format", "mermaid"]).stdout).unwrap();
    assert!(picture.contains("ordering --> inventory"), "{picture}");
    let script = String::from_utf8(home.run(&["completions", "bash"]).stdout).unwrap();
    assert!(script.contains("deadletters"));
    assert!(!home.data().exists(), "explaining makes no data");
}

#[test]
fn two_servers_do_not_share_a_data_directory() {
    let home = home();
    let _server = home.up();
    let second = home.run(&["up", "--listen", "127.0.0.1:0"]);
    let error = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(error.contains("is in use by the server at"), "{error}");
}

#[test]
fn a_running_server_logs_more_when_it_is_told_to() {
    let home = home();
    let said = |arguments: &[&str]| {
        let output = home.run(arguments);
        let (out, error) = (String::from_utf8(output.stdout), String::from_utf8(output.stderr));
        if output.status.success() { Ok(out.unwrap()) } else { Err(error.unwrap()) }
    };
    assert!(said(&["log-level", "debug"]).unwrap_err().contains("no server runs on"));
    assert!(!home.data().exists(), "asking makes no data");
    let server = home.up();
    assert!(said(&["log-level"]).unwrap().contains("info"));
    assert_eq!(said(&["log-level", "info,saga=debug"]).unwrap(), "info,saga=debug\n");
    assert!(said(&["log-level"]).unwrap().contains("saga=debug"));
    let refused = said(&["log-level", "loud"]).unwrap_err();
    assert!(refused.contains("`loud` is no log level"), "{refused}");
    assert_eq!(server.stop(), Some(0));
    assert!(said(&["log-level"]).unwrap_err().contains("no server runs on"));
}

#[test]
fn a_file_with_a_header_only_or_cut_off_is_told_of_in_plain_words() {
    let home = home();
    let file = home.data().with_file_name("file.csv");
    let header =
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";
    std::fs::write(&file, header).unwrap();
    let import = || home.run(&["import", "online-retail", file.to_str().unwrap()]);
    let said = String::from_utf8(import().stdout).unwrap();
    assert!(said.contains("documents: none; 0 new, 0 known"), "{said}");
    // The beginning of a Zstandard frame.
    std::fs::write(&file, [0x28, 0xb5, 0x2f, 0xfd, 0x24]).unwrap();
    let error = String::from_utf8(import().stderr).unwrap();
    assert!(error.contains("cut off or damaged") && error.lines().count() == 1, "{error}");
}

#[test]
fn a_replay_says_at_once_that_nobody_is_there() {
    let home = home();
    let small = format!("{}/tests/data/small-shop.csv", env!("CARGO_MANIFEST_DIR"));
    let nobody = ["--target", "http://127.0.0.1:1", "--patience", "1s", "--operator-token"];
    let token = "0123456789abcdef0123456789abcdef";
    let output = home.run(&[&["replay", "online-retail", &small], &nobody[..], &[token]].concat());
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.starts_with("nobody answers at http://127.0.0.1:1 ("), "{error}");
    assert!(error.contains("asking again for 1 s"), "{error}");
}
