//! TLS of the public listener.

use std::path::Path;

use anyhow::{Context, Result};
use openssl::ssl::{SslAcceptor, SslAcceptorBuilder, SslFiletype, SslMethod};

/// An acceptor with this certificate chain and key, TLS 1.2 or later (Mozilla's intermediate profile). The web server
/// adds what may be spoken over it: HTTP/2 and HTTP/1.1.
pub fn acceptor(certificate: &Path, key: &Path) -> Result<SslAcceptorBuilder> {
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
    acceptor
        .set_certificate_chain_file(certificate)
        .with_context(|| format!("http.tls.certificate: cannot use {}", certificate.display()))?;
    acceptor
        .set_private_key_file(key, SslFiletype::PEM)
        .with_context(|| format!("http.tls.key: cannot use {}", key.display()))?;
    acceptor.check_private_key().context("http.tls.key is not the key of http.tls.certificate")?;
    Ok(acceptor)
}
