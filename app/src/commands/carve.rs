//! `banyan carve` and `banyan merge`.

use std::{
    fs,
    io::{IsTerminal, Write, stderr},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use contract::Caller;
use indicatif::ProgressBar;
use kernel_api::Id;
use placement_api::{
    Begin, Carve, Carves, Certificate, Database, DryRun, Name, Outcome, Placement, Plan, Steer,
    Step, Wish,
};

use super::{
    Verdict,
    history::bar,
    placement::print_readiness,
    tables::{json, say, table},
};
use crate::{
    cli::{CarveArgs, CourseArgs, Format, MergeArgs, TargetArgs, WishArgs},
    insist::{call, insist},
    reach::{Reached, reach, server_secret},
    settings::Settings,
    shop,
};

/// How often a carve is looked at while it is watched.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How often it is told where it stands to whoever does not look at a terminal, besides at each new step: where it says
/// something new, and where it does not.
const TELL_EVERY: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));

/// Moves a module out, or says something about a move that is under way.
pub async fn carve(args: &CarveArgs) -> Result<Verdict> {
    known(&args.module)?;
    let reached = running(&args.course).await?;
    let done = async {
        let placement = reached.placement.as_ref();
        if let Some(wish) = wished(&args.wish) {
            return steer(placement, &args.module, wish, &args.course).await;
        }
        let to = args.target.deployment.clone().unwrap_or_else(|| args.module.clone());
        let database = database(&args.target, &args.course, &args.module)?;
        if args.dry_run {
            let (module, url) = (args.module.clone(), args.target.to.clone());
            let wish = DryRun { module, to, url, database, reads: args.reads.clone() };
            return dry_run(placement, wish, args.course.format).await;
        }
        let plan = Plan {
            reads: args.reads.clone(),
            reads_each_s: seconds(&args.reads_each),
            ..plan(&args.course)
        };
        let target = (args.target.to.clone(), database);
        begin(placement, (&args.module, to), (target, plan), &args.course).await
    };
    let done = done.await;
    reached.leave().await;
    done
}

/// Brings a module back.
pub async fn merge(args: &MergeArgs) -> Result<Verdict> {
    known(&args.module)?;
    let reached = running(&args.course).await?;
    let to = (&args.module, Name::MONOLITH);
    let target = ((None, None), plan(&args.course));
    let done = begin(reached.placement.as_ref(), to, target, &args.course).await;
    reached.leave().await;
    done
}

async fn running(course: &CourseArgs) -> Result<Reached> {
    let reached = reach(&Settings::of(&course.place)?.config).await?;
    if reached.server.is_none() {
        reached.leave().await;
        bail!("no server runs there: start `banyan up`, a module moves while it is served");
    }
    Ok(reached)
}

fn known(module: &Name) -> Result<()> {
    let all = shop::descriptors().map(|module| module.name);
    let is_known = all.contains(&module.as_str());
    ensure!(is_known, "there is no module `{module}`; there are {}", all.join(", "));
    Ok(())
}

fn caller() -> Caller {
    "operator".parse().expect("a fixed name is a caller")
}

fn wished(args: &WishArgs) -> Option<Wish> {
    let WishArgs { pause, resume, reverse, complete, cancel } = args;
    let wishes = [
        (pause, Wish::Pause),
        (resume, Wish::Resume),
        (reverse, Wish::Reverse),
        (complete, Wish::Complete),
        (cancel, Wish::Cancel),
    ];
    wishes.into_iter().find_map(|(is_wished, wish)| is_wished.then_some(wish))
}

/// Where the data shall be; with an administrator's URL the module's role and schema are made first.
fn database(target: &TargetArgs, course: &CourseArgs, module: &Name) -> Result<Option<Database>> {
    let Some(url) = &target.database else { return Ok(None) };
    let database: Database = url.parse().context("--database")?;
    if matches!(database, Database::File(_)) {
        bail!(
            "--database is a PostgreSQL URL; a SQLite file is made in the data directory without it"
        );
    }
    if let Some(admin) = &target.admin_url {
        let settings = Settings::of(&course.place)?.config;
        let password = shop::password(&server_secret(&settings)?, module.as_str());
        store::provision(admin, module.as_str(), &password)
            .with_context(|| format!("cannot make the role and schema of {module}"))?;
    }
    Ok(Some(database))
}

