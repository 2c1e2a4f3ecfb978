//! What a move is called, and what it makes in a database: everything carries its id.

use std::fmt;

use serde::{Deserialize, Serialize};

/// All names that a move makes begin with it; no module's table may.
pub(crate) const PREFIX: &str = "carve_";

/// The longest id: what is made of it stays under the 63 bytes that PostgreSQL keeps of a name.
const ID_LENGTH_MAX: usize = 32;

/// The id of a move: 1 to 32 lower-case letters and digits, so that it can be part of any name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MoveId(String);

/// A text that is no [`MoveId`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no id of a move: 1 to 32 lower-case letters and digits")]
pub struct NoMoveId(String);

impl MoveId {
    /// The id that `text` is.
    pub fn new(text: &str) -> Result<Self, NoMoveId> {
        let fits = (1..=ID_LENGTH_MAX).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if fits { Ok(Self(text.to_owned())) } else { Err(NoMoveId(text.to_owned())) }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The owner that a database has which this move fills: a name that no deployment has.
    pub fn nobody(&self) -> String {
        format!("{NOBODY}{}", self.0)
    }

    /// The table with what the move knows about this side.
    pub(super) fn state(&self) -> String {
        format!("{PREFIX}{}_state", self.0)
    }

    /// The table with the keys of the rows that changed on this side.
    pub(super) fn log(&self) -> String {
        format!("{PREFIX}{}_log", self.0)
    }

    /// What the names of this move begin with.
    pub(super) fn prefix(&self) -> String {
        format!("{PREFIX}{}_", self.0)
    }
}

/// What the owner's name begins with while a move fills the database.
pub(super) const NOBODY: &str = "carve:";

impl fmt::Display for MoveId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for MoveId {
    type Error = NoMoveId;

    fn try_from(text: String) -> Result<Self, NoMoveId> {
        Self::new(&text)
    }
}

impl From<MoveId> for String {
    fn from(id: MoveId) -> Self {
        id.0
    }
}

/// The id in a name that a move made.
pub(super) fn id_in(name: &str) -> Option<MoveId> {
    let (id, _rest) = name.strip_prefix(PREFIX)?.split_once('_')?;
    MoveId::new(id).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_can_be_part_of_any_name() {
        let id = MoveId::new("0a9").unwrap();
        assert_eq!(id_in(&id.state()), Some(id.clone()));
        assert_eq!(id_in("carve_X_log"), None);
        assert_eq!(id_in("cart"), None);
        for wrong in ["", "A", "a_b", "a-b", "a'b", &"a".repeat(33)] {
            assert_eq!(MoveId::new(wrong), Err(NoMoveId(wrong.to_owned())));
        }
    }
}
