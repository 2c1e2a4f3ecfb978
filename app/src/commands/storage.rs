//! `banyan migrate`, `backup` and `restore`.

use anyhow::{Context, Result, bail, ensure};

use super::tables::say;
use crate::{
    backup,
    cli::{BackupArgs, MigrateArgs, RestoreArgs},
    held::Held,
    reach::reach,
    server::deployment_secret,
    settings::Settings,
    shop,
};

/// Brings schemas up to date; with an admin URL makes roles and schemas first.
pub fn migrate(args: &MigrateArgs) -> Result<()> {
    let settings = Settings::of(&args.place)?.config;
    let locked = settings.data_dir().lock()?;
    let secret = deployment_secret(&settings, &locked)?;
    let held = Held::of(&locked)?;
    let mut found = false;
    for module in shop::descriptors() {
        if args.module.as_deref().is_some_and(|wanted| wanted != module.name) {
            continue;
        }
        found = true;
        let password = shop::password(&secret, module.name);
        let location = match &args.admin_url {
            Some(url) => store::provision(url, module.name, &password)
                .with_context(|| format!("cannot make the role and schema of {}", module.name))?,
            None => shop::location(&settings, &secret, module.name)?,
        };
        held.check(module.name, &location)?;
        let ran = shop::migrate(&module, &location)
            .with_context(|| format!("cannot migrate {}", module.name))?;
        say(format!(
            "{}: {}",
            module.name,
            if ran.is_empty() { "up to date".to_owned() } else { ran.join(", ") }
        ))?;
    }
    ensure!(found, "there is no module `{}`", args.module.as_deref().unwrap_or_default());
    if args.admin_url.is_some() && settings.database_url().is_none() {
        say("now set database.url to this server and database, so that `banyan up` uses it")?;
    }
    Ok(())
}

/// Copies the data of each module.
pub async fn backup(args: &BackupArgs) -> Result<()> {
    let settings = Settings::of(&args.place)?.config;
    let reached = reach(&settings).await?;
    let done = reached.operations.back_up(&args.directory, args.module.as_deref()).await;
    reached.leave().await;
    done?.iter().try_for_each(say)
}

/// Puts copies in place.
pub fn restore(args: &RestoreArgs) -> Result<()> {
    let settings = Settings::of(&args.place)?.config;
    if !args.directory.is_dir() {
        bail!("{} is no directory that `banyan backup` made", args.directory.display());
    }
    let locked = settings.data_dir().lock()?;
    let secret = deployment_secret(&settings, &locked)?;
    let done =
        backup::restore(&settings, &secret, &locked, &args.directory, args.module.as_deref())?;
    done.iter().try_for_each(say)
}
