//! One try of one step of one kind of saga, with the types of its definition hidden.

use std::{panic::AssertUnwindSafe, sync::Arc};

use ::store::Tx;
use async_trait::async_trait;
use contract::{Call, Caller, Deadline, Unknown};
use futures_util::FutureExt;
use kernel_api::Timestamp;

use crate::{
    Acted, ApplyError, Definition, Limits, SagaId, Status, Transition, Turn,
    decision::{Decision, Standing, decide},
    store::SagaRow,
};

/// Writes a step's effects in the transaction that records it.
pub(crate) type Effects = Box<dyn FnMut(&mut Tx<'_>) -> Result<(), ApplyError> + Send>;

/// Where a saga goes, ready to be written.
pub(crate) struct Written {
    pub status: Status,
    pub version: u32,
    pub state: String,
    pub step: String,
    pub attempts: u32,
    pub in_doubt: bool,
    pub reason: Option<String>,
    /// Nothing where nothing becomes true.
    pub effects: Option<Effects>,
}

/// A saga that this process cannot go on with.
pub(crate) enum Unreadable {
    /// A newer process will know it.
    Newer(String),
    /// Nobody will.
    Broken(String),
}

/// A [`Definition`] with its types hidden, for [`Runner::new`](crate::Runner::new); made by [`definition`].
#[derive(Clone)]
pub struct AnyDefinition(pub(crate) Arc<dyn Drive>);

/// What the runner needs of a definition.
#[async_trait]
pub(crate) trait Drive: Send + Sync {
    fn kind(&self) -> &'static str;

    /// Makes the step's call and decides where it leads.
    async fn step(
        &self,
        module: &str,
        row: &SagaRow,
        limits: &Limits,
    ) -> Result<Written, Unreadable>;

    /// The way back, by an operator's order; nothing where there is none.
    fn compensation(&self, row: &SagaRow) -> Result<Option<Written>, Unreadable>;
}

/// Hides the types of a definition.
pub fn definition<D: Definition>(definition: D) -> AnyDefinition {
    AnyDefinition(Arc::new(Driver(Arc::new(definition))))
}

struct Driver<D>(Arc<D>);

#[async_trait]
impl<D: Definition> Drive for Driver<D> {
    fn kind(&self) -> &'static str {
        D::KIND
    }

    async fn step(
        &self,
        module: &str,
        row: &SagaRow,
        limits: &Limits,
    ) -> Result<Written, Unreadable> {
        let (id, state) = read::<D>(row)?;
        let key = format!("{id}:{}", row.step);
        let key = key.parse().map_err(|error| Unreadable::Broken(format!("its step: {error}")))?;
        let call = Call::new(Caller::module(module), Deadline::within(limits.step_timeout));
        let turn = Turn { saga: id, attempts: row.attempts(), call, key };
        let acted = self.act(&turn, &state, limits).await;
        let standing = Standing { attempts: row.attempts(), in_doubt: row.in_doubt };
        let decision = decide::<D>(&state, acted, standing, limits);
        self.written(id, state, decision)
    }

    fn compensation(&self, row: &SagaRow) -> Result<Option<Written>, Unreadable> {
        let (id, state) = read::<D>(row)?;
        let Some(back) = D::compensation(&state) else { return Ok(None) };
        let transition = Transition::Go(back);
        self.written(id, state, Decision { transition, attempts: 0, in_doubt: false }).map(Some)
    }
}

impl<D: Definition> Driver<D> {
    /// Acts, within the step's time. No answer in time and a panic are the same to us as an answer that was lost.
    async fn act(&self, turn: &Turn, state: &D::State, limits: &Limits) -> Acted<D::Outcome> {
        let acting = AssertUnwindSafe(self.0.act(turn, state)).catch_unwind();
        let detail = match tokio::time::timeout(limits.step_timeout, acting).await {
            Ok(Ok(acted)) => return acted,
            Ok(Err(_panic)) => "the step panicked, see the log".to_owned(),
            Err(_late) => format!("no answer within {:?}", limits.step_timeout),
        };
        Acted::Unknown(Unknown { detail })
    }

    fn written(
        &self,
        id: SagaId,
        from: D::State,
        decision: Decision<D::State>,
    ) -> Result<Written, Unreadable> {
        let Decision { transition, attempts, in_doubt } = decision;
        let (status, to, reason) = match &transition {
            Transition::Go(state) => (Status::Running, state, None),
            Transition::Done(state) => (Status::Done, state, None),
            Transition::Compensated(state) => (Status::Compensated, state, None),
            Transition::Again { reason } => (Status::Running, &from, Some(reason.clone())),
            Transition::Stuck { reason } => (Status::Stuck, &from, Some(reason.clone())),
        };
        let state = serde_json::to_string(to)
            .map_err(|error| Unreadable::Broken(format!("its state cannot be written: {error}")))?;
        let step = D::step(to).into_owned();
        let again = matches!(transition, Transition::Again { .. });
        let definition = Arc::clone(&self.0);
        let effects: Option<Effects> = (!again).then(|| {
            Box::new(move |tx: &mut Tx<'_>| definition.apply(tx, id, &from, &transition)) as Effects
        });
        let version = D::VERSION;
        Ok(Written { status, version, state, step, attempts, in_doubt, reason, effects })
    }
}

fn read<D: Definition>(row: &SagaRow) -> Result<(SagaId, D::State), Unreadable> {
    let id = row.id.parse().map_err(|error| Unreadable::Broken(format!("its id: {error}")))?;
    let version = u32::try_from(row.version).unwrap_or(u32::MAX);
    if version > D::VERSION {
        return Err(Unreadable::Newer(format!(
            "{} {version} is newer than this process, which knows version {}",
            D::KIND,
            D::VERSION
        )));
    }
    let state = if version == D::VERSION {
        serde_json::from_str(&row.state).map_err(|error| error.to_string())
    } else {
        serde_json::from_str(&row.state)
            .map_err(|error| error.to_string())
            .and_then(|state| D::upgrade(version, state))
    };
    let state =
        state.map_err(|error| Unreadable::Broken(format!("its state cannot be read: {error}")))?;
    Ok((id, state))
}

/// The row of a saga that begins.
pub(crate) fn begin<D: Definition>(
    id: SagaId,
    state: &D::State,
    owner: &str,
    (now, until): (Timestamp, Timestamp),
) -> Result<SagaRow, serde_json::Error> {
    Ok(SagaRow {
        id: id.to_string(),
        kind: D::KIND.to_owned(),
        version: i64::from(D::VERSION),
        state: serde_json::to_string(state)?,
        step: D::step(state).into_owned(),
        status: Status::Running.as_str().to_owned(),
        revision: crate::store::STARTED,
        attempts: 0,
        in_doubt: false,
        next_try_at: now.micros(),
        lease_owner: owner.to_owned(),
        lease_until_at: until.micros(),
        last_error: None,
        created_at: now.micros(),
        updated_at: now.micros(),
    })
}
