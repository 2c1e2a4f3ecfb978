//! A module that moves while it is called: whoever calls learns of it by waiting a little, and by nothing else.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use contract::{
    Binding, Contract, Doubt, Fault, GateLimits, Method, Outcome, Place, Reason, Switch, Target,
};

use crate::{
    depot::{Depot, Service, Taken, call, command, eventually, reason, take},
    server::Server,
};

/// A process's own door to the module's data: closed while another deployment owns the module.
struct Door {
    service: Arc<Service>,
    deployment: u64,
    owner: Arc<AtomicU64>,
}

impl Binding<dyn Depot> for Door {
    async fn carry<M: Method<dyn Depot>>(
        &self,
        context: &M::Context,
        argument: M::Argument,
    ) -> Outcome<dyn Depot, M> {
        if self.owner.load(Ordering::SeqCst) != self.deployment {
            return Err(Fault::not_executed(Reason::Moved, "another deployment owns it"));
        }
        M::call(&*self.service, context, argument).await
    }
}

/// A module whose data two deployments can own, 0 and 1.
#[derive(Clone)]
struct Module {
    service: Arc<Service>,
    owner: Arc<AtomicU64>,
}

impl Module {
    fn new() -> Self {
        Self { service: Service::new(), owner: Arc::default() }
    }

    fn door(&self, deployment: u64) -> Arc<dyn Depot> {
        let (service, owner) = (Arc::clone(&self.service), Arc::clone(&self.owner));
        <dyn Depot>::bind(Door { service, deployment, owner })
    }

    fn to(&self, deployment: u64) {
        self.owner.store(deployment, Ordering::SeqCst);
    }
}

fn quick(moved_max: Duration) -> GateLimits {
    GateLimits { moved_max, ..GateLimits::default() }
}

#[tokio::test]
async fn what_has_moved_is_asked_again_where_it_is() {
    let module = Module::new();
    let doubt = Doubt::default();
    let target = Target::here(module.door(0));
    let switch = Switch::with(1, target, GateLimits::default(), doubt.clone());
    let depot = contract::switchable(&switch);
    module.to(1);
    let both = tokio::spawn(async move {
        let (call, command) = (call(), command("k"));
        let stock = depot.stock(&call, "TEAPOT".to_owned());
        let (stock, taken) = tokio::join!(stock, depot.take(&command, take(1)));
        (stock.is_ok(), taken)
    });
    // Whoever knows where it went is told to say so.
    doubt.raised().await;
    assert_eq!(switch.in_flight(), 0, "who waits for news is not under way");
    switch.swap(2, Target::here(module.door(1))).unwrap();
    assert_eq!(both.await.unwrap(), (true, Ok(Taken { left: 99 })));
}

#[tokio::test]
async fn who_never_hears_where_it_went_is_told() {
    let module = Module::new();
    module.to(1);
    let limits = quick(Duration::from_millis(40));
    let switch = Switch::with(1, Target::here(module.door(0)), limits, Doubt::default());
    let depot = contract::switchable(&switch);
    assert_eq!(reason(depot.take(&command("k"), take(1)).await), Reason::Moved);
    assert_eq!(module.service.arrived(), 0);
}

#[tokio::test]
async fn an_owner_that_has_not_heard_of_its_luck_is_asked_until_it_has() {
    let module = Module::new();
    let switch = Switch::new(2, Target::here(module.door(1)));
    let depot = contract::switchable(&switch);
    let asked = tokio::spawn(async move { depot.take(&command("k"), take(1)).await });
    tokio::task::yield_now().await;
    module.to(1);
    assert_eq!(asked.await.unwrap(), Ok(Taken { left: 99 }));
}

/// A way on which every answer is lost, once `tell` has been told.
struct Deaf {
    service: Arc<Service>,
    tell: Doubt,
    go_on: Doubt,
}

impl Binding<dyn Depot> for Deaf {
    async fn carry<M: Method<dyn Depot>>(
        &self,
        context: &M::Context,
        argument: M::Argument,
    ) -> Outcome<dyn Depot, M> {
        drop(M::call(&*self.service, context, argument).await);
        self.tell.raise();
        self.go_on.raised().await;
        Err(Fault::unknown("lost"))
    }
}

