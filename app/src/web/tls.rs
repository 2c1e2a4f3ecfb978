//! TLS of the public listener.

use std::path::Path;

use anyhow::{Context, Result};
use openssl::ssl::{
    AlpnError, SslAcceptor, SslAcceptorBuilder, SslFiletype, SslMethod, select_next_proto,
};

/// What clients may speak: HTTP/2 or HTTP/1.1 (RFC 7301 wire format).
const PROTOCOLS: &[u8] = b"\x02h2\x08http/1.1";

/// An acceptor with this certificate chain and key, TLS 1.2 or later (Mozilla's intermediate profile).
pub fn acceptor(certificate: &Path, key: &Path) -> Result<SslAcceptorBuilder> {
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
    acceptor
        .set_certificate_chain_file(certificate)
        .with_context(|| format!("http.tls.certificate: cannot use {}", certificate.display()))?;
    acceptor
        .set_private_key_file(key, SslFiletype::PEM)
        .with_context(|| format!("http.tls.key: cannot use {}", key.display()))?;
    acceptor.check_private_key().context("http.tls.key is not the key of http.tls.certificate")?;
    acceptor.set_alpn_select_callback(|_, offered| {
        select_next_proto(PROTOCOLS, offered).ok_or(AlpnError::NOACK)
    });
    Ok(acceptor)
}
