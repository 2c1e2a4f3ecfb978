//! The switchable binding: where a module is can change while it is being called.

use std::{sync::Arc, time::Duration};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::{sync::watch, time::Instant};

use crate::{
    Binding, Context, Contract, Deadline, Doubt, Fault, GateLimits, Kind, Lent, Method,
    NotExecuted, Outcome, Reason, gate::Gate,
};

/// The pauses between two questions to a module that says `Moved` while nobody knows where it went. The first is about
/// as long as a switch takes to be told; the longest keeps a thousand callers from being a load.
const PAUSE_FIRST: Duration = Duration::from_millis(10);
const PAUSE_LONGEST: Duration = Duration::from_millis(200);

/// Where a module is now, and the gate before it. One per module and process.
///
/// A closed gate holds commands, bounded in count and time; queries go on to the target, for the switch of a module
/// pauses only its writes.
///
/// A call that meets the module in the middle of a move is asked again where the module has gone, with the same key
/// and within its deadline: what was `Moved`, what a target that is no longer in force could not do, and what such a
/// target left unanswered.
///
/// While the module is elsewhere, a copy of it may be [`Lent`] to this process.
pub struct Switch<C: ?Sized> {
    target: ArcSwap<InForce<C>>,
    /// Looked at by queries that may be answered from a copy, and by no others.
    copy: ArcSwapOption<Lent<C>>,
    /// The generation of the target in force: rises with every swap and every new address.
    changed: watch::Sender<u64>,
    gate: Gate,
    doubt: Doubt,
}

/// A way to a module. Clones are cheap.
pub struct Target<C: ?Sized> {
    service: Arc<C>,
    place: Place,
}

/// Is a target in this process?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In this process.
    Here,
    /// Behind a wire.
    Elsewhere,
}

struct InForce<C: ?Sized> {
    epoch: u64,
    generation: u64,
    target: Target<C>,
}

/// An epoch that is not the one that would fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("epoch {offered} does not fit: epoch {current} is in force")]
pub struct StaleEpoch {
    /// The epoch that was offered.
    pub offered: u64,
    /// The epoch in force.
    pub current: u64,
}

impl<C: ?Sized> Target<C> {
    /// The module itself, in this process.
    pub fn here(service: Arc<C>) -> Self {
        Self { service, place: Place::Here }
    }

    /// A way to the module in another process.
    pub fn elsewhere(service: Arc<C>) -> Self {
        Self { service, place: Place::Elsewhere }
    }
}

impl<C: ?Sized> Clone for Target<C> {
    fn clone(&self) -> Self {
        Self { service: Arc::clone(&self.service), place: self.place }
    }
}

impl<C: Contract + ?Sized> Switch<C> {
    /// The module is at `target` since `epoch`; the gate is open.
    pub fn new(epoch: u64, target: Target<C>) -> Arc<Self> {
        Self::with(epoch, target, GateLimits::default(), Doubt::default())
    }

    /// The same with these limits. Who is told `Moved` raises the doubt.
    pub fn with(epoch: u64, target: Target<C>, limits: GateLimits, doubt: Doubt) -> Arc<Self> {
        Arc::new(Self {
            target: ArcSwap::from_pointee(InForce { epoch, generation: 0, target }),
            copy: ArcSwapOption::empty(),
            changed: watch::Sender::new(0),
            gate: Gate::new(limits),
            doubt,
        })
    }

    /// The epoch in force.
    pub fn epoch(&self) -> u64 {
        self.target.load().epoch
    }

    /// Where calls go now.
    pub fn place(&self) -> Place {
        self.target.load().target.place
    }

    /// Is the gate open?
    pub fn is_open(&self) -> bool {
        self.gate.is_open()
    }

    /// Holds commands from now on. Those under way go on: wait for [`Self::drained`].
    pub fn close(&self) {
        self.gate.close();
    }

    /// Lets commands through again, to the target in force.
    pub fn open(&self) {
        self.gate.open();
    }

    /// Holds commands in the name of `by` for so long: then the gate opens by itself. Again with the same name prolongs
    /// it; false, and nothing done, while another one holds.
    pub fn hold(&self, by: &str, time: Duration) -> bool {
        self.gate.hold(by, time)
    }

    /// Opens the gate if it is `by` who holds it; false otherwise.
    pub fn release(&self, by: &str) -> bool {
        self.gate.release(by)
    }

