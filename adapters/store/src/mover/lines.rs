//! Rows on their way from one database to another: PostgreSQL's COPY text, the key's columns first.
//!
//! A line is the same, byte for byte, for the same row in either database. So between two PostgreSQL servers rows pass
//! as they are, a key is the head of its line, and a checksum of lines compares databases of two kinds.

use super::error::MoveError;

/// What a column holds, whatever its database calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) enum Kind {
    /// Text in UTF-8.
    Text,
    /// A whole number of 64 bits or less.
    Integer,
    /// True or false; a number on SQLite.
    Boolean,
}

/// A value of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field<'a> {
    /// NULL.
    Null,
    /// The text, still escaped.
    Raw(&'a [u8]),
}

/// Rows in one buffer.
#[derive(Debug, Default, Clone)]
pub(super) struct Lines {
    bytes: Vec<u8>,
    /// Where each line ends, behind its line feed.
    ends: Vec<usize>,
}

impl Lines {
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Adds a line that has its line feed.
    pub fn push(&mut self, line: &[u8]) {
        self.bytes.extend_from_slice(line);
        self.ends.push(self.bytes.len());
    }

    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let line = self.bytes.get(start..*end).unwrap_or_default();
            start = *end;
            line
        })
    }
}

/// Writes a text as COPY does: PostgreSQL's own escapes and no others, so that lines of both databases are equal.
pub(super) fn put_text(line: &mut Vec<u8>, text: &[u8]) {
    for byte in text {
        match byte {
            b'\\' => line.extend_from_slice(b"\\\\"),
            0x08 => line.extend_from_slice(b"\\b"),
            0x09 => line.extend_from_slice(b"\\t"),
            0x0A => line.extend_from_slice(b"\\n"),
            0x0B => line.extend_from_slice(b"\\v"),
            0x0C => line.extend_from_slice(b"\\f"),
            0x0D => line.extend_from_slice(b"\\r"),
            _ => line.push(*byte),
        }
    }
}

pub(super) fn put_null(line: &mut Vec<u8>) {
    line.extend_from_slice(b"\\N");
}

pub(super) fn put_integer(line: &mut Vec<u8>, number: i64) {
    use std::io::Write;
    // Writing to a vector cannot fail.
    drop(write!(line, "{number}"));
}

/// The fields of a line or of a key.
pub(super) fn fields(line: &[u8]) -> impl Iterator<Item = Field<'_>> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.split(|byte| *byte == b'\t').map(|field| match field {
        b"\\N" => Field::Null,
        raw => Field::Raw(raw),
    })
}

/// The head of a line with its first `columns` fields, without the tab behind them.
pub(super) fn key(line: &[u8], columns: usize) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let mut tabs = 0;
    let end = line.iter().position(|byte| {
        tabs += usize::from(*byte == b'\t');
        tabs == columns
    });
    end.and_then(|end| line.get(..end)).unwrap_or(line)
}

/// Undoes [`put_text`].
pub(super) fn text_of(raw: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter();
    while let Some(byte) = bytes.next() {
        if *byte != b'\\' {
            text.push(*byte);
            continue;
        }
        text.push(match bytes.next() {
            Some(b'b') => 0x08,
            Some(b't') => 0x09,
            Some(b'n') => 0x0A,
            Some(b'v') => 0x0B,
            Some(b'f') => 0x0C,
            Some(b'r') => 0x0D,
            Some(other) => *other,
            None => b'\\',
        });
    }
    text
}

/// The number in a field.
pub(super) fn integer_of(raw: &[u8]) -> Result<i64, MoveError> {
    let number = std::str::from_utf8(raw).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| {
        let text = String::from_utf8_lossy(raw).into_owned();
        MoveError::Unfit(format!("`{text}` stands where a number should"))
    })
}

/// A key as people read it.
pub(super) fn shown(key: &[u8]) -> String {
    let parts = fields(key).map(|field| match field {
        Field::Null => "NULL".to_owned(),
        Field::Raw(raw) => String::from_utf8_lossy(&text_of(raw)).into_owned(),
    });
    parts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_survives_its_line() {
        for text in ["", "plain", "tab\there", "a\\N\\b", "\u{8}\u{b}\u{c}\r\n", "ü – 漢"] {
            let mut line = Vec::new();
            put_text(&mut line, text.as_bytes());
            assert!(!line.contains(&b'\t') && !line.contains(&b'\n'), "{text:?}");
            assert_eq!(text_of(&line), text.as_bytes());
        }
    }

    #[test]
    fn a_text_that_looks_like_null_is_none() {
        let mut line = Vec::new();
        put_text(&mut line, b"\\N");
        line.push(b'\t');
        put_null(&mut line);
        line.push(b'\n');
        let found: Vec<_> = fields(&line).collect();
        assert_eq!(found, [Field::Raw(b"\\\\N"), Field::Null]);
    }

    #[test]
    fn a_key_is_the_head_of_its_line() {
        assert_eq!(key(b"a\tb\tc\n", 2), b"a\tb");
        assert_eq!(key(b"a\tb\n", 2), b"a\tb");
        assert_eq!(key(b"a\n", 1), b"a");
        assert_eq!(shown(b"x\\ty\t7"), "x\ty, 7");
    }

    #[test]
    fn lines_come_back_as_they_went_in() {
        let mut lines = Lines::default();
        lines.push(b"a\n");
        lines.push(b"bc\n");
        assert_eq!(lines.len(), 2);
        assert_eq!(lines.iter().collect::<Vec<_>>(), [b"a\n".as_slice(), b"bc\n"]);
    }
}