async fn dry_run(placement: &dyn Placement, wish: DryRun, format: Format) -> Result<Verdict> {
    let caller = caller();
    let ask = async || placement.readiness(&call(&caller), wish.clone()).await;
    let found = insist("the readiness report", ask).await?;
    match format {
        Format::Json => json(&found)?,
        Format::Table => print_readiness(&found)?,
    }
    Ok(if found.ready { Verdict::Well } else { Verdict::Broken })
}

fn plan(course: &CourseArgs) -> Plan {
    let observe_s = course.observe.as_ref().map(seconds);
    Plan { observe_s, copy_rows_per_s: course.rate, ..Plan::default() }
}

fn seconds(time: &settings::Duration) -> u32 {
    u32::try_from(time.get().as_secs()).unwrap_or(u32::MAX)
}

async fn begin(
    placement: &dyn Placement,
    (module, to): (&Name, Name),
    ((url, database), plan): ((Option<placement_api::Address>, Option<Database>), Plan),
    course: &CourseArgs,
) -> Result<Verdict> {
    let id = Id::fresh();
    let wish = Begin {
        carve: id,
        module: module.clone(),
        to,
        url,
        database,
        plan,
        who: "operator".parse().context("who")?,
        reason: course.reason.parse().context("--reason")?,
    };
    let (caller, key) = (caller(), format!("carve-{id}").parse().context("a key")?);
    let command = || call(&caller).command(contract::IdempotencyKey::clone(&key));
    let ask = async || placement.begin(&command(), wish.clone()).await;
    let begun = insist("the carve", ask).await?;
    if course.detach {
        return shown(&begun, course.format);
    }
    watched(placement, begun, course).await
}

/// The carve of a module that is under way.
async fn under_way(placement: &dyn Placement, module: &Name) -> Result<Carve> {
    let wish = Carves { module: Some(module.clone()), ..Carves::default() };
    let caller = caller();
    let ask = async || placement.carves(&call(&caller), wish.clone()).await;
    let mut found = insist("the carves", ask).await?.items.into_iter();
    found.find(|carve| carve.outcome.is_none()).with_context(|| {
        format!(
            "no carve moves {module}: `banyan placement` shows where it is, `banyan carve {module}` moves it out, \
             `banyan merge {module}` brings it back"
        )
    })
}

async fn steer(
    placement: &dyn Placement,
    module: &Name,
    wish: Wish,
    course: &CourseArgs,
) -> Result<Verdict> {
    let carve = under_way(placement, module).await?;
    let key = format!("steer-{}", Id::<Carve>::fresh()).parse().context("a key")?;
    let (caller, wished) = (caller(), Steer { carve: carve.id, wish });
    let command = || call(&caller).command(contract::IdempotencyKey::clone(&key));
    let ask = async || placement.steer(&command(), wished.clone()).await;
    let steered = insist("the wish", ask).await?;
    let ends = matches!(wish, Wish::Reverse | Wish::Complete | Wish::Cancel);
    if course.detach || !ends {
        return shown(&steered, course.format);
    }
    watched(placement, steered, course).await
}

fn shown(carve: &Carve, format: Format) -> Result<Verdict> {
    match format {
        Format::Json => json(carve)?,
        Format::Table => {
            say(stands(carve))?;
            say_what_next(carve)?;
        }
    }
    Ok(Verdict::Well)
}

/// Where it stands, in a line.
fn stands(carve: &Carve) -> String {
    let paused = if carve.paused { ", paused" } else { "" };
    let says = &carve.says;
    format!("{} to {}: {}{paused}: {says}", carve.module, carve.to, carve.step.as_str())
}

/// What its operator may say now.
fn say_what_next(carve: &Carve) -> Result<()> {
    let module = &carve.module;
    match (carve.outcome, carve.paused, carve.step) {
        (Some(_), _, _) => Ok(()),
        (None, true, Step::Observe) => say(format!(
            "  paused: banyan carve {module} --resume, --complete, or --reverse to bring it back"
        )),
        (None, true, _) => {
            say(format!("  paused: banyan carve {module} --resume, or --cancel to give it up"))
        }
        (None, false, Step::Observe) => {
            say(format!("  now: banyan carve {module} --complete, or --reverse to bring it back"))
        }
        (None, false, _) => say("  banyan placement --watch shows how far it is"),
    }
}

