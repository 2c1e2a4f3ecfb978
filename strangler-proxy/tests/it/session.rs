//! TLS by hand, for both ends: rustls between a socket and a test, and nothing else.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
};

use rustls::Connection;

/// Writes all of it, after the handshake if that is not over.
pub fn write(tls: &mut Connection, stream: &mut TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while tls.is_handshaking() {
        tls.complete_io(stream)?;
    }
    while !bytes.is_empty() {
        let count = tls.writer().write(bytes)?;
        bytes = &bytes[count..];
        flush(tls, stream)?;
    }
    Ok(())
}

/// Reads what there is; 0 is an end that was said, an end that was not is an error.
pub fn read(tls: &mut Connection, stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match tls.reader().read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            read => return read,
        }
        flush(tls, stream)?;
        tls.read_tls(stream)?;
        let processed = tls.process_new_packets();
        if let Err(error) = processed {
            // The alert. That it may not get through any more is another matter.
            drop(flush(tls, stream));
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
    }
}

/// Sends what is encrypted.
pub fn flush(tls: &mut Connection, stream: &mut TcpStream) -> io::Result<()> {
    while tls.wants_write() {
        tls.write_tls(stream)?;
    }
    Ok(())
}
