//! The shop that is driven: where it is, and what opens it.

use anyhow::{Context, Result, ensure};
use http::{HeaderValue, Uri};

/// Where the shop is.
#[derive(Debug, Clone)]
pub struct Target {
    /// `host:port`, to connect to.
    pub address: String,
    /// What stands before every path; mostly nothing.
    pub prefix: String,
    /// The header `host`.
    pub host: HeaderValue,
    /// The header `authorization`.
    pub authorization: HeaderValue,
}

impl Target {
    /// The shop at this URL, opened by this operator's token.
    pub fn new(url: &str, token: &str) -> Result<Self> {
        let wrong = || format!("`{url}` is not the URL of a shop, such as http://127.0.0.1:8080");
        let uri: Uri = url.trim_end_matches('/').parse().with_context(wrong)?;
        ensure!(uri.scheme_str() == Some("http") && uri.query().is_none(), wrong());
        let authority = uri.authority().with_context(wrong)?;
        ensure!(!authority.as_str().contains('@'), wrong());
        let mut authorization = HeaderValue::from_str(&format!("Bearer {token}"))
            .context("the operator's token has characters that no header takes")?;
        authorization.set_sensitive(true);
        Ok(Self {
            address: format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(80)),
            prefix: uri.path().trim_end_matches('/').to_owned(),
            host: HeaderValue::from_str(authority.as_str()).with_context(wrong)?,
            authorization,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shop_has_a_plain_http_url() {
        let target = Target::new("http://127.0.0.1:8080/", "token").unwrap();
        assert_eq!((target.address.as_str(), target.prefix.as_str()), ("127.0.0.1:8080", ""));
        let target = Target::new("http://shop.example/under", "token").unwrap();
        assert_eq!(
            (target.address.as_str(), target.prefix.as_str()),
            ("shop.example:80", "/under")
        );
        assert!(!format!("{target:?}").contains("token"));
        for wrong in ["", "shop", "https://shop.example", "http://a:b@shop", "http://shop/?a=b"] {
            assert!(Target::new(wrong, "token").is_err(), "{wrong}");
        }
    }
}