    /// Sends calls to `target` from now on and opens the gate: the module has another owner since `epoch`, a later one.
    /// Calls under way end where they began.
    pub fn swap(&self, epoch: u64, target: Target<C>) -> Result<(), StaleEpoch> {
        self.replace(epoch, target, |current| current < epoch)?;
        self.gate.open();
        Ok(())
    }

    /// Sends calls to `target` from now on: the same owner as before, reached another way. The gate stays as it is.
    pub fn readdress(&self, epoch: u64, target: Target<C>) -> Result<(), StaleEpoch> {
        self.replace(epoch, target, |current| current == epoch)
    }

    fn replace(
        &self,
        epoch: u64,
        target: Target<C>,
        fits: impl Fn(u64) -> bool,
    ) -> Result<(), StaleEpoch> {
        let before = self.target.rcu(|current| {
            if !fits(current.epoch) {
                return Arc::clone(current);
            }
            let generation = current.generation + 1;
            Arc::new(InForce { epoch, generation, target: target.clone() })
        });
        if !fits(before.epoch) {
            return Err(StaleEpoch { offered: epoch, current: before.epoch });
        }
        // Of two at once the later may be the first to say so.
        let generation = before.generation + 1;
        self.changed.send_modify(|told| *told = generation.max(*told));
        Ok(())
    }

    /// Queries that say so are answered from this copy from now on, for as long as it stands and the module is elsewhere; what
    /// the copy cannot answer, its owner is asked.
    pub fn lend(&self, copy: &Arc<Lent<C>>) {
        self.copy.store(Some(Arc::clone(copy)));
    }

    /// Commands under way.
    pub fn in_flight(&self) -> usize {
        self.gate.in_flight()
    }

    /// Commands that the gate holds.
    pub fn parked(&self) -> usize {
        self.gate.parked()
    }

    /// How long each of them has been held.
    pub fn waits(&self) -> Vec<Duration> {
        self.gate.waits()
    }

    /// In whose name the gate is held, if it is.
    pub fn holder(&self) -> Option<Arc<str>> {
        self.gate.is_open();
        self.gate.holder()
    }

    /// Comes back when no command is under way. With the gate closed, none will be.
    pub async fn drained(&self) {
        self.gate.drained().await;
    }

    /// Asks until there is an outcome that a move has no part in.
    async fn ask<M: Method<C>>(&self, asked: &Asked<'_, C, M>) -> Outcome<C, M> {
        let deadline = asked.context.call().deadline;
        let mut course = Course::new(deadline, self.gate.limits.moved_max);
        loop {
            let (answer, target) = match self.once(asked).await {
                Ok(done) => done,
                Err(closed) => return Err(course.settled(M::Context::KIND, closed.into())),
            };
            let fault = match answer {
                Ok(answer) => return Ok(answer),
                Err(fault) => fault,
            };
            course.unanswered |= matches!(fault, Fault::Unknown(_));
            if !self.may_ask_again(&fault, (&target, asked.origin), &mut course).await {
                return Err(course.settled(M::Context::KIND, fault));
            }
            tracing::debug!(module = C::MODULE, method = M::NAME, "asks where the module has gone");
        }
    }

    /// One question to the target in force.
    async fn once<M: Method<C>>(
        &self,
        asked: &Asked<'_, C, M>,
    ) -> Result<(Outcome<C, M>, Arc<InForce<C>>), NotExecuted> {
        // Counted until the answer is there, not while it waits to be asked again.
        let _entered = match M::Context::KIND {
            Kind::Command => Some(self.gate.enter(asked.context.call().deadline).await?),
            Kind::Query => None,
        };
        let target = self.target.load_full();
        if asked.context.call().from_copy
            && let Some(answer) = self.copied(asked, target.target.place).await
        {
            return Ok((answer, target));
        }
        let context = match (target.target.place, asked.origin) {
            (Place::Here, _) | (Place::Elsewhere, Origin::Process) => None,
            (Place::Elsewhere, Origin::Wire) if asked.context.call().forwarded => {
                let detail = "forwarded to a process that does not have the module";
                return Ok((Err(Fault::not_executed(Reason::Moved, detail)), target));
            }
            (Place::Elsewhere, Origin::Wire) => forwarded(asked.context),
        };
        let context = context.as_ref().unwrap_or(asked.context);
        let answer = M::call(&target.target.service, context, asked.argument.clone()).await;
        Ok((answer, target))
    }

