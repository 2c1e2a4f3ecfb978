//! Edits and the version that they were made from.

/// Is the version that an edit expects the one in force? The refusal is the version in force.
pub(crate) fn expect_version(expected: Option<i64>, in_force: i64) -> Result<(), i64> {
    match expected {
        Some(expected) if expected != in_force => Err(in_force),
        Some(_) | None => Ok(()),
    }
}
