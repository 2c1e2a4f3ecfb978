//! Lines, tables and JSON on standard output.

use std::{
    fmt,
    io::{self, Write},
};

use anyhow::Result;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

/// A table with these columns.
pub fn table(columns: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::ASCII_MARKDOWN)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(columns);
    table
}

/// Prints a line. Whoever reads may have gone: that is an error for the caller to pass on, and no panic.
pub fn say(line: impl fmt::Display) -> Result<()> {
    Ok(writeln!(io::stdout(), "{line}")?)
}

/// Prints a value as JSON, indented.
pub fn json(value: &impl Serialize) -> Result<()> {
    say(serde_json::to_string_pretty(value)?)
}
