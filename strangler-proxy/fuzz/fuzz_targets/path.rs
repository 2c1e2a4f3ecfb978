//! Any path: one that has a spelling keeps it when it is spelled again, and has no dot segment.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strangler_proxy::http1::{Leniency, normalise};

fuzz_target!(|input: (bool, &[u8])| {
    let (lenient, path) = input;
    let permitted = if lenient { Leniency::ENCODED_SLASH } else { Leniency::NONE };
    let mut path = path.to_vec();
    path.insert(0, b'/');
    let mut once = Vec::new();
    if normalise(&path, permitted, &mut once).is_err() {
        return;
    }
    let mut twice = Vec::new();
    assert!(normalise(&once, permitted, &mut twice).is_ok());
    assert_eq!(once, twice);
    assert!(once.starts_with(b"/") && !once.starts_with(b"//"));
    assert!(!once.split(|byte| *byte == b'/').any(|segment| segment == b"." || segment == b".."));
});
