//! The admin API over real sockets.

use std::{
    future::Future,
    io::{Read, Write},
    net::TcpStream,
    pin::Pin,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use serde_json::{Value, json};

use super::*;
use crate::{
    config::{Source, load},
    steer::Figures,
};

const FILE: &str = "from = \"http://127.0.0.1:1\"\n[[routes]]\nname = \"stock\"\npath = \"/stock\"\nto = \"http://127.0.0.1:2\"\nstage = \"off\"\n";
const TOKEN: &str = "a-token-for-the-tests";

/// An engine without traffic.
#[derive(Default)]
struct Idle {
    drained: AtomicBool,
}

impl Engine for Idle {
    fn figures(&self) -> Figures {
        Figures { workers: 7, ..Figures::default() }
    }
    fn barrier<'a>(
        &'a self,
        route: &'a str,
        _: Duration,
    ) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
        Box::pin(async move { route == "stock" })
    }
    fn recall<'a>(
        &'a self,
        _: &'a str,
    ) -> Pin<Box<dyn Future<Output = Vec<crate::seen::Remembered>> + Send + 'a>> {
        Box::pin(async { Vec::new() })
    }

    fn drain(&self) {
        self.drained.store(true, Ordering::SeqCst);
    }
    fn is_usable(&self, _: &str, upstream: &str) -> bool {
        upstream != "http://127.0.0.1:2"
    }
}

struct World {
    home: tempfile::TempDir,
    address: std::net::SocketAddr,
    engine: Arc<Idle>,
}

/// Serves while `story` runs on another thread.
fn with_admin(story: impl FnOnce(&World) + Send + 'static) {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("shop.toml"), FILE).unwrap();
    let source = Source { file: Some(home.path().join("shop.toml")), ..Source::default() };
    let loaded = load(&source).unwrap();
    let engine = Arc::new(Idle::default());
    let admin = Admin {
        steering: Arc::new(Steering::new(source, loaded)),
        engine: Arc::<Idle>::clone(&engine),
        metrics: Metrics::new(),
        health: Health::new(),
        token: TOKEN.into(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let world = World { home, address, engine };
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let Serving { handle, server, .. } = serve(listener, admin).unwrap();
        let story = tokio::task::spawn_blocking(move || story(&world));
        let serving = tokio::spawn(server);
        story.await.unwrap();
        handle.stop(false).await;
        serving.await.unwrap().unwrap();
    });
}

impl World {
    fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut stream = TcpStream::connect(self.address).unwrap();
        let mut text = format!(
            "{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        stream.write_all(format!("{text}\r\n{body}").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or(Value::String(body.to_owned())))
    }

    fn admin(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        self.ask(method, path, &[("Authorization", &format!("Bearer {TOKEN}"))], body)
    }
}

#[test]
fn only_the_token_opens_it_but_for_metrics_and_health() {
    with_admin(|world| {
        for (method, path) in [
            ("GET", "/status"),
            ("PUT", "/toggles/stock"),
            ("PUT", "/kill"),
            ("DELETE", "/kill"),
            ("PUT", "/parked/stock"),
            ("DELETE", "/parked/stock"),
            ("POST", "/reload"),
            ("POST", "/explain"),
            ("GET", "/explain/4bf92f3577b34da6a3ce929d0e0e4736"),
            ("POST", "/drain"),
        ] {
            for shown in ["", "Bearer wrong", "Bearer ", TOKEN] {
                let (status, problem) =
                    world.ask(method, path, &[("Authorization", shown)], &json!({}));
                assert_eq!(status, 401, "{method} {path} with `{shown}`");
                assert_eq!(problem["status"], 401);
            }
        }
        assert!(!world.engine.drained.load(Ordering::SeqCst));
        assert_eq!(world.ask("GET", "/metrics", &[], &Value::Null).0, 200);
        assert_eq!(world.ask("GET", "/health/live", &[], &Value::Null).0, 200);
        assert_eq!(
            world.ask("GET", "/health/ready", &[], &Value::Null).0,
            503,
            "nothing has started it"
        );
        assert_eq!(world.ask("GET", "/else", &[], &Value::Null).0, 404);
    });
}

