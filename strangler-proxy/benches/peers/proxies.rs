//! How the peers are set up: the same features on in each, access log off, on the proxies' core.

use std::path::Path;

use crate::{
    launch::{self, Peer, Running},
    measure::load_cores,
    table::Case,
};

/// Starts it in front of the upstream.
pub fn start(peer: Peer, case: &Case, upstream: &str) -> Running {
    let cores = if case.workers == 1 { "1" } else { "0,1" };
    peer.start(cores, |address, folder| config(peer, case, address, upstream, folder))
}

fn config(peer: Peer, case: &Case, address: &str, upstream: &str, folder: &Path) -> String {
    let (workers, folder) = (case.workers, folder.display());
    match peer {
        Peer::Ours => format!(
            "workers = {workers}\naccess_log = false\nadmin.enabled = false\n\
                 listen = [\"{address}\"]\nfrom = \"http://{upstream}\"\n"
        ),
        Peer::Nginx => format!(
            "worker_processes {workers}; daemon off; pid {folder}/pid; error_log stderr warn;\n\
                 events {{ worker_connections 4096; }}\n\
                 http {{ access_log off; keepalive_requests 100000000;\n\
                 client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;\n\
                 uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;\n\
                 upstream up {{ server {upstream}; keepalive 600; keepalive_requests 100000000; }}\n\
                 server {{ listen {address} reuseport; location / {{ proxy_pass http://up; proxy_http_version 1.1;\n\
                 proxy_set_header Connection \"\"; proxy_set_header Host $host;\n\
                 proxy_set_header X-Request-Id $request_id;\n\
                 proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n\
                 proxy_set_header X-Forwarded-Proto $scheme; }} }} }}\n"
        ),
        Peer::Haproxy => format!(
            "global\n  nbthread {workers}\n  maxconn 4096\n\
                 defaults\n  mode http\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n\
                 \x20 option http-keep-alive\n  http-reuse always\n\
                 frontend f\n  bind {address}\n  unique-id-format %{{+X}}o%ci%cp%fi%fp%Ts%rt%pid\n\
                 \x20 unique-id-header X-Request-Id\n  default_backend b\n\
                 backend b\n  option forwardfor\n  http-request set-header X-Forwarded-Proto http\n\
                 \x20 server s {upstream} maxconn 4096\n"
        ),
    }
}

/// The trivial upstream, on the load's core.
pub fn upstream(case: &Case) -> Running {
    let address = launch::free_address();
    let mut command = launch::on(load_cores(case));
    command.arg(std::env::current_exe().unwrap());
    command.args(["upstream", &address, &case.body.to_string()]);
    Running::of("upstream", command, address, tempfile::tempdir().unwrap())
}
