//! The application: everything that stands between the modules and the people who run them.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::print_stdout,
        reason = "tests may"
    )
)]

pub mod backup;
pub mod cli;
pub mod commands;
pub mod data_dir;
pub mod demo;
pub mod doctor;
pub mod faults;
pub mod front;
pub mod held;
pub mod http_client;
pub mod import;
pub mod insist;
pub mod load;
pub mod modules;
pub mod online_retail;
pub mod operations;
pub mod placing;
pub mod reach;
pub mod replay;
pub mod routes;
pub mod secrets;
pub mod server;
pub mod settings;
pub mod shop;
pub mod shows;
pub mod trial;
pub mod verify;
pub mod web;
