//! Where a case runs: a proxy, set up as the case says, and an upstream of its own.

use std::collections::BTreeMap;

use crate::{
    exchange,
    format::Case,
    judge::{self, Verdict},
    launch::{Peer, Running},
    origin::Origin,
};

/// The proxies of one peer, one for each setting that cases have.
pub struct Stand {
    peer: Peer,
    running: BTreeMap<String, (Running, Origin)>,
}

impl Stand {
    pub fn new(peer: Peer) -> Self {
        Self { peer, running: BTreeMap::new() }
    }

    /// Runs a case; nothing where it is about a setting that only this proxy has.
    pub fn run(&mut self, folder: &str, case: &Case) -> Option<Verdict> {
        let settings = case.settings.iter().map(String::as_str);
        let settings = settings.filter(|one| one.starts_with("allow ") || *one == "trusted");
        let settings: Vec<&str> = settings.collect();
        let is_codecs = case.settings.iter().any(|one| one == "codec");
        if is_codecs || self.peer != Peer::Ours && !settings.is_empty() {
            return None;
        }
        let is_upgrade = case.settings.iter().any(|one| one == "upgrade");
        let key = format!("{} {is_upgrade}", settings.join(" "));
        let peer = self.peer;
        let (proxy, origin) = self.running.entry(key).or_insert_with(|| {
            let origin = Origin::start();
            let upstream = origin.address().to_owned();
            let running = peer.start("0,1", |address, folder| match peer {
                Peer::Ours => ours(address, &upstream, &settings),
                Peer::Nginx => nginx(address, &upstream, &folder.display().to_string(), is_upgrade),
                Peer::Haproxy => haproxy(address, &upstream),
            });
            (running, origin)
        });
        let once = || match folder {
            "requests" => judge::requests(case, &exchange::requests(case, proxy.address(), origin)),
            _ => judge::responses(case, &exchange::responses(case, proxy.address(), origin)),
        };
        // A second try, since a busy machine can make an answer late; what is let through is so every time.
        Some(match once() {
            right @ Verdict::Right { strictly: true } => right,
            _ => once(),
        })
    }
}

fn ours(address: &str, upstream: &str, settings: &[&str]) -> String {
    let trust = if settings.contains(&"trusted") { "trust = [\"127.0.0.0/8\"]\n" } else { "" };
    let allow: Vec<String> = settings
        .iter()
        .filter_map(|setting| setting.strip_prefix("allow "))
        .map(|name| format!("\"{name}\""))
        .collect();
    let allow = allow.join(", ");
    format!(
        "workers = 1\naccess_log = false\nadmin.enabled = false\nlisten = [\"{address}\"]\n\
         from = \"http://{upstream}\"\n[forwarded]\npseudonym = \"strangler-test\"\n{trust}\
         [[routes]]\nname = \"all\"\npath = \"/{{*rest}}\"\nleniency = [{allow}]\n\
         breaker = {{ failures = 4000000, rate = 0 }}\n"
    )
}

/// As its documentation says for a gateway with kept connections, and for WebSockets where a case is about those.
fn nginx(address: &str, upstream: &str, folder: &str, is_upgrade: bool) -> String {
    let upgrade = if is_upgrade {
        "proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $upgrades;"
    } else {
        "proxy_set_header Connection \"\";"
    };
    format!(
        "worker_processes 1; daemon off; pid {folder}/pid; error_log /dev/null crit;\n\
         events {{ worker_connections 1024; }}\n\
         http {{ access_log off; client_body_temp_path {folder}/a; proxy_temp_path {folder}/b;\n\
         fastcgi_temp_path {folder}/c; uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;\n\
         map $http_upgrade $upgrades {{ default upgrade; '' ''; }}\n\
         upstream up {{ server {upstream} max_fails=0; keepalive 16; }}\n\
         server {{ listen {address}; server_name shop.example; location / {{ proxy_pass http://up; proxy_http_version 1.1;\n\
         {upgrade} proxy_set_header Host $host;\n\
         proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n\
         proxy_set_header X-Forwarded-Proto $scheme; }} }} }}\n"
    )
}

fn haproxy(address: &str, upstream: &str) -> String {
    format!(
        "global\n  nbthread 1\n  maxconn 1024\n\
         defaults\n  mode http\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n\
         \x20 option http-keep-alive\n  http-reuse always\n\
         frontend f\n  bind {address}\n  default_backend b\n\
         backend b\n  option forwardfor\n  http-request set-header X-Forwarded-Proto http\n\
         \x20 server s {upstream}\n"
    )
}
