//! Copies of safe requests to the new side.

use std::sync::atomic::Ordering;

use crate::{
    proxied::Proxied,
    raw::{Upstream, get, ok, until},
};

fn shadowing(old: &Upstream, new: &Upstream) -> Proxied {
    Proxied::new(&format!(
        "from = \"http://{}\"\n[[routes]]\nname = \"stock\"\npath = \"/stock/{{*rest}}\"\nto = \"http://{}\"\n\
         stage = \"shadow\"\nweight = 100\n",
        old.address, new.address
    ))
}

#[test]
fn statuses_are_compared_and_the_old_side_answers() {
    let old = Upstream::answering(|_| ok("old"));
    let new = Upstream::answering(|request| match request.target() {
        "/stock/differs" => b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nnew".to_vec(),
        _ => ok("new, and longer than the other one"),
    });
    let proxy = shadowing(&old, &new);
    let mut client = proxy.connect();
    for path in ["/stock/a", "/stock/b", "/stock/differs"] {
        assert_eq!(client.ask(get(path)).text(), "old");
    }
    let has = |outcome: &str, number: u32| {
        let line =
            format!(r#"strangler_shadows_total{{route="stock",outcome="{outcome}"}} {number}"#);
        proxy.metrics().contains(&line)
    };
    until("both statuses are counted", || has("agreed", 2) && has("differed", 1));
}

#[test]
fn what_changes_something_is_never_copied() {
    let (old, new) = (Upstream::echo(), Upstream::echo());
    let proxy = shadowing(&old, &new);
    let post = "POST /stock/a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";
    for _ in 0..5 {
        assert_eq!(proxy.ask(post).status(), 200);
    }
    assert_eq!(proxy.ask(get("/elsewhere")).status(), 200);
    assert_eq!(new.connections.load(Ordering::SeqCst), 0);
}

#[test]
fn a_shadow_that_hangs_or_is_dead_holds_up_nothing() {
    let old = Upstream::answering(|_| ok("old"));
    let new = Upstream::new(|peer, _| drop(peer.the_rest()));
    let proxy = shadowing(&old, &new);
    let mut client = proxy.connect();
    for _ in 0..500 {
        assert_eq!(client.ask(get("/stock/a")).text(), "old");
    }
    let left_out = |line: &&str| line.contains("left_out") && !line.ends_with(" 0");
    assert!(proxy.metrics().lines().any(|line| left_out(&line)), "their number is bounded");
}
