//! Where modules are, as processes tell it.

use contract::Fault;
use placement_api::{AnnounceError, Housed, Name};

use super::world::{World, call, command, module, told};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_opened_first_is_owned_and_the_rows_are_followed() {
    World::each(async |world| {
        world.monolith().await;
        let placed = world.placement.placed(&call(), ()).await.unwrap().placed;
        assert_eq!(placed.len(), 1);
        let place = &placed[0];
        assert_eq!((place.module.clone(), place.epoch), (module(), 1));
        assert_eq!(place.owner, Name::MONOLITH);
        assert_eq!(place.url.as_ref().unwrap().as_str(), "http://127.0.0.1:9101");
        // A standby owns nothing, and neither does who speaks for somebody else.
        world.announce("child", 1, "carve:7").await;
        world.announce("monolith", 2, "child").await;
        let placed = world.placement.placed(&call(), ()).await.unwrap().placed;
        assert_eq!((placed[0].epoch, placed[0].owner.as_str()), (1, "monolith"));
        // A switch that nobody recorded is learnt from the new owner.
        world.announce("child", 2, "child").await;
        let placed = world.placement.placed(&call(), ()).await.unwrap().placed;
        assert_eq!((placed[0].epoch, placed[0].owner.as_str()), (2, "child"));
        assert_eq!(world.facts().await, ["placement.module.moved"]);
    })
    .await;
}

/// Who was killed counts as live for a while.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_processes_of_an_owner_the_one_that_was_started_last_is_asked() {
    World::each(async |world| {
        let mut killed = told("monolith", 1, "");
        killed.url = "http://127.0.0.1:1".parse().unwrap();
        let follower = told("monolith", 1, "");
        for told in [&follower, &killed, &follower] {
            world.placement.announce(&command(), told.clone()).await.unwrap();
        }
        let placed = world.placement.placed(&call(), ()).await.unwrap().placed;
        assert_eq!(placed[0].url, Some(follower.url));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_leaves_is_not_asked_any_more() {
    World::each(async |world| {
        let mut told = told("monolith", 1, "");
        for leaving in [false, true] {
            told.leaving = leaving;
            world.placement.announce(&command(), told.clone()).await.unwrap();
            let live = world.placement.processes(&call(), ()).await.unwrap();
            assert_eq!(live.len(), usize::from(!leaving));
        }
        let placed = world.placement.placed(&call(), ()).await.unwrap().placed;
        assert_eq!((placed[0].owner.as_str(), &placed[0].url), ("monolith", &None));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_has_no_more_modules_than_it_can() {
    World::each(async |world| {
        let mut told = told("monolith", 1, "");
        let one = |number| Housed {
            module: format!("m{number}").parse().unwrap(),
            epoch: 1,
            owner: String::new(),
        };
        told.modules = (0..64).map(one).collect();
        assert!(world.placement.announce(&command(), told.clone()).await.is_ok());
        told.modules = (0..65).map(one).collect();
        let refused = world.placement.announce(&command(), told).await;
        assert_eq!(refused.unwrap_err(), Fault::Refused(AnnounceError::TooManyModules));
    })
    .await;
}
