//! The gate, without sockets.

use std::{sync::Arc, task::Waker, time::Duration};

use tokio::sync::oneshot;

use super::{Full, Gate, Lots, Room};

const ROOM: Room = Room { requests: 3, bytes: 100 };
const TICK: Duration = Duration::from_millis(10);

#[test]
fn the_barrier_falls_with_the_last_one_inside() {
    let gate = Gate::new(Lots::default().of("group"));
    let (one, two) = (gate.enter().unwrap(), gate.enter().unwrap());
    let (tell, mut told) = oneshot::channel();
    gate.hold();
    gate.when_empty(tell);
    assert!(gate.enter().is_none());
    drop(one);
    assert!(told.try_recv().is_err(), "one is still inside");
    drop(two);
    assert!(told.try_recv().is_ok());
}

#[test]
fn an_empty_gate_is_drained_at_once() {
    let gate = Gate::new(Lots::default().of("group"));
    let (tell, mut told) = oneshot::channel();
    gate.hold();
    gate.when_empty(tell);
    assert!(told.try_recv().is_ok());
}

#[test]
fn waiting_is_bounded_in_number_and_bytes_over_all_workers() {
    let lots = Lots::default();
    let (here, there) = (Gate::new(lots.of("group")), Gate::new(lots.of("group")));
    let one = here.wait(10, ROOM).unwrap();
    let _two = there.wait(10, ROOM).unwrap();
    assert_eq!(here.wait(81, ROOM).unwrap_err(), Full, "bytes");
    let _three = here.wait(80, ROOM).unwrap();
    assert_eq!(there.wait(0, ROOM).unwrap_err(), Full, "requests");
    drop(one);
    assert!(there.wait(10, ROOM).is_ok(), "a place that was given up is free");
}

#[test]
fn those_who_wait_are_called_in_order_and_spread() {
    let gate = Gate::new(Lots::default().of("group"));
    gate.hold();
    let room = Room { requests: 10, bytes: 100 };
    let waiting: Vec<_> = (0..10).map(|_| gate.wait(1, room).unwrap()).collect();
    let called = || waiting.iter().map(|one| one.called(Waker::noop())).collect::<Vec<_>>();
    gate.call();
    assert!(!called().contains(&true), "the gate is closed");
    gate.release(5 * TICK, TICK);
    assert_eq!(called(), [vec![true; 2], vec![false; 8]].concat());
    gate.call();
    assert_eq!(called(), [vec![true; 4], vec![false; 6]].concat());
    gate.hold();
    gate.call();
    assert_eq!(called().iter().filter(|called| **called).count(), 4, "closed again");
}

#[test]
fn those_who_left_are_forgotten() {
    let gate = Gate::new(Lots::default().of("group"));
    gate.hold();
    for _ in 0..1000 {
        drop(gate.wait(1, ROOM).unwrap());
    }
    assert!(gate.waiting.borrow().is_empty());
    assert_eq!(Arc::clone(&gate.lot).requests(), 0);
}

#[test]
fn a_gate_that_is_closed_twice_must_be_opened_twice() {
    let gate = Gate::new(Lots::default().of("group"));
    gate.hold();
    gate.park(true, TICK, TICK);
    gate.release(TICK, TICK);
    assert!(gate.enter().is_none());
    gate.park(false, TICK, TICK);
    assert!(gate.enter().is_some());
}

#[test]
fn an_open_gate_gives_no_barrier() {
    let gate = Gate::new(Lots::default().of("group"));
    let (tell, mut told) = oneshot::channel();
    gate.when_empty(tell);
    assert_eq!(told.try_recv(), Err(oneshot::error::TryRecvError::Closed));
}

#[test]
fn a_long_parking_does_not_gather_those_who_left() {
    let gate = Gate::new(Lots::default().of("group"));
    gate.hold();
    let first = gate.wait(1, ROOM).unwrap();
    for _ in 0..10_000 {
        drop(gate.wait(1, ROOM).unwrap());
    }
    let last = gate.wait(1, ROOM).unwrap();
    assert!(gate.waiting.borrow().len() < 100, "{}", gate.waiting.borrow().len());
    gate.release(TICK, TICK);
    assert!(first.called(Waker::noop()) && last.called(Waker::noop()));
}
