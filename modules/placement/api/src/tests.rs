//! Names, addresses and places of data keep their promises; waits add up.

use crate::{Address, Database, Name, Percent, Step, Waits};

#[test]
fn a_name_is_plain_and_no_seal() {
    for good in ["inventory", "a", "shop-2", "my_module", &"a".repeat(32)] {
        assert!(good.parse::<Name>().is_ok(), "{good}");
    }
    for bad in ["", "2nd", "-a", "Inventory", "carve:1", "a b", "a/b", "é", &"a".repeat(33)] {
        assert!(bad.parse::<Name>().is_err(), "{bad}");
    }
}

#[test]
fn an_address_shows_no_secret() {
    let address: Address = "http://127.0.0.1:9002/".parse().unwrap();
    assert_eq!(address.as_str(), "http://127.0.0.1:9002");
    for bad in ["", "ftp://a", "http://", "http:///x", "http://u:p@host", "http://a b", "a:1"] {
        assert!(bad.parse::<Address>().is_err(), "{bad}");
    }
}

#[test]
fn a_database_is_kept_whole_and_shown_without_its_password() {
    let server: Database = "postgres://me:se@cret@db:5432/shop?sslkey=x".parse().unwrap();
    assert_eq!(server.to_string(), "postgres://db:5432/shop");
    assert_eq!(format!("{server:?}"), "postgres://db:5432/shop");
    assert_eq!(server.expose(), "postgres://me:se@cret@db:5432/shop?sslkey=x");
    assert_eq!("/a/b.db".parse::<Database>().unwrap().to_string(), "/a/b.db");
    assert_eq!("sqlite:/a/b.db".parse::<Database>().unwrap().to_string(), "/a/b.db");
    for bad in ["", "sqlite:", "mysql://x", "a\0b"] {
        assert!(bad.parse::<Database>().is_err(), "{bad:?}");
    }
}

#[test]
fn a_percentage_is_one_to_a_hundred() {
    assert!(Percent::new(0).is_none());
    assert!(Percent::new(101).is_none());
    assert_eq!(serde_json::from_str::<Percent>("100").unwrap().get(), 100);
    assert!(serde_json::from_str::<Percent>("0").is_err());
}

#[test]
fn a_step_has_one_word() {
    for step in Step::ALL {
        assert_eq!(serde_json::to_value(step).unwrap(), step.as_str());
    }
}

#[test]
fn waits_add_up_and_their_quantiles_are_close() {
    let (mut all, mut half) = (Waits::default(), Waits::default());
    assert_eq!((all.count(), all.percentile_us(99), all.max_us()), (0, 0, 0));
    for us in 0..=1000 {
        all.record(us);
    }
    for us in 1001..=10_000 {
        half.record(us);
    }
    all.add(&half);
    assert_eq!((all.count(), all.max_us()), (10_001, 10_000));
    for (percent, truth) in [(50, 5000), (99, 9900), (100, 10_000), (1, 100)] {
        let told = all.percentile_us(percent);
        assert!(told >= truth && told <= truth + truth / 16 + 1, "{percent} %: {told}");
    }
    let mut extreme = Waits::default();
    extreme.record(u64::MAX);
    assert_eq!(extreme.percentile_us(50), u64::MAX);
    let read: Waits = serde_json::from_str(&serde_json::to_string(&all).unwrap()).unwrap();
    assert_eq!(read, all);
}
