//! Carves through the contract: there, back, given up, refused, and taken over.

use std::time::Duration;

use contract::{Deadline, Fault};
use kernel_api::Id;
use placement_api::{
    Begin, BeginError, Blocker, CarveError, Database, DryRun, DryRunError, Leg, Name, Outcome,
    Percent, Plan, SteerError, Step, Wish,
};

use super::world::{World, begin, call, command, module};

fn dry_run() -> DryRun {
    let (module, to) = (module(), "child".parse().unwrap());
    DryRun { module, to, url: None, database: None, reads: Vec::new() }
}

fn observed_for(observe_s: u32) -> Plan {
    Plan { observe_s: Some(observe_s), ..Plan::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_moves_and_the_certificate_says_how() {
    World::each(async |world| {
        world.monolith().await;
        world.announce("child", 1, "carve:").await;
        let reads = vec![Percent::new(10).unwrap()];
        let carve = world.begin(Plan { reads, reads_each_s: 0, ..observed_for(0) }).await;
        let ended = world.until(&carve, Step::Ended).await;
        assert_eq!(ended.outcome, Some(Outcome::Completed));
        let placed = world.placement.placed(&call(), ()).await.unwrap().placed;
        assert_eq!((placed[0].epoch, placed[0].owner.as_str()), (2, "child"));
        assert_eq!(placed[0].moving, None);
        let journal = world.journal(&carve).await;
        let steps: Vec<_> = journal.iter().map(|entry| entry.step).collect();
        assert_eq!((steps[0], steps[steps.len() - 1]), (Step::Plan, Step::Ended));
        assert!(journal.iter().zip(1..).all(|(entry, number)| entry.number == number));
        let certificate = world.placement.certificate(&call(), carve.id).await.unwrap();
        assert!(certificate.clean, "{certificate:?}");
        assert_eq!(certificate.switches.len(), 1);
        assert_eq!((certificate.switches[0].epoch, certificate.switches[0].tries), (2, 1));
        assert_eq!(certificate.switches[0].held.calls, 1);
        assert_eq!((certificate.clients.counted, certificate.clients.errors), (true, 0));
        assert_eq!(certificate.invariants.len(), 1);
        let done = world.around.script().done.clone();
        let at = |what: &str| done.iter().position(|done| done == what).expect(what);
        assert!(at("start child") < at("stage canary 10"));
        // Nothing is led before it is lent, and nothing is lent once the gates have closed.
        assert!(at("stage canary 10") < at("lend") && at("lend") < at("holds"));
        assert!(done.iter().rposition(|done| done == "holds") < Some(at("hold")));
        assert!(!done.contains(&"take back".to_owned()), "it owns it now");
        let ahead = ended.progress.ahead.unwrap();
        assert!(ahead.percent == 0 && ahead.answered >= 5, "{ahead:?}");
        // Who takes it has opened what it needs before anybody waits.
        assert!(at("warm child") < at("hold"));
        assert!(at("hold") < at("settle child at 2: child"));
        // Whoever answers is told before whoever asks.
        assert!(at("settle child at 2: child") < at("settle monolith at 2: child"));
        assert!(at("stage live") < at("remove"));
        let facts = world.facts().await;
        assert_eq!(
            facts,
            ["placement.carve.begun", "placement.module.moved", "placement.carve.ended"]
        );
    })
    .await;
}

/// What a copy may have shown is what was: it is taken back before it is emptied.
#[tokio::test(flavor = "multi_thread")]
async fn reads_that_moved_ahead_are_led_back_before_their_copy_is_withdrawn() {
    World::each(async |world| {
        world.monolith().await;
        world.announce("child", 1, "carve:").await;
        let reads = [10, 100].map(|percent| Percent::new(percent).unwrap()).to_vec();
        let carve = world.begin(Plan { reads, reads_each_s: 1, ..observed_for(0) }).await;
        let deadline = Deadline::within(Duration::from_secs(60));
        let percent = async || world.carve(&carve).await.progress.ahead.map(|ahead| ahead.percent);
        while percent().await != Some(10) {
            assert!(!deadline.passed());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        world.steer(&carve, Wish::Pause).await;
        // What is led ahead stays so, and fresh, for as long as nobody goes on.
        let told = |what: &str| world.around.script().done.iter().filter(|d| *d == what).count();
        let before = told("holds");
        while told("holds") < before + 15 {
            assert!(!deadline.passed());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!((percent().await, told("stage canary 100")), (Some(10), 0));
        world.steer(&carve, Wish::Cancel).await;
        let ended = world.until(&carve, Step::Ended).await;
        assert_eq!(ended.outcome, Some(Outcome::Cancelled));
        assert_eq!(ended.progress.ahead.unwrap().percent, 0);
        let done = world.around.script().done.clone();
        let at = |what: &str| done.iter().position(|done| done == what).expect(what);
        assert!(at("stage off") < at("withdraw") && at("take back") < at("withdraw"), "{done:?}");
        assert!(done.iter().rposition(|done| done == "lend") < Some(at("take back")));
    })
    .await;
}

/// It only eases the way: what cannot read ahead moves all the same.
#[tokio::test(flavor = "multi_thread")]
async fn reads_stay_where_no_proxy_could_lead_them() {
    World::each(async |world| {
        world.monolith().await;
        world.announce("child", 1, "carve:").await;
        world.around.script().bare = true;
        let reads = vec![Percent::new(10).unwrap()];
        let wish = DryRun { reads: reads.clone(), ..dry_run() };
        let report = world.placement.readiness(&call(), wish).await.unwrap();
        assert_eq!((report.ready, report.blockers[0].kind.as_str()), (false, "no_proxy"));
        let carve = world.begin(Plan { reads, reads_each_s: 0, ..observed_for(0) }).await;
        let ended = world.until(&carve, Step::Ended).await;
        assert_eq!((ended.outcome, ended.progress.ahead), (Some(Outcome::Completed), None));
        let journal = world.journal(&carve).await;
        assert!(
            journal.iter().any(|entry| entry.says.contains("no proxy to steer")),
            "{journal:?}"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_that_tells_of_itself_by_another_clock_is_found_where_it_was_made_ready() {
    World::each(async |world| {
        world.monolith().await;
        let carve = world.begin(observed_for(0)).await;
        let ended = world.until(&carve, Step::Ended).await;
        assert_eq!(ended.outcome, Some(Outcome::Completed));
        assert!(world.around.script().done.contains(&"settle child at 2: child".to_owned()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_given_up_for_a_target_that_does_not_answer() {
    World::each(async |world| {
        world.monolith().await;
        world.announce("child", 1, "carve:").await;
        world.around.script().deaf = true;
        let carve = world.begin(observed_for(0)).await;
        let deadline = Deadline::within(Duration::from_secs(60));
        while !world.carve(&carve).await.says.contains("no process of child answers") {
            assert!(!deadline.passed(), "{:?}", world.carve(&carve).await);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(world.around.script().from.0, 1);
        world.around.script().deaf = false;
        let ended = world.until(&carve, Step::Ended).await;
        assert_eq!(ended.outcome, Some(Outcome::Completed));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_moved_is_brought_back() {
    World::each(async |world| {
        world.monolith().await;
        world.announce("child", 1, "carve:").await;
        let carve = world.begin(Plan::default()).await;
        world.until(&carve, Step::Observe).await;
        world.steer(&carve, Wish::Reverse).await;
        let ended = world.until(&carve, Step::Ended).await;
        assert_eq!((ended.outcome, ended.leg), (Some(Outcome::Reversed), Leg::Back));
        let placed = world.placement.placed(&call(), ()).await.unwrap().placed;
        assert_eq!((placed[0].epoch, placed[0].owner.as_str()), (3, "monolith"));
        assert!(world.around.script().done.contains(&"stop child".to_owned()));
        let certificate = world.placement.certificate(&call(), carve.id).await.unwrap();
        assert_eq!(certificate.switches.len(), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wants_it_back_does_not_wait_until_the_books_are_read() {
    World::each(async |world| {
        world.monolith().await;
        world.around.script().long_books = true;
        world.announce("child", 1, "carve:").await;
        let carve = world.begin(Plan::default()).await;
        world.until(&carve, Step::Observe).await;
        world.steer(&carve, Wish::Reverse).await;
        let ended = world.until(&carve, Step::Ended).await;
        assert_eq!(ended.outcome, Some(Outcome::Reversed));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_carve_is_paused_resumed_and_given_up() {
    World::each(async |world| {
        world.monolith().await;
        world.around.script().endless = true;
        let carve = world.begin(Plan::default()).await;
        world.until(&carve, Step::Copy).await;
        world.steer(&carve, Wish::Pause).await;
        assert!(world.carve(&carve).await.paused);
        for wish in [Wish::Reverse, Wish::Complete] {
            let steer = placement_api::Steer { carve: carve.id, wish };
            let refused = world.placement.steer(&command(), steer).await.unwrap_err();
            assert_eq!(refused, Fault::Refused(SteerError::TooEarly));
        }
        world.steer(&carve, Wish::Resume).await;
        assert!(!world.carve(&carve).await.paused);
        world.steer(&carve, Wish::Cancel).await;
        let ended = world.until(&carve, Step::Ended).await;
        assert_eq!(ended.outcome, Some(Outcome::Cancelled));
        assert!(!world.around.script().captured);
        let steer = placement_api::Steer { carve: carve.id, wish: Wish::Pause };
        let refused = world.placement.steer(&command(), steer).await.unwrap_err();
        assert_eq!(refused, Fault::Refused(SteerError::Ended));
        let placed = world.placement.placed(&call(), ()).await.unwrap().placed;
        assert_eq!((placed[0].epoch, placed[0].owner.as_str()), (1, "monolith"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_the_way_is_named_and_nothing_is_touched() {
    World::each(async |world| {
        world.monolith().await;
        let blocker = Blocker {
            kind: "no_primary_key".to_owned(),
            about: "levels".to_owned(),
            detail: "give it one".to_owned(),
        };
        world.around.script().blockers.push(blocker.clone());
        let wish = dry_run();
        let report = world.placement.readiness(&call(), wish.clone()).await.unwrap();
        assert_eq!((report.ready, &report.blockers), (false, &vec![blocker]));
        assert_eq!((report.size.rows, report.copy_s), (3_000_000, Some(10)));
        let there = DryRun { to: Name::MONOLITH, ..wish };
        let refused = world.placement.readiness(&call(), there).await.unwrap_err();
        assert_eq!(refused, Fault::Refused(DryRunError::ThereAlready { owner: Name::MONOLITH }));
        let carve = world.begin(Plan::default()).await;
        let ended = world.until(&carve, Step::Ended).await;
        assert_eq!(ended.outcome, Some(Outcome::Refused));
        let journal = world.journal(&carve).await;
        assert!(journal.iter().any(|entry| entry.says.contains("no_primary_key (levels)")));
        assert!(!world.around.script().captured);
        assert!(!world.placement.certificate(&call(), carve.id).await.unwrap().clean);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_cannot_be_is_named_before() {
    World::each(async |world| {
        world.monolith().await;
        let wish = dry_run();
        let blocked = async |wish| {
            let report = world.placement.readiness(&call(), wish).await.unwrap();
            assert!(!report.ready);
            report.blockers[0].kind.clone()
        };
        let database = Some(Database::File("/monolith/inventory.db".into()));
        assert_eq!(blocked(DryRun { database, ..wish.clone() }).await, "same_place");
        world.around.script().away = true;
        assert_eq!(blocked(wish).await, "away");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_once_said_of_a_target_does_not_bind_the_next_carve() {
    World::each(async |world| {
        world.monolith().await;
        world.around.script().endless = true;
        let wrong = Begin {
            url: Some("http://127.0.0.1:1".parse().unwrap()),
            database: Some(Database::File("/wrong/inventory.db".into())),
            ..begin("child", Plan::default())
        };
        let wrong = world.placement.begin(&command(), wrong).await.unwrap();
        world.until(&wrong, Step::Copy).await;
        world.steer(&wrong, Wish::Cancel).await;
        world.until(&wrong, Step::Ended).await;
        let carve = world.begin(Plan::default()).await;
        world.until(&carve, Step::Copy).await;
        let says = |says: &str| format!("from /monolith/inventory.db to {says}");
        let journal = world.journal(&carve).await;
        assert!(journal.iter().any(|entry| entry.says == says("/child/inventory.db")));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sides_that_differ_never_switch() {
    World::each(async |world| {
        world.monolith().await;
        world.around.script().differs = true;
        let carve = world.begin(Plan::default()).await;
        let ended = world.until(&carve, Step::Ended).await;
        assert_eq!(ended.outcome, Some(Outcome::Refused));
        assert_eq!(world.around.script().from.0, 1);
        let certificate = world.placement.certificate(&call(), carve.id).await.unwrap();
        assert!(certificate.faults.iter().any(|fault| fault.contains("`levels` differs")));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_that_is_not_now_is_tried_again_and_one_that_is_lost_is_asked_for() {
    World::each(async |world| {
        world.monolith().await;
        world.announce("child", 1, "carve:").await;
        {
            let mut script = world.around.script();
            (script.switch_not_now, script.switch_lost, script.copy_fails) = (1, 1, 2);
        }
        let carve = world.begin(observed_for(0)).await;
        let ended = world.until(&carve, Step::Ended).await;
        assert_eq!(ended.outcome, Some(Outcome::Completed));
        assert_eq!(ended.switch_tries, 2);
        let done = world.around.script().done.clone();
        assert!(done.contains(&"release".to_owned()) && done.contains(&"flip".to_owned()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_coordinator_goes_on_where_one_died() {
    World::each(async |world| {
        world.monolith().await;
        world.announce("child", 1, "carve:").await;
        world.around.script().endless = true;
        let carve = world.begin(observed_for(0)).await;
        world.until(&carve, Step::Copy).await;
        world.running.stop().await;
        world.around.script().endless = false;
        let another = world.another();
        let ended = world.until(&carve, Step::Ended).await;
        another.stop().await;
        assert_eq!(ended.outcome, Some(Outcome::Completed));
        let certificate = world.placement.certificate(&call(), carve.id).await.unwrap();
        assert_eq!(certificate.restarts, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_carve_that_cannot_begin_says_why() {
    World::each(async |world| {
        let refused = async |wish| match world.placement.begin(&command(), wish).await {
            Err(Fault::Refused(refusal)) => refusal,
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(begin("child", Plan::default())).await, BeginError::UnknownModule);
        world.monolith().await;
        let there = BeginError::ThereAlready { owner: Name::MONOLITH };
        assert_eq!(refused(begin("monolith", Plan::default())).await, there);
        let mut placement = begin("child", Plan::default());
        placement.module = "placement".parse().unwrap();
        assert_eq!(refused(placement).await, BeginError::Placement);
        let reads = vec![Percent::new(1).unwrap(); 11];
        let many = begin("child", Plan { reads, ..Plan::default() });
        assert_eq!(refused(many).await, BeginError::TooManyReads);
        for fall in [[50, 50], [50, 10]] {
            let reads = fall.map(|percent| Percent::new(percent).unwrap()).to_vec();
            let fall = begin("child", Plan { reads, ..Plan::default() });
            assert_eq!(refused(fall).await, BeginError::ReadsFall);
        }
        world.around.script().endless = true;
        let wish = begin("child", Plan::default());
        let begun = world.placement.begin(&command(), wish.clone()).await.unwrap();
        assert_eq!(refused(wish).await, BeginError::IdTaken);
        let moving = BeginError::Moving { carve: begun.id };
        assert_eq!(refused(begin("other", Plan::default())).await, moving);
        let unknown = world.placement.carve(&call(), Id::fresh()).await.unwrap_err();
        assert_eq!(unknown, Fault::Refused(CarveError::NotFound));
        world.steer(&begun, Wish::Cancel).await;
        world.until(&begun, Step::Ended).await;
        // And then the next one may.
        world.begin(Plan::default()).await;
    })
    .await;
}
