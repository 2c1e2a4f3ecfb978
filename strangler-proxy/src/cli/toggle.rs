//! `toggle`: through the running proxy, or in the file where none runs.

use anyhow::Result;

use super::{
    arguments::{Format, ToggleArgs},
    client::{open, who},
    print::{json, say},
};
use crate::steer::{Changed, Steering, Target, Toggle, admin::ToggleWish};

/// Toggles.
pub fn toggle(wish: &ToggleArgs) -> Result<()> {
    let toggle = Toggle { stage: wish.to.stage, weight: wish.weight.or(wish.to.weight) };
    let (source, loaded, client) = open(&wish.place)?;
    let (changed, running) = match client {
        Some(client) => {
            let body = ToggleWish {
                stage: Some(toggle.stage),
                weight: toggle.weight,
                reason: wish.reason.clone(),
                who: Some(who()),
            };
            let path = format!("/toggles/{}", in_path(&wish.name));
            (client.ask::<Changed>("PUT", &path, wish.version.as_deref(), &body)?, true)
        }
        None => {
            let target = Target {
                name: wish.name.clone(),
                expected: wish.version.clone(),
                who: who(),
                why: wish.reason.clone(),
            };
            (Steering::new(source, loaded).toggle(&target, toggle)?, false)
        }
    };
    match wish.format {
        Format::Json => json(&changed),
        Format::Table => told(&changed, running),
    }
}

/// A name as a segment of a path; no route has a name that needs it, but somebody may ask for one.
fn in_path(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let encoded = |byte: u8| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    name.bytes().map(encoded).collect()
}

fn told(changed: &Changed, running: bool) -> Result<()> {
    if changed.routes.is_empty() {
        say("it stood so already")?;
    }
    for (name, (before, after)) in &changed.routes {
        say(format!("{name}: {} -> {}", shown(*before), shown(*after)))?;
    }
    let over = if changed.over_the_file {
        ", over the configuration, which cannot be written"
    } else {
        ""
    };
    say(format!("written to {}{over}; version {}", changed.written.display(), changed.revision))?;
    if !running {
        say(
            "no proxy answers: whichever runs by this file takes it up within a second, or when it starts",
        )?;
    }
    for note in &changed.notes {
        say(format!("note: {note}"))?;
    }
    for undo in &changed.undo {
        say(format!("undo: {undo}"))?;
    }
    Ok(())
}

fn shown(toggle: Toggle) -> String {
    use crate::route::Stage;
    match (toggle.stage, toggle.weight) {
        (Stage::Canary | Stage::Shadow, Some(weight)) => format!("{} {weight} %", toggle.stage),
        (stage, _) => stage.to_string(),
    }
}
