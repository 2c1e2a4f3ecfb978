//! Diesel on SQLite and PostgreSQL behind one write door.
