//! A placement of a test's own on each database.

use std::{future::Future, sync::Arc, time::Duration};

use contract::{Call, Caller, Command, Deadline, Ownership};
use kernel_api::{Clock, Id, PageRequest};
use placement_api::{
    Announce, Begin, Carve, Entry, Housed, Journal, Name, Placement, Plan, Process, Steer, Step,
    Wish,
};
use store::{Store, testing};
use tokio::sync::watch;

use super::stage::Surroundings;
use crate::{Config, MIGRATIONS, Running, run};

pub(super) struct World {
    pub placement: Arc<dyn Placement>,
    pub around: Surroundings,
    pub store: Store,
    pub running: Running,
    ownership: watch::Sender<Ownership>,
    _database: testing::Private,
}

impl World {
    /// Runs a test on each database that is there.
    pub async fn each<F: Future<Output = ()>>(test: impl Fn(Arc<Self>) -> F) {
        for (store, database) in testing::both_at(&MIGRATIONS, "placement", &Clock::system()) {
            let around = Surroundings::new();
            let (ownership, _) = watch::channel(Ownership::Here { epoch: 1 });
            let running = started(&store, &around, &ownership);
            let placement = Arc::clone(&running.contract);
            let world = Arc::new(Self {
                placement,
                around,
                store,
                running,
                ownership,
                _database: database,
            });
            test(Arc::clone(&world)).await;
            world.running.stop().await;
        }
    }

    /// Another process of placement, on the same data.
    pub fn another(&self) -> Running {
        started(&self.store, &self.around, &self.ownership)
    }

    /// A process tells of itself and of the module's data.
    pub async fn announce(&self, deployment: &str, epoch: u64, owner: &str) -> Id<Process> {
        let told = told(deployment, epoch, owner);
        self.placement.announce(&command(), told.clone()).await.unwrap();
        told.process
    }

    /// The monolith is there, with the module.
    pub async fn monolith(&self) {
        self.announce("monolith", 1, "").await;
    }

    pub async fn begin(&self, plan: Plan) -> Carve {
        self.placement.begin(&command(), begin("child", plan)).await.unwrap()
    }

    pub async fn steer(&self, carve: &Carve, wish: Wish) {
        self.placement.steer(&command(), Steer { carve: carve.id, wish }).await.unwrap();
    }

    pub async fn carve(&self, carve: &Carve) -> Carve {
        self.placement.carve(&call(), carve.id).await.unwrap()
    }

    /// Waits until the carve stands there.
    pub async fn until(&self, carve: &Carve, step: Step) -> Carve {
        let deadline = Deadline::within(Duration::from_secs(60));
        loop {
            let now = self.carve(carve).await;
            if now.step == step {
                return now;
            }
            assert!(!deadline.passed(), "never at {step:?}: {now:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub async fn journal(&self, carve: &Carve) -> Vec<Entry> {
        let wish = Journal { carve: carve.id, page: PageRequest { after: None, limit: Some(500) } };
        self.placement.journal(&call(), wish).await.unwrap().items
    }

    /// The facts told so far: name and key.
    pub async fn facts(&self) -> Vec<String> {
        self.store.sequence(&call(), 1000).await.unwrap();
        let page = self.store.feed(&call(), 0, 1000).await.unwrap();
        page.events.into_iter().map(|event| event.kind).collect()
    }
}

fn started(store: &Store, around: &Surroundings, here: &watch::Sender<Ownership>) -> Running {
    let movements = Arc::new(around.clone());
    let parts = (around.ports(), movements as Arc<_>, "configuration".to_owned());
    // Here nobody has a heartbeat.
    let config = Config { silent_after: settings::Duration::from_secs(3600) };
    run(store.clone(), config, here.subscribe(), parts)
}

pub(super) fn told(deployment: &str, epoch: u64, owner: &str) -> Announce {
    Announce {
        process: Id::fresh(),
        deployment: deployment.parse().unwrap(),
        url: "http://127.0.0.1:9101".parse().unwrap(),
        public_url: Some("http://127.0.0.1:9001".parse().unwrap()),
        modules: vec![Housed { module: module(), epoch, owner: owner.to_owned() }],
        leaving: false,
    }
}

pub(super) fn begin(to: &str, plan: Plan) -> Begin {
    Begin {
        carve: Id::fresh(),
        module: module(),
        to: to.parse().unwrap(),
        url: None,
        database: None,
        plan,
        who: "a <tester>".parse().unwrap(),
        reason: "to see & learn".parse().unwrap(),
    }
}

pub(super) fn module() -> Name {
    "inventory".parse().unwrap()
}

pub(super) fn call() -> Call {
    Call::new(Caller::module("test"), Deadline::within(Duration::from_secs(60)))
}

pub(super) fn command() -> Command {
    call().command(Id::<()>::fresh().to_string().parse().unwrap())
}
