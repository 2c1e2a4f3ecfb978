//! Certificates that change while the proxy runs, and those that cannot be used.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use strangler_proxy::{
    config::{Source, load_text},
    steer::ConfigState,
};

use crate::{
    authority::Authority,
    proxied::Proxied,
    raw::{Peer, Upstream, get, until},
};

/// The serial number's stand-in: the bytes of what was shown.
fn shown(client: &Peer) -> Vec<u8> {
    client.tls.as_ref().unwrap().peer_certificates().unwrap()[0].to_vec()
}

#[test]
fn certificates_are_renewed_under_load_without_a_failure() {
    let authority = Arc::new(Authority::new());
    authority.sign("shop", &["shop.example"]);
    let upstream = Upstream::echo();
    let listen = authority.listen(&["shop"], "");
    let proxy =
        Arc::new(Proxied::new(&format!("{listen}from = \"http://{}\"\n", upstream.address)));
    let mut old = authority.connect(&proxy, "shop.example");
    assert_eq!(old.ask(get("/")).status(), 200);
    let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..3)
        .map(|_| {
            let (authority, proxy) = (Arc::clone(&authority), Arc::clone(&proxy));
            let (stop, asked) = (Arc::clone(&stop), Arc::clone(&asked));
            thread::spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    let mut client = authority.connect(&proxy, "shop.example");
                    for _ in 0..3 {
                        assert_eq!(client.ask(get("/")).status(), 200);
                        asked.fetch_add(1, Ordering::SeqCst);
                    }
                }
            })
        })
        .collect();
    let before = shown(&old);
    for round in 1..=10 {
        authority.sign("shop", &["shop.example"]);
        proxy.steering.look();
        let wanted = asked.load(Ordering::SeqCst) + 9;
        until("they go on", || asked.load(Ordering::SeqCst) >= wanted);
        let mut client = authority.connect(&proxy, "shop.example");
        assert_eq!(client.ask(get("/")).status(), 200);
        assert_ne!(shown(&client), before, "round {round}");
        assert_eq!(old.ask(get("/")).status(), 200, "an open connection keeps what it has");
    }
    stop.store(true, Ordering::SeqCst);
    clients.into_iter().for_each(|client| client.join().unwrap());
    assert_eq!(shown(&old), before);
}

#[test]
fn what_is_broken_is_refused_and_what_was_in_force_stays() {
    let authority = Authority::new();
    authority.sign("shop", &["shop.example"]);
    let upstream = Upstream::echo();
    let listen = authority.listen(&["shop"], "");
    let proxy = Proxied::new(&format!("{listen}from = \"http://{}\"\n", upstream.address));
    let works = || authority.connect(&proxy, "shop.example").ask(get("/")).status() == 200;
    assert!(works());
    let (cert, key) = (authority.file("shop.pem"), authority.file("shop.key"));
    let (good_cert, good_key) = (fs::read(&cert).unwrap(), fs::read(&key).unwrap());
    authority.sign("other", &["shop.example"]);
    let other_key = fs::read(authority.file("other.key")).unwrap();
    for (file, text, expected) in [
        (&key, Some(other_key), "key: the key does not belong to the certificate"),
        (&cert, Some(b"rubbish".to_vec()), "has no certificate in PEM"),
        (&cert, Some(Vec::new()), "has no certificate in PEM"),
        (&key, None, "cannot read"),
    ] {
        match text {
            Some(text) => fs::write(file, text).unwrap(),
            None => fs::remove_file(file).unwrap(),
        }
        proxy.steering.look();
        let ConfigState::Refused { faults, .. } = proxy.steering.config_state() else {
            panic!("taken: {expected}");
        };
        assert!(faults.iter().any(|fault| fault.contains(expected)), "{faults:?}");
        assert!(faults[0].contains("listen[0].tls.certificates[0]"), "{faults:?}");
        proxy.steering.look();
        assert!(works(), "{expected}");
        fs::write(&cert, &good_cert).unwrap();
        fs::write(&key, &good_key).unwrap();
        proxy.steering.look();
        assert!(matches!(proxy.steering.config_state(), ConfigState::InForce { .. }));
        assert!(works());
    }
}

