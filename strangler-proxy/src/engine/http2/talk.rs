//! How much of what a client sends carries no message: frames that only speak of the connection.

use std::io::Read;

use super::PREFACE;

/// Follows frames from the first byte of a connection on (RFC 9113, section 4.1). Nothing is judged here.
#[derive(Debug)]
pub struct Talk {
    header: [u8; 9],
    /// How much of the header has come.
    known: usize,
    /// How much of the frame behind it has not.
    left: usize,
    carries: bool,
}

/// The kinds of frames that requests are made of. The `h2` crate bounds those that have little in them.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;

impl Talk {
    /// Before the preface.
    pub fn new() -> Self {
        Self { header: [0; 9], known: 0, left: PREFACE.len(), carries: true }
    }

    /// Goes on by what has come; how many bytes of it carry nothing.
    pub fn pass(&mut self, mut bytes: &[u8]) -> u64 {
        let mut talk = 0;
        while !bytes.is_empty() {
            if self.left > 0 {
                let count = self.left.min(bytes.len());
                self.left -= count;
                bytes = bytes.get(count..).unwrap_or_default();
                talk += if self.carries { 0 } else { count };
                continue;
            }
            let room = self.header.get_mut(self.known..).unwrap_or_default();
            // Reading from a slice never fails.
            self.known += bytes.read(room).unwrap_or(0);
            if self.known == self.header.len() {
                let [high, middle, low, kind, ..] = self.header;
                self.left = usize::try_from(u32::from_be_bytes([0, high, middle, low]))
                    .unwrap_or(usize::MAX);
                self.carries = matches!(kind, DATA | HEADERS | CONTINUATION);
                talk += if self.carries { 0 } else { self.header.len() };
                self.known = 0;
            }
        }
        talk as u64
    }
}

#[cfg(test)]
mod tests {
    use super::{PREFACE, Talk};

    #[test]
    fn what_carries_nothing_is_counted_however_it_comes() {
        let settings = [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0];
        let data = [0, 0, 2, 0, 1, 0, 0, 0, 1, b'h', b'i'];
        let ping = [&[0, 0, 8, 6, 0, 0, 0, 0, 0][..], &[7; 8]].concat();
        let stream = [PREFACE, &settings, &data, &ping, &data, &settings].concat();
        for step in 1..=stream.len() {
            let mut talk = Talk::new();
            let counted: u64 = stream.chunks(step).map(|piece| talk.pass(piece)).sum();
            assert_eq!(counted, 15 + 17 + 15, "in steps of {step}");
        }
    }
}
