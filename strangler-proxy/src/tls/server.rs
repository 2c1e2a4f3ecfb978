//! TLS towards clients: which certificate for which name, which clients are asked for theirs, and how long it may take.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use rustls::{
    RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion,
    crypto::ring::Ticketer,
    server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};

use super::{
    Certificate,
    files::{Files, Identity},
    provider,
};
use crate::config::{
    document::ListenTlsPart,
    fault::{Fault, KeyPath},
};

/// The name of HTTP/2 in ALPN (RFC 7301).
pub const HTTP2: &[u8] = b"h2";

/// What is offered by ALPN, the dearest first. Each has its arm in [`Protocol`].
const PROTOCOLS: [&[u8]; 2] = [HTTP2, HTTP1];

/// The name of HTTP/1.1 there.
const HTTP1: &[u8] = b"http/1.1";

/// The protocol that a connection speaks over TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1, also where the client has named none.
    Http1,
    /// HTTP/2.
    Http2,
}

impl Protocol {
    /// By what was agreed on.
    pub fn of(agreed: Option<&[u8]>) -> Self {
        match agreed {
            Some(name) if name == HTTP2 => Self::Http2,
            Some(_) | None => Self::Http1,
        }
    }
}

/// A handshake: the client's hello, one answer, one more of each at most, with room for a network that is bad.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);

/// Handshakes under way per worker. Each holds some 30 KiB; when more begin, the oldest is cut off, so that clients that
/// never finish theirs keep nobody out.
const HANDSHAKES: u32 = 1024;

/// The most certificates of a listener.
const CERTIFICATES_MAX: usize = 1000;

/// TLS of one listener.
#[derive(Clone)]
pub struct ListenerTls {
    config: Arc<ServerConfig>,
    /// The same without HTTP/2.
    http1: Arc<ServerConfig>,
    chooser: Arc<Chooser>,
    /// How long a handshake may take.
    pub handshake_time: Duration,
    /// How many may be under way per worker.
    pub handshakes: usize,
    /// Are requests served whatever host they name?
    pub any_host: bool,
    digest: [u8; 32],
}

impl ListenerTls {
    /// Checks and makes it.
    pub fn new(
        part: &ListenTlsPart,
        path: &KeyPath,
        files: &mut Files,
        faults: &mut Vec<Fault>,
    ) -> Option<Self> {
        let before = faults.len();
        let identities = identities(part, path, files, faults);
        let clients = clients(part, path, files, faults);
        let versions = versions(part.min_version.as_deref(), &path.key("min_version"), faults);
        let handshake_time = part.handshake_time.map_or(HANDSHAKE_TIME, |time| time.get());
        let handshakes = part.handshakes.unwrap_or(HANDSHAKES);
        for (key, is_zero) in
            [("handshake_time", handshake_time.is_zero()), ("handshakes", handshakes == 0)]
        {
            if is_zero {
                faults.push(Fault::at(&path.key(key), "must be above 0"));
            }
        }
        if faults.len() > before {
            return None;
        }
        let chooser = Arc::new(Chooser::new(identities));
        let config = config(versions, clients, &chooser).map_err(|error| {
            faults.push(Fault::at(path, format_args!("cannot be used: {error}")));
        });
        let mut read: Vec<_> = Vec::new();
        for certificate in &part.certificates {
            read.push(certificate.cert.as_path());
            read.extend(certificate.key.as_deref());
        }
        read.extend(part.client_ca.as_deref());
        let config = config.ok()?;
        let mut http1 = config.clone();
        http1.alpn_protocols = vec![HTTP1.to_vec()];
        Some(Self {
            config: Arc::new(config),
            http1: Arc::new(http1),
            chooser,
            handshake_time,
            handshakes: usize::try_from(handshakes).unwrap_or(usize::MAX),
            any_host: part.any_host,
            digest: files.digest_of(part, &read),
        })
    }

    /// A connection that has just come; `http2` says whether HTTP/2 is offered.
    pub fn accept(&self, http2: bool) -> Result<ServerConnection, rustls::Error> {
        ServerConnection::new(Arc::clone(if http2 { &self.config } else { &self.http1 }))
    }

    /// The certificate that is shown to who asks for this name.
    pub fn certificate(&self, name: Option<&str>) -> Option<&Arc<Certificate>> {
        self.chooser.identities.get(self.chooser.find(name)).map(|it| &it.certificate)
    }

    /// All of them, the default first.
    pub fn certificates(&self) -> impl Iterator<Item = &Arc<Certificate>> {
        self.chooser.identities.iter().map(|identity| &identity.certificate)
    }
}

/// The same where the same was written and the files have the same bytes.
impl PartialEq for ListenerTls {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for ListenerTls {}

impl fmt::Debug for ListenerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.certificates().map(|certificate| certificate.label()).collect();
        f.debug_struct("ListenerTls").field("certificates", &names).finish_non_exhaustive()
    }
}

