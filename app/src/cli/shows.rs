//! What is said of the shows of `bench`.

use std::path::PathBuf;

use clap::Args;

use super::Format;
use crate::shows::Wish;

/// What is traded meanwhile.
#[derive(Debug, Clone, Args)]
pub struct ShowArgs {
    /// The file, as for `replay online-retail`
    pub file: PathBuf,
    /// Only so many invoices of it, the first ones
    #[arg(long, value_name = "N")]
    pub first: Option<usize>,
    /// Invoices per second; as fast as allowed when absent
    #[arg(long, value_name = "N", value_parser = super::rate)]
    pub rate: Option<f64>,
    /// Invoices in flight at once
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub concurrency: u16,
    /// The URL of a PostgreSQL server and a role that may make databases: one is made there, and dropped
    #[arg(long, value_name = "URL", default_value = "postgres://postgres@127.0.0.1:5432/postgres")]
    pub server: String,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

impl ShowArgs {
    /// The same, for the show.
    pub fn wish(&self) -> Wish {
        Wish {
            file: self.file.clone(),
            documents: self.first,
            rate: self.rate,
            concurrency: self.concurrency,
            server: self.server.clone(),
        }
    }
}

/// `bench carves`.
#[derive(Debug, Args)]
pub struct CarvesArgs {
    /// What is traded.
    #[command(flatten)]
    pub show: ShowArgs,
    /// Only this module; inventory, payments and ordering when absent
    #[arg(long = "module", value_name = "MODULE")]
    pub modules: Vec<String>,
    /// How often a module moves out and back after each has done so once
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub cycles: u32,
}
