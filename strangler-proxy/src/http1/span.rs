//! A piece of a buffer by its place in it, so that a parsed head borrows nothing.

/// Bytes `start..end` of the buffer that was parsed. Half the size of a range: a head has two of them for each field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The first byte.
    pub start: u32,
    /// One after the last byte.
    pub end: u32,
}

impl Span {
    /// Places beyond 4 GiB are cut to it; no limit on a head lets one come near.
    #[inline]
    pub(super) fn new(start: usize, end: usize) -> Self {
        Self { start: place(start), end: place(end) }
    }

    /// The bytes, of the buffer that was parsed. Empty when the buffer is another, shorter one.
    #[inline]
    #[must_use]
    pub fn of<'a>(&self, buf: &'a [u8]) -> &'a [u8] {
        buf.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// The number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start >= self.end
    }
}

#[inline]
fn place(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
