//! Placement by its contract, on SQLite and, where there is a server, on PostgreSQL; the data that moves, and what stands
//! around, are stand-ins.

mod announcing;
mod carving;
mod http;
mod stage;
mod world;
