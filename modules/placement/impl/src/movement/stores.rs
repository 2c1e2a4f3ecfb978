//! The move of real data: `store::mover` off the async threads.

use std::{collections::BTreeMap, ops::ControlFlow, sync::Arc, time::Duration};

use contract::async_trait;
use placement_api::{Blocker, Database, Leg, Module, Pause, Size, TableCompared, TableSize};
use store::{
    Location, Migrations, ModuleDescriptor, Standing,
    mover::{self, MoveError, MoveId, Mover, SwitchError},
};
use tokio::{task::spawn_blocking, time::Instant};

use super::{Copied, Followed, Move, Movement, Movements, Switch, Switched, Trouble};

/// How long a copy by pages may go on after its slice: it does a gigabyte in that time, and an operator who wants the
/// carve to stop waits so long. What takes longer goes on by rows.
const SEEDING_MAX: Duration = Duration::from_secs(10);

/// The hands of moves between the stores of these modules.
pub(crate) fn of_stores(modules: Vec<ModuleDescriptor>) -> Arc<dyn Movements> {
    let migrations =
        modules.into_iter().map(|module| (module.name, Arc::new(module.migrations))).collect();
    Arc::new(Stores { migrations })
}

struct Stores {
    migrations: BTreeMap<&'static str, Arc<Migrations>>,
}

impl Movements for Stores {
    fn of(&self, which: &Move) -> Result<Arc<dyn Movement>, Trouble> {
        let unknown = || Trouble::Blocked(format!("{} is no module of this program", which.module));
        let migrations = self.migrations.get(which.module.as_str()).ok_or_else(unknown)?;
        let id = MoveId::new(&which.carve.uuid().simple().to_string())
            .map_err(|error| Trouble::Blocked(error.to_string()))?;
        let there = Mover::new(mover::Sides {
            module: which.module.to_string(),
            id,
            source: location(&which.from),
            target: location(&which.to),
            migrations: Arc::clone(migrations),
        });
        let given_up = which
            .given_up
            .iter()
            .map(|(epoch, owner)| Standing { epoch: *epoch, owner: owner.clone() });
        let there = there.over(given_up.collect());
        let back = Arc::new(there.back());
        Ok(Arc::new(Moving { module: which.module.clone(), there: Arc::new(there), back }))
    }
}

fn location(database: &Database) -> Location {
    match database {
        Database::File(path) => Location::Sqlite { path: path.clone() },
        Database::Server(url) => Location::Postgres { url: url.clone() },
    }
}

/// One move, both ways. Each mover keeps its connections from call to call.
struct Moving {
    module: Module,
    there: Arc<Mover>,
    back: Arc<Mover>,
}

impl Moving {
    async fn run<T: Send + 'static>(
        &self,
        leg: Leg,
        work: impl FnOnce(&Mover) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, Trouble> {
        let mover = self.mover(leg);
        spawn_blocking(move || work(&mover))
            .await
            .unwrap_or_else(|panicked| Err(Trouble::Failed(panicked.to_string())))
    }

    /// The same for what reads or writes much and may take its time: whoever serves comes first.
    async fn run_aside<T: Send + 'static>(
        &self,
        leg: Leg,
        work: impl FnOnce(&Mover) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, Trouble> {
        let mover = self.mover(leg);
        mover::aside(move || work(&mover))
            .await
            .unwrap_or_else(|| Err(Trouble::Failed("a mover's thread ended early".to_owned())))
    }

    fn mover(&self, leg: Leg) -> Arc<Mover> {
        Arc::clone(match leg {
            Leg::There => &self.there,
            Leg::Back => &self.back,
        })
    }
}

/// What went wrong, and what to do where the server answered and refused: most often nobody has made the role yet.
fn told(error: &MoveError) -> String {
    match error {
        MoveError::Away { what, .. } if what.contains("FATAL") => {
            format!(
                "{error}; --admin-url makes the module's role and schema where they are missing"
            )
        }
        _ => error.to_string(),
    }
}

impl From<MoveError> for Trouble {
    fn from(error: MoveError) -> Self {
        let why = told(&error);
        match error {
            MoveError::Busy { .. } => Self::NotNow(why),
            MoveError::Away { .. }
            | MoveError::Full { .. }
            | MoveError::Failed { .. }
            | MoveError::OutOfOrder(_) => Self::Failed(why),
            MoveError::Blocked(_)
            | MoveError::NotEmpty(_)
            | MoveError::Diverged(_)
            | MoveError::Unfit(_) => Self::Blocked(why),
        }
    }
}

