//! The two texts that a caller may send, both refused when a card number could be in them.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The longest token: tokens of known providers are under 64 characters.
const TOKEN_LENGTH_MAX: usize = 128;

/// The longest reason, in characters: a sentence for a person, and a bound on the column.
const REASON_LENGTH_MAX: usize = 200;

/// How many digits a card number has (ISO/IEC 7812: up to 19; the shortest in use have 12).
const PAN_DIGITS: std::ops::RangeInclusive<usize> = 12..=19;

/// What the provider gave the customer's browser in place of a card number. Safe to keep; logs show its start only.
///
/// Invariant: 1 to 128 characters of `A-Z a-z 0-9 _ - . :`, and no card number in it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PaymentToken(String);

/// Why a text is no payment token. Never repeats the text: it may be a card number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PaymentTokenError {
    /// Not of the right form.
    #[error("a payment token is 1 to 128 characters of A-Z a-z 0-9 _ - . :")]
    Form,
    /// It could be a card number, which must never come here.
    #[error("this looks like a card number: send the provider's token for it instead")]
    CardNumber,
}

/// Why money is paid back, for people.
///
/// Invariant: 1 to 200 characters, not blank, no control character, and no card number in it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RefundReason(String);

/// Why a text is no reason. Never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RefundReasonError {
    /// Not of the right form.
    #[error("a reason is 1 to 200 characters on one line")]
    Form,
    /// It could hold a card number, which must never come here.
    #[error("this looks like it holds a card number: leave it out")]
    CardNumber,
}

impl PaymentToken {
    /// The text, for the provider only.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
impl FromStr for PaymentToken {
    type Err = PaymentTokenError;
    fn from_str(text: &str) -> Result<Self, PaymentTokenError> {
        if holds_card_number(text) {
            return Err(PaymentTokenError::CardNumber);
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte);
        if text.is_empty() || text.len() > TOKEN_LENGTH_MAX || !text.bytes().all(plain) {
            return Err(PaymentTokenError::Form);
        }
        Ok(Self(text.to_owned()))
    }
}
impl fmt::Debug for PaymentToken {
    /// The first characters only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…", self.0.chars().take(7).collect::<String>())
    }
}
impl Serialize for PaymentToken {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}
impl<'de> Deserialize<'de> for PaymentToken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
impl JsonSchema for PaymentToken {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "PaymentToken".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "pattern": "^[A-Za-z0-9_.:-]{1,128}$", "examples": ["tok_approve"],
            "description": "the payment provider's token; never a card number",
        })
    }
}

impl RefundReason {
    /// A reason out of any text: blanks for control characters, cut to the limit, and nothing of a text that could
    /// hold a card number. For callers that have taken the text in good faith and must not fail over it now.
    pub fn out_of(text: &str) -> Self {
        let one_line = |c: char| if c.is_control() { ' ' } else { c };
        let cut: String = text.chars().take(REASON_LENGTH_MAX).map(one_line).collect();
        cut.parse().unwrap_or_else(|_unfit| Self("not given".to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
impl FromStr for RefundReason {
    type Err = RefundReasonError;
    fn from_str(text: &str) -> Result<Self, RefundReasonError> {
        if holds_card_number(text) {
            return Err(RefundReasonError::CardNumber);
        }
        let lengthy = text.chars().count() > REASON_LENGTH_MAX;
        if lengthy || text.trim().is_empty() || text.chars().any(char::is_control) {
            return Err(RefundReasonError::Form);
        }
        Ok(Self(text.to_owned()))
    }
}
impl fmt::Debug for RefundReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
impl fmt::Display for RefundReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl Serialize for RefundReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}
impl<'de> Deserialize<'de> for RefundReason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
impl JsonSchema for RefundReason {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "RefundReason".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "maxLength": REASON_LENGTH_MAX })
    }
}

/// Could a card number be in the text? Any run of digits (spaces, dots, dashes and underscores between them do not end
/// it) of a card number's length that passes the Luhn check (ISO/IEC 7812-1, annex B) counts, wherever it stands.
fn holds_card_number(text: &str) -> bool {
    let mut run = Vec::new();
    let mut found = false;
    for character in text.chars().chain(std::iter::once('\n')) {
        match character.to_digit(10) {
            Some(digit) => run.push(digit),
            None if matches!(character, ' ' | '-' | '.' | '_') => {}
            None => {
                found |= PAN_DIGITS.contains(&run.len()) && luhn(&run);
                run.clear();
            }
        }
    }
    found
}

fn luhn(digits: &[u32]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, *digit) {
            (0, digit) => digit,
            (_, digit) if digit < 5 => digit * 2,
            (_, digit) => digit * 2 - 9,
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::{PaymentToken, PaymentTokenError, RefundReason, RefundReasonError};

    #[test]
    fn a_card_number_is_no_token_however_it_is_written() {
        for text in [
            "4111111111111111",
            "4111-1111-1111-1111",
            "4111 1111 1111 1111",
            "tok_4111111111111111",
            "378282246310005",
            "6304000000000000",
            "4111.1111_1111.1111",
        ] {
            assert_eq!(text.parse::<PaymentToken>(), Err(PaymentTokenError::CardNumber), "{text}");
        }
        for text in ["tok_approve", "tok_4111111111111112", "pm_1NxA", "a:b.c-d", "12345678901"] {
            assert!(text.parse::<PaymentToken>().is_ok(), "{text}");
        }
        for text in ["", " ", "tok approve", "tök", &"a".repeat(129)] {
            assert_eq!(text.parse::<PaymentToken>(), Err(PaymentTokenError::Form), "{text}");
        }
    }

    #[test]
    fn no_error_and_no_log_repeats_what_may_be_a_card_number() {
        let error = serde_json::from_str::<PaymentToken>("\"4111111111111111\"").unwrap_err();
        assert!(!error.to_string().contains("4111"), "{error}");
        let token: PaymentToken = "tok_approve_and_more".parse().unwrap();
        assert_eq!(format!("{token:?}"), "tok_app…");
    }

    #[test]
    fn a_reason_is_one_line_without_a_card_number() {
        assert!("damaged on arrival".parse::<RefundReason>().is_ok());
        for (text, error) in [
            ("", RefundReasonError::Form),
            ("  ", RefundReasonError::Form),
            ("a\nb", RefundReasonError::Form),
            ("card 4111 1111 1111 1111 was wrong", RefundReasonError::CardNumber),
        ] {
            assert_eq!(text.parse::<RefundReason>(), Err(error), "{text:?}");
        }
        for (text, reason) in
            [("a\nb", "a b"), ("", "not given"), ("4111 1111 1111 1111", "not given")]
        {
            assert_eq!(RefundReason::out_of(text).as_str(), reason);
        }
        assert_eq!(RefundReason::out_of(&"é".repeat(300)).as_str(), "é".repeat(200));
    }
}
