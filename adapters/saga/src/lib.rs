//! Persisted sagas.
