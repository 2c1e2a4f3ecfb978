//! How much of everything a message may have.

/// Limits of one listener or upstream. The defaults are what nginx and Apache have, so that no client which passes them is cut here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The whole head, from the first byte to the empty line. Over it: 431. The buffer must have room for it.
    pub head_bytes: usize,
    /// Fields of a head, and of a trailer section. Over it: 431.
    pub fields: usize,
    /// The target in the request line. Over it: 414. RFC 9112 3 asks for at least 8,000.
    pub target_bytes: usize,
    /// Empty lines before a request line; old clients send one after a body (RFC 9112 2.2). Over it: 400.
    pub empty_lines: usize,
    /// A chunk size with its extensions. Over it: 400. The buffer must have room for it.
    pub chunk_line_bytes: usize,
    /// All chunk extensions of a body together: bytes that no limit on the body would count. Over it: 400.
    pub chunk_extension_bytes: u64,
    /// A trailer section. Over it: 431. The buffer must have room for it.
    pub trailer_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes: 32 * 1024,
            fields: 100,
            target_bytes: 8 * 1024,
            empty_lines: 2,
            chunk_line_bytes: 1024,
            chunk_extension_bytes: 16 * 1024,
            trailer_bytes: 8 * 1024,
        }
    }
}

/// Fields that one message may nominate in `Connection`: each is compared with every field.
pub(super) const NOMINATED_MAX: usize = 32;

/// The longest method that is forwarded; the longest registered one has 17 bytes.
pub(super) const METHOD_BYTES_MAX: usize = 24;

/// The longest host name that DNS has, written out.
pub(super) const HOST_BYTES_MAX: usize = 255;
