//! `banyan bench toggles`: every toggle of the proxy is flipped and its file reloaded again and again, between a shop and a
//! second process of it on the same database, and no request fails.

use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use http::Method;
use serde::Serialize;
use serde_json::{Value, json};
use store::Scratch;
use strangler_proxy::steer::admin::Status;
use tokio::task::JoinHandle;

use super::{Seen, Trading, Wish};
use crate::{http_client::HttpClient, trial::Trial};

/// What a group goes through, with the weight: forward as an operator would go, then back in one step and by halves.
const STAGES: [(&str, Option<u8>); 8] = [
    ("shadow", Some(50)),
    ("canary", Some(10)),
    ("canary", Some(50)),
    ("live", None),
    ("off", None),
    ("live", None),
    ("canary", Some(50)),
    ("off", None),
];

/// Between two toggles, and between two reloads: several times what each of them takes.
const FLIP_EVERY: Duration = Duration::from_millis(50);

/// What makes a request's side: each purchase has keys of its own, so both sides get some of them.
const STICKY: &str = "header:idempotency-key";

/// What it has shown.
#[derive(Debug, Serialize)]
pub struct Shown {
    /// No request failed, nothing was lost, and both sides were asked.
    pub clean: bool,
    /// How long all of it took.
    pub seconds: f64,
    /// Toggles that were flipped.
    pub flips: u64,
    /// How often the file was read again.
    pub reloads: u64,
    /// How often it was edited by hand.
    pub edits: u64,
    /// What clients saw.
    pub seen: Seen,
    /// Requests by group.
    pub groups: BTreeMap<String, Asked>,
}

/// Requests of a group.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Asked {
    /// Answered by the shop behind the proxy.
    pub old: u64,
    /// Answered by the second process.
    pub new: u64,
    /// Those that ended in an error of the server's, or in none.
    pub errors: u64,
    /// Those that the proxy answered itself.
    pub refused: u64,
    /// Copies whose status agreed.
    pub shadow_agreed: u64,
    /// Copies whose status differed: the copy may come before a change, and the answer after it.
    pub shadow_differed: u64,
}

/// Shows it, telling `say` what it does.
pub async fn show(wish: &Wish, say: impl Fn(&str)) -> Result<Shown> {
    let began = Instant::now();
    say(
        "a fresh shop on PostgreSQL with the proxy in front, and a second process on the same data",
    );
    let database = Scratch::create(&wish.server).context("--server")?;
    let mut trial = Trial::start_on(&database)?;
    let server = trial.ready().await?;
    let mut second = trial.another()?;
    let side = second.ready().await?.public;
    let token = trial.data().file("proxy.admin-token");
    let token = fs::read_to_string(&token).with_context(|| token.display().to_string())?;
    let proxy = Proxy::new(&trial, HttpClient::new(&trial.admin(), token.trim(), 2)?);
    proxy.give_a_side(&side).await?;
    say("the file is traded; meanwhile toggles are flipped and the file of the proxy is reloaded");
    let trading = Trading::begin(&trial, &server, wish).await?;
    let reloading = Reloading::start(&proxy);
    let (groups, mut flips, mut edits) = (proxy.groups().await?, 0, 0);
    // To the end of the file, and through all stages at least once.
    while !trading.trade.is_over() && (trading.trade.rounds() == 0 || flips == 0) {
        for (stage, weight) in STAGES {
            for group in &groups {
                proxy.toggle(group, stage, weight).await?;
                flips += 1;
                tokio::time::sleep(FLIP_EVERY).await;
            }
            proxy.edit(edits)?;
            edits += 1;
        }
    }
    let reloads = reloading.stop().await?;
    say("the books are closed: banyan verify, and the ledger against the shop");
    let seen = trading.close(&trial).await?;
    let groups = proxy.asked().await?;
    let is_well = |asked: &Asked| asked.errors == 0;
    let both = groups.values().any(|asked| asked.new > 0 && asked.old > 0);
    Ok(Shown {
        clean: seen.is_clean() && both && groups.values().all(is_well),
        seconds: began.elapsed().as_secs_f64(),
        flips,
        reloads,
        edits,
        seen,
        groups,
    })
}

