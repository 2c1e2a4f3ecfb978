//! The same promises over every binding: whoever holds a contract need not know how it is carried.

use std::{pin::Pin, sync::Arc, time::Duration};

use contract::{
    Answer, Binding, Call, Caller, Contract, Deadline, Doubt, Edge, Fault, GateLimits, Method,
    Outcome, Reason, Rehearsal, RemoteLimits, Switch, Target,
};

use crate::{
    depot::{
        Depot, Seen, Service, StockError, TakeError, Taken, call, command, eventually, reason, take,
    },
    server::Server,
};

/// A depot as one binding carries it.
struct World {
    service: Arc<Service>,
    depot: Arc<dyn Depot>,
    /// The same depot over a way on which every answer is lost after the deed.
    lossy: Arc<dyn Depot>,
    _servers: Vec<Server>,
}

type Check = fn(&World) -> Pin<Box<dyn Future<Output = ()> + '_>>;

/// Every binding keeps all of these.
const CHECKS: &[(&str, Check)] = &[
    ("an answer comes back", |w| Box::pin(an_answer_comes_back(w))),
    ("an empty answer comes back", |w| Box::pin(an_empty_answer_comes_back(w))),
    ("a refusal keeps its type", |w| Box::pin(a_refusal_keeps_its_type(w))),
    ("every reason comes back", |w| Box::pin(every_reason_comes_back(w))),
    ("nothing is done after the deadline", |w| Box::pin(nothing_is_done_after_the_deadline(w))),
    ("caller, trace and key arrive", |w| Box::pin(caller_trace_and_key_arrive(w))),
    ("the same key has one effect", |w| Box::pin(the_same_key_has_one_effect(w))),
    ("the same key at once has one effect", |w| Box::pin(the_same_key_at_once(w))),
    ("another caller's key is another key", |w| Box::pin(another_callers_key(w))),
    ("a key is not used twice", |w| Box::pin(a_key_is_not_used_twice(w))),
    ("a lost answer is unknown", |w| Box::pin(a_lost_answer_is_unknown(w))),
    ("calls do not wait for each other", |w| Box::pin(calls_do_not_wait(w))),
];

async fn an_answer_comes_back(world: &World) {
    assert_eq!(world.depot.stock(&call(), "TEAPOT".to_owned()).await, Ok(100));
}

async fn an_empty_answer_comes_back(world: &World) {
    assert_eq!(world.depot.nothing(&call(), ()).await, Ok(()));
}

async fn a_refusal_keeps_its_type(world: &World) {
    let unlisted = world.depot.stock(&call(), "GHOST".to_owned()).await;
    assert_eq!(unlisted, Err(Fault::Refused(StockError::Unlisted { sku: "GHOST".to_owned() })));
    let short = world.depot.take(&command("short"), take(1000)).await;
    assert!(matches!(short, Err(Fault::Refused(TakeError::Short { .. }))), "{short:?}");
}

async fn every_reason_comes_back(world: &World) {
    for reason in [
        Reason::DeadlinePassed,
        Reason::Overloaded,
        Reason::Unavailable,
        Reason::BreakerOpen,
        Reason::GateClosed,
        Reason::Moved,
        Reason::Incompatible,
        Reason::KeyReused,
        Reason::Forbidden,
        Reason::Malformed,
        Reason::Failed,
    ] {
        let name = serde_json::to_value(reason).unwrap().as_str().unwrap().to_owned();
        let Err(Fault::NotExecuted(fault)) = world.depot.refuse(&call(), name).await else {
            panic!("{reason} was to come back");
        };
        assert_eq!((fault.reason, fault.detail.as_str()), (reason, "as told"));
        assert_eq!(fault.retry_after, Some(Duration::from_millis(7)));
    }
}

async fn nothing_is_done_after_the_deadline(world: &World) {
    let before = world.service.arrived();
    let late = Call::new(Caller::module("shop"), Deadline::within(Duration::ZERO));
    let answer = world.depot.take(&late.command("late".parse().unwrap()), take(1)).await;
    assert_eq!(reason(answer), Reason::DeadlinePassed);
    assert_eq!(world.service.arrived(), before);
}

async fn caller_trace_and_key_arrive(world: &World) {
    for caller in ["module:shop", "operator", "guest:4fe1"] {
        let call = call().on_behalf_of(caller.parse().unwrap());
        let command = call.command("step/7".parse().unwrap());
        let seen = world.depot.sign(&command, "ünïcödé \"quoted\"\n".to_owned()).await;
        let expected = Seen {
            caller: caller.to_owned(),
            trace: call.trace.trace_id(),
            key: "step/7".to_owned(),
            note: "ünïcödé \"quoted\"\n".to_owned(),
        };
        assert_eq!(seen, Ok(expected));
    }
}

async fn the_same_key_has_one_effect(world: &World) {
    let before = world.service.left("TEAPOT");
    for _ in 0..3 {
        let taken = world.depot.take(&command("same"), take(2)).await;
        assert_eq!(taken, Ok(Taken { left: before - 2 }));
    }
    assert_eq!(world.service.left("TEAPOT"), before - 2);
}

async fn the_same_key_at_once(world: &World) {
    let before = world.service.left("TEAPOT");
    let command = command("at-once");
    let one = || world.depot.take(&command, take(1));
    let (a, b, c) = tokio::join!(one(), one(), one());
    assert_eq!((&a, &b, &c), (&Ok(Taken { left: before - 1 }), &a, &a));
    assert_eq!(world.service.left("TEAPOT"), before - 1);
}

