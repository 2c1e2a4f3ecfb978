//! A claim of a JSON Web Token, read without verifying it: good enough to keep a client on one side, and for nothing
//! else. Whoever forges it chooses his own side of a canary, which he may also do with a cookie.

/// The longest token that is looked at: real ones fit into a header limit of 8 KiB, and decoding costs time.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// The value of `claim` in the payload of `authorization` (`Bearer <token>`): a text as it is, a number or a truth in
/// JSON. Nothing where there is no such token or claim.
pub fn claim(authorization: &[u8], claim: &str) -> Option<String> {
    let (scheme, token) = authorization.split_at_checked(7)?;
    if !scheme.eq_ignore_ascii_case(b"bearer ") || token.len() > TOKEN_BYTES_MAX {
        return None;
    }
    let mut parts = token.split(|byte| *byte == b'.');
    let (_header, payload, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    let payload = decode(payload)?;
    let claims: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&payload).ok()?;
    match claims.get(claim)? {
        serde_json::Value::String(text) => Some(text.clone()),
        value @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_)) => {
            Some(value.to_string())
        }
        serde_json::Value::Null | serde_json::Value::Array(_) | serde_json::Value::Object(_) => {
            None
        }
    }
}

/// Base64 in its URL alphabet without padding (RFC 7515, section 2).
fn decode(text: &[u8]) -> Option<Vec<u8>> {
    if text.len() % 4 == 1 {
        return None;
    }
    let mut decoded = Vec::with_capacity(text.len() * 3 / 4);
    for group in text.chunks(4) {
        let mut bits = 0_u32;
        for byte in group {
            let six = match byte {
                b'A'..=b'Z' => byte - b'A',
                b'a'..=b'z' => byte - b'a' + 26,
                b'0'..=b'9' => byte - b'0' + 52,
                b'-' => 62,
                b'_' => 63,
                _ => return None,
            };
            bits = (bits << 6) | u32::from(six);
        }
        let missing = 4 - group.len();
        bits <<= 6 * missing;
        let [_, bytes @ ..] = bits.to_be_bytes();
        decoded.extend(bytes.iter().take(3 - missing));
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::claim;

    /// The example of RFC 7515, appendix A.1.
    const TOKEN: &str = "Bearer eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

    #[test]
    fn claims_are_read_as_texts() {
        assert_eq!(claim(TOKEN.as_bytes(), "iss").as_deref(), Some("joe"));
        assert_eq!(claim(TOKEN.as_bytes(), "exp").as_deref(), Some("1300819380"));
        assert_eq!(claim(TOKEN.as_bytes(), "http://example.com/is_root").as_deref(), Some("true"));
        assert_eq!(claim(TOKEN.as_bytes(), "sub"), None);
    }

    #[test]
    fn what_is_no_token_has_no_claim() {
        for text in [
            "",
            "Basic abc",
            "Bearer ",
            "Bearer a.b",
            "Bearer a.!!.c",
            "Bearer a.W10.c",
            "Bearer a.e30.c",
            "Bearer a.A.c",
        ] {
            assert_eq!(claim(text.as_bytes(), "iss"), None, "{text}");
        }
        let long = format!("Bearer a.{}.c", "A".repeat(9000));
        assert_eq!(claim(long.as_bytes(), "iss"), None);
    }
}
