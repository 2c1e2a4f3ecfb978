//! The environment, read in one place.

/// One variable; nothing when it is not set or not Unicode.
#[allow(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// All variables that are Unicode.
#[allow(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub fn variables() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}