#[test]
fn a_toggle_over_the_api_is_in_the_file() {
    with_admin(|world| {
        let (status, before) = world.admin("GET", "/status", &Value::Null);
        assert_eq!((status, before["figures"]["workers"].as_u64()), (200, Some(7)));
        let version = before["revision"].as_str().unwrap();
        let bearer = format!("Bearer {TOKEN}");
        let edit = |version: &str, body: Value| {
            let headers = [("Authorization", bearer.as_str()), ("If-Match", version)];
            world.ask("PUT", "/toggles/stock", &headers, &body)
        };
        let (status, changed) =
            edit(&format!("\"{version}\""), json!({ "weight": 2.5, "reason": "try" }));
        assert_eq!(
            (status, changed["routes"]["stock"][1]["weight"].as_f64()),
            (200, Some(2.5)),
            "{changed}"
        );
        let text = std::fs::read_to_string(world.home.path().join("shop.toml")).unwrap();
        assert!(text.contains("stage = \"canary\"") && text.contains("weight = 2.5"), "{text}");
        let (status, problem) = edit(&format!("\"{version}\""), json!({ "stage": "live" }));
        assert_eq!(
            (status, problem["type"].as_str()),
            (412, Some("urn:banyan:problem:version-mismatch"))
        );
        assert_eq!(edit("*", json!({ "stage": "live" })).0, 200);
        for (path, body, expected) in [
            ("/toggles/nobody", json!({ "stage": "live" }), 404),
            ("/toggles/stock", json!({ "stage": "up" }), 400),
            ("/toggles/stock", json!({ "weight": 101 }), 400),
            ("/toggles/stock", json!({}), 400),
            ("/toggles/stock", json!({ "stage": "live", "force": true }), 400),
            ("/toggles/stock", json!({ "stage": "live", "reason": "x".repeat(2000) }), 400),
        ] {
            let (status, problem) = world.admin("PUT", path, &body);
            assert_eq!(status, expected, "{path} {body}: {problem}");
        }
    });
}

#[test]
fn kill_park_reload_explain_and_drain() {
    with_admin(|world| {
        let live = json!({ "stage": "live", "reason": "go" });
        assert_eq!(world.admin("PUT", "/toggles/stock", &live).0, 200);
        let asked = json!({ "method": "GET", "url": "/stock" });
        let (_, told) = world.admin("POST", "/explain", &asked);
        assert_eq!(
            (told["side"].as_str(), told["why"].as_str()),
            (Some("old"), Some("fallen_back")),
            "the engine knows that the new side is down"
        );
        let (_, switched) = world.admin("PUT", "/kill", &json!({ "reason": "smoke" }));
        assert_eq!(switched["kill"]["reason"], "smoke");
        let (_, told) = world.admin("POST", "/explain", &asked);
        assert_eq!(told["why"], "killed");
        assert_eq!(world.admin("DELETE", "/kill", &Value::Null).1["kill"], Value::Null);

        let (_, parked) = world.admin("PUT", "/parked/stock", &json!({ "drain": "1s" }));
        assert_eq!(parked, json!({ "routes": ["stock"], "drained": true }));
        assert_eq!(world.admin("POST", "/explain", &asked).1["act"], "park");
        assert_eq!(
            world.admin("DELETE", "/parked/stock", &Value::Null).1["routes"],
            json!(["stock"])
        );

        std::fs::write(world.home.path().join("shop.toml"), "form = 1").unwrap();
        let (status, problem) = world.admin("POST", "/reload", &Value::Null);
        assert_eq!(status, 422);
        let detail = problem["errors"][0]["detail"].as_str().unwrap();
        assert!(detail.contains("shop.toml:1: form: there is no such key"), "{detail}");
        assert_eq!(
            world.admin("POST", "/explain", &json!({ "method": "GET", "url": "/a/%00" })).0,
            400
        );
        assert_eq!(world.admin("POST", "/explain", &json!({ "method": "GET", "url": "a" })).0, 400);
        for trace in ["4bf92f3577b34da6a3ce929d0e0e4736", "nonsense"] {
            let (status, problem) = world.admin("GET", &format!("/explain/{trace}"), &Value::Null);
            assert_eq!(status, 404, "{problem}");
        }
        assert_eq!(world.admin("POST", "/drain", &Value::Null).0, 202);
        assert!(world.engine.drained.load(Ordering::SeqCst));
    });
}
