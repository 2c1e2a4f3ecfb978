//! Reads that move ahead of their module: the process that it moves to answers them from its copy, and no client can tell.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::JoinHandle,
};

use crate::{
    carves::{buys_on, led, load, moved, nothing_was_lost, owner},
    server::{Client, Database, Home, Server, until},
};

/// So many clients, each with an address of its own, by which the proxy tells them apart.
const CLIENTS: u8 = 24;

/// Every so many-th writes besides.
const WRITES: u8 = 3;

/// What the clients have done.
#[derive(Default)]
struct Seen {
    reads: AtomicU64,
    /// Reads right after a write of the same client, each of which showed it.
    own: AtomicU64,
    is_over: AtomicBool,
}

/// Clients that ask for stock until they are told to stop.
struct Crowd {
    seen: Arc<Seen>,
    clients: Vec<JoinHandle<()>>,
}

impl Crowd {
    fn come(server: &Server) -> Self {
        let seen = Arc::<Seen>::default();
        let clients = (0..CLIENTS).map(|number| {
            let (seen, token) = (Arc::clone(&seen), server.token.clone());
            let to = server.public.trim_start_matches("http://").parse().unwrap();
            tokio::spawn(asks(seen, (number, to), token))
        });
        Self { clients: clients.collect(), seen }
    }

    /// None of them has seen anything odd.
    async fn leave(self) -> Arc<Seen> {
        self.seen.is_over.store(true, Ordering::SeqCst);
        for client in self.clients {
            client.await.unwrap();
        }
        self.seen
    }
}

async fn asks(seen: Arc<Seen>, (number, to): (u8, SocketAddr), token: String) {
    let mut client = At::new(number, to, token).await;
    let mut received = 0;
    while !seen.is_over.load(Ordering::SeqCst) {
        let (status, _) = client.ask("GET", "/v1/stock/LOAD-LAMP", None).await;
        assert_eq!(status, 200, "a read");
        seen.reads.fetch_add(1, Ordering::Relaxed);
        if !number.is_multiple_of(WRITES) {
            continue;
        }
        let sku = format!("AHEAD-{number}");
        let lines = json!([{ "sku": sku, "quantity": 1 }]);
        let reference = format!("{sku}-{received}");
        let receipt = json!({ "reference": reference, "reason": "a story", "lines": lines });
        let (status, body) = client.ask("POST", "/v1/stock/receipts", Some(&receipt)).await;
        assert_eq!(status, 204, "a write: {body}");
        received += 1;
        let (status, stock) = client.ask("GET", &format!("/v1/stock/{sku}"), None).await;
        assert_eq!((status, &stock["available"]), (200, &json!(received)), "its own write");
        seen.own.fetch_add(1, Ordering::Relaxed);
    }
}

/// A client at an address of its own on the loopback, with one connection.
struct At {
    stream: TcpStream,
    token: String,
    number: u8,
    asked: u64,
}

impl At {
    async fn new(number: u8, to: SocketAddr, token: String) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 7, number + 1], 0).into()).unwrap();
        Self { stream: socket.connect(to).await.unwrap(), token, number, asked: 0 }
    }

    /// The status and the body.
    async fn ask(&mut self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        self.asked += 1;
        let body = body.map(ToString::to_string).unwrap_or_default();
        let (token, key, length) =
            (&self.token, format!("{}-{}", self.number, self.asked), body.len());
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer {token}\r\nIdempotency-Key: ahead-{key}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        self.stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        loop {
            if let Some((status, body)) = whole(&answer) {
                return (status, serde_json::from_slice(body).unwrap_or(Value::Null));
            }
            let read = self.stream.read_buf(&mut answer).await.unwrap();
            assert!(read > 0, "cut off: {}", String::from_utf8_lossy(&answer));
        }
    }
}

fn whole(answer: &[u8]) -> Option<(u16, &[u8])> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length = length.map_or(0, |length| length.trim().parse().unwrap());
    let body = answer.get(end + 4..end + 4 + length)?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body))
}

