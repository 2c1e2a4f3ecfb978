//! An inventory in memory, for the tests of others.
