//! How the peers are set up: the same features on in each, access log off, on the proxies' core.

use std::{fs, path::Path};

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};

use crate::{
    launch::{self, Peer, Running},
    measure::load_cores,
    table::{Case, Wire},
};

/// The file with certificate and key in a proxy's folder: ECDSA with P-256, as most have today.
pub const CERTIFICATE: &str = "shop.pem";

/// Who is measured in a case.
#[derive(Debug, Clone, Copy)]
pub struct Contender {
    pub name: &'static str,
    pub peer: Peer,
    /// How many routes it has, where that is not what the case says.
    routes: Option<usize>,
}

impl Contender {
    pub fn ours() -> Self {
        Self { name: Peer::Ours.name(), peer: Peer::Ours, routes: None }
    }

    /// The peers, and this proxy with one route where the case is about many.
    pub fn all(case: &Case, peers: &[Peer]) -> Vec<Self> {
        let mut all: Vec<Self> = peers
            .iter()
            .map(|peer| Self { name: peer.name(), peer: *peer, routes: None })
            .collect();
        if case.routes > 1 {
            all.insert(
                1.min(all.len()),
                Self { name: "ours, 1 route", routes: Some(1), ..Self::ours() },
            );
        }
        all
    }

    /// Starts it in front of the upstream.
    pub fn start(&self, case: &Case, upstream: &str) -> Running {
        let cores = if case.workers == 1 { "1" } else { "0,1" };
        let case = Case { routes: self.routes.unwrap_or(case.routes), ..*case };
        self.peer.start(cores, |address, folder| {
            if case.wire.is_secured() {
                certify(&folder.join(CERTIFICATE));
            }
            match self.peer {
                Peer::Ours => ours(&case, address, upstream, folder),
                Peer::Nginx => nginx(&case, address, upstream, folder),
                Peer::Haproxy => haproxy(&case, address, upstream, folder),
            }
        })
    }
}

/// Routes that do not fit the request, for all but the last one.
fn others(case: &Case) -> std::ops::Range<usize> {
    1..case.routes
}

/// A certificate that says for itself.
fn certify(file: &Path) {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let params = CertificateParams::new(vec!["shop.example".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    fs::write(file, certificate.pem() + &key.serialize_pem()).unwrap();
}

fn ours(case: &Case, address: &str, upstream: &str, folder: &Path) -> String {
    let file = folder.join(CERTIFICATE);
    let tls = if case.wire.is_secured() {
        format!(", tls = {{ certificates = [{{ cert = \"{}\" }}] }}", file.display())
    } else {
        String::new()
    };
    let scheme = if case.wire == Wire::Grpc { "h2c" } else { "http" };
    let mut config = format!(
        "workers = {}\naccess_log = false\nadmin.enabled = false\n\
         listen = [{{ address = \"{address}\"{tls} }}]\nfrom = \"{scheme}://{upstream}\"\n",
        case.workers
    );
    if case.wire == Wire::Grpc {
        return config + "[[routes]]\nname = \"stock\"\ngrpc = \"shop.v1.Stock/Reserve\"\n";
    }
    for at in others(case) {
        config += &format!("[[routes]]\nname = \"r{at}\"\npath = \"/v1/r{at}/{{id}}\"\n");
    }
    config.push_str("[[routes]]\nname = \"stock\"\npath = \"/v1/stock/{sku}\"\n");
    config
}

fn nginx(case: &Case, address: &str, upstream: &str, folder: &Path) -> String {
    let (workers, folder) = (case.workers, folder.display());
    let (kind, begin) = match case.wire {
        Wire::Grpc => ("grpc", "grpc_pass grpc://up;"),
        _ => {
            let begin = "proxy_pass http://up; proxy_http_version 1.1;\n\
                 proxy_set_header Connection \"\";";
            ("proxy", begin)
        }
    };
    let pass = format!(
        "{begin} {kind}_set_header Host $host;\n\
         {kind}_set_header X-Request-Id $request_id;\n\
         {kind}_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n\
         {kind}_set_header X-Forwarded-Proto $scheme;"
    );
    let listen = match case.wire {
        Wire::Http1 => "",
        Wire::Tls | Wire::TlsNew => "ssl",
        Wire::Http2 => "ssl http2",
        Wire::Grpc => "http2",
    };
    let certificate = if case.wire.is_secured() {
        format!(
            "ssl_certificate {folder}/{CERTIFICATE}; ssl_certificate_key {folder}/{CERTIFICATE}; ssl_protocols TLSv1.3;\n"
        )
    } else {
        String::new()
    };
    let mut config = format!(
        "worker_processes {workers}; daemon off; pid {folder}/pid; error_log stderr warn;\n\
         events {{ worker_connections 4096; }}\n\
         http {{ access_log off; keepalive_requests 100000000;\n\
         client_max_body_size 0; proxy_request_buffering off; proxy_max_temp_file_size 0;\n\
         client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;\n\
         uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;\n\
         upstream up {{ server {upstream}; keepalive 600; keepalive_requests 100000000; }}\n\
         server {{ listen {address} reuseport {listen};\n{certificate}"
    );
    for at in others(case) {
        config += &format!("location /v1/r{at}/ {{ {pass} }}\n");
    }
    config += &format!("location / {{ {pass} }} }} }}\n");
    config
}

fn haproxy(case: &Case, address: &str, upstream: &str, folder: &Path) -> String {
    let map = folder.join("routes.map");
    let lines: Vec<String> = others(case).map(|at| format!("/v1/r{at}/ b\n")).collect();
    fs::write(&map, lines.concat()).unwrap();
    let choice = if case.routes > 1 {
        format!("  use_backend %[path,map_beg({},b)]\n", map.display())
    } else {
        String::new()
    };
    let file = folder.join(CERTIFICATE);
    let bind = match case.wire {
        Wire::Http1 => String::new(),
        Wire::Tls | Wire::TlsNew => format!(" ssl crt {} alpn http/1.1", file.display()),
        Wire::Http2 => format!(" ssl crt {} alpn h2,http/1.1", file.display()),
        Wire::Grpc => " proto h2".to_owned(),
    };
    let server = if case.wire == Wire::Grpc { " proto h2" } else { "" };
    let scheme = if case.wire.is_secured() { "https" } else { "http" };
    format!(
        "global\n  nbthread {}\n  maxconn 4096\n\
         defaults\n  mode http\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n\
         \x20 option http-keep-alive\n  http-reuse always\n\
         frontend f\n  bind {address}{bind}\n  unique-id-format %{{+X}}o%ci%cp%fi%fp%Ts%rt%pid\n\
         \x20 unique-id-header X-Request-Id\n{choice}  default_backend b\n\
         backend b\n  option forwardfor\n  http-request set-header X-Forwarded-Proto {scheme}\n\
         \x20 server s {upstream} maxconn 4096{server}\n",
        case.workers
    )
}

/// The trivial upstream, on the load's core.
pub fn upstream(case: &Case) -> Running {
    let address = launch::free_address();
    let mut command = launch::on(load_cores(case));
    command.arg(std::env::current_exe().unwrap());
    let kind = if case.wire == Wire::Grpc { "calls" } else { "upstream" };
    command.args([kind, &address, &case.body.to_string()]);
    Running::of("upstream", command, address, tempfile::tempdir().unwrap())
}
