//! Banyan: a shop backend whose modules can be carved out while serving.
