//! What certificates say, and for whom they are good.

use std::path::PathBuf;

use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyPair, SanType};

use super::{Certificate, validity::complaint};

fn read(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Certificate {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = DistinguishedName::new();
    change(&mut params);
    let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    Certificate::read(made.der()).unwrap()
}

#[test]
fn names_addresses_and_times_are_read() {
    let certificate = read(&["Shop.Example", "*.shop.example", "10.0.0.1", "::1"], |params| {
        params.not_before = rcgen::date_time_ymd(2024, 1, 1);
        params.not_after = rcgen::date_time_ymd(2060, 1, 1);
        params.subject_alt_names.push(SanType::URI("spiffe://a/b".try_into().unwrap()));
    });
    assert_eq!(certificate.names, ["shop.example", "*.shop.example"]);
    assert_eq!(certificate.addresses.len(), 2);
    assert_eq!(certificate.uris, ["spiffe://a/b"]);
    assert_eq!((certificate.not_before, certificate.not_after), (1_704_067_200, 2_840_140_800));
    assert_eq!(certificate.file, PathBuf::new());
}

#[test]
fn a_subject_is_written_backwards_and_nothing_in_it_ends_a_line() {
    for (value, expected) in [
        (DnValue::from("plain"), "CN=plain"),
        ("a,b+c\"d\\e;f<g>".into(), "CN=a\\,b\\+c\\\"d\\\\e\\;f\\<g\\>"),
        (" #x ".into(), "CN=\\ #x\\ "),
        ("#x".into(), "CN=\\#x"),
        ("a\r\nX-Evil: 1".into(), "CN=a\\0D\\0AX-Evil: 1"),
        ("é".into(), "CN=\\C3\\A9"),
        (DnValue::BmpString("é".try_into().unwrap()), "CN=\\C3\\A9"),
    ] {
        let certificate = read(&["a"], |params| {
            params.distinguished_name.push(DnType::CommonName, value);
        });
        assert_eq!(certificate.subject, expected);
    }
    let certificate = read(&["a"], |params| {
        params.distinguished_name.push(DnType::CountryName, "DE");
        params.distinguished_name.push(DnType::OrganizationName, "Shop");
        params.distinguished_name.push(DnType::CustomDnType(vec![1, 2, 3, 4]), "x");
    });
    assert_eq!(certificate.subject, "1.2.3.4=x,O=Shop,C=DE");
}

#[test]
fn a_certificate_covers_its_names_and_one_label_of_a_wildcard() {
    let certificate = read(&["shop.example", "*.wild.example", "10.0.0.1", "::1"], |_| {});
    for (host, covers) in [
        ("shop.example", true),
        ("SHOP.example", true),
        ("a.shop.example", false),
        ("a.wild.example", true),
        ("wild.example", false),
        (".wild.example", false),
        ("a.b.wild.example", false),
        ("*.wild.example", true),
        ("10.0.0.1", true),
        ("10.0.0.2", false),
        ("[::1]", true),
        ("", false),
    ] {
        assert_eq!(certificate.covers(host), covers, "{host}");
    }
}

#[test]
fn no_bytes_make_the_reader_fail() {
    let made = CertificateParams::new(vec!["shop.example".to_owned()]).unwrap();
    let made = made.self_signed(&KeyPair::generate().unwrap()).unwrap();
    let whole = made.der().to_vec();
    for end in 0..whole.len() {
        assert_eq!(Certificate::read(&whole[..end]), None, "cut at {end}");
    }
    for at in 0..whole.len() {
        for value in [0, 0x7f, 0x80, 0x84, 0xff] {
            let mut bent = whole.clone();
            bent[at] = value;
            // Whatever it makes of it, it makes something of it.
            drop(Certificate::read(&bent));
        }
    }
}

#[test]
fn a_complaint_comes_three_weeks_before_the_end() {
    let certificate =
        Certificate { not_before: 1000, not_after: 10_000_000, ..Certificate::default() };
    let day = 24 * 3600;
    for (now, begins) in [
        (999, Some("is not valid before")),
        (1000, None),
        (10_000_000 - 22 * day, None),
        (10_000_000 - 20 * day, Some("expires on")),
        (10_000_000, Some("expires on")),
        (10_000_001, Some("expired on")),
    ] {
        let found = complaint(&certificate, now);
        match begins {
            Some(begins) => assert!(
                found.as_deref().is_some_and(|it| it.starts_with(begins)),
                "{now}: {found:?}"
            ),
            None => assert_eq!(found, None, "{now}"),
        }
    }
}