#[tokio::test]
async fn what_the_old_owner_left_unanswered_is_asked_of_the_new_one_by_its_key() {
    let service = Service::new();
    let (tell, go_on) = (Doubt::default(), Doubt::default());
    let deaf = Deaf { service: Arc::clone(&service), tell: tell.clone(), go_on: go_on.clone() };
    let switch = Switch::new(1, Target::here(<dyn Depot>::bind(deaf)));
    let depot = contract::switchable(&switch);
    let asked = tokio::spawn({
        let depot = Arc::clone(&depot);
        async move { depot.take(&command("k"), take(5)).await }
    });
    tell.raised().await;
    // The data has moved with the answer under its key.
    switch.swap(2, Target::here(Arc::clone(&service) as _)).unwrap();
    go_on.raise();
    assert_eq!(asked.await.unwrap(), Ok(Taken { left: 95 }));
    assert_eq!((service.left("TEAPOT"), service.arrived()), (95, 2));
}

#[tokio::test]
async fn doubt_stays_doubt_when_the_new_owner_cannot_be_asked() {
    let (tell, go_on) = (Doubt::default(), Doubt::default());
    let deaf = Deaf { service: Service::new(), tell: tell.clone(), go_on: go_on.clone() };
    let switch = Switch::new(1, Target::here(<dyn Depot>::bind(deaf)));
    let depot = contract::switchable(&switch);
    let asked = tokio::spawn(async move { depot.take(&command("k"), take(5)).await });
    tell.raised().await;
    let module = Module::new();
    module.to(7);
    switch.swap(2, Target::here(module.door(1))).unwrap();
    go_on.raise();
    let ended = asked.await.unwrap();
    assert!(matches!(ended, Err(Fault::Unknown(_))), "{ended:?}");
}

#[tokio::test]
async fn the_same_owner_can_be_reached_another_way() {
    let (before, after) = (Service::new(), Service::new());
    let switch = Switch::new(3, Target::elsewhere(Arc::clone(&before) as Arc<dyn Depot>));
    let depot = contract::switchable(&switch);
    for wrong in [2, 4] {
        assert!(switch.readdress(wrong, Target::here(Arc::clone(&after) as _)).is_err());
    }
    switch.close();
    switch.readdress(3, Target::here(Arc::clone(&after) as _)).unwrap();
    assert!(!switch.is_open(), "only a new owner opens the gate");
    assert_eq!((switch.epoch(), switch.place()), (3, Place::Here));
    assert_eq!(depot.stock(&call(), "TEAPOT".to_owned()).await, Ok(100));
    assert_eq!((before.arrived(), after.arrived()), (0, 1));
}

#[tokio::test]
async fn a_hold_ends_by_itself() {
    let service = Service::new();
    let switch = Switch::new(1, Target::here(Arc::clone(&service) as Arc<dyn Depot>));
    let depot = contract::switchable(&switch);
    assert!(switch.hold("a", Duration::from_millis(30)));
    assert!(!switch.hold("b", Duration::from_secs(60)), "one holds at a time");
    assert!(!switch.release("b"));
    assert_eq!(depot.take(&command("k"), take(1)).await, Ok(Taken { left: 99 }));
    assert!(switch.is_open());
    assert!(switch.hold("b", Duration::from_secs(60)) && !switch.release("a"));
    assert_eq!((switch.is_open(), switch.holder().as_deref()), (false, Some("b")));
    assert!(switch.release("b") && switch.is_open());
}

