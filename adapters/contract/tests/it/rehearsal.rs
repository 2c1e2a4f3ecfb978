//! What the rehearsal binding does to calls.

use std::sync::Arc;

use contract::{Fault, Reason, Rehearsal};

use crate::depot::{Depot, Service, call, command, eventually, reason, take};

fn rehearsed(service: &Arc<Service>, rehearsal: Rehearsal) -> Arc<dyn Depot> {
    contract::rehearsal::<dyn Depot>(Arc::clone(service) as _, rehearsal)
}

#[tokio::test]
async fn a_request_that_arrives_twice_has_one_effect() {
    let service = Service::new();
    let depot = rehearsed(&service, Rehearsal { duplicate_percent: 100, ..Rehearsal::default() });
    assert!(depot.take(&command("twice"), take(3)).await.is_ok());
    eventually("both have arrived", || service.arrived() == 2).await;
    assert_eq!(service.left("TEAPOT"), 97);
}

#[tokio::test]
async fn a_lost_request_is_not_executed() {
    let service = Service::new();
    let lossy = Rehearsal { loss_before_percent: 100, ..Rehearsal::default() };
    let answer = rehearsed(&service, lossy).take(&command("k"), take(1)).await;
    assert_eq!(reason(answer), Reason::Unavailable);
    assert_eq!(service.arrived(), 0);
}

#[tokio::test]
async fn a_lost_answer_to_a_query_is_not_executed() {
    let service = Service::new();
    let lossy = Rehearsal { loss_after_percent: 100, ..Rehearsal::default() };
    let answer = rehearsed(&service, lossy).stock(&call(), "TEAPOT".to_owned()).await;
    assert_eq!(reason(answer), Reason::Unavailable);
}

#[tokio::test]
async fn only_its_share_of_the_calls_is_rehearsed() {
    let service = Service::new();
    let none = Rehearsal { percent: 0, loss_before_percent: 100, ..Rehearsal::default() };
    let depot = rehearsed(&service, none);
    for _ in 0..100 {
        assert!(depot.nothing(&call(), ()).await.is_ok());
    }
}

#[tokio::test]
async fn the_same_seed_has_the_same_fortune() {
    let mut fortunes = Vec::new();
    for seed in [7, 7, 8] {
        let service = Service::new();
        let half = Rehearsal {
            loss_before_percent: 30,
            loss_after_percent: 30,
            seed,
            ..Rehearsal::default()
        };
        let depot = rehearsed(&service, half);
        let mut fortune = String::new();
        for number in 0..64 {
            fortune.push(match depot.take(&command(&format!("k{number}")), take(1)).await {
                Ok(_) => '.',
                Err(Fault::Refused(_)) => 'r',
                Err(Fault::NotExecuted(_)) => 'n',
                Err(Fault::Unknown(_)) => 'u',
            });
        }
        fortunes.push(fortune);
    }
    assert_eq!(fortunes[0], fortunes[1]);
    assert_ne!(fortunes[0], fortunes[2]);
}

#[tokio::test]
async fn as_many_tries_as_the_remote_binding_hide_a_loss() {
    let service = Service::new();
    let lossy = Rehearsal {
        loss_before_percent: 10,
        loss_after_percent: 10,
        tries_max: 12,
        ..Rehearsal::default()
    };
    let depot = rehearsed(&service, lossy);
    for number in 0..20 {
        assert!(depot.take(&command(&format!("k{number}")), take(1)).await.is_ok());
    }
    assert_eq!(service.left("TEAPOT"), 80);
}
