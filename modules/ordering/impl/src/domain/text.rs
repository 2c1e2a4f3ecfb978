//! Texts that come from outside: not empty, not endless, nothing that garbles a log or a terminal.

/// May this text be kept as `field`'s value?
pub(crate) fn is_good(text: &str, length_max: usize) -> bool {
    !text.is_empty() && text.chars().count() <= length_max && !text.chars().any(char::is_control)
}
