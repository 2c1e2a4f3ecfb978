//! A client's side of TLS 1.3 over a socket that never blocks. The same for every peer: X25519 and AES-256-GCM, and no
//! session is taken up again.

use std::{
    io::{self, ErrorKind, Read, Write},
    path::Path,
    sync::Arc,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore,
    client::Resumption,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, ServerName, pem::PemObject},
    version::TLS13,
};

/// What all connections have in common.
pub struct Config(Arc<ClientConfig>);

impl Config {
    /// Trusts the certificate of this file and offers this protocol.
    pub fn new(certificate: &Path, protocol: &[u8]) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(certificate).unwrap()).unwrap();
        let provider = CryptoProvider {
            cipher_suites: vec![ring::cipher_suite::TLS13_AES_256_GCM_SHA384],
            kx_groups: vec![ring::kx_group::X25519],
            ..ring::default_provider()
        };
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        config.resumption = Resumption::disabled();
        Self(Arc::new(config))
    }
}

/// A connection. The handshake comes with the first bytes.
pub struct Secured<S: Read + Write> {
    pub below: S,
    session: ClientConnection,
}

impl<S: Read + Write> Secured<S> {
    pub fn new(below: S, config: &Config) -> Self {
        let name = ServerName::try_from("shop.example").unwrap();
        Self { below, session: ClientConnection::new(Arc::clone(&config.0), name).unwrap() }
    }

    /// Sends what is ready, as far as the socket takes it; the rest goes with the next call.
    fn send(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut self.below) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl<S: Read + Write> Read for Secured<S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.session.reader().read(into) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                other => return other,
            }
            if self.session.read_tls(&mut self.below)? == 0 {
                return Ok(0);
            }
            self.session.process_new_packets().map_err(io::Error::other)?;
            self.send()?;
        }
    }
}

impl<S: Read + Write> Write for Secured<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send()?;
        if self.session.wants_write() && !self.session.is_handshaking() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let count = self.session.writer().write(bytes)?;
        self.send()?;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}

impl<S: Read + Write> Drop for Secured<S> {
    fn drop(&mut self) {
        self.session.send_close_notify();
        // Who has gone before is not told.
        drop(self.send());
    }
}
