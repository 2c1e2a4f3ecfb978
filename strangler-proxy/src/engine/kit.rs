//! What a connection needs while a request is under way, and only then: parsed heads and the small buffers.

use std::cell::RefCell;

use super::limits::{HEAD_ROOM, KEPT_ROOM, KITS_KEPT};
use crate::http1::{RequestHead, ResponseHead};

/// Room for one request and its answer. Reused, so that a warm request allocates nothing.
#[derive(Debug, Default)]
pub struct Kit {
    /// The head of the request, by places in `input`.
    pub request: RequestHead,
    /// The head of the answer, by places in the body buffer.
    pub response: ResponseHead,
    /// What the client has sent; the request under way begins at 0.
    pub input: Vec<u8>,
    /// What goes to the upstream next.
    pub to_upstream: Vec<u8>,
    /// What goes to the client next.
    pub to_client: Vec<u8>,
}

/// The kits of a worker.
#[derive(Debug, Default)]
pub struct Kits {
    // Boxed, so that taking one moves a pointer and not half a kilobyte.
    #[allow(clippy::vec_box, reason = "moving the box is the point")]
    kept: RefCell<Vec<Box<Kit>>>,
}

impl Kits {
    /// An empty kit.
    pub fn take(&self) -> Box<Kit> {
        self.kept.borrow_mut().pop().unwrap_or_else(|| {
            Box::new(Kit {
                request: RequestHead::default(),
                response: ResponseHead::default(),
                input: Vec::with_capacity(HEAD_ROOM),
                to_upstream: Vec::with_capacity(HEAD_ROOM),
                to_client: Vec::with_capacity(HEAD_ROOM),
            })
        })
    }

    /// Gives a kit back.
    pub fn put(&self, mut kit: Box<Kit>) {
        kit.request.clear();
        for buffer in [&mut kit.input, &mut kit.to_upstream, &mut kit.to_client] {
            buffer.clear();
            if buffer.capacity() > KEPT_ROOM {
                *buffer = Vec::with_capacity(HEAD_ROOM);
            }
        }
        let mut kept = self.kept.borrow_mut();
        if kept.len() < KITS_KEPT {
            kept.push(kit);
        }
    }
}
