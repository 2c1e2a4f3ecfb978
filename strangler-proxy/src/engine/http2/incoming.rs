//! A body that comes in frames, as the engine reads it: a head first, then the payload in the framing that the head names.

use std::{
    io::{self, Write},
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use h2::RecvStream;
use http::HeaderMap;

use super::heads::{self, Frame};

/// What has come and has not been read yet. Holds a head or a frame's payload, which the peer's window counts.
#[derive(Debug)]
pub struct Incoming {
    /// A head, or the framing around a payload.
    text: Vec<u8>,
    at: usize,
    data: Bytes,
    frame: Frame,
    is_over: bool,
    /// What has failed fails for good.
    failed: bool,
    /// Is it a client's, who gets no rule forgiven? Upstreams are: one in front of which nobody stood got away with it.
    is_strict: bool,
    /// The trailers' `grpc-status`, where they have one.
    pub grpc_status: Option<u8>,
}

impl Incoming {
    /// Behind a head that nobody has read.
    pub fn new(text: Vec<u8>, frame: Frame) -> Self {
        Self {
            text,
            at: 0,
            data: Bytes::new(),
            is_over: frame == Frame::Without,
            frame,
            failed: false,
            is_strict: false,
            grpc_status: None,
        }
    }

    /// A client's.
    pub fn strict(self) -> Self {
        Self { is_strict: true, ..self }
    }

    /// Is there nothing to read but what has not come?
    pub fn is_empty(&self) -> bool {
        self.at == self.text.len() && self.data.is_empty()
    }

    /// Text to be read before the rest.
    pub fn put(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if self.at == self.text.len() {
            self.text.clear();
            self.at = 0;
        }
        write(&mut self.text);
    }

    /// Moves what is here into the buffer, as far as it has room.
    pub fn take(&mut self, buffer: &mut Vec<u8>, from: Option<&mut RecvStream>) {
        let text = self.text.get(self.at..).unwrap_or_default();
        let count = text.len().min(buffer.capacity() - buffer.len());
        buffer.extend_from_slice(text.get(..count).unwrap_or_default());
        self.at += count;
        if self.at < self.text.len() || self.data.is_empty() {
            return;
        }
        let count = self.data.len().min(buffer.capacity() - buffer.len());
        buffer.extend_from_slice(self.data.get(..count).unwrap_or_default());
        self.data.advance(count);
        if let Some(from) = from {
            // It fails only where more is given back than has come.
            drop(from.flow_control().release_capacity(count));
        }
        if self.data.is_empty() && self.frame == Frame::Chunked {
            self.put(|text| text.extend_from_slice(b"\r\n"));
        }
    }

    /// Waits until something is here. False at the end.
    pub fn poll_more(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut RecvStream,
    ) -> Poll<io::Result<bool>> {
        loop {
            if !self.is_empty() {
                return Poll::Ready(Ok(true));
            }
            if self.failed {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            if self.is_over {
                return Poll::Ready(Ok(false));
            }
            let polled = match ready!(from.poll_data(cx)) {
                Some(Ok(data)) => {
                    self.begin(data);
                    Ok(())
                }
                Some(Err(error)) => Err(error),
                None => match ready!(from.poll_trailers(cx)) {
                    Ok(Some(trailers)) if self.is_strict && is_any_padded(&trailers) => {
                        self.failed = true;
                        return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
                    }
                    Ok(trailers) => {
                        self.finish(trailers.as_ref());
                        Ok(())
                    }
                    Err(error) => Err(error),
                },
            };
            if let Err(error) = polled {
                self.failed = true;
                return Poll::Ready(Err(io::Error::other(error)));
            }
        }
    }

    fn begin(&mut self, data: Bytes) {
        // An empty chunk would be the last one.
        if data.is_empty() {
            return;
        }
        if self.frame == Frame::Chunked {
            let length = data.len();
            self.put(|text| drop(write!(text, "{length:x}\r\n")));
        }
        self.data = data;
    }

    fn finish(&mut self, trailers: Option<&HeaderMap>) {
        self.is_over = true;
        if let Some(status) = trailers.and_then(|fields| fields.get("grpc-status")) {
            self.grpc_status = crate::engine::grpc::status_of(status.as_bytes());
        }
        if self.frame == Frame::Chunked {
            let none = HeaderMap::new();
            self.put(|text| heads::trailers(text, trailers.unwrap_or(&none)));
        }
    }
}

fn is_any_padded(fields: &HeaderMap) -> bool {
    fields.values().any(|value| heads::is_padded(value.as_bytes()))
}
