//! Listeners: where requests come in, in the clear or over TLS.

use std::sync::Arc;

use crate::{
    config::{
        ListenAddress, Listener,
        document::{Config, ListenPart, ListenTable},
        fault::{Fault, KeyPath},
    },
    tls::{Files, ListenerTls},
};

/// Checks each.
pub fn listeners(config: &Config, files: &mut Files, faults: &mut Vec<Fault>) -> Vec<Listener> {
    let path = KeyPath::root().key("listen");
    if config.listen.is_empty() {
        faults.push(Fault::at(&path, "write at least one address, such as \"127.0.0.1:8080\""));
    }
    let mut found: Vec<Listener> = Vec::new();
    for (index, entry) in config.listen.iter().enumerate() {
        let here = path.index(index);
        let (text, at) = match entry {
            ListenPart::Address(text) => (text, here.clone()),
            ListenPart::Table(table) => (&table.address, here.key("address")),
        };
        let address = match text.strip_prefix("unix:") {
            Some(socket) if socket.starts_with('/') => Some(ListenAddress::Unix(socket.into())),
            Some(_) => None,
            None => text.parse().ok().map(ListenAddress::Tcp),
        };
        let more = match entry {
            ListenPart::Address(_) => (None, None),
            ListenPart::Table(table) => secured(table, &here, files, faults),
        };
        match address {
            None => faults.push(Fault::at(
                &at,
                format_args!("`{text}` is no address: write `127.0.0.1:8080`, `[::]:80` or `unix:/run/proxy.sock`"),
            )),
            Some(address) if found.iter().any(|other| other.address == address) => {
                faults.push(Fault::at(&at, format_args!("`{text}` stands here twice")));
            }
            Some(address) => found.push(Listener { address, tls: more.0, https_redirect: more.1 }),
        }
    }
    found
}

fn secured(
    table: &ListenTable,
    path: &KeyPath,
    files: &mut Files,
    faults: &mut Vec<Fault>,
) -> (Option<Arc<ListenerTls>>, Option<u16>) {
    let redirect = path.key("https_redirect");
    if table.https_redirect == Some(0) {
        faults.push(Fault::at(&redirect, "is the port of https as clients see it, such as 443"));
    }
    if table.https_redirect.is_some() && table.tls.is_some() {
        faults.push(Fault::at(&redirect, "is for a listener without `tls`"));
    }
    let tls = table.tls.as_ref();
    let tls = tls.and_then(|part| ListenerTls::new(part, &path.key("tls"), files, faults));
    (tls.map(Arc::new), table.https_redirect)
}
