//! The gate and the swap.

use std::{sync::Arc, task::Poll, time::Duration};

use contract::{Doubt, GateLimits, Reason, StaleEpoch, Switch, Target};

use crate::depot::{Depot, Service, Taken, call, command, eventually, reason, take};

fn limits(parked_max: usize, wait_max: Duration) -> GateLimits {
    GateLimits { parked_max, wait_max, ..GateLimits::default() }
}

#[tokio::test]
async fn a_closed_gate_holds_commands_and_lets_queries_through() {
    let service = Service::new();
    let switch = Switch::<dyn Depot>::new(1, Target::here(Arc::clone(&service) as _));
    let depot = contract::switchable::<dyn Depot>(&switch);
    switch.close();
    let held = tokio::spawn({
        let depot = Arc::clone(&depot);
        async move { depot.take(&command("held"), take(1)).await }
    });
    eventually("it is parked", || switch.parked() == 1).await;
    assert_eq!(depot.stock(&call(), "TEAPOT".to_owned()).await, Ok(100));
    assert_eq!(switch.in_flight(), 0);
    switch.open();
    assert_eq!(held.await.unwrap(), Ok(Taken { left: 99 }));
    assert_eq!(switch.parked(), 0);
}

#[tokio::test]
async fn a_swap_sends_the_held_to_the_new_target() {
    let (old, new) = (Service::new(), Service::new());
    let switch = Switch::<dyn Depot>::new(1, Target::here(Arc::clone(&old) as _));
    let depot = contract::switchable::<dyn Depot>(&switch);
    switch.close();
    let held: Vec<_> = (0..16)
        .map(|number| {
            let depot = Arc::clone(&depot);
            tokio::spawn(async move { depot.take(&command(&format!("k{number}")), take(1)).await })
        })
        .collect();
    eventually("they are parked", || switch.parked() == 16).await;
    switch.drained().await;
    switch.swap(2, Target::here(Arc::clone(&new) as _)).unwrap();
    for one in held {
        assert!(one.await.unwrap().is_ok());
    }
    assert_eq!((old.left("TEAPOT"), new.left("TEAPOT")), (100, 84));
    assert_eq!(switch.epoch(), 2);
}

#[tokio::test]
async fn the_gate_holds_so_many_for_so_long() {
    let service = Service::new();
    let limits = limits(1, Duration::from_millis(20));
    let switch = Switch::<dyn Depot>::with(
        1,
        Target::here(Arc::clone(&service) as _),
        limits,
        Doubt::default(),
    );
    let depot = contract::switchable::<dyn Depot>(&switch);
    switch.close();
    let (first, second) = (command("first"), command("second"));
    let (first, second) = tokio::join!(depot.take(&first, take(1)), depot.take(&second, take(1)));
    assert_eq!((reason(first), reason(second)), (Reason::GateClosed, Reason::GateClosed));
    assert_eq!((service.arrived(), switch.parked(), switch.in_flight()), (0, 0, 0));
}

#[tokio::test]
async fn drained_waits_for_the_last_command() {
    let service = Service::new();
    let switch = Switch::<dyn Depot>::new(1, Target::here(Arc::clone(&service) as _));
    let depot = contract::switchable::<dyn Depot>(&switch);
    let under_way = tokio::spawn(async move { depot.wait(&command("slow"), ()).await });
    eventually("it has arrived", || service.arrived() == 1).await;
    switch.close();
    assert_eq!(switch.in_flight(), 1);
    let drained = switch.drained();
    tokio::pin!(drained);
    let early = std::future::poll_fn(|context| Poll::Ready(drained.as_mut().poll(context)));
    assert!(early.await.is_pending());
    service.go.add_permits(1);
    drained.await;
    assert_eq!(switch.in_flight(), 0);
    assert!(under_way.await.unwrap().is_ok());
}

#[tokio::test]
async fn callers_that_go_away_leave_no_trace_at_the_gate() {
    let (old, new) = (Service::new(), Service::new());
    let switch = Switch::<dyn Depot>::new(1, Target::here(Arc::clone(&old) as _));
    let depot = contract::switchable::<dyn Depot>(&switch);
    let spawn = |key: &'static str| {
        let depot = Arc::clone(&depot);
        tokio::spawn(async move { depot.wait(&command(key), ()).await })
    };
    let under_way = spawn("under-way");
    eventually("it has arrived", || old.arrived() == 1).await;
    switch.close();
    let held = spawn("held");
    eventually("it is parked", || switch.parked() == 1).await;
    for caller in [under_way, held] {
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
    }
    switch.drained().await;
    assert_eq!((switch.parked(), switch.in_flight(), old.arrived()), (0, 0, 1));
    switch.swap(2, Target::here(Arc::clone(&new) as _)).unwrap();
    assert_eq!(depot.take(&command("k"), take(1)).await, Ok(Taken { left: 99 }));
    assert_eq!((new.left("TEAPOT"), old.left("TEAPOT")), (99, 100));
}

#[tokio::test]
async fn a_swap_in_the_middle_of_a_call_ends_it_where_it_began() {
    let (old, new) = (Service::new(), Service::new());
    let switch = Switch::<dyn Depot>::new(1, Target::here(Arc::clone(&old) as _));
    let depot = contract::switchable::<dyn Depot>(&switch);
    let under_way = tokio::spawn(async move { depot.wait(&command("slow"), ()).await });
    eventually("it has arrived", || old.arrived() == 1).await;
    switch.swap(2, Target::here(Arc::clone(&new) as _)).unwrap();
    assert_eq!(switch.in_flight(), 1);
    old.go.add_permits(1);
    assert_eq!(under_way.await.unwrap(), Ok(()));
    assert_eq!((switch.in_flight(), new.arrived()), (0, 0));
}

#[tokio::test]
async fn an_older_epoch_is_refused() {
    let switch = Switch::<dyn Depot>::new(5, Target::here(Service::new() as _));
    switch.close();
    for offered in [4, 5] {
        let stale = switch.swap(offered, Target::here(Service::new() as _));
        assert_eq!(stale, Err(StaleEpoch { offered, current: 5 }));
    }
    assert!(!switch.is_open(), "a refused swap opens nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_command_is_under_way_behind_a_closed_and_drained_gate() {
    let services = [Service::new(), Service::new()];
    let switch = Switch::<dyn Depot>::new(1, Target::here(Arc::clone(&services[1]) as _));
    let depot = contract::switchable::<dyn Depot>(&switch);
    let callers: Vec<_> = (0..4)
        .map(|caller| {
            let depot = Arc::clone(&depot);
            tokio::spawn(async move {
                for number in 0..500 {
                    let key = format!("{caller}-{number}");
                    depot.sign(&command(&key), String::new()).await.unwrap();
                }
            })
        })
        .collect();
    for epoch in 2..50_u64 {
        switch.close();
        switch.drained().await;
        let old = &services[usize::try_from((epoch - 1) % 2).unwrap()];
        let before = old.arrived();
        tokio::task::yield_now().await;
        assert_eq!(old.arrived(), before, "something got past the gate");
        let new = &services[usize::try_from(epoch % 2).unwrap()];
        switch.swap(epoch, Target::here(Arc::clone(new) as _)).unwrap();
        tokio::task::yield_now().await;
    }
    for caller in callers {
        caller.await.unwrap();
    }
    assert_eq!(services[0].arrived() + services[1].arrived(), 4 * 500);
}
