//! How configuration is loaded, layered, checked and shown.