/// Watches a carve to its end, or to where only its operator goes on.
async fn watched(
    placement: &dyn Placement,
    mut carve: Carve,
    course: &CourseArgs,
) -> Result<Verdict> {
    let (caller, progress, mut lines) = (caller(), bar(), Lines::default());
    let rests = |carve: &Carve| {
        let asked = carve.wish.is_some() || carve.plan.observe_s.is_some();
        carve.outcome.is_some() || carve.paused || (carve.step == Step::Observe && !asked)
    };
    while !rests(&carve) {
        draw(&progress, &carve);
        lines.tell(&carve)?;
        tokio::time::sleep(LOOK_EVERY).await;
        let ask = async || placement.carve(&call(&caller), carve.id).await;
        let next = insist("the carve", ask).await?;
        carve = next;
    }
    progress.finish_and_clear();
    let ask = async || placement.certificate(&call(&caller), carve.id).await;
    let certificate = insist("the certificate", ask).await?;
    if let Some(file) = &course.certificate {
        let text = serde_json::to_string_pretty(&certificate)?;
        fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    match course.format {
        Format::Json => json(&certificate)?,
        Format::Table => print(&carve, &certificate)?,
    }
    Ok(verdict(&carve, &certificate))
}

/// It went as it was wished, and nothing is wrong with it.
fn verdict(carve: &Carve, certificate: &Certificate) -> Verdict {
    let well = match carve.outcome {
        Some(Outcome::Refused) => false,
        Some(Outcome::Completed | Outcome::Reversed | Outcome::Cancelled) | None => {
            certificate.faults.is_empty()
        }
    };
    if well { Verdict::Well } else { Verdict::Broken }
}

/// What is told of a carve on its way to whoever has no terminal, on standard error.
#[derive(Default)]
struct Lines {
    last: Option<(Step, String, Instant)>,
}

impl Lines {
    fn tell(&mut self, carve: &Carve) -> Result<()> {
        let is_old = self.last.as_ref().is_none_or(|(step, says, at)| {
            let every = if *says == carve.says { TELL_EVERY.1 } else { TELL_EVERY.0 };
            *step != carve.step || at.elapsed() > every
        });
        if is_old && !stderr().is_terminal() {
            self.last = Some((carve.step, carve.says.clone(), Instant::now()));
            writeln!(stderr(), "{}", stands(carve))?;
        }
        Ok(())
    }
}

fn draw(progress: &ProgressBar, carve: &Carve) {
    let step = &carve.progress;
    progress.set_length(step.rows.max(step.rows_copied));
    progress.set_position(step.rows_copied);
    let lag = if step.lag_rows > 0 { format!(", {} behind", step.lag_rows) } else { String::new() };
    progress.set_message(format!("{}{lag}: {}", carve.step.as_str(), carve.says));
}

/// A certificate for people.
fn print(carve: &Carve, certificate: &Certificate) -> Result<()> {
    let word = match (carve.outcome, carve.step) {
        (Some(Outcome::Completed), _) => "completed",
        (Some(Outcome::Reversed), _) => "brought back",
        (Some(Outcome::Cancelled), _) => "cancelled",
        (Some(Outcome::Refused), _) => "refused",
        (None, Step::Observe) => "switched; both sides are kept equal",
        (None, _) => carve.step.as_str(),
    };
    say(format!("{} from {} to {}: {word}", carve.module, carve.from, carve.to))?;
    if carve.outcome.is_none_or(|outcome| outcome == Outcome::Refused) {
        say(format!("  {}", carve.says))?;
    }
    let mut switches = table(&["switch", "epoch", "pause ms", "held", "p99 ms", "max ms", "lag"]);
    for switch in &certificate.switches {
        let ms = |us: u64| format!("{}.{:01}", us / 1000, us % 1000 / 100);
        switches.add_row([
            format!("{:?}", switch.leg).to_lowercase(),
            switch.epoch.to_string(),
            ms(switch.pause.total_us),
            switch.held.calls.to_string(),
            ms(switch.held.p99_us),
            ms(switch.held.max_us),
            switch.lag_rows.to_string(),
        ]);
    }
    if !certificate.switches.is_empty() {
        say(switches)?;
    }
    let equal = certificate.compared.iter().filter(|table| table.equal).count();
    let rows: u64 = certificate.compared.iter().map(|table| table.rows).sum();
    say(format!(
        "  {} rows copied, {} followed; {rows} rows compared, {equal} of {} tables equal",
        certificate.rows_copied,
        certificate.rows_followed,
        certificate.compared.len()
    ))?;
    if let Some(ahead) = carve.progress.ahead {
        say(format!("  {} reads were answered by the copy before the switch", ahead.answered))?;
    }
    certificate.faults.iter().try_for_each(|fault| say(format!("  FAULT {fault}")))?;
    say_what_next(carve)
}
