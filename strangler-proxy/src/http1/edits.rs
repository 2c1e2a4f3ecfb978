//! Fields that a route sets or removes, checked once, when the configuration is read.

use super::{
    fields::Field,
    name::{Known, KnownSet, is_name, same},
    scan,
};

/// Why a field cannot be set or removed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// Not a token.
    #[error("`{0}` is no field name")]
    Name(String),
    /// It frames the message or belongs to the connection.
    #[error("`{0}` belongs to the proxy itself")]
    Owned(String),
    /// It has a control character.
    #[error("the value for `{0}` has a control character")]
    Value(String),
}

/// Fields to set and to remove in a head that is passed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    drops: KnownSet,
    /// Other names to drop, those that are set among them.
    names: Vec<Vec<u8>>,
    /// Lines to add, ready to be sent.
    lines: Vec<u8>,
}

impl Edits {
    /// Nothing to change.
    #[must_use]
    pub fn none() -> &'static Self {
        static NONE: Edits = Edits { drops: KnownSet::NONE, names: Vec::new(), lines: Vec::new() };
        &NONE
    }

    /// Sends this field, and no other of its name.
    ///
    /// # Errors
    /// When name or value cannot stand in a head, or the field is not the operator's to set.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), EditError> {
        let clean = scan::value_end(value.as_bytes(), 0) == value.len();
        self.remove(name)?;
        if !clean {
            return Err(EditError::Value(name.to_owned()));
        }
        self.lines.extend_from_slice(name.as_bytes());
        self.lines.extend_from_slice(b": ");
        self.lines.extend_from_slice(scan::trim(value.as_bytes()));
        self.lines.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// Sends no field of this name that the message came with.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn remove(&mut self, name: &str) -> Result<(), EditError> {
        if !is_name(name.as_bytes()) {
            return Err(EditError::Name(name.to_owned()));
        }
        match Known::recognise(name.as_bytes()) {
            Known::Other | Known::XForwardedOther => self.names.push(name.as_bytes().to_vec()),
            // What frames the message, and what the proxy answers or counts itself: without `Expect` a client would wait
            // for a word that nobody asks for, and a hop more or less is no operator's choice.
            Known::Host
            | Known::ContentLength
            | Known::TransferEncoding
            | Known::Via
            | Known::Expect
            | Known::MaxForwards => return Err(EditError::Owned(name.to_owned())),
            known if known.is_hop_by_hop() => return Err(EditError::Owned(name.to_owned())),
            known => self.drops = self.drops.with(known),
        }
        Ok(())
    }

    /// Whether there is nothing to change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.drops == KnownSet::NONE
    }

    pub(super) fn drops(&self) -> KnownSet {
        self.drops
    }

    pub(super) fn lines(&self) -> &[u8] {
        &self.lines
    }

    #[inline]
    pub(super) fn drops_field(&self, field: &Field, buf: &[u8]) -> bool {
        !self.names.is_empty()
            && matches!(field.known, Known::Other | Known::XForwardedOther)
            && self.names.iter().any(|name| same(name, field.name.of(buf)))
    }
}

#[cfg(test)]
mod tests;