#[test]
fn a_new_file_that_is_broken_is_looked_at_again_when_it_is_mended() {
    let authority = Authority::new();
    authority.sign("shop", &["shop.example"]);
    authority.sign("new", &["new.example"]);
    let good = fs::read(authority.file("new.pem")).unwrap();
    fs::write(authority.file("new.pem"), "rubbish").unwrap();
    let upstream = Upstream::echo();
    let from = format!("from = \"http://{}\"\n", upstream.address);
    let proxy = Proxied::new(&format!("{}{from}", authority.listen(&["shop"], "")));
    let text = fs::read_to_string(proxy.file()).unwrap();
    let with_new = authority.listen(&["shop", "new"], "");
    fs::write(proxy.file(), text.replace(&authority.listen(&["shop"], ""), &with_new)).unwrap();
    proxy.steering.look();
    proxy.steering.look();
    assert!(matches!(proxy.steering.config_state(), ConfigState::Refused { .. }));
    fs::write(authority.file("new.pem"), good).unwrap();
    proxy.steering.look();
    assert!(matches!(proxy.steering.config_state(), ConfigState::InForce { .. }));
    let request = "GET / HTTP/1.1\r\nHost: new.example\r\n\r\n";
    assert_eq!(authority.connect(&proxy, "new.example").ask(request).status(), 200);
}

/// The faults of a text: one of them says this, and none says what a key is.
fn check(text: &str, expected: &str) {
    let source = Source { file: Some("/nowhere/shop.toml".into()), ..Source::default() };
    let error = load_text(&source, text.to_owned(), None).unwrap_err();
    let faults: Vec<String> = error.faults().iter().map(ToString::to_string).collect();
    let is_told = faults.iter().any(|fault| fault.contains(expected));
    assert!(is_told, "{text}\n{faults:#?}\nnot: {expected}");
    assert!(!faults.concat().contains("PRIVATE KEY-----\n"), "{faults:?}");
}

#[test]
fn every_fault_of_a_listeners_tls_is_told_by_line_and_key() {
    let authority = Authority::new();
    authority.sign("shop", &["shop.example"]);
    authority.sign("other", &["shop.example"]);
    let locked =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
    fs::write(authority.file("locked.key"), locked).unwrap();
    let at = |name: &str| authority.file(name).display().to_string();
    let (cert, key) = (at("shop.pem"), at("shop.key"));
    let one = |cert: &str, key: &str| {
        format!("certificates = [{{ cert = \"{cert}\", key = \"{key}\" }}]")
    };
    let good = one(&cert, &key);
    let here = ":5: listen[0].tls.certificates[0]";
    for (tls, expected) in [
        (String::new(), ":4: listen[0].tls.certificates: write 1 to 1000 certificates"),
        (one(&cert, &at("other.key")), &format!("{here}.key: the key does not belong")),
        (format!("certificates = [{{ cert = \"{cert}\" }}]"), &format!("{here}.cert: ")),
        (one(&key, &key), &format!("{here}.cert: ")),
        (one(&cert, &at("locked.key")), "the key has a passphrase"),
        (one(&at("none.pem"), &key), "cert: cannot read"),
        (format!("{good}\nclient_ca = \"{key}\""), ":6: listen[0].tls.client_ca: "),
        (format!("{good}\nclient_auth = \"maybe\""), ":6: listen[0].tls.client_auth: `maybe`"),
        (
            format!("{good}\nclient_auth = \"optional\""),
            ":6: listen[0].tls.client_auth: says nothing without",
        ),
        (format!("{good}\nmin_version = \"1.1\""), ":6: listen[0].tls.min_version: `1.1`"),
        (
            format!("{good}\nhandshake_time = \"0s\""),
            ":6: listen[0].tls.handshake_time: must be above 0",
        ),
        (format!("{good}\nhandshakes = 0"), ":6: listen[0].tls.handshakes: must be above 0"),
        (format!("{good}\nhandshake = 1"), ":6: listen[0].tls.handshake: there is no such key"),
    ] {
        let text = "from = \"http://a\"\n[[listen]]\naddress = \"127.0.0.1:1\"\n[listen.tls]\n";
        check(&format!("{text}{tls}\n"), expected);
    }
    for (lines, expected) in [
        ("address = \"127.0.0.1:1\"\nhttps_redirect = 0", ":4: listen[0].https_redirect: is the"),
        ("adress = \"127.0.0.1:1\"", ":3: listen[0].adress: there is no such key; did you mean"),
        ("address = \"x\"", ":3: listen[0].address: `x` is no address"),
    ] {
        check(&format!("from = \"http://a\"\n[[listen]]\n{lines}\n"), expected);
    }
}

