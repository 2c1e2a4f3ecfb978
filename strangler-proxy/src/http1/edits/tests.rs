//! What an operator may change in a head.

use super::{EditError, Edits};

#[test]
fn fields_of_the_proxy_are_not_the_operators() {
    for name in [
        "Host",
        "content-length",
        "Transfer-Encoding",
        "Connection",
        "TE",
        "Upgrade",
        "Via",
        "Keep-Alive",
        "Trailer",
        "Expect",
        "max-forwards",
        "Proxy-Connection",
        "Proxy-Authorization",
        "HTTP2-Settings",
    ] {
        let owned = Err(EditError::Owned(name.to_owned()));
        assert_eq!(Edits::default().set(name, "x"), owned);
        assert_eq!(Edits::default().remove(name), owned);
    }
}

#[test]
fn what_cannot_stand_in_a_head_cannot_be_set() {
    for name in ["", "X A", "X:", "X\r\nY", "Ä"] {
        assert_eq!(Edits::default().set(name, "x"), Err(EditError::Name(name.to_owned())));
    }
    for value in ["a\r\nX: y", "a\n", "\0", "a\u{7f}"] {
        assert_eq!(Edits::default().set("X-A", value), Err(EditError::Value("X-A".to_owned())));
    }
    let mut edits = Edits::default();
    assert_eq!(edits.set("X-A", " caf\u{e9}\tx "), Ok(()));
    assert_eq!(edits.lines(), "X-A: caf\u{e9}\tx\r\n".as_bytes());
    assert!(Edits::none().is_empty() && !edits.is_empty());
}
