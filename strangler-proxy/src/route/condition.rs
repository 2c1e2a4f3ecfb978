//! What a route asks of a request besides its path and host: method, header fields, query parameters.

use std::fmt;

use super::Facts;

/// The conditions of a route; all of them must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Condition {
    /// One of these methods; every method where there is none.
    pub methods: Box<[Box<str>]>,
    /// Header fields, by name in lower case.
    pub headers: Box<[(Box<str>, Wanted)]>,
    /// Query parameters, by name.
    pub query: Box<[(Box<str>, Wanted)]>,
}

/// What a value must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Anything: the field is there (`*`).
    Present,
    /// Exactly this.
    Exact(Box<str>),
    /// Begins with this (`blue-*`).
    Prefix(Box<str>),
}

impl Wanted {
    /// Reads `*`, `blue-*` or `blue`.
    pub fn parse(text: &str) -> Self {
        match text.strip_suffix('*') {
            Some("") => Self::Present,
            Some(prefix) => Self::Prefix(prefix.into()),
            None => Self::Exact(text.into()),
        }
    }

    fn accepts(&self, value: &[u8]) -> bool {
        match self {
            Self::Present => true,
            Self::Exact(text) => text.as_bytes() == value,
            Self::Prefix(text) => value.starts_with(text.as_bytes()),
        }
    }

    /// Does every value that `other` takes pass here too?
    pub fn contains(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Present, _) => true,
            (Self::Exact(own), Self::Exact(other)) => own == other,
            (Self::Prefix(own), Self::Exact(other) | Self::Prefix(other)) => {
                other.starts_with(&**own)
            }
            (Self::Exact(_), Self::Present | Self::Prefix(_))
            | (Self::Prefix(_), Self::Present) => false,
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Present => f.write_str("*"),
            Self::Exact(text) => f.write_str(text),
            Self::Prefix(text) => write!(f, "{text}*"),
        }
    }
}

impl Condition {
    /// Does it ask nothing?
    pub fn is_empty(&self) -> bool {
        self.methods.is_empty() && self.headers.is_empty() && self.query.is_empty()
    }

    /// Does it hold for this request? A header that comes several times must have one value that fits.
    pub fn holds(&self, facts: &Facts<'_>) -> bool {
        let method = self.methods.is_empty()
            || self.methods.iter().any(|method| method.as_bytes() == facts.method);
        method
            && self.headers.iter().all(|(name, wanted)| {
                let mut fits = false;
                facts.headers.each(name, &mut |value| fits |= wanted.accepts(value));
                fits
            })
            && self.query.iter().all(|(name, wanted)| {
                parameters(facts.query)
                    .any(|(found, value)| found == name.as_bytes() && wanted.accepts(value))
            })
    }

    /// Does every request that satisfies `other` satisfy this?
    pub fn contains(&self, other: &Self) -> bool {
        let methods = self.methods.is_empty()
            || (!other.methods.is_empty()
                && other.methods.iter().all(|method| self.methods.contains(method)));
        let fields = |own: &[(Box<str>, Wanted)], theirs: &[(Box<str>, Wanted)]| {
            own.iter().all(|(name, wanted)| {
                theirs.iter().any(|(other, value)| name == other && wanted.contains(value))
            })
        };
        methods && fields(&self.headers, &other.headers) && fields(&self.query, &other.query)
    }

    /// Can the same method satisfy both?
    pub fn shares_a_method_with(&self, other: &Self) -> bool {
        self.methods.is_empty()
            || other.methods.is_empty()
            || self.methods.iter().any(|method| other.methods.contains(method))
    }
}

/// The parameters of a query as they are written, undecoded: a value that needs percent-encoding is written so in the
/// configuration too.
fn parameters(query: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    query.split(|byte| *byte == b'&').map(|pair| {
        match pair.iter().position(|byte| *byte == b'=').and_then(|at| pair.split_at_checked(at)) {
            Some((name, value)) => (name, value.get(1..).unwrap_or_default()),
            None => (pair, &[][..]),
        }
    })
}