/// What is told of the newest carve's reads: the percentage in force and how many the copy has answered.
fn ahead(home: &Home) -> Option<(u64, u64)> {
    let found = home.json(&["placement", "--format", "json"]);
    let ahead = &found["carves"][0]["progress"]["ahead"];
    Some((ahead["percent"].as_u64()?, ahead["answered"].as_u64()?))
}

/// Waits until so much is led ahead and more than before was answered there.
async fn read_ahead(home: &Home, percent: u64, before: u64) -> u64 {
    until("reads move ahead", async || {
        let (led, answered) = ahead(home)?;
        (led == percent && answered > before).then_some(answered)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_move_ahead_of_their_module_and_no_client_can_tell() {
    for home in [Home::new(Database::Sqlite), Home::new(Database::Postgres)].into_iter().flatten() {
        let server = home.up();
        let load = load(&server).await;
        buys_on(&load).await;
        let crowd = Crowd::come(&server);
        let before = led(&server, "inventory").await;
        let wish = ["carve", "inventory", "--reads", "50%,100%", "--reads-each", "6s"];
        let (certificate, ()) = tokio::join!(moved(&home, &wish), async {
            let half = read_ahead(&home, 50, 0).await;
            read_ahead(&home, 100, half).await;
            assert_eq!(owner(&home, "inventory"), "monolith", "ahead of it");
            assert!(led(&server, "inventory").await > before);
        });
        assert_eq!(owner(&home, "inventory"), "inventory");
        let (percent, answered) = ahead(&home).unwrap();
        assert_eq!(percent, 0, "what is led there now is its own");
        assert!(answered > 100, "{answered}");
        assert_eq!(certificate["clients"]["errors"], 0);
        let seen = crowd.leave().await;
        assert!(seen.own.load(Ordering::Relaxed) > 10);
        nothing_was_lost(&home, load).await;
    }
}

/// A child that dies, a move that is given up: reads go to the owner by themselves, and come back where the copy is.
#[tokio::test(flavor = "multi_thread")]
async fn reads_that_moved_ahead_come_back_when_the_move_does_not_go_on() {
    let home = Home::new(Database::Sqlite).unwrap();
    let server = home.up();
    let load = load(&server).await;
    let crowd = Crowd::come(&server);
    home.run(&["carve", "inventory", "--reads", "100%", "--reads-each", "10m", "--detach"]);
    let answered = read_ahead(&home, 100, 0).await;
    let child = home.data().join("carved/inventory/server.json");
    let child: Value = serde_json::from_slice(&std::fs::read(child).unwrap()).unwrap();
    // It stands still: nobody waits for it for longer than a moment.
    for signal in ["-STOP", "-CONT", "-KILL"] {
        let pid = child["pid"].to_string();
        let sent = std::process::Command::new("kill").args([signal, &pid]).status();
        assert!(sent.unwrap().success());
        let read = crowd.seen.reads.load(Ordering::Relaxed);
        until("the clients read on", async || {
            (crowd.seen.reads.load(Ordering::Relaxed) > read + 200).then_some(())
        })
        .await;
    }
    let answered = read_ahead(&home, 100, answered).await;
    assert!(answered > 0, "the next one has the same copy");
    home.run(&["carve", "inventory", "--cancel"]);
    assert_eq!(owner(&home, "inventory"), "monolith");
    // A process that has just ended is not asked for what it never had.
    home.run(&["feeds", "list"]);
    let before = led(&server, "inventory").await;
    let operator = Client::new(&server.public, &server.token);
    assert_eq!(operator.get("/v1/stock/LOAD-LAMP").await.status, 200);
    assert_eq!(led(&server, "inventory").await, before, "nothing is led any more");
    buys_on(&load).await;
    crowd.leave().await;
    nothing_was_lost(&home, load).await;
}
