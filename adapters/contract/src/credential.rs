//! Who may call over the wire: one bearer token per module, derived from the deployment's secret.

use std::{collections::BTreeMap, fmt};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::{Caller, schema::hex};

/// The deployment's secret, from which every module's token is derived.
#[derive(Clone)]
pub struct Secret([u8; 32]);

/// The text is not 64 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a deployment secret is 64 hex digits")]
pub struct SecretError;

impl Secret {
    /// These 32 bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A new one from the system's random source.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// From 64 hex digits.
    pub fn from_hex(text: &str) -> Result<Self, SecretError> {
        let digits = text.trim().as_bytes();
        let mut bytes = [0; 32];
        if digits.len() != 2 * bytes.len() {
            return Err(SecretError);
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_not_ascii| SecretError)?;
            if pair.starts_with('+') {
                return Err(SecretError);
            }
            *byte = u8::from_str_radix(pair, 16).map_err(|_not_hex| SecretError)?;
        }
        Ok(Self(bytes))
    }

    /// As 64 hex digits, to be kept where only its owner can read.
    pub fn to_hex(&self) -> String {
        hex(&self.0)
    }

    /// The token with which `peer` (a module, or `edge` for what the public listener forwards) proves itself:
    /// hex(HMAC-SHA256(secret, "rpc:" + peer)).
    pub fn token(&self, peer: &str) -> String {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        mac.update(b"rpc:");
        mac.update(peer.as_bytes());
        hex(&mac.finalize().into_bytes())
    }

    /// Is this the peer's token? Takes the same time wherever the first difference is.
    pub fn verify(&self, peer: &str, token: &str) -> bool {
        self.token(peer).as_bytes().ct_eq(token.as_bytes()).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(masked)")
    }
}

/// The tokens that a process holds: one for each module that may call from it, and one for everybody else.
#[derive(Clone)]
pub struct Keyring {
    peer: String,
    token: String,
    modules: BTreeMap<String, String>,
}

impl Keyring {
    /// Calls go out as `peer`.
    pub fn new(peer: impl Into<String>, token: impl Into<String>) -> Self {
        Self { peer: peer.into(), token: token.into(), modules: BTreeMap::new() }
    }

    /// Calls go out as `edge`, except those of `modules` in their own name.
    pub fn derive(secret: &Secret, modules: &[&str]) -> Self {
        let edge = Self::new("edge", secret.token("edge"));
        modules.iter().fold(edge, |ring, module| ring.with(*module, secret.token(module)))
    }

    /// Calls of `module:<module>` go out with this token.
    #[must_use]
    pub fn with(mut self, module: impl Into<String>, token: impl Into<String>) -> Self {
        self.modules.insert(module.into(), token.into());
        self
    }

    /// The peer's name and token for a call on this caller's behalf.
    pub(crate) fn choose(&self, caller: Option<&Caller>) -> (&str, &str) {
        caller
            .and_then(|caller| caller.as_str().strip_prefix("module:"))
            .and_then(|module| self.modules.get_key_value(module))
            .map_or((&self.peer, &self.token), |(module, token)| (module, token))
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring({}, {:?}, masked)", self.peer, self.modules.keys())
    }
}

/// Only a module itself calls in the module's name.
pub(crate) fn may_speak_for(peer: &str, caller: &Caller) -> bool {
    caller.as_str().strip_prefix("module:").is_none_or(|module| module == peer)
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn a_token_is_good_for_its_peer_only() {
        let secret = Secret::new([7; 32]);
        let token = secret.token("ordering");
        assert!(secret.verify("ordering", &token));
        assert!(!secret.verify("inventory", &token));
        assert!(!secret.verify("ordering", ""));
        assert!(!Secret::new([8; 32]).verify("ordering", &token));
    }

    #[test]
    fn a_secret_survives_its_text() {
        let secret = Secret::new([171; 32]);
        let read = Secret::from_hex(&secret.to_hex()).expect("it was written by us");
        assert_eq!(read.to_hex(), secret.to_hex());
        assert!(Secret::from_hex("ab").is_err());
        assert!(Secret::from_hex(&"+1".repeat(32)).is_err());
    }
}
