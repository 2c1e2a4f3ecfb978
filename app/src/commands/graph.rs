//! The graph of modules: from the code and, beside it, from real calls.

use std::{collections::BTreeMap, fmt::Write};

use serde::Serialize;

use crate::{operations::CallCount, shop::descriptors};

/// Modules and what is between them.
#[derive(Debug, Serialize)]
pub struct Graph {
    /// By the code.
    pub modules: Vec<Module>,
    /// By real calls, since the server started; absent where no server runs.
    pub real: Option<Vec<CallCount>>,
}

/// A module by its code.
#[derive(Debug, Serialize)]
pub struct Module {
    /// Its name.
    pub name: &'static str,
    /// The modules whose contract it is given.
    pub calls: &'static [&'static str],
    /// The modules whose feed it reads.
    pub hears: &'static [&'static str],
}

impl Graph {
    /// The code's graph beside these real calls.
    pub fn new(real: Option<Vec<CallCount>>) -> Self {
        let modules = descriptors().map(|module| Module {
            name: module.name,
            calls: module.calls,
            hears: module.hears,
        });
        Self { modules: modules.into(), real }
    }

    /// Calls per edge, methods summed.
    pub fn edges(&self) -> BTreeMap<(&str, &str), u64> {
        let mut edges: BTreeMap<_, u64> = BTreeMap::new();
        for call in self.real.iter().flatten() {
            *edges.entry((call.from.as_str(), call.to.as_str())).or_default() += call.calls;
        }
        edges
    }

    /// A picture in Mermaid: solid arrows call, dotted ones hear, labels count real calls.
    pub fn mermaid(&self) -> String {
        let mut edges = self.edges();
        let mut text = String::from("flowchart LR\n");
        for module in &self.modules {
            writeln!(text, "    {0}[{0}]", module.name).expect("a String takes what is written");
        }
        for module in &self.modules {
            for called in module.calls {
                let label = match edges.remove(&(module.name, *called)) {
                    Some(count) => format!("|{count} calls|"),
                    None => String::new(),
                };
                writeln!(text, "    {} -->{label} {called}", module.name)
                    .expect("a String takes what is written");
            }
            for heard in module.hears {
                writeln!(text, "    {heard} -. events .-> {}", module.name)
                    .expect("a String takes what is written");
            }
        }
        for ((from, to), count) in edges {
            // Requests from outside, and what the code's graph does not have: it should not be there.
            writeln!(text, "    {from}(({from})) -->|{count} calls| {to}")
                .expect("a String takes what is written");
        }
        text
    }
}
