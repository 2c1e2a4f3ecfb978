//! Methods: those with a meaning to a gateway by name, others as they are.

use super::{
    cause::Cause,
    limits::METHOD_BYTES_MAX,
    scan::{self, METHOD},
};

/// A request method that is forwarded. `CONNECT` and `TRACE` are refused by the parser.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Method {
    /// GET
    #[default]
    Get,
    /// HEAD
    Head,
    /// POST
    Post,
    /// PUT
    Put,
    /// DELETE
    Delete,
    /// OPTIONS
    Options,
    /// PATCH
    Patch,
    /// Another one, such as `PROPFIND`; its text is in the head.
    Other,
}

impl Method {
    /// The method of this name.
    ///
    /// # Errors
    /// For those that a gateway must not or cannot serve, and for what does not look like any method in use: `get` is
    /// not `GET` (RFC 9110 9.1), but some upstreams think so.
    #[inline]
    pub fn read(text: &[u8]) -> Result<Self, Cause> {
        Ok(match text {
            b"GET" => Self::Get,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"HEAD" => Self::Head,
            b"DELETE" => Self::Delete,
            b"OPTIONS" => Self::Options,
            b"PATCH" => Self::Patch,
            _ => return Self::other(text),
        })
    }

    #[cold]
    fn other(text: &[u8]) -> Result<Self, Cause> {
        match text {
            b"CONNECT" => return Err(Cause::MethodConnect),
            b"TRACE" => return Err(Cause::MethodTrace),
            // Registered for the preface alone (RFC 9113 11.6).
            b"PRI" => return Err(Cause::Http2Preface),
            _ if !scan::is_token(text) => return Err(Cause::MethodInvalid),
            _ => {}
        }
        let begins = text.first().is_some_and(u8::is_ascii_uppercase);
        let looks = begins && text.iter().all(|byte| scan::is(*byte, METHOD));
        if looks && text.len() <= METHOD_BYTES_MAX {
            Ok(Self::Other)
        } else {
            Err(Cause::MethodUnknown)
        }
    }

    /// Whether asking twice has the effect of asking once (RFC 9110 9.2.2). `Other` is not known to be.
    #[must_use]
    pub fn is_idempotent(self) -> bool {
        match self {
            Self::Get | Self::Head | Self::Put | Self::Delete | Self::Options => true,
            Self::Post | Self::Patch | Self::Other => false,
        }
    }

    /// Whether asking has no effect that the client answers for (RFC 9110 9.2.1).
    #[must_use]
    pub fn is_safe(self) -> bool {
        match self {
            Self::Get | Self::Head | Self::Options => true,
            Self::Post | Self::Put | Self::Patch | Self::Delete | Self::Other => false,
        }
    }
}