    /// What the copy says, where one stands; nothing where its owner is to be asked.
    async fn copied<M: Method<C>>(
        &self,
        asked: &Asked<'_, C, M>,
        place: Place,
    ) -> Option<Outcome<C, M>> {
        if (M::Context::KIND, place) != (Kind::Query, Place::Elsewhere) {
            return None;
        }
        let copy = self.copy.load_full()?;
        copy.answer::<M>(asked.context, asked.argument.clone()).await
    }

    /// Waits, where that makes sense, until another question may end differently.
    async fn may_ask_again<R>(
        &self,
        fault: &Fault<R>,
        (target, origin): (&InForce<C>, Origin),
        course: &mut Course,
    ) -> bool {
        let moved = match fault {
            Fault::Refused(_) => return false,
            Fault::NotExecuted(fault) if !fault.reason.is_passing() => return false,
            Fault::NotExecuted(fault) => fault.reason == Reason::Moved,
            Fault::Unknown(_) => false,
        };
        let mut changed = self.changed.subscribe();
        if *changed.borrow_and_update() > target.generation {
            return Instant::now() < course.until;
        }
        if !moved {
            return false;
        }
        self.doubt.raise();
        if (target.target.place, origin) == (Place::Elsewhere, Origin::Wire) {
            // Whoever sent it here asks again, and perhaps elsewhere.
            return false;
        }
        let pause = course.pause();
        let until = Instant::now() + pause;
        if until >= course.until {
            return false;
        }
        // Nothing changes: then the module's new owner may not have heard of its luck yet.
        drop(tokio::time::timeout_at(until, changed.changed()).await);
        true
    }
}

/// One call on its way through a switch.
struct Asked<'a, C: ?Sized, M: Method<C>> {
    context: &'a M::Context,
    argument: M::Argument,
    origin: Origin,
}

/// Where a call comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// A caller in this process.
    Process,
    /// Another process, which took this one for the owner.
    Wire,
}

/// The same call, marked as one that goes on over a second wire.
fn forwarded<X: Context>(context: &X) -> Option<X> {
    let call = crate::Call { forwarded: true, ..context.call().clone() };
    X::from_parts(call, context.key().cloned())
}

/// What became of the questions so far.
struct Course {
    /// Nobody is asked again after this.
    until: Instant,
    pause: Duration,
    /// May a question have had its effect?
    unanswered: bool,
}

impl Course {
    fn new(deadline: Deadline, moved_max: Duration) -> Self {
        let until = deadline.instant().min((Instant::now() + moved_max).into_std()).into();
        Self { until, pause: PAUSE_FIRST, unanswered: false }
    }

    fn pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(PAUSE_LONGEST);
        pause
    }

    /// A command of which one question went unanswered may have had its effect, whatever became of the later ones.
    fn settled<R>(&self, kind: Kind, last: Fault<R>) -> Fault<R> {
        match (kind, last) {
            (Kind::Command, Fault::NotExecuted(last)) if self.unanswered => {
                Fault::unknown(format!("asked before a move and not answered; after it: {last}"))
            }
            (Kind::Command | Kind::Query, last) => last,
        }
    }
}

/// The contract of a module wherever it is. Whoever holds it never learns of a switch.
pub fn switchable<C: Contract + ?Sized>(switch: &Arc<Switch<C>>) -> Arc<C> {
    C::bind(Switchable { switch: Arc::clone(switch), origin: Origin::Process })
}

/// The same for calls that come from other processes: where the module is elsewhere by now they are forwarded, once.
/// Two processes that take each other for the owner tell the caller `Moved`, and it asks again.
pub fn forwarding<C: Contract + ?Sized>(switch: &Arc<Switch<C>>) -> Arc<C> {
    C::bind(Switchable { switch: Arc::clone(switch), origin: Origin::Wire })
}

struct Switchable<C: ?Sized> {
    switch: Arc<Switch<C>>,
    origin: Origin,
}

impl<C: Contract + ?Sized> Binding<C> for Switchable<C> {
    async fn carry<M: Method<C>>(
        &self,
        context: &M::Context,
        argument: M::Argument,
    ) -> Outcome<C, M> {
        let asked = Asked { context, argument, origin: self.origin };
        self.switch.ask::<M>(&asked).await
    }
}
