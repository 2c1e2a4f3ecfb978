//! The bytes of a file: plain, or Zstandard with any number of frames, checksums checked.

use std::{
    fs::File,
    io::{BufRead, BufReader, Error, Read},
    path::Path,
};

use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

/// How a Zstandard frame begins (RFC 8878, section 3.1.1).
const ZSTANDARD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// A file's text, decompressed where it is compressed; told apart by content, not by name.
pub enum Source {
    /// As it lies there.
    Plain(BufReader<File>),
    /// Zstandard.
    Compressed(Frames<BufReader<File>>),
}

impl Source {
    /// Opens the file.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let mut file = BufReader::with_capacity(1 << 16, File::open(path)?);
        if file.fill_buf()?.starts_with(&ZSTANDARD_MAGIC) {
            return Ok(Self::Compressed(Frames::new(file)));
        }
        Ok(Self::Plain(file))
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        match self {
            Self::Plain(file) => file.read(buffer),
            Self::Compressed(frames) => frames.read(buffer),
        }
    }
}

/// Consecutive Zstandard frames as one text. The decoder knows only one frame, and a file that was appended to has
/// several: stopping after the first would lose rows in silence.
pub struct Frames<R: BufRead> {
    state: State<R>,
}

enum State<R: BufRead> {
    Between(R),
    Inside(Box<StreamingDecoder<R, FrameDecoder>>),
    Ended,
}

impl<R: BufRead> Frames<R> {
    /// Reads the frames of `source`.
    pub fn new(source: R) -> Self {
        Self { state: State::Between(source) }
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        loop {
            match std::mem::replace(&mut self.state, State::Ended) {
                State::Ended => return Ok(0),
                State::Between(mut source) => {
                    if source.fill_buf()?.is_empty() {
                        return Ok(0);
                    }
                    let decoder = StreamingDecoder::new(source).map_err(|_raw| damaged())?;
                    self.state = State::Inside(Box::new(decoder));
                }
                State::Inside(mut decoder) => {
                    let read = decoder.read(buffer).map_err(|_raw| damaged())?;
                    if read > 0 || buffer.is_empty() {
                        self.state = State::Inside(decoder);
                        return Ok(read);
                    }
                    let promised = decoder.decoder.get_checksum_from_data();
                    if promised.is_some() && promised != decoder.decoder.get_calculated_checksum() {
                        return Err(Error::other("the checksum of a Zstandard frame is wrong"));
                    }
                    self.state = State::Between(decoder.into_inner());
                }
            }
        }
    }
}

/// The decoder's own words name its parts, not what is wrong with the file.
fn damaged() -> Error {
    Error::other("its Zstandard data is cut off or damaged")
}

#[cfg(test)]
mod tests {
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;

    fn text(bytes: &[u8]) -> Result<String, Error> {
        let mut text = String::new();
        Frames::new(bytes).read_to_string(&mut text).map(|_length| text)
    }

    #[test]
    fn frames_one_after_the_other_are_one_text() {
        let mut bytes = compress_to_vec(&b"a,b\n"[..], CompressionLevel::Fastest);
        bytes.extend(compress_to_vec(&b"c,d\n"[..], CompressionLevel::Fastest));
        assert_eq!(text(&bytes).unwrap(), "a,b\nc,d\n");
    }

    #[test]
    fn a_cut_or_changed_file_is_an_error() {
        let bytes = compress_to_vec(
            &b"some longer text, some longer text\n"[..],
            CompressionLevel::Fastest,
        );
        for cut in [bytes.len() - 5, 6] {
            let error = text(&bytes[..cut]).unwrap_err().to_string();
            assert_eq!(error, "its Zstandard data is cut off or damaged");
        }
        let mut changed = bytes.clone();
        let last = changed.len() - 1;
        changed[last] ^= 1;
        assert!(text(&changed).is_err());
    }
}
