//! The gate, without sockets.

use std::{
    sync::{Arc, atomic::Ordering},
    task::Waker,
    time::Duration,
};

use proptest::prelude::*;
use tokio::sync::oneshot;

use super::{Full, Gate, Lots, Room, Said};

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
    gate.obey(Said::Parked, TICK, TICK);
    gate.release(TICK, TICK);
    assert!(gate.enter().is_none());
    gate.obey(Said::Nothing, TICK, TICK);
    assert!(gate.enter().is_some());
}

#[test]
fn the_kill_switch_opens_a_gate_whoever_holds_it() {
    let gate = Gate::new(Lots::default().of("group"));
    let _inside = gate.enter();
    gate.hold();
    let waiting = gate.wait(1, ROOM).unwrap();
    let (tell, mut told) = oneshot::channel();
    gate.when_empty(tell);
    gate.obey(Said::Open, TICK, TICK);
    assert!(waiting.called(Waker::noop()) && gate.enter().is_some());
    assert_eq!(told.try_recv(), Err(oneshot::error::TryRecvError::Closed), "there is no barrier");
    gate.hold();
    assert!(gate.enter().is_some());
    let gate = gate.renewed();
    assert!(gate.enter().is_some());
    gate.obey(Said::Nothing, TICK, TICK);
    assert!(gate.is_closed(), "the hold was not given up");
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

/// What may happen to a gate.
#[derive(Debug, Clone, Copy)]
enum Step {
    Enter,
    Leave(usize),
    Wait,
    GiveUp(usize),
    Hold,
    Release,
    Say(Said),
    Call,
    Ask,
    Renew,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => Just(Step::Enter),
        3 => any::<usize>().prop_map(Step::Leave),
        3 => Just(Step::Wait),
        2 => any::<usize>().prop_map(Step::GiveUp),
        1 => Just(Step::Hold),
        1 => Just(Step::Release),
        1 => prop_oneof![Just(Said::Nothing), Just(Said::Parked), Just(Said::Open)].prop_map(Step::Say),
        1 => Just(Step::Call),
        1 => Just(Step::Ask),
        1 => Just(Step::Renew),
    ];
    proptest::collection::vec(step, 1..60)
}

fn pick<T>(list: &mut Vec<T>, at: usize) -> Option<T> {
    (!list.is_empty()).then(|| list.swap_remove(at % list.len()))
}

proptest! {
    /// Whatever happens in whatever order: nobody enters a closed gate, a barrier falls with the last one inside and only
    /// while it is closed, and every place in the lot is given back.
    #[test]
    fn a_gate_does_what_a_plain_count_says(steps in steps()) {
        let lots = Lots::default();
        let room = Room { requests: 100, bytes: 1000 };
        let mut gate = Gate::new(lots.of("group"));
        let (mut inside, mut former) = (Vec::new(), Vec::new());
        let (mut waiting, mut asked): (Vec<super::Waiting>, Vec<oneshot::Receiver<()>>) = Default::default();
        let (mut held, mut said) = (false, Said::Nothing);
        let closed = |held, said| said == Said::Parked || (held && said == Said::Nothing);
        for step in steps {
            let was_closed = closed(held, said);
            match step {
                Step::Enter => match gate.enter() {
                    Some(guard) => {
                        prop_assert!(!was_closed);
                        inside.push(guard);
                    }
                    None => prop_assert!(was_closed),
                },
                Step::Leave(at) => drop(pick(&mut inside, at)),
                Step::Wait => waiting.extend(gate.wait(7, room)),
                Step::GiveUp(at) => drop(pick(&mut waiting, at)),
                Step::Hold => { held = true; gate.hold(); }
                Step::Release => { held = false; gate.release(TICK * 3, TICK); }
                Step::Say(what) => { said = what; gate.obey(what, TICK * 3, TICK); }
                Step::Call => gate.call(),
                Step::Ask => {
                    let (tell, told) = oneshot::channel();
                    gate.when_empty(tell);
                    asked.push(told);
                }
                Step::Renew => {
                    gate = gate.renewed();
                    former.append(&mut inside);
                    prop_assert!(waiting.iter().all(|one| one.called(Waker::noop())));
                }
            }
            let is_closed = closed(held, said);
            prop_assert_eq!(gate.is_closed(), is_closed);
            prop_assert_eq!(gate.is_empty(), inside.is_empty());
            asked.retain_mut(|told| match told.try_recv() {
                Ok(()) => { assert!(is_closed && inside.is_empty()); false }
                // Let go: it was opened, or is another one.
                Err(oneshot::error::TryRecvError::Closed) => false,
                Err(oneshot::error::TryRecvError::Empty) => { assert!(is_closed && !inside.is_empty()); true }
            });
            prop_assert_eq!(gate.lot.requests(), waiting.len());
            prop_assert_eq!(lots.are_awaited(), !waiting.is_empty());
            let uncalled = waiting.iter().filter(|one| !one.called(Waker::noop())).count();
            let listed = gate.waiting.borrow().iter().filter(|one| !one.left.get()).count();
            prop_assert_eq!(uncalled, listed);
        }
        // In the end everybody gets on.
        gate.release(TICK, TICK);
        gate.obey(Said::Nothing, TICK, TICK);
        for _ in 0..waiting.len() {
            gate.call();
        }
        prop_assert!(waiting.iter().all(|one| one.called(Waker::noop())));
        drop((waiting, inside, former));
        prop_assert!(gate.is_empty() && gate.lot.requests() == 0 && gate.lot.bytes.load(Ordering::Relaxed) == 0);
    }
}
