//! TLS towards upstreams: whom they are taken for, by whose word, and what they are shown.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        ResolvesClientCert, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    sign::SingleCertAndKey,
};

use super::{
    Certificate, HTTP2,
    files::{Files, Identity},
    provider,
};
use crate::config::{
    Protocol,
    document::UpstreamTlsPart,
    fault::{Fault, KeyPath},
};

/// Where systems keep the authorities that everybody trusts: Debian and its kin, Fedora and its kin, SUSE, Alpine and BSD.
const SYSTEM_AUTHORITIES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// TLS to the endpoints of an upstream.
#[derive(Clone)]
pub struct UpstreamTls {
    config: Arc<ClientConfig>,
    /// The same for those with whom HTTP/2 is to be spoken.
    http2: Arc<ClientConfig>,
    /// The name that they must have; else that of their URL.
    name: Option<ServerName<'static>>,
    certificate: Option<Arc<Certificate>>,
    verifies: bool,
    digest: [u8; 32],
}

impl UpstreamTls {
    /// Checks and makes it.
    pub fn new(
        part: &UpstreamTlsPart,
        path: &KeyPath,
        files: &mut Files,
        faults: &mut Vec<Fault>,
    ) -> Option<Self> {
        let before = faults.len();
        let verifies = part.verify.unwrap_or(true);
        let name = part.server_name.as_ref().and_then(|text| {
            let name = ServerName::try_from(text.clone());
            name.map_err(|_bad| {
                let what = format!("`{text}` is neither a name nor an address");
                faults.push(Fault::at(&path.key("server_name"), what));
            })
            .ok()
        });
        let identity = identity(part, path, files, faults);
        let ca = authorities_file(part, path, faults);
        let authorities =
            ca.as_ref().and_then(|file| files.authorities(file, &path.key("ca"), faults));
        if !verifies {
            let what = "whoever answers is taken for this upstream: `verify = false`";
            files.warnings.push(Fault::at(&path.key("verify"), what));
        }
        if faults.len() > before {
            return None;
        }
        let certificate = identity.as_ref().map(|identity| Arc::clone(&identity.certificate));
        let config = config(authorities, identity).map_err(|error| {
            faults.push(Fault::at(path, format_args!("cannot be used: {error}")));
        });
        let read: Vec<&Path> = [ca.as_ref(), part.cert.as_ref(), part.key.as_ref()]
            .into_iter()
            .flatten()
            .map(PathBuf::as_path)
            .collect();
        let digest = files.digest_of(part, &read);
        let config = config.ok()?;
        let mut http2 = config.clone();
        // Nothing else is offered: who does not speak it says so in the handshake, and nobody guesses.
        http2.alpn_protocols = vec![HTTP2.to_vec()];
        let (config, http2) = (Arc::new(config), Arc::new(http2));
        Some(Self { config, http2, name, certificate, verifies, digest })
    }

    /// A connection to an endpoint of this host.
    pub fn connect(
        &self,
        host: &str,
        protocol: Protocol,
    ) -> Result<ClientConnection, rustls::Error> {
        let name = match &self.name {
            Some(name) => name.clone(),
            None => ServerName::try_from(host.to_owned())
                .map_err(|_bad| rustls::Error::General(format!("`{host}` is no name")))?,
        };
        let config = match protocol {
            Protocol::Http1 => &self.config,
            Protocol::Http2 => &self.http2,
        };
        ClientConnection::new(Arc::clone(config), name)
    }

    /// What the upstream is shown, where it is shown anything.
    pub fn certificate(&self) -> Option<&Arc<Certificate>> {
        self.certificate.as_ref()
    }

    /// Is it verified who answers?
    pub fn verifies(&self) -> bool {
        self.verifies
    }

    /// What sets its connections apart from those of other settings.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }
}

/// The same where the same was written and the files have the same bytes.
impl PartialEq for UpstreamTls {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for UpstreamTls {}

impl fmt::Debug for UpstreamTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamTls").field("verifies", &self.verifies).finish_non_exhaustive()
    }
}

fn identity(
    part: &UpstreamTlsPart,
    path: &KeyPath,
    files: &mut Files,
    faults: &mut Vec<Fault>,
) -> Option<Identity> {
    match (&part.cert, &part.key) {
        (Some(cert), key) => files.identity((cert, key.as_deref()), path, faults),
        (None, Some(_)) => {
            faults.push(Fault::at(&path.key("key"), "says nothing without `cert`"));
            None
        }
        (None, None) => None,
    }
}

/// The file of the authorities; none where nothing is verified.
fn authorities_file(
    part: &UpstreamTlsPart,
    path: &KeyPath,
    faults: &mut Vec<Fault>,
) -> Option<PathBuf> {
    match (part.verify, &part.ca) {
        (Some(false), None) => None,
        (Some(false), Some(_)) => {
            faults.push(Fault::at(&path.key("ca"), "says nothing with `verify = false`"));
            None
        }
        (_, Some(file)) => Some(file.clone()),
        (_, None) => {
            let found = SYSTEM_AUTHORITIES.iter().map(PathBuf::from).find(|file| file.exists());
            if found.is_none() {
                let what = "this system has no list of authorities: write `ca = \"FILE\"`";
                faults.push(Fault::at(&path.key("ca"), what));
            }
            found
        }
    }
}

fn config(
    authorities: Option<Arc<RootCertStore>>,
    identity: Option<Identity>,
) -> Result<ClientConfig, Box<dyn std::error::Error>> {
    let verifier: Arc<dyn ServerCertVerifier> = match authorities {
        Some(authorities) => {
            WebPkiServerVerifier::builder_with_provider(authorities, provider()).build()?
        }
        None => Arc::new(Anybody(provider())),
    };
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let shown: Arc<dyn ResolvesClientCert> = Arc::new(SingleCertAndKey::from(identity.key));
            builder.with_client_cert_resolver(shown)
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// `verify = false`: whoever has the key of the certificate that is shown is the upstream.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
