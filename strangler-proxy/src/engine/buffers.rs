//! Buffers that are used again: a worker keeps a bounded number, the last one given back is the next one taken.
//!
//! Last in, first out, because that one is still in the processor's cache. An idle connection holds none.

use std::cell::RefCell;

use super::limits::{BODIES_KEPT, BODY_ROOM, KEPT_ROOM};

/// The body buffers of a worker.
#[derive(Debug, Default)]
pub struct Buffers {
    kept: RefCell<Vec<Vec<u8>>>,
}

impl Buffers {
    /// An empty buffer with room for [`BODY_ROOM`] bytes.
    pub fn take(&self) -> Vec<u8> {
        self.kept.borrow_mut().pop().unwrap_or_else(|| Vec::with_capacity(BODY_ROOM))
    }

    /// Gives a buffer back. One that never had room, or has grown out of measure, is not kept.
    pub fn put(&self, mut buffer: Vec<u8>) {
        if !(BODY_ROOM..=KEPT_ROOM).contains(&buffer.capacity()) {
            return;
        }
        buffer.clear();
        let mut kept = self.kept.borrow_mut();
        if kept.len() < BODIES_KEPT {
            kept.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Buffers;
    use crate::engine::limits::{BODIES_KEPT, BODY_ROOM};

    #[test]
    fn the_last_one_given_back_is_taken_first_and_is_empty() {
        let buffers = Buffers::default();
        let mut buffer = buffers.take();
        buffer.extend_from_slice(b"somebody's");
        let address = buffer.as_ptr();
        buffers.put(buffer);
        let again = buffers.take();
        assert!(again.is_empty() && again.as_ptr() == address && again.capacity() >= BODY_ROOM);
    }

    #[test]
    fn no_more_than_the_limit_is_kept() {
        let buffers = Buffers::default();
        let many: Vec<_> = (0..BODIES_KEPT + 10).map(|_| buffers.take()).collect();
        many.into_iter().for_each(|buffer| buffers.put(buffer));
        assert_eq!(buffers.kept.borrow().len(), BODIES_KEPT);
        buffers.put(Vec::new());
        assert_eq!(
            buffers.kept.borrow().len(),
            BODIES_KEPT,
            "a buffer without room is not worth keeping"
        );
    }
}
