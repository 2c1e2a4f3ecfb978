//! TLS towards upstreams: who is taken for whom, what they are shown, and that connections are used again.

use std::sync::{Arc, atomic::Ordering};

use crate::{
    authority::Authority,
    proxied::Proxied,
    raw::{Message, Upstream, get, ok, until},
};

/// Answers every request over TLS.
fn secured(tls: Arc<rustls::ServerConfig>) -> Upstream {
    Upstream::serving(Some(tls), |peer, _| {
        while let Some(request) = peer.request() {
            if peer.try_send(ok(&request.first_line)).is_err() {
                return;
            }
        }
    })
}

fn with(upstream: &Upstream, tls: &str) -> Proxied {
    Proxied::new(&format!(
        "from = \"u\"\n[upstreams.u]\nendpoints = \"https://{}\"\n{tls}\n",
        upstream.address
    ))
}

fn cause(answer: &Message) -> (u16, String) {
    let status = answer.field("proxy-status").unwrap_or_default();
    let error = status.split("error=").nth(1).and_then(|rest| rest.split(';').next());
    (answer.status(), error.unwrap_or_default().to_owned())
}

#[test]
fn connections_over_tls_are_used_again() {
    let authority = Authority::new();
    authority.sign("upstream", &["127.0.0.1"]);
    let upstream = secured(authority.server("upstream", None));
    let tls = format!("tls = {{ ca = \"{}\" }}\n", authority.ca());
    let proxy = Proxied::new(&format!(
        "workers = 1\nfrom = \"u\"\n[upstreams.u]\nendpoints = \"https://{}\"\n{tls}",
        upstream.address
    ));
    let mut client = proxy.connect();
    for round in 0..50 {
        let path = format!("/{round}");
        assert_eq!(client.ask(get(&path)).text(), format!("GET {path} HTTP/1.1"));
        // What must not be done twice asks the system whether the connection still stands.
        let post = format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
        assert_eq!(client.ask(post).text(), format!("POST {path} HTTP/1.1"));
    }
    assert_eq!(upstream.connections.load(Ordering::SeqCst), 1);
}

