//! `kill`: through the running proxy; else by the kill file, which needs neither a proxy that answers nor a configuration
//! that is right.

use anyhow::{Context, Result};

use super::{
    arguments::{KillArgs, OnOff},
    client::{Client, file, source, who},
    print::say,
};
use crate::{
    config::load,
    steer::{
        admin::{KillWish, Switched},
        write,
    },
};

/// Throws the switch, or takes it back.
pub fn kill(wish: &KillArgs) -> Result<()> {
    let file = file(&wish.place);
    let loaded = load(&source(&wish.place));
    let path = match &loaded {
        Ok(loaded) => {
            match Client::reach(loaded, &file) {
                Ok(Some(client)) => match ask(&client, wish) {
                    Ok(switched) => return told(&switched),
                    Err(error) => {
                        say(format!("the proxy does not do it ({error:#}); trying by file"))?
                    }
                },
                Ok(None) => {}
                Err(error) => say(format!("{error:#}; trying by file"))?,
            }
            loaded.snapshot.files.kill.clone()
        }
        Err(error) => {
            say(format!("the configuration cannot be read:\n{error}\ntrying by file"))?;
            file.with_extension("kill")
        }
    };
    let shown = path.display();
    match wish.to {
        OnOff::On => write::replace(&path, &format!("{}\n", wish.reason))
            .with_context(|| format!("cannot write {shown}"))?,
        OnOff::Off => write::remove(&path).with_context(|| format!("cannot remove {shown}"))?,
    }
    say(match wish.to {
        OnOff::On => format!(
            "wrote {shown}: a proxy that runs by this file sends everything to the monolith within a second"
        ),
        OnOff::Off => format!(
            "removed {shown}: a proxy that runs by this file follows its toggles again within a second"
        ),
    })
}

fn ask(client: &Client, wish: &KillArgs) -> Result<Switched> {
    match wish.to {
        OnOff::On => {
            let body = KillWish { reason: wish.reason.clone(), who: Some(who()) };
            client.ask("PUT", "/kill", None, &body)
        }
        OnOff::Off => client.ask("DELETE", "/kill", None, &()),
    }
}

fn told(switched: &Switched) -> Result<()> {
    match &switched.kill {
        Some(_) => say("kill switch on: everything goes to the monolith")?,
        None => say("kill switch off: the toggles count again")?,
    }
    for note in &switched.notes {
        say(format!("note: {note}"))?;
    }
    Ok(())
}