async fn another_callers_key(world: &World) {
    let before = world.service.left("TEAPOT");
    for caller in ["guest:a", "guest:b"] {
        let call = call().on_behalf_of(caller.parse().unwrap());
        assert!(world.depot.take(&call.command("mine".parse().unwrap()), take(1)).await.is_ok());
    }
    assert_eq!(world.service.left("TEAPOT"), before - 2);
}

async fn a_key_is_not_used_twice(world: &World) {
    assert!(world.depot.take(&command("once"), take(1)).await.is_ok());
    let again = world.depot.take(&command("once"), take(3)).await;
    assert_eq!(reason(again), Reason::KeyReused);
}

async fn a_lost_answer_is_unknown(world: &World) {
    let before = world.service.left("TEAPOT");
    let lost = world.lossy.take(&command("lost"), take(5)).await;
    assert!(matches!(lost, Err(Fault::Unknown(_))), "{lost:?}");
    assert_eq!(world.service.left("TEAPOT"), before - 5, "it was done all the same");
    let again = world.depot.take(&command("lost"), take(5)).await;
    assert_eq!(again, Ok(Taken { left: before - 5 }), "asked again, it gives the first answer");
    assert_eq!(world.service.left("TEAPOT"), before - 5);
}

async fn calls_do_not_wait(world: &World) {
    let before = world.service.arrived();
    let waiting: Vec<_> = (0..8)
        .map(|number| {
            let depot = Arc::clone(&world.depot);
            tokio::spawn(async move { depot.wait(&command(&format!("w{number}")), ()).await })
        })
        .collect();
    eventually("all have arrived", || world.service.arrived() == before + 8).await;
    world.service.go.add_permits(8);
    for one in waiting {
        assert_eq!(one.await.unwrap(), Ok(()));
    }
}

/// A service whose every answer is lost after the deed, as a store's is when the connection dies at the commit.
struct Losing(Arc<dyn Depot>);

impl Binding<dyn Depot> for Losing {
    async fn carry<M: Method<dyn Depot>>(
        &self,
        context: &M::Context,
        argument: M::Argument,
    ) -> Outcome<dyn Depot, M> {
        let done: Answer<_, _> = M::call(&*self.0, context, argument).await;
        drop(done);
        Err(Fault::unknown("lost"))
    }
}

async fn conforms(binding: &str, world: World) {
    for (name, check) in CHECKS {
        println!("{binding}: {name}");
        check(&world).await;
    }
}

fn local(service: Arc<dyn Depot>) -> Arc<dyn Depot> {
    contract::local::<dyn Depot>(service, Edge::unseen())
}

fn losing(service: &Arc<Service>) -> Arc<dyn Depot> {
    <dyn Depot>::bind(Losing(Arc::clone(service) as _))
}

/// Quick to give up, so that the suite is quick; and each try is visible.
fn limits() -> RemoteLimits {
    RemoteLimits { tries_max: 1, ..RemoteLimits::default() }
}

async fn remote_world() -> World {
    let service = Service::new();
    let server = Server::start::<dyn Depot>(Arc::clone(&service) as _).await;
    let deaf = Server::start::<dyn Depot>(Arc::clone(&service) as _).await;
    deaf.manners.hang_up_after.store(usize::MAX, std::sync::atomic::Ordering::SeqCst);
    World {
        service,
        depot: contract::remote::<dyn Depot>(server.remote().limits(limits())),
        lossy: contract::remote::<dyn Depot>(deaf.remote().limits(limits())),
        _servers: vec![server, deaf],
    }
}

#[tokio::test]
async fn local_conforms() {
    let service = Service::new();
    let (depot, lossy) = (local(Arc::clone(&service) as _), local(losing(&service)));
    conforms("local", World { service, depot, lossy, _servers: Vec::new() }).await;
}

#[tokio::test]
async fn rehearsal_conforms() {
    let service = Service::new();
    let latency = (Duration::from_micros(100), Duration::from_millis(2));
    // No duplicates: some checks count arrivals.
    let calm = Rehearsal { latency, ..Rehearsal::default() };
    let lossy = Rehearsal { loss_after_percent: 100, ..calm.clone() };
    let depot = contract::rehearsal::<dyn Depot>(Arc::clone(&service) as _, calm);
    let lossy = contract::rehearsal::<dyn Depot>(Arc::clone(&service) as _, lossy);
    conforms("rehearsal", World { service, depot, lossy, _servers: Vec::new() }).await;
}

#[tokio::test]
async fn remote_conforms() {
    conforms("remote", remote_world().await).await;
}

/// Quick to tell that a module has moved and nobody says where.
fn switch(epoch: u64, target: Target<dyn Depot>) -> Arc<Switch<dyn Depot>> {
    let limits = GateLimits { moved_max: Duration::from_millis(50), ..GateLimits::default() };
    Switch::with(epoch, target, limits, Doubt::default())
}

#[tokio::test]
async fn switchable_conforms() {
    let service = Service::new();
    let switch = |target| contract::switchable(&switch(1, Target::here(target)));
    let (depot, lossy) =
        (switch(local(Arc::clone(&service) as _)), switch(local(losing(&service))));
    conforms("switchable", World { service, depot, lossy, _servers: Vec::new() }).await;
}

#[tokio::test]
async fn switched_to_remote_conforms() {
    let remote = remote_world().await;
    let switch = |target: &Arc<dyn Depot>| {
        let switch = switch(1, Target::here(local(Service::new() as _)));
        let depot = contract::switchable(&switch);
        switch.close();
        switch.swap(2, Target::elsewhere(Arc::clone(target))).unwrap();
        depot
    };
    let (depot, lossy) = (switch(&remote.depot), switch(&remote.lossy));
    conforms("switched to remote", World { depot, lossy, ..remote }).await;
}
