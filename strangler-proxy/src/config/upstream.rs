//! Upstreams: a name for a set of endpoints that are as good as each other.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use super::{Balance, Health, Outlier, Protocol};
use crate::tls::UpstreamTls;

/// A set of endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Its name, or its URL where a route has named that.
    pub name: Arc<str>,
    /// Where its endpoints come from.
    pub endpoints: Box<[Endpoint]>,
    /// What it speaks.
    pub protocol: Protocol,
    /// The `Host` that it sees; none means the client's own.
    pub host: Option<Box<str>>,
    /// How often names are resolved and files are read again.
    pub refresh: Duration,
    /// The most idle connections per endpoint and worker.
    pub pool_idle: u32,
    /// The most connections per endpoint and worker; none by default.
    pub connections_max: Option<u32>,
    /// How long an idle connection is kept. Shorter than what servers keep theirs, so that they do not close first.
    pub pool_idle_time: Duration,
    /// How an endpoint is chosen.
    pub balance: Balance,
    /// Asking whether they are well.
    pub health: Health,
    /// Taking one out of use.
    pub outlier: Outlier,
    /// TLS to those of its endpoints that are `https://`.
    pub tls: Option<Arc<UpstreamTls>>,
}

/// Where endpoints come from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// One address.
    Address(SocketAddr),
    /// Every address that a name has.
    Name {
        /// The name.
        host: Box<str>,
        /// The port.
        port: u16,
    },
    /// Every address that a name has, or one address, over TLS.
    Secure {
        /// The name or address, without brackets; also what its certificate must be for.
        host: Box<str>,
        /// The port.
        port: u16,
    },
    /// A Unix socket.
    Unix(PathBuf),
    /// Every line of a file, read again when it changes: `http://10.0.0.1:80`, `# comment`.
    File(PathBuf),
}

/// The text is no endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no endpoint: {why}")]
pub struct EndpointError {
    text: String,
    why: &'static str,
}

impl Endpoint {
    /// Reads `http://127.0.0.1:3000`, `https://stock.internal:8443`, `unix:/run/app.sock`. The port is 80 or 443 where it is
    /// left out. With `h2c://` it speaks HTTP/2, which is [`Upstream::protocol`]'s to say.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let bad = |why| EndpointError { text: text.to_owned(), why };
        if let Some(path) = text.strip_prefix("unix:") {
            return match path.starts_with('/') {
                true => Ok(Self::Unix(path.into())),
                false => Err(bad("a Unix socket needs an absolute path, `unix:/run/app.sock`")),
            };
        }
        let plain = text.strip_prefix("http://").or_else(|| text.strip_prefix("h2c://"));
        let (rest, is_secure) = match (text.strip_prefix("https://"), plain) {
            (Some(rest), _) => (rest, true),
            (None, Some(rest)) => (rest, false),
            (None, None) => {
                return Err(bad("write http://HOST:PORT, https://HOST:PORT or unix:/PATH"));
            }
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#', '@']) {
            return Err(bad(
                "only scheme, host and port; the path of a route is changed with `rewrite`",
            ));
        }
        let (host, port) = match authority.rsplit_once(':') {
            // `[::1]` alone ends in its bracket: the colons are its own.
            Some((host, port)) if !authority.ends_with(']') => {
                (host, port.parse().map_err(|_bad| bad("the port is a number up to 65535"))?)
            }
            Some(_) | None => (authority, if is_secure { 443 } else { 80 }),
        };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Ok(match is_secure {
                true => Self::Secure { host: address.to_string().into(), port },
                false => Self::Address(SocketAddr::new(address, port)),
            });
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if host.is_empty() || !host.bytes().all(plain) {
            return Err(bad("the host is a name or an address"));
        }
        let host = host.to_ascii_lowercase().into();
        Ok(if is_secure { Self::Secure { host, port } } else { Self::Name { host, port } })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "http://{address}"),
            Self::Name { host, port } => write!(f, "http://{host}:{port}"),
            Self::Secure { host, port } if host.contains(':') => {
                write!(f, "https://[{host}]:{port}")
            }
            Self::Secure { host, port } => write!(f, "https://{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Endpoint;

    #[test]
    fn endpoints_are_read_and_shown() {
        for (text, shown) in [
            ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
            ("http://127.0.0.1", "http://127.0.0.1:80"),
            ("http://[::1]:3000/", "http://[::1]:3000"),
            ("http://[::1]", "http://[::1]:80"),
            ("http://Stock.internal:8080", "http://stock.internal:8080"),
            ("http://stock", "http://stock:80"),
            ("https://Stock.internal", "https://stock.internal:443"),
            ("https://127.0.0.1:8443/", "https://127.0.0.1:8443"),
            ("https://[::1]", "https://[::1]:443"),
            ("h2c://127.0.0.1:50051", "http://127.0.0.1:50051"),
            ("unix:/run/app.sock", "unix:/run/app.sock"),
        ] {
            assert_eq!(Endpoint::parse(text).unwrap().to_string(), shown, "{text}");
        }
        for text in [
            "",
            "127.0.0.1:3000",
            "https://",
            "https://[::1",
            "http://",
            "http://a/b",
            "http://a:99999",
            "http://u@a",
            "unix:run",
            "http://a b",
            "ftp://a",
        ] {
            assert!(Endpoint::parse(text).is_err(), "{text}");
        }
    }
}
