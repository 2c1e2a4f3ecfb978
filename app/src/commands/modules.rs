//! `banyan modules`.

use anyhow::Result;

use super::{
    graph::Graph,
    tables::{json, say, table},
};
use crate::{
    cli::{GraphFormat, ModulesArgs},
    data_dir::Use,
    reach::reach,
    settings::Settings,
};

/// Shows what depends on what, and what really called what.
pub async fn show(args: &ModulesArgs) -> Result<()> {
    let settings = Settings::of(&args.place)?.config;
    let graph = Graph::new(real_calls(&settings).await?);
    match args.format {
        GraphFormat::Json => json(&graph),
        GraphFormat::Mermaid => say(graph.mermaid().trim_end()),
        GraphFormat::Table => print(&graph),
    }
}

/// Only a running server has seen real calls; without one nothing is opened, or even made.
async fn real_calls(settings: &Settings) -> Result<Option<Vec<crate::operations::CallCount>>> {
    if !settings.data_dir().path().exists() {
        return Ok(None);
    }
    match settings.data_dir().claim()? {
        Use::Ours(_) => Ok(None),
        Use::Theirs(_) => Ok(Some(reach(settings).await?.operations.calls().await?)),
    }
}

fn print(graph: &Graph) -> Result<()> {
    let edges = graph.edges();
    let counted = |from: &str, names: &[&str]| {
        let shown = names.iter().map(|to| match edges.get(&(from, *to)) {
            Some(count) => format!("{to} ({count} calls)"),
            None => (*to).to_owned(),
        });
        shown.collect::<Vec<_>>().join(", ")
    };
    let mut modules = table(&["module", "calls", "hears"]);
    for module in &graph.modules {
        modules.add_row([
            module.name,
            &counted(module.name, module.calls),
            &module.hears.join(", "),
        ]);
    }
    say(modules)?;
    match &graph.real {
        None => say("no server runs on this data directory, so no real calls are known"),
        Some(calls) => {
            let mut shown = table(&["from", "to", "method", "calls", "faults"]);
            for call in calls {
                let (calls, faults) = (call.calls.to_string(), call.faults.to_string());
                shown.add_row([&call.from, &call.to, &call.method, &calls, &faults]);
            }
            say(shown)
        }
    }
}
