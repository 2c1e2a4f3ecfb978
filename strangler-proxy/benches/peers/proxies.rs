//! How the peers are set up: the same features on in each, access log off, on the proxies' core.

use std::{fs, path::Path};

use crate::{
    launch::{self, Peer, Running},
    measure::load_cores,
    table::Case,
};

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
        self.peer.start(cores, |address, folder| match self.peer {
            Peer::Ours => ours(&case, address, upstream),
            Peer::Nginx => nginx(&case, address, upstream, folder),
            Peer::Haproxy => haproxy(&case, address, upstream, folder),
        })
    }
}

/// Routes that do not fit the request, for all but the last one.
fn others(case: &Case) -> std::ops::Range<usize> {
    1..case.routes
}

fn ours(case: &Case, address: &str, upstream: &str) -> String {
    let mut config = format!(
        "workers = {}\naccess_log = false\nadmin.enabled = false\n\
         listen = [\"{address}\"]\nfrom = \"http://{upstream}\"\n",
        case.workers
    );
    for at in others(case) {
        config += &format!("[[routes]]\nname = \"r{at}\"\npath = \"/v1/r{at}/{{id}}\"\n");
    }
    config.push_str("[[routes]]\nname = \"stock\"\npath = \"/v1/stock/{sku}\"\n");
    config
}

fn nginx(case: &Case, address: &str, upstream: &str, folder: &Path) -> String {
    let (workers, folder) = (case.workers, folder.display());
    let pass = "proxy_pass http://up; proxy_http_version 1.1;\n\
         proxy_set_header Connection \"\"; proxy_set_header Host $host;\n\
         proxy_set_header X-Request-Id $request_id;\n\
         proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n\
         proxy_set_header X-Forwarded-Proto $scheme;";
    let mut config = format!(
        "worker_processes {workers}; daemon off; pid {folder}/pid; error_log stderr warn;\n\
         events {{ worker_connections 4096; }}\n\
         http {{ access_log off; keepalive_requests 100000000;\n\
         client_max_body_size 0; proxy_request_buffering off; proxy_max_temp_file_size 0;\n\
         client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;\n\
         uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;\n\
         upstream up {{ server {upstream}; keepalive 600; keepalive_requests 100000000; }}\n\
         server {{ listen {address} reuseport;\n"
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
    format!(
        "global\n  nbthread {}\n  maxconn 4096\n\
         defaults\n  mode http\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n\
         \x20 option http-keep-alive\n  http-reuse always\n\
         frontend f\n  bind {address}\n  unique-id-format %{{+X}}o%ci%cp%fi%fp%Ts%rt%pid\n\
         \x20 unique-id-header X-Request-Id\n{choice}  default_backend b\n\
         backend b\n  option forwardfor\n  http-request set-header X-Forwarded-Proto http\n\
         \x20 server s {upstream} maxconn 4096\n",
        case.workers
    )
}

/// The trivial upstream, on the load's core.
pub fn upstream(case: &Case) -> Running {
    let address = launch::free_address();
    let mut command = launch::on(load_cores(case));
    command.arg(std::env::current_exe().unwrap());
    command.args(["upstream", &address, &case.body.to_string()]);
    Running::of("upstream", command, address, tempfile::tempdir().unwrap())
}