#[tokio::test]
async fn a_hold_that_is_prolonged_goes_on_holding() {
    let switch = Switch::new(1, Target::here(Service::new() as Arc<dyn Depot>));
    let depot = contract::switchable(&switch);
    assert!(switch.hold("a", Duration::from_millis(20)));
    let held = tokio::spawn(async move { depot.take(&command("k"), take(1)).await });
    eventually("it is parked", || switch.parked() == 1).await;
    assert!(switch.hold("a", Duration::from_secs(60)));
    // Another hold, from later on and for longer than the first would have lasted, ends before it.
    let other = Switch::new(1, Target::here(Service::new() as Arc<dyn Depot>));
    assert!(other.hold("b", Duration::from_millis(40)));
    let passed = contract::switchable(&other).take(&command("k"), take(1)).await;
    assert_eq!(passed, Ok(Taken { left: 99 }));
    assert_eq!((switch.parked(), switch.is_open()), (1, false));
    assert!(switch.waits()[0] >= Duration::from_millis(40));
    assert!(switch.release("a"));
    assert_eq!(held.await.unwrap(), Ok(Taken { left: 99 }));
}

/// A process of the deployment, with its listener.
struct Process {
    switch: Arc<Switch<dyn Depot>>,
    server: Server,
}

impl Process {
    async fn start(module: &Module, deployment: u64) -> Self {
        let limits = quick(Duration::from_secs(10));
        let switch =
            Switch::with(1, Target::here(module.door(deployment)), limits, Doubt::default());
        let server = Server::start(contract::forwarding(&switch)).await;
        Self { switch, server }
    }

    fn remote(&self) -> Arc<dyn Depot> {
        contract::remote(self.server.remote())
    }
}

#[tokio::test]
async fn a_process_without_the_module_forwards_once() {
    let module = Module::new();
    let (a, b) = (Process::start(&module, 0).await, Process::start(&module, 1).await);
    b.switch.swap(2, Target::elsewhere(a.remote())).unwrap();
    assert_eq!(b.remote().take(&command("k"), take(1)).await, Ok(Taken { left: 99 }));
    // Each takes the other for the owner: that ends at once, and the caller hears `Moved`.
    a.switch.swap(2, Target::elsewhere(b.remote())).unwrap();
    assert_eq!(reason(b.remote().take(&command("l"), take(1)).await), Reason::Moved);
    assert_eq!(a.server.manners.calls.load(Ordering::SeqCst), 2);
    assert_eq!(b.server.manners.calls.load(Ordering::SeqCst), 2);
}

/// Two processes, a caller's process beside them, and a module that goes to and fro. The callers' own process hears of
/// each move late or early, and one of the two owners later than the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_module_that_goes_to_and_fro_answers_every_call_once() {
    let module = Module::new();
    let processes = [Process::start(&module, 0).await, Process::start(&module, 1).await];
    processes[1].switch.swap(2, Target::elsewhere(processes[0].remote())).unwrap();
    let outside = Switch::new(1, Target::elsewhere(processes[0].remote()));
    let depot = contract::switchable(&outside);
    const CALLERS: usize = 4;
    const CALLS: usize = 150;
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let depot = Arc::clone(&depot);
            tokio::spawn(async move {
                for number in 0..CALLS {
                    let key = format!("{caller}-{number}");
                    depot.sign(&command(&key), String::new()).await.unwrap();
                    depot.nothing(&call(), ()).await.unwrap();
                }
            })
        })
        .collect();
    for epoch in 3..23_u64 {
        let to = epoch % 2;
        let owner = usize::try_from(to).unwrap();
        let held = outside.hold("carve", Duration::from_millis(50));
        assert!(held);
        module.to(to);
        let steps = |step: u64| match (step + epoch) % 3 {
            0 => outside.swap(epoch, Target::elsewhere(processes[owner].remote())),
            1 => processes[owner].switch.swap(epoch, Target::here(module.door(to))),
            _ => {
                let other = &processes[1 - owner].switch;
                other.swap(epoch, Target::elsewhere(processes[owner].remote()))
            }
        };
        (0..3).for_each(|step| steps(step).unwrap());
        let enough = 2 * CALLS * CALLERS;
        let next = (module.service.arrived() + 20).min(enough);
        eventually("calls go on", || module.service.arrived() >= next).await;
    }
    for caller in callers {
        caller.await.unwrap();
    }
    assert_eq!(module.service.arrived(), 2 * CALLS * CALLERS);
}
