//! `banyan routes`.

use anyhow::Result;

use super::tables::{json, say, table};
use crate::{
    cli::{Format, RoutesArgs},
    routes::{nowhere, table as route_table},
};

/// Lists every public route.
pub fn show(args: &RoutesArgs) -> Result<()> {
    let mut rows = route_table(&nowhere()?).rows();
    rows.retain(|row| args.module.as_deref().is_none_or(|module| row.module == module));
    match args.format {
        Format::Json => json(&rows),
        Format::Table => {
            let mut shown = table(&["module", "method", "path", "access", "what it does"]);
            for row in rows {
                let access = row.access.as_str();
                shown.add_row([row.module, &row.method, row.path, access, row.summary]);
            }
            say(shown)
        }
    }
}
