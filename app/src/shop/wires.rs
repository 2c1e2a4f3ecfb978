//! The wires between modules: each module's seat, how others call it and how they hear it.

use std::{collections::BTreeMap, sync::Arc};

use contract::{CallGraph, Contract, rpc};
use events::{Feed, FeedServer, FeedSwitch};

use super::{
    data::Own,
    descriptors,
    seat::{Seat, Seated, no_feed},
    ways::Ways,
};
use crate::settings::Settings;

/// What it takes to wire modules in one process.
pub struct Wires<'a> {
    settings: &'a Settings,
    graph: &'a CallGraph,
    ways: Ways,
    registry: &'a rpc::Registry,
    /// Every module's feed, wherever it is.
    feeds: BTreeMap<&'static str, Arc<FeedSwitch>>,
}

impl<'a> Wires<'a> {
    /// The wires of a process. Every feed is shown to others, too, wherever its module is.
    pub fn new(
        settings: &'a Settings,
        ways: &Ways,
        graph: &'a CallGraph,
        (registry, shown): (&'a rpc::Registry, &FeedServer),
    ) -> Self {
        let feeds = descriptors().map(|module| {
            let feed = FeedSwitch::new(module.name, no_feed(module.name), ways.doubt().clone());
            shown.insert(Arc::clone(&feed) as Arc<dyn Feed>);
            (module.name, feed)
        });
        Self { settings, graph, ways: ways.clone(), registry, feeds: feeds.into() }
    }

    /// The seat of a module that runs here. Other processes may call it.
    pub fn here<C: Contract + ?Sized>(&self, own: &Own, service: Arc<C>) -> Arc<Seat<C>> {
        self.seat(Some((own, service)))
    }

    /// The seat of a module that runs elsewhere. What other processes ask is passed on.
    pub fn elsewhere<C: Contract + ?Sized>(&self) -> Arc<Seat<C>> {
        self.seat(None)
    }

    fn seat<C: Contract + ?Sized>(&self, house: Option<(&Own, Arc<C>)>) -> Arc<Seat<C>> {
        let place = self.settings.modules.place(C::MODULE);
        let rehearsal = place.and_then(|place| place.rehearsal.wire());
        let house = house.map(|(own, service)| (own, service, self.graph.edge("copy", C::MODULE)));
        let seat = Seat::new(&self.ways, house, rehearsal, self.feed(C::MODULE));
        // Through the gate as well: what other processes ask must stop there, too, when the module moves.
        let asked = contract::forwarding(seat.switch());
        let counted = contract::local(asked, self.graph.edge("rpc", C::MODULE));
        self.registry.insert(contract::dispatcher(counted));
        seat
    }

    /// How `caller` calls a module: through its seat, counted.
    pub fn binding<C: Contract + ?Sized>(&self, seat: &Seat<C>, caller: &str) -> Arc<C> {
        let way = contract::switchable(seat.switch());
        contract::local(way, self.graph.edge(caller, C::MODULE))
    }

    /// How a module is heard.
    pub fn feed(&self, source: &str) -> Arc<FeedSwitch> {
        Arc::clone(self.feeds.get(source).expect("there is a feed for every module"))
    }
}

/// The seats of a process, by module.
pub type Seats = BTreeMap<&'static str, Arc<dyn Seated>>;
