//! `listen` and everything of TLS.

use std::{fmt, path::PathBuf};

use serde::{Deserialize, Deserializer, Serialize, de};
use settings::Duration;

/// An entry of `listen`: an address, or a table with more.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ListenPart {
    /// `"127.0.0.1:8080"`
    Address(String),
    /// `{ address = "0.0.0.0:443", tls = { … } }`
    Table(Box<ListenTable>),
}

/// `[[listen]]`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ListenTable {
    /// `127.0.0.1:8080`, `unix:/run/proxy.sock`.
    pub address: String,
    /// TLS.
    pub tls: Option<ListenTlsPart>,
    /// Sends every client to `https` at this port instead of serving it.
    pub https_redirect: Option<u16>,
}

/// `tls` of a listener
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ListenTlsPart {
    /// Certificates: the one for the name that the client asks for is shown, else the first.
    pub certificates: Vec<CertificatePart>,
    /// The authority of the clients' certificates; without it clients are not asked for theirs.
    pub client_ca: Option<PathBuf>,
    /// `required` (where absent) or `optional`.
    pub client_auth: Option<String>,
    /// `1.2` (where absent) or `1.3`.
    pub min_version: Option<String>,
    /// How long a handshake may take.
    pub handshake_time: Option<Duration>,
    /// How many handshakes may be under way per worker.
    pub handshakes: Option<u32>,
    /// Serves requests for hosts that the certificate is not for, which else get 421.
    pub any_host: bool,
}

/// A certificate and its key, in PEM.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificatePart {
    /// The file of the certificate and its chain.
    pub cert: PathBuf,
    /// The file of the key; that of the certificate where absent.
    #[serde(default)]
    pub key: Option<PathBuf>,
}

/// `[upstreams.NAME.tls]`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpstreamTlsPart {
    /// The authorities whose word counts; the system's where absent.
    pub ca: Option<PathBuf>,
    /// What the upstream is shown.
    pub cert: Option<PathBuf>,
    /// Its key; in the file of the certificate where absent.
    pub key: Option<PathBuf>,
    /// The name that its certificate must be for, and that it is asked for; the URL's host where absent.
    pub server_name: Option<String>,
    /// Is it verified who answers? Yes where absent.
    pub verify: Option<bool>,
}

impl ListenPart {
    /// The address as it is written.
    pub fn address(&self) -> &str {
        match self {
            Self::Address(address) => address,
            Self::Table(table) => &table.address,
        }
    }
}

impl From<&str> for ListenPart {
    fn from(address: &str) -> Self {
        Self::Address(address.to_owned())
    }
}

impl<'de> Deserialize<'de> for ListenPart {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct One;
        impl<'de> de::Visitor<'de> for One {
            type Value = ListenPart;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address, or a table with `address`")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<ListenPart, E> {
                Ok(text.into())
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<ListenPart, A::Error> {
                let table = ListenTable::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(ListenPart::Table(Box::new(table)))
            }
        }
        deserializer.deserialize_any(One)
    }
}

/// An address, or a list of addresses and tables.
pub fn listeners<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ListenPart>, D::Error> {
    struct Many;
    impl<'de> de::Visitor<'de> for Many {
        type Value = Vec<ListenPart>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an address, or a list of addresses and tables with `address`")
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<ListenPart>, E> {
            Ok(vec![text.into()])
        }
        fn visit_seq<A: de::SeqAccess<'de>>(
            self,
            mut list: A,
        ) -> Result<Vec<ListenPart>, A::Error> {
            let mut all = Vec::new();
            while let Some(entry) = list.next_element()? {
                all.push(entry);
            }
            Ok(all)
        }
    }
    deserializer.deserialize_any(Many)
}
