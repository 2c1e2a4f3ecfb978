//! A copy that is lent to a process: it answers the queries that say so, while it stands, and nothing else.

use std::{sync::Arc, time::Duration};

use contract::{
    Binding, Call, Contract, Fault, Lent, Method, Outcome, Reason, Switch, Target, forwarding,
    switchable,
};

use crate::depot::{Depot, Service, StockError, call, command, take};

const LONG: Duration = Duration::from_secs(60);

/// The owner elsewhere, a copy that has sold nothing, and how the module is called here.
struct World {
    owner: Arc<Service>,
    copied: Arc<Service>,
    lent: Arc<Lent<dyn Depot>>,
    switch: Arc<Switch<dyn Depot>>,
    depot: Arc<dyn Depot>,
}

impl World {
    fn new() -> Self {
        let (owner, copied) = (Service::new(), Service::new());
        let switch = Switch::new(1, Target::elsewhere(Arc::clone(&owner) as Arc<dyn Depot>));
        let lent = Lent::new(Arc::clone(&copied) as Arc<dyn Depot>);
        switch.lend(&lent);
        let depot = switchable(&switch);
        Self { owner, copied, lent, switch, depot }
    }

    /// What a query that may be answered by the copy says.
    async fn stock(&self) -> u32 {
        self.depot.stock(&from_copy(), "TEAPOT".to_owned()).await.unwrap()
    }
}

fn from_copy() -> Call {
    Call { from_copy: true, ..call() }
}

#[tokio::test]
async fn only_queries_that_say_so_are_answered_by_a_copy_and_only_while_it_stands() {
    let world = World::new();
    world.depot.take(&from_copy().command("k".parse().unwrap()), take(7)).await.unwrap();
    assert_eq!((world.owner.left("TEAPOT"), world.copied.left("TEAPOT")), (93, 100));
    assert_eq!(world.stock().await, 93, "not lent yet");
    assert!(world.lent.prolong(LONG));
    assert_eq!(world.stock().await, 100);
    let owners = world.depot.stock(&call(), "TEAPOT".to_owned()).await.unwrap();
    assert_eq!(owners, 93);
    // What its own rule says no to is an answer.
    let unlisted = world.depot.stock(&from_copy(), "CUP".to_owned()).await.unwrap_err();
    assert_eq!(unlisted, Fault::Refused(StockError::Unlisted { sku: "CUP".to_owned() }));
    assert_eq!(world.lent.answered(), 2);
    assert!(world.lent.prolong(Duration::ZERO));
    assert_eq!(world.stock().await, 93, "not prolonged");
    assert!(world.lent.prolong(LONG));
    world.lent.take_back();
    assert_eq!(world.stock().await, 93, "taken back");
    assert!(!world.lent.prolong(LONG), "for good");
    assert_eq!(world.lent.answered(), 2);
}

#[tokio::test]
async fn the_owner_answers_what_the_copy_cannot() {
    let world = World::new();
    world.lent.prolong(LONG);
    let reason = serde_json::to_value(Reason::Unavailable).unwrap().as_str().unwrap().to_owned();
    drop(world.depot.refuse(&from_copy(), reason).await);
    assert!(world.copied.arrived() > 0 && world.owner.arrived() > 0);
    assert_eq!(world.lent.answered(), 0);
}

#[tokio::test]
async fn an_owner_here_needs_no_copy() {
    let world = World::new();
    world.lent.prolong(LONG);
    world.switch.swap(2, Target::here(Arc::clone(&world.owner) as Arc<dyn Depot>)).unwrap();
    world.depot.take(&command("k"), take(7)).await.unwrap();
    assert_eq!((world.stock().await, world.lent.answered()), (93, 0));
}

/// Passes calls on, and says who may answer them.
struct Telling(Arc<std::sync::Mutex<Vec<bool>>>);

impl Binding<dyn Depot> for Telling {
    async fn carry<M: Method<dyn Depot>>(
        &self,
        context: &M::Context,
        _argument: M::Argument,
    ) -> Outcome<dyn Depot, M> {
        self.0.lock().unwrap().push(contract::Context::call(context).from_copy);
        Err(Fault::not_executed(Reason::Failed, "only looked at"))
    }
}

#[tokio::test]
async fn whoever_is_asked_further_on_is_asked_where_it_is() {
    let seen = Arc::<std::sync::Mutex<Vec<bool>>>::default();
    let copied = <dyn Depot>::bind(Telling(Arc::clone(&seen)));
    let owner = Service::new();
    let switch = Switch::new(1, Target::elsewhere(Arc::clone(&owner) as Arc<dyn Depot>));
    let lent = Lent::new(copied);
    lent.prolong(LONG);
    switch.lend(&lent);
    let stock = switchable(&switch).stock(&from_copy(), "TEAPOT".to_owned()).await;
    assert_eq!((stock.unwrap(), seen.lock().unwrap().clone()), (100, vec![false]));
    // What comes over a wire never says so: the wire has no word for it.
    assert!(!from_copy().on_behalf_of(call().caller).from_copy);
    drop(forwarding(&switch).stock(&call(), "TEAPOT".to_owned()).await);
    assert_eq!(seen.lock().unwrap().len(), 1);
}

/// A read that overlaps with the moment when the data is taken back counts for nothing.
#[tokio::test]
async fn what_was_under_way_when_the_copy_was_taken_back_is_asked_of_the_owner() {
    struct TakesBack(Arc<Service>, std::sync::OnceLock<Arc<Lent<dyn Depot>>>);
    struct Binds(Arc<TakesBack>);
    impl Binding<dyn Depot> for Binds {
        async fn carry<M: Method<dyn Depot>>(
            &self,
            context: &M::Context,
            argument: M::Argument,
        ) -> Outcome<dyn Depot, M> {
            let answer = M::call(&*self.0.0, context, argument).await;
            self.0.1.get().unwrap().take_back();
            answer
        }
    }
    let world = World::new();
    world.depot.take(&command("k"), take(7)).await.unwrap();
    let takes = Arc::new(TakesBack(Arc::clone(&world.copied), std::sync::OnceLock::new()));
    let lent = Lent::new(<dyn Depot>::bind(Binds(Arc::clone(&takes))));
    assert!(takes.1.set(Arc::clone(&lent)).is_ok());
    lent.prolong(LONG);
    world.switch.lend(&lent);
    assert_eq!((world.stock().await, lent.answered()), (93, 0));
}
