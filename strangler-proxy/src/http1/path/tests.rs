//! One spelling for a path, or a cause.

use super::normalise;
use crate::http1::{Cause, Leniency};

fn check(path: &str, expected: Result<&str, Cause>) {
    let mut out = b"kept".to_vec();
    let spelled = normalise(path.as_bytes(), Leniency::NONE, &mut out);
    match expected {
        Ok(expected) => {
            assert_eq!(spelled, Ok(Leniency::NONE), "{path}");
            assert_eq!(String::from_utf8_lossy(&out), format!("kept{expected}"), "{path}");
        }
        Err(cause) => assert_eq!(spelled, Err(cause), "{path}"),
    }
}

#[test]
fn paths_have_one_spelling() {
    for (path, spelled) in [
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/a/b/", "/a/b/"),
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/a/b/..", "/a/"),
        ("/a/b/.", "/a/b/"),
        ("/a/b/../../c", "/c"),
        ("/./././", "/"),
        ("/a//../b", "/a/b"),
        ("/a/b//..", "/a/b/"),
        ("///a", "/a"),
        ("//", "/"),
        ("/.//a", "/a"),
        ("/a/..//b//c", "/b//c"),
        ("/%2e///", "/"),
        ("/%2e/a", "/a"),
        ("/a/%2e%2E", "/"),
        ("/a/.%2e/.%2E./b", "/.../b"),
        ("/%7euser", "/~user"),
        ("/%c3%a9", "/%C3%A9"),
        ("/%20%3a", "/%20%3A"),
        ("/a;v=1/b", "/a;v=1/b"),
        ("/.a/..b/...", "/.a/..b/..."),
        ("/a.;x", "/a.;x"),
        ("/100%25", "/100%25"),
        ("/%2541", "/%2541"),
    ] {
        check(path, Ok(spelled));
    }
}

#[test]
fn paths_of_two_meanings_have_none() {
    for (path, cause) in [
        ("/..", Cause::PathEscapesRoot),
        ("/../a", Cause::PathEscapesRoot),
        ("/a/../..", Cause::PathEscapesRoot),
        ("/%2e%2e/a", Cause::PathEscapesRoot),
        ("/./../a", Cause::PathEscapesRoot),
        ("/.;/a", Cause::DotParameter),
        ("/..;a=b", Cause::DotParameter),
        ("/a b", Cause::TargetSpace),
        ("/a\n", Cause::TargetControl),
        ("/a#b", Cause::TargetFragment),
        ("/a?b", Cause::TargetCharacter),
        ("/a{b}", Cause::TargetCharacter),
        ("/caf\u{e9}", Cause::TargetNonAscii),
        ("/a\\b", Cause::Backslash),
        ("/a%2fb", Cause::EncodedSlash),
        ("/a%5Cb", Cause::Backslash),
        ("/a%00", Cause::EncodedNul),
        ("/a%0A", Cause::EncodedControl),
        ("/a%1F", Cause::EncodedControl),
        ("/a%7F", Cause::EncodedControl),
        ("/a%", Cause::PercentInvalid),
        ("/a%4", Cause::PercentInvalid),
        ("/a%4g", Cause::PercentInvalid),
        ("/%252e", Cause::DoubleEncoding),
        ("/%252F", Cause::DoubleEncoding),
        ("/%25255c", Cause::DoubleEncoding),
        ("/%2500", Cause::DoubleEncoding),
        ("/%25u002e", Cause::DoubleEncoding),
        ("/%c0%ae", Cause::OverlongEncoding),
        ("/%C1%9C", Cause::OverlongEncoding),
        ("/%e0%9f%bf", Cause::OverlongEncoding),
        ("/%f0%8f%bf%bf", Cause::OverlongEncoding),
        ("/%f8%88%80%80%af", Cause::OverlongEncoding),
    ] {
        check(path, Err(cause));
    }
}

#[test]
fn shortest_forms_and_latin_1_are_no_overlong_ones() {
    for path in ["/%C0", "/%C0a", "/%E0%A0%80", "/%F0%90%80%80", "/%E9", "/%FF"] {
        check(path, Ok(path));
    }
}