/// Certain to have changed nothing, unless it says that it does not know.
impl From<SwitchError> for Trouble {
    fn from(error: SwitchError) -> Self {
        let why = error.to_string();
        match error {
            SwitchError::NotNow(_) | SwitchError::Failed(MoveError::Busy { .. }) => {
                Self::NotNow(why)
            }
            SwitchError::Failed(_) => Self::Failed(why),
            SwitchError::Doubtful(_) => Self::Unknown(why),
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn row(standing: Standing) -> (u64, String) {
    (standing.epoch, standing.owner)
}

fn wished(wish: &Switch) -> mover::Switch {
    mover::Switch {
        to: wish.owner.clone(),
        epoch: Some(wish.epoch),
        lag_max: wish.lag_max,
        lock_wait: wish.lock_within,
        within: wish.within,
        end_older_than: None,
    }
}

/// Is the source's row still that of its owner since `epoch`?
fn leads(mover: &Mover, epoch: u64) -> Result<(), Trouble> {
    let at = store::standing(&mover.sides().source)
        .map_err(|error| Trouble::Failed(error.to_string()))?;
    if at.epoch == epoch {
        return Ok(());
    }
    Err(Trouble::Unknown(format!("the row says `{}` at epoch {}", at.owner, at.epoch)))
}

#[async_trait]
impl Movement for Moving {
    async fn readiness(&self) -> Result<(Vec<Blocker>, Size), Trouble> {
        let about = self.module.to_string();
        let found = self.run_aside(Leg::There, |mover| Ok(mover.readiness()?)).await?;
        let rows = found.rows();
        let blocker = |detail| Blocker { kind: "data".to_owned(), about: about.clone(), detail };
        let blockers = found.blockers.into_iter().map(blocker).collect();
        let table = |size: mover::TableSize| TableSize { table: size.table, rows: size.rows };
        let tables = found.tables.into_iter().map(table).collect();
        Ok((blockers, Size { tables, rows, bytes: found.bytes }))
    }

    async fn prepare(&self) -> Result<(), Trouble> {
        self.run_aside(Leg::There, |mover| Ok(mover.prepare()?)).await
    }

    async fn capture(&self) -> Result<(), Trouble> {
        self.run(Leg::There, |mover| Ok(mover.capture()?)).await
    }

    async fn copy(&self, slice: Duration, rows_per_s: Option<u32>) -> Result<Copied, Trouble> {
        self.run_aside(Leg::There, move |mover| {
            let until = Instant::now() + slice;
            let patience = until + SEEDING_MAX;
            let pace =
                mover::Pace { rows_per_second: rows_per_s.map(u64::from), ..Default::default() };
            let copied = mover.copy(&pace, &mut |progress| {
                if Instant::now() < if progress.is_seeding { patience } else { until } {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            })?;
            Ok(Copied { rows: copied.rows, finished: copied.is_whole })
        })
        .await
    }

    async fn follow(&self, leg: Leg, epoch: u64) -> Result<Followed, Trouble> {
        self.run(leg, move |mover| {
            let followed = mover.follow();
            // A switch that was given up on may have come about: whatever the batch came to, the row tells.
            leads(mover, epoch)?;
            let followed = followed?;
            Ok(Followed { rows: followed.rows, left: followed.left })
        })
        .await
    }

    async fn compare(&self, leg: Leg) -> Result<Vec<TableCompared>, Trouble> {
        let compared = self.run_aside(leg, |mover| Ok(mover.verify()?)).await?;
        let table = |one: mover::ComparedTable| TableCompared {
            table: one.table,
            rows: one.rows,
            equal: one.is_equal,
        };
        Ok(compared.tables.into_iter().map(table).collect())
    }

    async fn approach(&self, leg: Leg, wish: &Switch) -> Result<(), Trouble> {
        let wish = wished(wish);
        self.run(leg, move |mover| Ok(mover.approach(&wish)?)).await
    }

    async fn switch(&self, leg: Leg, wish: &Switch) -> Result<Switched, Trouble> {
        let wish = wished(wish);
        self.run(leg, move |mover| {
            let switched = mover.switch(&wish)?;
            let pause = Pause {
                near_us: micros(switched.neared),
                lock_us: micros(switched.waited),
                follow_us: micros(switched.caught_up),
                commit_us: micros(switched.committed),
                ..Pause::default()
            };
            Ok(Switched { pause, lag_rows: switched.rows })
        })
        .await
    }

    async fn flip(&self, leg: Leg, _wish: &Switch) -> Result<(), Trouble> {
        self.run(leg, |mover| Ok(mover.flip().map(drop)?)).await
    }

    async fn standing(&self) -> (Option<(u64, String)>, Option<(u64, String)>) {
        let one = |place: Location| async move {
            let read = spawn_blocking(move || store::standing(&place)).await;
            read.ok().and_then(Result::ok).map(row)
        };
        let sides = self.there.sides();
        tokio::join!(one(sides.source.clone()), one(sides.target.clone()))
    }

    async fn withdraw(&self, epoch: u64) -> Result<(), Trouble> {
        self.run(Leg::There, move |mover| {
            leads(mover, epoch)?;
            let removed = mover.remove()?;
            // Without the capture no switch comes about any more; one that was quicker is in the row.
            leads(mover, epoch)?;
            let source = removed.away.iter().any(|away| away.starts_with("source"));
            if source { Err(Trouble::Failed(removed.away.join("; "))) } else { Ok(()) }
        })
        .await
    }

    async fn remove(&self) -> Result<Vec<String>, Trouble> {
        self.run(Leg::There, |mover| Ok(mover.remove()?.away)).await
    }
}