#[test]
fn every_fault_of_an_upstreams_tls_is_told_by_line_and_key() {
    let authority = Authority::new();
    authority.sign("shop", &["shop.example"]);
    authority.sign("other", &["shop.example"]);
    let at = |name: &str| authority.file(name).display().to_string();
    let (cert, key, other, ca) = (at("shop.pem"), at("shop.key"), at("other.key"), authority.ca());
    for (tls, expected) in [
        (format!("ca = \"{key}\""), ":5: upstreams.u.tls.ca: "),
        (
            format!("cert = \"{cert}\"\nkey = \"{other}\""),
            ":6: upstreams.u.tls.key: the key does not belong",
        ),
        (format!("key = \"{key}\""), ":5: upstreams.u.tls.key: says nothing without `cert`"),
        ("server_name = \"a b\"".to_owned(), ":5: upstreams.u.tls.server_name: `a b`"),
        (format!("ca = \"{ca}\"\nverify = false"), ":5: upstreams.u.tls.ca: says nothing with"),
        (
            "verfy = false".to_owned(),
            ":5: upstreams.u.tls.verfy: there is no such key; did you mean `verify`?",
        ),
    ] {
        let text = "from = \"u\"\n[upstreams.u]\nendpoints = \"https://a\"\n[upstreams.u.tls]\n";
        check(&format!("{text}{tls}\n"), expected);
    }
    check(
        "from = \"u\"\n[upstreams.u]\nendpoints = \"http://a\"\ntls = {}\n",
        ":4: upstreams.u.tls: says nothing, for no endpoint is `https://`",
    );
}

#[test]
fn what_ends_soon_or_has_ended_is_a_warning_and_a_series() {
    let authority = Authority::new();
    authority.sign_with("old", &["old.example"], |params| {
        params.not_after = rcgen::date_time_ymd(2020, 1, 2);
    });
    authority.sign("good", &["good.example"]);
    let upstream = Upstream::echo();
    let listen = authority.listen(&["good", "old"], "");
    let text = format!(
        "{listen}from = \"u\"\n[upstreams.u]\nendpoints = \"https://{}\"\ntls.verify = false\n",
        upstream.address
    );
    let source = Source { file: Some("shop.toml".into()), ..Source::default() };
    let loaded = load_text(&source, text.clone(), None).unwrap();
    let warnings: Vec<String> = loaded.snapshot.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(
        warnings[0].starts_with("shop.toml:1: listen[0].tls.certificates[1].cert: "),
        "{warnings:?}"
    );
    assert!(warnings[0].ends_with("expired on 2020-01-02T00:00:00Z"), "{warnings:?}");
    assert!(warnings[1].starts_with("shop.toml:5: upstreams.u.tls.verify: "), "{warnings:?}");
    let proxy = Proxied::new(&text);
    let metrics = proxy.metrics();
    let line = format!(
        "strangler_certificate_not_after_seconds{{file=\"{}\",name=\"old.example\"}} 1577923200\n",
        authority.file("old.pem").display()
    );
    assert!(metrics.contains(&line), "{metrics}");
}
