//! What can be set.

use serde::{Deserialize, Serialize};
use settings::Duration;

/// The settings of the payments module.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How long the payment provider may take for one answer. After that the outcome is unknown to the caller, and the
    /// payment is pending. Not zero: no outcome would ever be known.
    #[serde(deserialize_with = "settings::some_time")]
    pub provider_timeout: Duration,
    /// How long a payment is pending before the module asks the provider again by itself. Anything below twice
    /// `provider_timeout` is raised to that, so that it does not meddle with what is under way.
    pub resolve_after: Duration,
    /// How often the module looks for such payments. Not zero: it would do nothing else.
    #[serde(deserialize_with = "settings::some_time")]
    pub resolve_every: Duration,
    /// How late the simulated provider answers for `tok_late`.
    pub simulated_delay: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            // Providers answer in well under a second, or not at all.
            provider_timeout: Duration::from_secs(3),
            resolve_after: Duration::from_secs(10),
            resolve_every: Duration::from_secs(1),
            simulated_delay: Duration::from_millis(300),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Config;

    #[test]
    fn a_provider_without_time_and_a_resolver_that_never_rests_are_no_settings() {
        let read = serde_json::from_str::<Config>;
        assert!(read(r#"{ "provider_timeout": "1ms", "resolve_every": "1ms" }"#).is_ok());
        for none in [r#"{ "provider_timeout": "0s" }"#, r#"{ "resolve_every": "0s" }"#] {
            assert!(read(none).is_err(), "{none}");
        }
    }
}
