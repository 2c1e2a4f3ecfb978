//! Every answer belongs to its request, whatever either end does to its connections.

use std::{
    io::Write,
    net::Shutdown,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use crate::{
    proxied::Proxied,
    raw::{Peer, Upstream},
};

const CLIENTS: u64 = 8;
const CONNECTIONS_EACH: u64 = 150;

/// SplitMix64: the same seed makes the same run of choices.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }
}

/// What belongs to a request and to no other.
pub fn body_of(id: &str, length: u64) -> Vec<u8> {
    let mut body = Vec::new();
    while body.len() < length as usize {
        body.extend_from_slice(id.as_bytes());
        body.push(b'|');
    }
    body
}

/// Answers as its dice fall: whole, in chunks, in pieces, with too much, too little, nothing, or before the body.
pub fn treacherous(seed: u64) -> Upstream {
    Upstream::new(move |peer, number| {
        let mut dice = Dice(seed ^ (number as u64) << 20);
        loop {
            let early = dice.roll(40) == 0;
            let request = if early { peer.head().ok().flatten() } else { peer.request() };
            let Some(request) = request else { return };
            let id = request.field("x-id").unwrap_or_default().to_owned();
            if !early && request.first_line.starts_with("POST") {
                assert_eq!(request.text(), id, "a body belongs to its head");
            }
            let length = [0, 5, 300, 5_000, 40_000, 200_000][dice.roll(6) as usize];
            let body = body_of(&id, length);
            let mut answer = if dice.roll(2) == 0 {
                let mut answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
                let step = 1 + dice.roll(9_000) as usize;
                for chunk in body.chunks(step) {
                    answer.extend(format!("{:x}\r\n", chunk.len()).bytes());
                    answer.extend_from_slice(chunk);
                    answer.extend_from_slice(b"\r\n");
                }
                answer.extend_from_slice(b"0\r\n\r\n");
                answer
            } else {
                let mut answer =
                    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len())
                        .into_bytes();
                answer.extend_from_slice(&body);
                answer
            };
            let mut ends = dice.roll(15) == 0 || early;
            let mut extends = false;
            match dice.roll(20) {
                0 => {
                    answer.truncate(dice.roll(answer.len() as u64 + 1) as usize);
                    ends = true;
                }
                1 => extends = true,
                2 => answer = b"no answer at all\r\n\r\n".to_vec(),
                _ => {}
            }
            // In one piece with the end of the answer. What comes later, on a connection that is in use again, nobody can
            // tell from an answer; that is why such a connection is closed as soon as it is seen.
            let extra: &[u8] =
                if extends { b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nstranger" } else { b"" };
            let is_garbage = !answer.starts_with(b"HTTP");
            let last = answer.split_off(answer.len().saturating_sub(20));
            let last = [&last, extra].concat();
            let whole = answer.len();
            let step = 1 + dice.roll(whole as u64 + 1) as usize;
            for piece in answer.chunks(step.max(whole / 8 + 1)) {
                if peer.try_send(piece).is_err() {
                    return;
                }
            }
            if peer.try_send(&last).is_err() {
                return;
            }
            if ends || is_garbage {
                drop(peer.stream.shutdown(Shutdown::Both));
                return;
            }
        }
    })
}

/// Pipelines some requests and reads their answers, or leaves at any point; the number of answers that were right.
fn visit(mut peer: Peer, name: u64, visit: u64, dice: &mut Dice) -> u64 {
    let ids: Vec<String> = (0..1 + dice.roll(6)).map(|at| format!("{name}-{visit}-{at}")).collect();
    let mut all = Vec::new();
    for id in &ids {
        let request = match dice.roll(3) {
            0 => format!("GET / HTTP/1.1\r\nHost: a\r\nX-Id: {id}\r\n\r\n"),
            1 => format!(
                "POST / HTTP/1.1\r\nHost: a\r\nX-Id: {id}\r\nContent-Length: {}\r\n\r\n{id}",
                id.len()
            ),
            _ => format!(
                "POST / HTTP/1.1\r\nHost: a\r\nX-Id: {id}\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{id}\r\n0\r\n\r\n",
                id.len()
            ),
        };
        all.extend(request.bytes());
    }
    let leaves = dice.roll(6) == 0;
    if leaves {
        all.truncate(dice.roll(all.len() as u64) as usize);
    }
    // From a thread of its own: the proxy answers the first before it reads the last.
    let mut writer = peer.stream.try_clone().unwrap();
    let writing = thread::spawn(move || {
        drop(writer.write_all(&all));
        if leaves {
            drop(writer.shutdown(Shutdown::Write));
        }
    });
    if leaves && dice.roll(2) == 0 {
        writing.join().unwrap();
        return 0;
    }
    let mut right = 0;
    for id in &ids {
        if dice.roll(30) == 0 {
            break;
        }
        // Cut short, or the proxy has ended the connection after a failure: no answer is not a wrong answer.
        let Ok(Some(answer)) = peer.try_answer(false) else { break };
        if answer.status() == 200 {
            let expected = body_of(id, answer.body.len() as u64);
            assert!(
                answer.body.is_empty() || answer.body == expected,
                "{id} got another one's answer"
            );
            right += 1;
        } else {
            assert!([400, 408, 502, 503, 504].contains(&answer.status()), "{answer:?}");
        }
        if answer.field("connection") == Some("close") {
            break;
        }
    }
    drop(peer.stream.shutdown(Shutdown::Both));
    writing.join().unwrap();
    right
}

#[test]
fn every_answer_belongs_to_its_request() {
    let seed: u64 = std::process::id().into();
    println!("seed {seed}");
    let upstream = treacherous(seed);
    let proxy = Proxied::with(upstream.address, "defaults.timeouts.first_byte = \"5s\"");
    let right = AtomicU64::new(0);
    thread::scope(|scope| {
        for name in 0..CLIENTS {
            let (right, proxy) = (&right, &proxy);
            scope.spawn(move || {
                let mut dice = Dice(seed.wrapping_mul(name + 1));
                for number in 0..CONNECTIONS_EACH {
                    right.fetch_add(
                        visit(proxy.connect(), name, number, &mut dice),
                        Ordering::Relaxed,
                    );
                }
            });
        }
    });
    let right = right.into_inner();
    assert!(
        right > CLIENTS * CONNECTIONS_EACH / 2,
        "only {right} answers were whole, so little is proven"
    );
    crate::raw::until("nobody is left behind", || proxy.handle.connections() == 0);
}
