//! `banyan orders rebuild`.

use anyhow::Result;
use kernel_api::{Id, PAGE_LIMIT_MAX, PageRequest};

use super::tables::{json, say};
use crate::{
    cli::{Format, ReportArgs},
    insist::{call, insist},
    modules::Modules,
    reach::reach,
    settings::Settings,
};

/// Builds the read models of orders again from their events.
pub async fn rebuild(report: &ReportArgs) -> Result<()> {
    let reached = reach(&Settings::of(&report.place)?.config).await?;
    let done = all(&reached.modules).await;
    reached.leave().await;
    let orders = done?;
    match report.format {
        Format::Json => json(&serde_json::json!({ "orders": orders })),
        Format::Table => say(format!("the read models of {orders} orders are built again")),
    }
}

async fn all(modules: &Modules) -> Result<u64> {
    let operator = "operator".parse()?;
    let mut orders = 0;
    let mut after = None;
    loop {
        let page = PageRequest { after: after.take(), limit: Some(PAGE_LIMIT_MAX) };
        let command = call(&operator).command(Id::<()>::fresh().to_string().parse()?);
        let ordering = &modules.ordering;
        let done =
            insist("rebuild", async || ordering.rebuild(&command, page.clone()).await).await?;
        orders += done.orders;
        after = done.next;
        if after.is_none() {
            return Ok(orders);
        }
    }
}