/// Chooses by the name that the client asks for (SNI, RFC 6066): that very name, then a wildcard, then the first.
#[derive(Debug)]
struct Chooser {
    identities: Vec<Identity>,
    exact: HashMap<String, usize>,
    /// By what stands behind `*.`.
    wild: HashMap<String, usize>,
}

impl Chooser {
    fn new(identities: Vec<Identity>) -> Self {
        let (mut exact, mut wild) = (HashMap::new(), HashMap::new());
        for (at, identity) in identities.iter().enumerate() {
            for name in &identity.certificate.names {
                match name.strip_prefix("*.") {
                    Some(parent) => wild.entry(parent.to_owned()).or_insert(at),
                    None => exact.entry(name.clone()).or_insert(at),
                };
            }
        }
        Self { identities, exact, wild }
    }

    fn find(&self, name: Option<&str>) -> usize {
        let Some(name) = name.map(|name| name.trim_end_matches('.').to_ascii_lowercase()) else {
            return 0;
        };
        let wild = || self.wild.get(name.split_once('.')?.1);
        self.exact.get(&name).or_else(wild).copied().unwrap_or(0)
    }
}

impl ResolvesServerCert for Chooser {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.identities.get(self.find(hello.server_name())).map(|it| Arc::clone(&it.key))
    }
}

fn identities(
    part: &ListenTlsPart,
    path: &KeyPath,
    files: &mut Files,
    faults: &mut Vec<Fault>,
) -> Vec<Identity> {
    let path = path.key("certificates");
    if part.certificates.is_empty() || part.certificates.len() > CERTIFICATES_MAX {
        let what = format!(
            "write 1 to {CERTIFICATES_MAX} certificates, such as [{{ cert = \"shop.pem\", key = \"shop.key\" }}]"
        );
        faults.push(Fault::at(&path, what));
        return Vec::new();
    }
    let mut found = Vec::new();
    for (index, certificate) in part.certificates.iter().enumerate() {
        let here = path.index(index);
        let identity =
            files.identity((&certificate.cert, certificate.key.as_deref()), &here, faults);
        if let Some(identity) = identity {
            if identity.certificate.names.is_empty() && identity.certificate.addresses.is_empty() {
                let file = certificate.cert.display();
                let what = format!("{file}: is for no name (it has no subjectAltName)");
                files.warnings.push(Fault::at(&here.key("cert"), what));
            }
            found.push(identity);
        }
    }
    found
}

fn clients(
    part: &ListenTlsPart,
    path: &KeyPath,
    files: &mut Files,
    faults: &mut Vec<Fault>,
) -> Option<(Arc<RootCertStore>, bool)> {
    let is_required = match part.client_auth.as_deref() {
        None | Some("required") => true,
        Some("optional") => false,
        Some(other) => {
            let what = format!("`{other}`: write \"required\" or \"optional\"");
            faults.push(Fault::at(&path.key("client_auth"), what));
            return None;
        }
    };
    let Some(file) = &part.client_ca else {
        if part.client_auth.is_some() {
            let what =
                "says nothing without `client_ca`, the authority of the clients' certificates";
            faults.push(Fault::at(&path.key("client_auth"), what));
        }
        return None;
    };
    let store = files.authorities(file, &path.key("client_ca"), faults)?;
    Some((store, is_required))
}

type Versions = &'static [&'static SupportedProtocolVersion];

static BOTH: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
static NEWEST: [&SupportedProtocolVersion; 1] = [&TLS13];

fn versions(text: Option<&str>, path: &KeyPath, faults: &mut Vec<Fault>) -> Versions {
    match text {
        None | Some("1.2") => &BOTH,
        Some("1.3") => &NEWEST,
        Some(other) => {
            let what = format!("`{other}`: there is \"1.2\" and \"1.3\"; older ones are broken");
            faults.push(Fault::at(path, what));
            &[]
        }
    }
}

fn config(
    versions: Versions,
    clients: Option<(Arc<RootCertStore>, bool)>,
    chooser: &Arc<Chooser>,
) -> Result<ServerConfig, Box<dyn std::error::Error>> {
    let verifier: Arc<dyn ClientCertVerifier> = match clients {
        None => WebPkiClientVerifier::no_client_auth(),
        Some((authorities, is_required)) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(authorities, provider());
            let verifier = if is_required { verifier } else { verifier.allow_unauthenticated() };
            verifier.build()?
        }
    };
    let chooser: Arc<Chooser> = Arc::clone(chooser);
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(chooser);
    config.alpn_protocols = PROTOCOLS.iter().map(|name| name.to_vec()).collect();
    // Tickets instead of a table of sessions: nothing grows, and every worker can resume every session. Their keys live
    // in this process and change; early data, which could be replayed, is never taken.
    config.ticketer = Ticketer::new()?;
    Ok(config)
}
