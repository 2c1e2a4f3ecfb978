//! Sticky, monotone and fair: held by properties over keys, salts and weights.

use proptest::prelude::*;

use super::*;

fn weight(hundredths: u16) -> Weight {
    Weight::of_hundredths(hundredths).unwrap()
}

proptest! {
    #[test]
    fn a_growing_weight_moves_nobody_back(salt in any::<u64>(), key in any::<Vec<u8>>(), one in 0_u16..=10_000, other in 0_u16..=10_000) {
        let bucket = Bucket::of(salt, &key);
        prop_assert!(bucket.number() < 10_000);
        let (less, more) = (one.min(other), one.max(other));
        if bucket.is_within(weight(less)) {
            prop_assert!(bucket.is_within(weight(more)));
        }
        prop_assert!(bucket.is_within(Weight::FULL));
        prop_assert!(!bucket.is_within(Weight::NONE));
    }

    /// Keys as people have them: numbers in a row, differing in their last bytes only.
    #[test]
    fn shares_are_fair(salt in any::<u64>(), hundredths in 1_u16..10_000, prefix in "[a-z]{0,12}") {
        const KEYS: u32 = 20_000;
        let within = (0..KEYS)
            .filter(|key| Bucket::of(salt, format!("{prefix}{key}").as_bytes()).is_within(weight(hundredths)))
            .count();
        let share = f64::from(hundredths) / 10_000.0;
        let expected = f64::from(KEYS) * share;
        // Six standard deviations of a binomial: a fair hash fails this once in five hundred million cases.
        let bound = 6.0 * (f64::from(KEYS) * share * (1.0 - share)).sqrt() + 1.0;
        let found = f64::from(u32::try_from(within).unwrap());
        prop_assert!((found - expected).abs() <= bound, "{found} of {KEYS}, expected {expected} +- {bound}");
    }
}

#[test]
fn buckets_never_change() {
    // A release that changes these moves clients between the sides of every canary in the world.
    for (salt, key, bucket) in
        [("stock", "alice", 9544_u16), ("stock", "bob", 7226), ("", "", 8110)]
    {
        let found = Bucket::of(super::salt(salt), key.as_bytes()).number();
        assert_eq!(found, bucket, "{salt}/{key}");
    }
}

#[test]
fn two_canaries_do_not_take_the_same_clients() {
    let half = weight(5000);
    let (a, b) = (salt("stock"), salt("orders"));
    let both = (0..10_000_u32)
        .map(|key| key.to_string())
        .filter(|key| {
            let within = |salt| Bucket::of(salt, key.as_bytes()).is_within(half);
            within(a) && within(b)
        })
        .count();
    assert!((2200..2800).contains(&both), "{both} of 10000 are in both halves");
}

#[test]
fn keys_are_found_where_they_are_said_to_be() {
    let headers: Vec<(String, String)> = [
        ("X-User", "alice"),
        ("Cookie", "a=1; sid=s1"),
        ("cookie", "sid=s2; b=2"),
        ("X-Twice", "one"),
        ("x-twice", "two"),
        ("X-Empty", ""),
        ("Authorization", "Bearer e30.eyJzdWIiOiJqb2UifQ.x"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    let facts = Facts {
        method: b"GET",
        host: b"a",
        path: b"/",
        query: b"",
        client: Some("2001:db8:1:2:3:4:5:6".parse().unwrap()),
        headers: &headers,
    };
    for (source, expected) in [
        ("header:x-user", Some(&b"alice"[..])),
        ("header:x-twice", None),
        ("header:x-empty", None),
        ("header:x-none", None),
        ("cookie:sid", Some(b"s1")),
        ("cookie:id", None),
        ("cookie:b", Some(b"2")),
        ("jwt:sub", Some(b"joe")),
        ("jwt:iss", None),
        ("address", Some(&[0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 2])),
    ] {
        let found = KeySource::parse(source).unwrap();
        assert_eq!(found.to_string(), source);
        assert_eq!(found.find(&facts).as_deref(), expected, "{source}");
    }
    let sticky = Sticky {
        sources: ["header:x-none", "cookie:sid", "address"]
            .map(|s| KeySource::parse(s).unwrap())
            .into(),
        salt: 0,
    };
    assert_eq!(sticky.key(&facts).unwrap().0, &KeySource::Cookie("sid".into()));
    for text in ["", "header", "header:", "header:a b", "cookie:", "jwt:", "address:x", "ip"] {
        assert!(KeySource::parse(text).is_err(), "{text}");
    }
}
