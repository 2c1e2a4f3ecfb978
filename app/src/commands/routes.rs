//! `banyan routes`.

use anyhow::Result;

use super::tables::{json, say, table};
use crate::{
    cli::{RoutesArgs, RoutesFormat},
    front::toml,
    routes::nowhere,
    settings::Settings,
};

/// Where a proxy in a process of its own would listen.
const PROXY_LISTEN: &str = "127.0.0.1:8000";

/// Lists every public route.
pub fn show(args: &RoutesArgs) -> Result<()> {
    let mut rows = nowhere()?.rows();
    rows.retain(|row| args.module.as_deref().is_none_or(|module| row.module == module));
    match args.format {
        RoutesFormat::Json => json(&rows),
        RoutesFormat::Proxy => {
            let defaults = Settings::default();
            let (listen, admin) = (defaults.http.listen, defaults.proxy.admin);
            // Beside a shop that has the usual port: people are to come to this one instead.
            let from = format!("http://{listen}");
            say(toml(&rows, PROXY_LISTEN, &from, &admin.to_string()).trim_end())
        }
        RoutesFormat::Table => {
            let mut shown = table(&["module", "method", "path", "access", "what it does"]);
            for row in rows {
                let access = row.access.as_str();
                shown.add_row([row.module, &row.method, row.path, access, row.summary]);
            }
            say(shown)
        }
    }
}
