//! Every answer belongs to its request, over either version on either side, whatever is cut on the way.

use std::rc::Rc;

use http::{Method, Response};
use tokio::task::spawn_local;

use crate::{
    peers::{Call, Client, Server, piece, read, request, run, write},
    proxied::Proxied,
    soak::{Dice, body_of, treacherous},
};

const REQUESTS: u64 = 5_000;
const CONNECTIONS: u64 = 4;
const AT_ONCE: u64 = 16;

/// Answers as its dice fall: whole, in pieces, cut short, refused, or before the request is over.
async fn answer(mut call: Call, mut dice: Dice) {
    let id = call.head.headers["x-id"].to_str().unwrap().to_owned();
    if dice.roll(25) == 0 {
        call.respond.send_reset(h2::Reason::from(dice.roll(14) as u32));
        return;
    }
    if dice.roll(10) > 0 {
        let Ok((body, _)) = read(&mut call.body).await else { return };
        assert!(body.is_empty() || body == id.as_bytes(), "a body belongs to its head");
    }
    let length = [0, 5, 300, 2_000, 10_000, 40_000][dice.roll(6) as usize];
    let body = body_of(&id, length);
    let mut head = Response::builder();
    if dice.roll(2) == 0 {
        head = head.header("content-length", body.len());
    }
    let Ok(mut to) = call.respond.send_response(head.body(()).unwrap(), body.is_empty()) else {
        return;
    };
    let step = 1 + dice.roll(body.len() as u64 + 1) as usize;
    let cut = (dice.roll(15) == 0).then(|| dice.roll(body.len() as u64 + 1) as usize);
    let mut at = 0;
    for part in body.chunks(step.max(body.len() / 8 + 1)) {
        if cut.is_some_and(|cut| at >= cut) {
            return to.send_reset(h2::Reason::INTERNAL_ERROR);
        }
        at += part.len();
        if write(&mut to, part, at == body.len()).await.is_err() {
            return;
        }
    }
}

/// One request; true where its whole answer came.
async fn visit(client: &mut Client, id: String, dice: &mut Dice) -> Option<bool> {
    let has_body = dice.roll(2) == 0;
    let method = if has_body { Method::POST } else { Method::GET };
    let asked = request(method, "/").header("x-id", &id).body(()).unwrap();
    let mut send = client.send.clone().ready().await.ok()?;
    let (answer, mut to) = send.send_request(asked, !has_body).ok()?;
    if has_body {
        if dice.roll(20) == 0 {
            to.send_reset(h2::Reason::CANCEL);
            return Some(false);
        }
        // The answer may come first.
        drop(write(&mut to, id.as_bytes(), true).await);
    }
    if dice.roll(25) == 0 {
        return Some(false);
    }
    let Ok(answer) = answer.await else { return Some(false) };
    let status = answer.status().as_u16();
    let mut from = answer.into_body();
    let mut body = Vec::new();
    while let Some(data) = piece(&mut from).await {
        let Ok(data) = data else { return Some(false) };
        body.extend_from_slice(&data);
        if dice.roll(200) == 0 {
            return Some(false);
        }
    }
    if status != 200 {
        assert!([400, 408, 502, 503, 504].contains(&status), "{status}");
        return Some(false);
    }
    assert!(
        body == body_of(&id, body.len() as u64) || body.is_empty(),
        "{id} got another one's answer"
    );
    Some(true)
}

fn hold(proxy: &Proxied, seed: u64) {
    let right: u64 = run(async {
        let mut tasks = Vec::new();
        for connection in 0..CONNECTIONS {
            let address = proxy.address;
            let client = Rc::new(Client::connect(address).await);
            for lane in 0..AT_ONCE {
                let shared = client.send.clone();
                let mut dice = Dice(seed ^ (connection << 32) ^ (lane << 40));
                tasks.push(spawn_local(async move {
                    let mut own = Client::sharing(shared);
                    let mut right = 0;
                    for number in 0..REQUESTS / CONNECTIONS / AT_ONCE {
                        let id = format!("{connection}-{lane}-{number}");
                        match visit(&mut own, id, &mut dice).await {
                            Some(is_right) => right += u64::from(is_right),
                            // The connection has ended.
                            None => own = Client::connect(address).await,
                        }
                    }
                    right
                }));
            }
        }
        let mut right = 0;
        for task in tasks {
            right += task.await.unwrap();
        }
        right
    });
    assert!(right > REQUESTS / 2, "only {right} answers were whole, so little is proven");
    crate::raw::until("nobody is left behind", || proxy.handle.connections() == 0);
}

#[test]
fn every_answer_belongs_to_its_request_over_http_2() {
    let seed: u64 = std::process::id().into();
    println!("seed {seed}");
    let count = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let server = Server::new(move |call| {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        answer(call, Dice(seed ^ number << 20))
    });
    let settings = "defaults.breaker = { failures = 1000000, rate = 0 }\ndefaults.timeouts.first_byte = \"5s\"";
    hold(&Proxied::new(&format!("from = \"h2c://{}\"\n{settings}\n", server.address)), seed);
}

#[test]
fn every_answer_belongs_to_its_request_between_the_versions() {
    let seed: u64 = std::process::id().into();
    println!("seed {seed}");
    let upstream = treacherous(seed);
    let settings = "defaults.breaker = { failures = 1000000, rate = 0 }\ndefaults.timeouts.first_byte = \"5s\"";
    hold(&Proxied::with(upstream.address, settings), seed);
}
