//! Ids and keys derived from what the file says, so that a second run makes the same ones and changes nothing.

use kernel_api::Id;
use sha2::{Digest, Sha256};

/// The id of what these facts name: a UUIDv8 (RFC 9562, section 5.8) of their SHA-256.
pub fn id<Of>(facts: &[&str]) -> Id<Of> {
    let mut bytes = [0; 16];
    for (byte, of_hash) in bytes.iter_mut().zip(hash(facts)) {
        *byte = of_hash;
    }
    Id::from_uuid(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

/// The bytes as lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes what is written");
        text
    })
}

fn hash(facts: &[&str]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for fact in facts {
        // The length first, so that ("ab", "c") and ("a", "bc") differ.
        hasher.update(u64::try_from(fact.len()).unwrap_or(u64::MAX).to_be_bytes());
        hasher.update(fact.as_bytes());
    }
    hasher.finalize().into()
}