/// The proxy in front, from its operator's side.
#[derive(Clone)]
struct Proxy {
    client: HttpClient,
    file: std::path::PathBuf,
}

impl Proxy {
    fn new(trial: &Trial, client: HttpClient) -> Self {
        Self { client, file: trial.data().file("proxy.toml") }
    }

    /// Gives every route a new side, by an edit of the file.
    async fn give_a_side(&self, url: &str) -> Result<()> {
        let text = fs::read_to_string(&self.file)?;
        let (url, sticky) = (Value::from(url), Value::from(STICKY));
        let side = format!("[[routes]]\nto = {url}\nsticky = [{sticky}]\n");
        self.replace(&text.replace("[[routes]]\n", &side))?;
        self.reload().await?;
        let routes = self.status().await?.routes;
        let without = routes.iter().find(|route| route.group.is_some() && route.to.is_none());
        ensure!(without.is_none(), "{without:?} has no new side");
        Ok(())
    }

    /// A comment that changes: for the proxy it is another file.
    fn edit(&self, number: u64) -> Result<()> {
        let text = fs::read_to_string(&self.file)?;
        let text = text.lines().filter(|line| !line.starts_with("# edit "));
        self.replace(&text.fold(format!("# edit {number}\n"), |text, line| text + line + "\n"))
    }

    /// Whole or not at all: the proxy may look at any moment.
    fn replace(&self, text: &str) -> Result<()> {
        let draft = self.file.with_extension("draft");
        fs::write(&draft, text)?;
        fs::rename(&draft, &self.file).context("the proxy's file")
    }

    async fn status(&self) -> Result<Status> {
        self.client.json(Method::GET, "/status", None::<&Value>).await
    }

    async fn reload(&self) -> Result<()> {
        let _changed: Value = self.client.json(Method::POST, "/reload", None::<&Value>).await?;
        Ok(())
    }

    async fn toggle(&self, group: &str, stage: &str, weight: Option<u8>) -> Result<()> {
        let mut wish = json!({ "stage": stage, "reason": "a show" });
        if let (Some(weight), Some(wish)) = (weight, wish.as_object_mut()) {
            wish.insert("weight".to_owned(), Value::from(weight));
        }
        let path = format!("/toggles/{group}");
        let _changed: Value = self.client.json(Method::PUT, &path, Some(&wish)).await?;
        Ok(())
    }

    async fn groups(&self) -> Result<Vec<String>> {
        let groups = self.status().await?.routes.into_iter().filter_map(|route| route.group);
        let groups: std::collections::BTreeSet<_> = groups.collect();
        Ok(groups.into_iter().collect())
    }

    async fn asked(&self) -> Result<BTreeMap<String, Asked>> {
        let status = self.status().await?;
        let group = |name: &str| {
            let mut routes = status.routes.iter();
            routes.find(|route| route.name == name).and_then(|route| route.group.clone())
        };
        let mut groups: BTreeMap<String, Asked> = BTreeMap::new();
        for route in &status.figures.routes {
            let Some(group) = group(&route.route) else { continue };
            let asked = groups.entry(group).or_default();
            asked.old += route.old.requests;
            asked.new += route.new.requests;
            asked.errors += route.old.errors + route.new.errors;
            asked.refused += route.refused;
            asked.shadow_agreed += route.shadow_agreed;
            asked.shadow_differed += route.shadow_differed;
        }
        Ok(groups)
    }
}

/// Somebody who reloads all the time.
struct Reloading {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Result<u64>>,
}

impl Reloading {
    fn start(proxy: &Proxy) -> Self {
        let (stop, proxy) = (Arc::new(AtomicBool::new(false)), proxy.clone());
        let is_over = Arc::clone(&stop);
        let task = tokio::spawn(async move {
            let mut reloads = 0;
            while !is_over.load(Ordering::Relaxed) {
                proxy.reload().await?;
                reloads += 1;
                tokio::time::sleep(FLIP_EVERY).await;
            }
            Ok(reloads)
        });
        Self { stop, task }
    }

    async fn stop(self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.context("the reloads")?
    }
}