#[test]
fn an_upstream_must_be_who_it_is_taken_for() {
    let (authority, other) = (Authority::new(), Authority::new());
    authority.sign("upstream", &["127.0.0.1", "stock.internal"]);
    authority.sign("named", &["stock.internal"]);
    authority.sign_with("expired", &["127.0.0.1"], |params| {
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    });
    let good = secured(authority.server("upstream", None));
    let named = secured(authority.server("named", None));
    let expired = secured(authority.server("expired", None));
    let plain = Upstream::new(|peer, _| {
        drop(peer.try_send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"));
        drop(peer.the_rest());
    });
    let (ca, wrong) = (authority.ca(), other.ca());
    let trusts = format!("tls = {{ ca = \"{ca}\" }}");
    for (upstream, tls, expected) in [
        (&good, trusts.clone(), (200, "")),
        (&good, format!("tls = {{ ca = \"{wrong}\" }}"), (502, "tls_certificate_error")),
        (&good, String::new(), (502, "tls_certificate_error")),
        (&good, "tls = { verify = false }".to_owned(), (200, "")),
        (&named, trusts.clone(), (502, "tls_certificate_error")),
        (&named, format!("tls = {{ ca = \"{ca}\", server_name = \"stock.internal\" }}"), (200, "")),
        (&expired, trusts.clone(), (502, "tls_certificate_error")),
        (&plain, trusts, (502, "tls_protocol_error")),
    ] {
        let proxy = with(upstream, &tls);
        let answer = proxy.ask(get("/"));
        assert_eq!(cause(&answer), (expected.0, expected.1.to_owned()), "{tls}");
    }
}

#[test]
fn an_upstream_is_shown_a_certificate_and_may_refuse_it() {
    let (authority, clients, strangers) = (Authority::new(), Authority::new(), Authority::new());
    authority.sign("upstream", &["127.0.0.1"]);
    clients.sign("proxy", &["proxy.internal"]);
    strangers.sign("proxy", &["proxy.internal"]);
    let upstream = secured(authority.server("upstream", Some(&clients)));
    let shows = |authority_of_proxy: Option<&Authority>| {
        let shown = authority_of_proxy.map(|authority| {
            let pair = authority.pair("proxy");
            format!(", {}", pair.trim_start_matches('{').trim_end_matches('}').trim())
        });
        format!("tls = {{ ca = \"{}\"{} }}", authority.ca(), shown.unwrap_or_default())
    };
    let good = with(&upstream, &shows(Some(&clients)));
    assert_eq!(good.ask(get("/")).status(), 200);
    for wrong in [None, Some(&strangers)] {
        let proxy = with(&upstream, &shows(wrong));
        let answer = proxy.ask(get("/"));
        assert_eq!(cause(&answer), (502, "tls_alert_received".to_owned()));
    }
}

#[test]
fn an_ill_upstream_over_tls_is_found_by_its_checks_and_its_failures() {
    let (authority, other) = (Authority::new(), Authority::new());
    authority.sign("upstream", &["127.0.0.1"]);
    other.sign("upstream", &["127.0.0.1"]);
    let good = secured(authority.server("upstream", None));
    let bad = secured(other.server("upstream", None));
    let ca = authority.ca();
    let proxy = Proxied::new(&format!(
        "from = \"u\"\n[upstreams.u]\nendpoints = [\"https://{}\", \"https://{}\"]\ntls = {{ ca = \"{ca}\" }}\n\
         health = {{ path = \"/health\", interval = \"50ms\", timeout = \"2s\", rise = 1, fall = 1 }}\n",
        good.address, bad.address
    ));
    let in_use = |upstream: &Upstream, number: u8| {
        let line = format!(
            "strangler_endpoint_in_use{{upstream=\"u\",endpoint=\"https://{}\"}} {number}\n",
            upstream.address
        );
        move |text: &str| text.contains(&line)
    };
    let (good_is_in, bad_is_out) = (in_use(&good, 1), in_use(&bad, 0));
    until("the checks have found out", || {
        let text = proxy.metrics();
        good_is_in(&text) && bad_is_out(&text)
    });
    let mut client = proxy.connect();
    for _ in 0..20 {
        assert_eq!(client.ask(get("/")).status(), 200);
    }
}

#[test]
fn a_failed_handshake_is_a_failure_of_the_endpoint_and_another_one_is_asked() {
    let (authority, other) = (Authority::new(), Authority::new());
    authority.sign("upstream", &["127.0.0.1"]);
    other.sign("upstream", &["127.0.0.1"]);
    let good = secured(authority.server("upstream", None));
    let bad = secured(other.server("upstream", None));
    let ca = authority.ca();
    let proxy = Proxied::new(&format!(
        "from = \"u\"\ndefaults.retries.tries = 2\n[upstreams.u]\nendpoints = [\"https://{}\", \"https://{}\"]\n\
         tls = {{ ca = \"{ca}\" }}\nbalance = \"round-robin\"\noutlier = {{ failures = 2, ejection = \"60s\" }}\n",
        good.address, bad.address
    ));
    let mut client = proxy.connect();
    for _ in 0..20 {
        assert_eq!(client.ask(get("/")).status(), 200);
    }
    until("it is taken out", || {
        proxy.metrics().contains("strangler_ejections_total{upstream=\"u\"} 1")
    });
}

#[test]
fn another_certificate_means_other_connections() {
    let authority = Authority::new();
    authority.sign("upstream", &["127.0.0.1"]);
    authority.sign("proxy", &["proxy.internal"]);
    let upstream = secured(authority.server("upstream", Some(&authority)));
    let pair = authority.pair("proxy");
    let shown = pair.trim_start_matches('{').trim_end_matches('}').trim().to_owned();
    let proxy = Proxied::new(&format!(
        "workers = 1\nfrom = \"u\"\n[upstreams.u]\nendpoints = \"https://{}\"\ntls = {{ ca = \"{}\", {shown} }}\n",
        upstream.address,
        authority.ca()
    ));
    let mut client = proxy.connect();
    for _ in 0..3 {
        assert_eq!(client.ask(get("/")).status(), 200);
    }
    assert_eq!(upstream.connections.load(Ordering::SeqCst), 1);
    authority.sign("proxy", &["proxy.internal"]);
    proxy.steering.look();
    for _ in 0..3 {
        assert_eq!(client.ask(get("/")).status(), 200);
    }
    assert_eq!(upstream.connections.load(Ordering::SeqCst), 2, "the old one is not used again");
}
