//! `check`: is a configuration right?

use anyhow::Result;
use serde_json::json;

use super::{
    Verdict,
    arguments::{CheckArgs, Format, PlaceArgs},
    client::source,
    print::{json, say},
};
use crate::config::{ConfigError, load};

/// Checks.
pub fn check(wish: &CheckArgs) -> Result<Verdict> {
    let config = wish.file.clone().or_else(|| wish.place.config.clone());
    let source = source(&PlaceArgs { config });
    match (load(&source), wish.format) {
        (Ok(loaded), Format::Json) => {
            let snapshot = &loaded.snapshot;
            json(
                &json!({ "ok": true, "version": snapshot.revision.to_string(), "routes": snapshot.routes.len() - 1, "faults": [], "warnings": snapshot.warnings }),
            )?;
            Ok(Verdict::Well)
        }
        (Ok(loaded), Format::Table) => {
            let snapshot = &loaded.snapshot;
            let file =
                source.file.as_deref().map(|path| path.display().to_string()).unwrap_or_default();
            let (routes, upstreams) = (snapshot.routes.len() - 1, snapshot.upstreams.len());
            say(format!(
                "{file}: right; {routes} routes, {upstreams} upstreams, version {}",
                snapshot.revision
            ))?;
            for warning in snapshot.warnings.iter() {
                say(format!("warning: {warning}"))?;
            }
            let over = &loaded.overlay.routes;
            if !over.is_empty() {
                let names: Vec<&str> = over.keys().map(String::as_str).collect();
                say(format!(
                    "{} has toggles over it: {}",
                    snapshot.files.state.display(),
                    names.join(", ")
                ))?;
            }
            Ok(Verdict::Well)
        }
        (Err(error @ ConfigError::File { .. }), _) => Err(error.into()),
        (Err(error), Format::Json) => {
            json(&json!({ "ok": false, "faults": error.faults() }))?;
            Ok(Verdict::Broken)
        }
        (Err(error), Format::Table) => {
            for fault in error.faults() {
                say(fault)?;
            }
            Ok(Verdict::Broken)
        }
    }
}
