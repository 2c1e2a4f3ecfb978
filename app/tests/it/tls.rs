//! TLS on the public listener.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use openssl::{
    asn1::Asn1Time,
    hash::MessageDigest,
    pkey::PKey,
    rsa::Rsa,
    ssl::{SslConnector, SslMethod},
    x509::{X509, X509NameBuilder, extension::SubjectAlternativeName},
};

use crate::server::{Database, Home};

/// A certificate for localhost, signed by itself, and its key; both PEM.
fn certificate() -> (Vec<u8>, Vec<u8>) {
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", "localhost").unwrap();
    let name = name.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
    let context = builder.x509v3_context(None, None);
    let names = SubjectAlternativeName::new().dns("localhost").build(&context).unwrap();
    builder.append_extension(names).unwrap();
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    (builder.build().to_pem().unwrap(), key.private_key_to_pem_pkcs8().unwrap())
}

#[test]
fn a_certificate_makes_the_public_listener_speak_tls() {
    let mut home = Home::new(Database::Sqlite).unwrap();
    let (certificate, key) = certificate();
    let path = |name: &str| home.data().with_file_name(name);
    let (certificate_file, key_file) = (path("certificate.pem"), path("key.pem"));
    std::fs::write(&certificate_file, &certificate).unwrap();
    std::fs::write(&key_file, &key).unwrap();
    home.set("BANYAN_HTTP_TLS_CERTIFICATE", certificate_file.to_str().unwrap());
    let refused = home.run(&["up", "--listen", "127.0.0.1:0"]);
    let error = String::from_utf8(refused.stderr).unwrap();
    assert!(error.contains("http.tls.key"), "one without the other is refused: {error}");
    home.set("BANYAN_HTTP_TLS_KEY", key_file.to_str().unwrap());
    let server = home.up();

    let address = server.public.strip_prefix("https://").expect("the server says so");
    let mut connector = SslConnector::builder(SslMethod::tls_client()).unwrap();
    connector.cert_store_mut().add_cert(X509::from_pem(&certificate).unwrap()).unwrap();
    let plain = TcpStream::connect(address).unwrap();
    let mut stream = connector.build().connect("localhost", plain).unwrap();
    stream
        .write_all(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
