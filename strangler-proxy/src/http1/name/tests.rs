//! Every well-known name is recognised, and nothing else is.

use super::{Known, KnownSet, refuse_alias};
use crate::http1::Cause;

#[test]
fn every_name_is_recognised_in_any_case() {
    for known in Known::ALL {
        let name = known.as_str();
        if *known == Known::XForwardedOther {
            continue;
        }
        assert_eq!(Known::recognise(name.as_bytes()), *known, "{name}");
        assert_eq!(Known::recognise(name.to_ascii_uppercase().as_bytes()), *known, "{name}");
    }
    for name in [
        "X-Forwarded-Port",
        "x-forwarded-prefix",
        "X-FORWARDED-SSL",
        "x-forwarded-client-cert",
        "Client-Cert",
        "CLIENT-CERT-CHAIN",
    ] {
        assert_eq!(Known::recognise(name.as_bytes()), Known::XForwardedOther, "{name}");
    }
}

#[test]
fn neighbours_of_names_are_others() {
    for known in Known::ALL.iter().filter(|known| **known != Known::XForwardedOther) {
        let name = known.as_str();
        let tail = name.get(1..).unwrap_or_default();
        for near in [format!("{name}x"), format!("x{name}"), tail.to_owned(), format!("{tail}~")] {
            let seen = Known::recognise(near.as_bytes());
            assert!(seen != *known, "{near} is taken for {name}");
        }
    }
    for name in [
        "",
        "x",
        "x-forwarded",
        "forwarded-",
        "content-lenght",
        "hosts",
        "http2_settings",
        "client-certs",
    ] {
        assert_eq!(Known::recognise(name.as_bytes()), Known::Other, "{name}");
    }
}

#[test]
fn only_names_that_resemble_known_ones_are_aliases() {
    for name in [
        "content_length",
        "Transfer_Encoding",
        "X_FORWARDED_FOR",
        "x_forwarded-proto",
        "accept_encoding",
        "client_cert",
        "Client-Cert_Chain",
    ] {
        assert_eq!(refuse_alias(name.as_bytes()), Err(Cause::FieldNameUnderscore), "{name}");
    }
    for name in [
        "x_role",
        "_",
        "host_",
        "_host",
        "content__length",
        "a_name_that_is_far_longer_than_any_well_known_one",
    ] {
        assert_eq!(refuse_alias(name.as_bytes()), Ok(()), "{name}");
    }
}

#[test]
fn a_set_holds_what_was_put_in() {
    for known in Known::ALL {
        let set = KnownSet::of(&[*known]);
        assert_eq!(Known::ALL.iter().filter(|other| set.has(**other)).count(), 1);
        assert!(set.has(*known) && !set.without(*known).has(*known));
        assert!(set.meets(set.with(Known::Host)) && !set.meets(KnownSet::NONE));
    }
}

#[test]
fn what_frames_or_routes_is_neither_nominated_nor_a_trailer() {
    let guarded = [
        Known::Host,
        Known::ContentLength,
        Known::TransferEncoding,
        Known::Authorization,
        Known::Cookie,
        Known::SetCookie,
        Known::Via,
        Known::Forwarded,
        Known::XForwardedFor,
        Known::XForwardedOther,
        Known::CacheControl,
        Known::ContentType,
        Known::Expect,
        Known::MaxForwards,
    ];
    for known in guarded {
        assert!(!known.may_be_nominated() && !known.may_trail(), "{known:?}");
    }
    for known in Known::ALL.iter().filter(|known| known.is_hop_by_hop()) {
        assert!(known.may_be_nominated() && !known.may_trail(), "{known:?}");
    }
    assert!(Known::Etag.may_trail() && Known::Other.may_trail() && Known::Other.may_be_nominated());
}
