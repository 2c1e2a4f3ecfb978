//! The feed of another process, over HTTP.

use std::{sync::Arc, time::Duration};

use contract::{Client, Keyring, Reason, Remote, Secret, rpc};
use events::{Feed, FeedRead, FeedServer, HttpFeed};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::world::{World, limits, worlds};

/// As much of an HTTP server as this test needs: one request per connection.
async fn serve(server: Arc<FeedServer>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (stream, _peer) = listener.accept().await.unwrap();
            tokio::spawn(answer(Arc::clone(&server), stream));
        }
    });
    base
}

async fn answer(server: Arc<FeedServer>, mut stream: TcpStream) {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => bytes.push(byte),
            Err(_closed) => return,
        }
    }
    let text = String::from_utf8(bytes).unwrap();
    let (line, headers) = text.split_once("\r\n").unwrap();
    let target = line.split(' ').nth(1).unwrap();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let module = path.strip_prefix("/feed/").unwrap();
    let head = rpc::Head::read(|name| {
        headers.lines().find_map(|line| {
            let (header, value) = line.split_once(": ")?;
            header.eq_ignore_ascii_case(name).then_some(value)
        })
    });
    let reply = server.answer(module, query, &head).await;
    let head = format!(
        "HTTP/1.1 {} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        reply.status,
        reply.body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&reply.body).await.unwrap();
}

async fn remote(world: &World, key: &Secret, lock: &Secret) -> HttpFeed {
    let (server, base) = process(lock).await;
    server.insert(world.feed());
    reader(world, &base, key)
}

/// The listener of a process that shows no feed yet, and where it is.
pub async fn process(lock: &Secret) -> (Arc<FeedServer>, String) {
    let registry = Arc::new(rpc::Registry::new(lock.clone()));
    let server = Arc::new(FeedServer::new(registry));
    let base = serve(Arc::clone(&server)).await;
    (server, base)
}

/// How the hearer reads the feed at a process.
pub fn reader(world: &World, base: &str, key: &Secret) -> HttpFeed {
    let client = Client::new(tokio::runtime::Handle::current());
    let (teller, hearer) = (world.teller.module(), world.hearer.module());
    let keyring = Keyring::derive(key, &[hearer, teller]);
    HttpFeed::new(teller, hearer, Remote::new(client, base, keyring).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_over_http_is_heard_like_one_in_process() {
    for world in worlds() {
        let secret = Secret::new([7; 32]);
        let feed = Arc::new(remote(&world, &secret, &secret).await);
        let subscription = world.subscribe_to(feed, limits());
        for value in 1..=30 {
            world.tell(&["a", "b"], value).await;
        }
        world.hears(&[("a", (30, 30)), ("b", (30, 30))]).await;
        subscription.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_waits_for_news_and_gets_them_at_once() {
    for world in worlds() {
        let secret = Secret::new([7; 32]);
        let feed = remote(&world, &secret, &secret).await;
        let empty = FeedRead { wait: Duration::from_millis(20), ..FeedRead::after(0) };
        assert_eq!(feed.read(empty).await.unwrap().events.len(), 0);
        let waiting = tokio::spawn(async move {
            let ask = FeedRead { wait: Duration::from_secs(15), ..FeedRead::after(0) };
            let asked = tokio::time::Instant::now();
            (feed.read(ask).await.unwrap(), asked.elapsed())
        });
        world.tell(&["a"], 1).await;
        let (page, took) = waiting.await.unwrap();
        assert_eq!((page.events.len(), page.head), (1, 1));
        assert!(took < Duration::from_secs(10), "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_peer_with_its_own_token_may_read() {
    let world = worlds().remove(0);
    let feed = remote(&world, &Secret::new([7; 32]), &Secret::new([8; 32])).await;
    let refused = feed.read(FeedRead::after(0)).await.unwrap_err();
    assert!(matches!(refused.reason, Reason::Unavailable | Reason::Forbidden), "{refused:?}");
    assert!(refused.detail.contains("token") || refused.detail.contains("401"), "{refused}");
}
