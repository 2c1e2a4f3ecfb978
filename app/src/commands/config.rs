//! `banyan config`.

use anyhow::Result;

use super::tables::{json, say, table};
use crate::{
    cli::{ConfigArgs, Format},
    settings::Settings,
};

/// Prints what is in force and from where.
pub fn show(args: &ConfigArgs) -> Result<()> {
    let settings = Settings::of_server(&args.server)?.settings;
    match args.format {
        Format::Json => json(&settings),
        Format::Table => {
            let mut shown = table(&["setting", "value", "from"]);
            for setting in settings {
                shown.add_row([setting.key, setting.value, setting.origin.to_string()]);
            }
            say(shown)
        }
    }
}
