//! The secrets of a deployment and what is derived from them.

use std::fmt;

use anyhow::{Context, Result, ensure};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::online_retail::derived::hex;

/// 32 random bytes that every process of a deployment knows: the root of the credentials between its parts.
#[derive(Clone, PartialEq, Eq)]
pub struct DeploymentSecret([u8; 32]);

/// What opens the operator's routes until there are identities.
#[derive(Clone, PartialEq, Eq)]
pub struct OperatorToken(String);

impl DeploymentSecret {
    /// The setting that gives it to a process, in its environment.
    pub const VARIABLE: &str = "BANYAN_DEPLOYMENT_SECRET";

    /// A new one.
    pub fn fresh() -> Result<Self> {
        random().map(Self)
    }

    /// Reads 64 hex digits.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        ensure!(text.len() == 64 && text.is_ascii(), "a deployment secret is 64 hex digits");
        let mut bytes = [0; 32];
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits =
                std::str::from_utf8(digits).context("a deployment secret is 64 hex digits")?;
            *byte =
                u8::from_str_radix(digits, 16).context("a deployment secret is 64 hex digits")?;
        }
        Ok(Self(bytes))
    }

    /// 64 hex digits.
    pub fn to_text(&self) -> String {
        hex(&self.0)
    }

    /// The root of the credentials between modules' processes.
    pub fn rpc(&self) -> contract::Secret {
        contract::Secret::new(self.0)
    }

    /// What this secret makes of a purpose, as hex: `control` opens the internal control API, `database:<module>` is the
    /// password of a module's role.
    pub fn derive(&self, purpose: &str) -> String {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        mac.update(purpose.as_bytes());
        hex(&mac.finalize().into_bytes())
    }
}

impl OperatorToken {
    /// A new one: 256 random bits.
    pub fn fresh() -> Result<Self> {
        // The prefix lets a scanner for leaked secrets know it.
        Ok(Self(format!("banyan_op_{}", hex(&random()?))))
    }

    /// Reads a token; an operator may have set a shorter one, but nothing guessable.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
        ensure!(
            plain && (16..=200).contains(&text.len()),
            "an operator token is 16 to 200 visible characters"
        );
        Ok(Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn random() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no random source: {error}"))?;
    Ok(bytes)
}

impl fmt::Debug for DeploymentSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeploymentSecret(…)")
    }
}
impl fmt::Debug for OperatorToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OperatorToken(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_survives_its_text_and_derives_apart() {
        let secret = DeploymentSecret::fresh().unwrap();
        assert_eq!(DeploymentSecret::parse(&format!("{}\n", secret.to_text())).unwrap(), secret);
        assert_ne!(secret.derive("a"), secret.derive("b"));
        assert!(DeploymentSecret::parse("short").is_err());
        assert!(DeploymentSecret::parse(&"é".repeat(32)).is_err());
        assert!(!format!("{secret:?}").contains(&secret.to_text()));
    }
}
