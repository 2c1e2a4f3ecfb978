//! `routes`: the table in its order.

use anyhow::Result;

use super::{
    arguments::{Format, ReportArgs},
    client::open,
    print::{json, say, table},
};
use crate::{
    route::Stage,
    steer::{
        Steering,
        admin::{RouteStatus, Status},
    },
};

/// Lists the routes.
pub fn routes(wish: &ReportArgs) -> Result<()> {
    let (source, loaded, client) = open(&wish.place)?;
    let (routes, version, kill) = match client {
        Some(client) => {
            let status: Status = client.ask("GET", "/status", None, &())?;
            (status.routes, status.revision, status.kill.is_some())
        }
        None => {
            let steering = Steering::new(source, loaded);
            let snapshot = steering.shared().get();
            let routes = RouteStatus::all(&snapshot, &steering.over_the_file());
            (routes, snapshot.revision.to_string(), snapshot.kill.is_some())
        }
    };
    if wish.format == Format::Json {
        return json(&serde_json::json!({ "version": version, "kill": kill, "routes": routes }));
    }
    let mut shown = table(&["route", "group", "matches", "stage", "from", "to"]);
    for route in &routes {
        let (group, to) = (route.group.as_deref().unwrap_or(""), route.to.as_deref().unwrap_or(""));
        shown.add_row([&route.name, group, &route.matches, &stage(route), &route.from, to]);
    }
    say(shown)?;
    say(format!("version {version}"))?;
    if kill {
        say("the kill switch is on: everything but what is retired goes to `from`")?;
    }
    Ok(())
}

/// `canary 5 %, parked`, with a star where the state file says so and not the configuration.
pub fn stage(route: &RouteStatus) -> String {
    let weight = match route.stage {
        Stage::Canary | Stage::Shadow => format!(" {} %", route.weight),
        Stage::Off | Stage::Live | Stage::Retired => String::new(),
    };
    let over = if route.over_the_file { " (state file)" } else { "" };
    let parked = if route.parked { ", parked" } else { "" };
    format!("{}{weight}{over}{parked}", route.stage)
}
