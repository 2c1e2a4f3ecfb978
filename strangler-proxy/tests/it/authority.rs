//! Authorities of the test and what they sign, in files of a folder that goes with the test.

use std::{fs, path::PathBuf, sync::Arc};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::{
    ClientConfig, ClientConnection, ConfigBuilder, RootCertStore, ServerConfig,
    SupportedProtocolVersion,
    client::WantsClientCert,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tempfile::TempDir;

use crate::{proxied::Proxied, raw::Peer};

/// An authority with its folder.
pub struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, "authority of the test");
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.pem"), &pem).unwrap();
        Self { folder, issuer: Issuer::new(params, key), pem }
    }

    /// A file of the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The authority's own certificate.
    pub fn ca(&self) -> String {
        self.file("ca.pem").display().to_string()
    }

    /// Signs a certificate for these names into `NAME.pem` and `NAME.key`, changed as the test wants it.
    pub fn sign_with(
        &self,
        name: &str,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        fs::write(self.file(&format!("{name}.pem")), signed.pem()).unwrap();
        fs::write(self.file(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    pub fn sign(&self, name: &str, names: &[&str]) {
        self.sign_with(name, names, |_| {});
    }

    /// `{ cert = "…", key = "…" }`
    pub fn pair(&self, name: &str) -> String {
        let (cert, key) = (self.file(&format!("{name}.pem")), self.file(&format!("{name}.key")));
        format!("{{ cert = \"{}\", key = \"{}\" }}", cert.display(), key.display())
    }

    /// `listen` with TLS, these certificates and more of its keys.
    pub fn listen(&self, names: &[&str], more: &str) -> String {
        let pairs: Vec<String> = names.iter().map(|name| self.pair(name)).collect();
        let pairs = pairs.join(", ");
        format!(
            "listen = [{{ address = \"127.0.0.1:0\", tls = {{ certificates = [{pairs}]{more} }} }}]\n"
        )
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()).unwrap();
        Arc::new(roots)
    }

    fn chain(&self, name: &str) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let cert = CertificateDer::from_pem_file(self.file(&format!("{name}.pem"))).unwrap();
        let key = PrivateKeyDer::from_pem_file(self.file(&format!("{name}.key"))).unwrap();
        (vec![cert], key)
    }

    /// A client that trusts this authority.
    pub fn client(&self) -> ClientConfig {
        self.client_showing(None)
    }

    /// The same with a certificate, which may be signed by another one.
    pub fn client_showing(&self, shown: Option<(&Authority, &str)>) -> ClientConfig {
        let builder = self.builder(rustls::ALL_VERSIONS);
        match shown {
            None => builder.with_no_client_auth(),
            Some((authority, name)) => {
                let (chain, key) = authority.chain(name);
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        }
    }

    /// A client that speaks these versions only.
    pub fn client_of(&self, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
        self.builder(versions).with_no_client_auth()
    }

    fn builder(
        &self,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ConfigBuilder<ClientConfig, WantsClientCert> {
        ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(self.roots())
    }

    /// A server with a certificate of this authority; it asks for the clients' where it is to.
    pub fn server(&self, name: &str, asks_clients: Option<&Authority>) -> Arc<ServerConfig> {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let verifier = match asks_clients {
            None => WebPkiClientVerifier::no_client_auth(),
            Some(authority) => {
                WebPkiClientVerifier::builder_with_provider(authority.roots(), provider)
                    .build()
                    .unwrap()
            }
        };
        let (chain, key) = self.chain(name);
        Arc::new(builder.with_client_cert_verifier(verifier).with_single_cert(chain, key).unwrap())
    }

    /// A connection to the proxy, asking for a name.
    pub fn connect(&self, proxy: &Proxied, name: &str) -> Peer {
        connect(proxy, name, self.client())
    }
}

/// A connection to the proxy. The handshake comes with the first bytes.
pub fn connect(proxy: &Proxied, name: &str, config: ClientConfig) -> Peer {
    resuming(proxy, name, &Arc::new(config))
}

/// The same with a client that knows its earlier sessions.
pub fn resuming(proxy: &Proxied, name: &str, config: &Arc<ClientConfig>) -> Peer {
    let mut peer = proxy.connect();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let session = ClientConnection::new(Arc::clone(config), name).unwrap();
    peer.tls = Some(Box::new(session.into()));
    peer
}
