//! What an operator may do about stuck sagas.

use contract::Fault;
use kernel_api::PageRequest;
use saga::{Abandon, AbandonError, Missing, RetryError, SagaFilter, SagaId, Status};

use crate::world::{
    Meets::{Confused, Says},
    Said, World, call, long, worlds,
};

async fn stuck_at_pay(world: &World) -> SagaId {
    world.outside.will(&[Says(Said::Yes), Confused]);
    let (id, progress) = world.buy(&world.runner()).await;
    assert_eq!(progress.status, Status::Stuck);
    id
}

#[tokio::test]
async fn a_stuck_saga_is_tried_again() {
    for world in worlds() {
        let (id, runner) = (stuck_at_pay(&world).await, world.runner());
        let view = runner.retry(&call(), id).await.unwrap();
        assert_eq!((view.status, view.attempts, view.step.as_str()), (Status::Running, 0, "pay"));
        assert_eq!(runner.drive(id, long()).await.unwrap().status, Status::Done);
        let again = runner.retry(&call(), id).await.unwrap_err();
        assert_eq!(again, Fault::Refused(RetryError::NotStuck { status: Status::Done }));
        let none = runner.retry(&call(), SagaId::fresh()).await.unwrap_err();
        assert_eq!(none, Fault::Refused(RetryError::NotFound));
    }
}

#[tokio::test]
async fn a_stuck_saga_is_undone() {
    for world in worlds() {
        let (id, runner) = (stuck_at_pay(&world).await, world.runner());
        let view = runner.abandon(&call(), id, Abandon::Compensate).await.unwrap();
        assert_eq!((view.status, view.step.as_str()), (Status::Running, "give-back"));
        assert_eq!(runner.drive(id, long()).await.unwrap().status, Status::Compensated);
        assert_eq!(world.effects(id).await, ["Pay to GiveBack", "Take to Pay", "compensated"]);
    }
}

#[tokio::test]
async fn a_saga_without_a_way_back_stays_stuck() {
    for world in worlds() {
        world.outside.will(&[Confused]);
        let runner = world.runner();
        let (id, _stuck) = world.buy(&runner).await;
        let refused = runner.abandon(&call(), id, Abandon::Compensate).await.unwrap_err();
        assert!(matches!(refused, Fault::Refused(AbandonError::NoWayBack { .. })), "{refused:?}");
        assert_eq!(runner.show(&call(), id).await.unwrap().status, Status::Stuck);
    }
}

#[tokio::test]
async fn a_stuck_saga_is_closed_with_a_note() {
    for world in worlds() {
        let (id, runner) = (stuck_at_pay(&world).await, world.runner());
        let how = Abandon::Close { note: "paid in cash".to_owned() };
        let view = runner.abandon(&call(), id, how.clone()).await.unwrap();
        assert_eq!(view.status, Status::Closed);
        assert!(view.reason.unwrap().contains("paid in cash"));
        assert_eq!(runner.drive(id, long()).await.unwrap().status, Status::Closed);
        let again = runner.abandon(&call(), id, how).await.unwrap_err();
        let status = Status::Closed;
        assert_eq!(again, Fault::Refused(AbandonError::NotStuck { status }));
    }
}

#[tokio::test]
async fn sagas_are_listed_by_status_page_by_page() {
    for world in worlds() {
        let runner = world.runner();
        let mut stuck = Vec::new();
        for _ in 0..5 {
            stuck.push(stuck_at_pay(&world).await);
            world.buy(&runner).await;
        }
        stuck.sort();
        assert_eq!(runner.open(&call()).await.unwrap(), (0, 5));
        let filter = |status| SagaFilter { status: Some(status), kind: None };
        let (mut after, mut found) = (None, Vec::new());
        loop {
            let page = PageRequest { after, limit: Some(2) };
            let page = runner.list(&call(), filter(Status::Stuck), page).await.unwrap();
            found.extend(page.items.iter().map(|saga| saga.id));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, stuck);
        let all =
            async |filter| runner.list(&call(), filter, PageRequest::default()).await.unwrap();
        assert_eq!(all(filter(Status::Done)).await.items.len(), 5);
        assert_eq!(all(filter(Status::Running)).await.items.len(), 0);
        assert_eq!(all(SagaFilter::default()).await.items.len(), 10);
        let other = SagaFilter { kind: Some("other".to_owned()), status: None };
        assert_eq!(all(other).await.items.len(), 0);
        let none = runner.show(&call(), SagaId::fresh()).await.unwrap_err();
        assert_eq!(none, Fault::Refused(Missing));
    }
}
