//! The contract attribute: derives every binding of a contract trait.
