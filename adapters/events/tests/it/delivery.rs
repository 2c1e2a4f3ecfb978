//! Effects happen once and in order; what fails keeps only its own key waiting.

use std::time::Duration;

use contract::{Fault, Ownership};
use events::letters::{self, Letter, LetterError, LetterFilter, LetterState};
use kernel_api::PageRequest;

use crate::world::{NAME, Poison, World, call, eventually, limits, shortly, worlds};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_has_its_effect_once_and_in_the_order_of_its_key() {
    for world in worlds() {
        let subscription = world.subscribe();
        let keys: Vec<String> = (0..64).map(|key| format!("key-{key}")).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        for value in 1..=20 {
            world.tell(&keys, value).await;
        }
        let wanted: Vec<_> = keys.iter().map(|key| (*key, (20, 20))).collect();
        world.hears(&wanted).await;
        let status = subscription.settled(&call()).await.unwrap();
        assert_eq!((status.cursor, status.head, status.parked), (1280, Some(1280), 0));
        subscription.stop().await;
    }
}

#[tokio::test]
async fn a_poisoned_event_keeps_only_its_own_key_waiting() {
    for how in [Poison::Refuse, Poison::Panic, Poison::BreakConstraint] {
        for world in worlds() {
            world.poison("b", 2, how);
            for value in 1..=3 {
                world.tell(&["a", "b", "c"], value).await;
            }
            let subscription = world.subscribe();
            world.hears(&[("a", (3, 3)), ("b", (1, 1)), ("c", (3, 3))]).await;
            let status = world.stands("all read", |status| status.cursor == 9).await;
            assert_eq!((status.parked, status.dead), (2, 0));
            let parked = world.letters().await;
            let states: Vec<_> =
                parked.iter().map(|letter| (letter.position, letter.state)).collect();
            assert_eq!(states, [(5, LetterState::Parked), (8, LetterState::Waiting)]);
            assert!(!parked[0].last_error.is_empty());
            // News of the same key waits, too; of others it does not.
            world.tell(&["a", "b", "c"], 4).await;
            world.hears(&[("a", (4, 4)), ("b", (1, 1)), ("c", (4, 4))]).await;
            assert!(subscription.settled(&shortly()).await.is_err());

            world.heal();
            world.clock.advance(Duration::from_secs(10));
            world.hears(&[("a", (4, 4)), ("b", (4, 4)), ("c", (4, 4))]).await;
            world.stands("nothing parked", |status| status.parked == 0).await;
            subscription.settled(&call()).await.unwrap();
            subscription.stop().await;
        }
    }
}

async fn tried(world: &World, attempts: u32) -> Letter {
    eventually(async || {
        let letter = world.letters().await.into_iter().next();
        letter.filter(|letter| letter.attempts == attempts).ok_or(format!("not {attempts} tries"))
    })
    .await
}

#[tokio::test]
async fn tries_follow_the_clock_and_end_as_a_dead_letter() {
    for world in worlds() {
        world.poison("a", 1, Poison::Refuse);
        world.tell(&["a"], 1).await;
        world.tell(&["a"], 2).await;
        let subscription = world.subscribe();
        world.stands("both read", |status| status.cursor == 2).await;
        for attempt in 1..limits().attempts_max {
            let letter = tried(&world, attempt).await;
            assert_eq!(letter.state, LetterState::Parked);
            let wait = letter.next_try_at.unwrap().since(world.clock.now());
            let whole = Duration::from_secs(10) * 2_u32.pow(attempt - 1);
            assert!((whole / 2..=whole).contains(&wait), "{wait:?} after {attempt} tries");
            // Not a moment early.
            world.clock.advance(wait - Duration::from_micros(1));
            world.tell(&["other"], i64::from(attempt)).await;
            world.stands("other heard", |status| status.cursor == 2 + u64::from(attempt)).await;
            assert_eq!(world.letters().await[0].attempts, attempt);
            world.clock.advance(Duration::from_micros(1));
        }
        world.stands("dead", |status| status.dead == 1).await;
        let letters = world.letters().await;
        assert_eq!(letters[0].state, LetterState::Dead);
        assert_eq!(letters[1].state, LetterState::Waiting, "later ones wait behind a dead one");
        world.clock.advance(Duration::from_secs(1_000_000));
        assert!(!world.heard().await.contains_key("a"));
        subscription.settled(&shortly()).await.unwrap_err();
        subscription.stop().await;
    }
}

async fn with_a_dead_letter(world: &World) {
    world.poison("a", 1, Poison::Refuse);
    for value in 1..=3 {
        world.tell(&["a"], value).await;
    }
    world.stands("read", |status| status.cursor == 3).await;
    eventually(async || {
        world.clock.advance(Duration::from_secs(1000));
        let status = world.status().await;
        if status.dead == 1 { Ok(()) } else { Err(format!("{status:?}")) }
    })
    .await;
}

#[tokio::test]
async fn an_operator_replays_a_dead_letter_and_what_waited_follows() {
    for world in worlds() {
        let subscription = world.subscribe();
        with_a_dead_letter(&world).await;
        let status = world.status().await;
        assert_eq!((status.parked, status.waiting), (2, 2), "all that is parked waits");
        let behind = letters::replay(&world.hearer, &call(), NAME, 2).await;
        assert_eq!(behind.unwrap_err(), Fault::Refused(LetterError::Behind { first: 1 }));
        world.heal();
        let letter = letters::replay(&world.hearer, &call(), NAME, 1).await.unwrap();
        assert_eq!((letter.state, letter.attempts), (LetterState::Parked, 0));
        world.hears(&[("a", (3, 3))]).await;
        world.stands("nothing left", |status| status.dead + status.parked == 0).await;
        subscription.settled(&call()).await.unwrap();
        let gone = letters::replay(&world.hearer, &call(), NAME, 1).await;
        assert_eq!(gone.unwrap_err(), Fault::Refused(LetterError::NotFound));
        subscription.stop().await;
    }
}

#[tokio::test]
async fn an_operator_discards_a_dead_letter_and_what_waited_follows() {
    for world in worlds() {
        let subscription = world.subscribe();
        with_a_dead_letter(&world).await;
        let shown = letters::show(&world.hearer, &call(), NAME, 1).await.unwrap();
        assert_eq!(shown.last_error, "poison");
        let discarded = letters::discard(&world.hearer, &call(), NAME, 1).await.unwrap();
        assert_eq!(discarded.event.id, shown.event.id);
        world.hears(&[("a", (3, 2))]).await;
        subscription.settled(&call()).await.unwrap();
        let gone = letters::show(&world.hearer, &call(), NAME, 1).await;
        assert_eq!(gone.unwrap_err(), Fault::Refused(LetterError::NotFound));
        subscription.stop().await;
    }
}

#[tokio::test]
async fn letters_are_listed_page_by_page() {
    for world in worlds() {
        let keys: Vec<String> = (0..7).map(|key| format!("key-{key}")).collect();
        for key in &keys {
            world.poison(key, 1, Poison::Refuse);
        }
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        world.tell(&keys, 1).await;
        let subscription = world.subscribe();
        world.stands("all parked", |status| status.parked == 7).await;
        let (mut after, mut found) = (None, Vec::new());
        loop {
            let page = PageRequest { after, limit: Some(3) };
            let filter = LetterFilter { subscription: Some(NAME.to_owned()), dead: Some(false) };
            let page = letters::list(&world.hearer, &call(), filter, page).await.unwrap();
            found.extend(page.items.iter().map(|letter| letter.position));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, [1, 2, 3, 4, 5, 6, 7]);
        let filter = LetterFilter { dead: Some(true), ..LetterFilter::default() };
        let dead = letters::list(&world.hearer, &call(), filter, PageRequest::default()).await;
        assert_eq!(dead.unwrap().items.len(), 0);
        subscription.stop().await;
    }
}

#[tokio::test]
async fn when_too_much_is_parked_the_subscription_stands_still() {
    for world in worlds() {
        for key in ["a", "b", "c"] {
            world.poison(key, 1, Poison::Refuse);
        }
        world.tell(&["a", "b", "c", "d"], 1).await;
        let limits = events::Limits { parked_max: 2, ..limits() };
        let subscription = world.subscribe_to(world.feed(), limits);
        world.stands("full", |status| status.parked == 2).await;
        assert_eq!(world.status().await.cursor, 2, "nothing is skipped for want of room");
        letters::discard(&world.hearer, &call(), NAME, 1).await.unwrap();
        world.hears(&[("d", (1, 1))]).await;
        subscription.stop().await;
    }
}

#[tokio::test]
async fn a_subscription_runs_only_while_its_module_is_here() {
    for world in worlds() {
        let elsewhere = Ownership::Elsewhere { epoch: 2, owner: "other".to_owned() };
        world.ownership.send_replace(elsewhere.clone());
        world.tell(&["a"], 1).await;
        let subscription = world.subscribe();
        let nothing = subscription.settled(&shortly()).await;
        assert!(nothing.is_err() && world.heard().await.is_empty());
        world.ownership.send_replace(Ownership::Here { epoch: 3 });
        world.hears(&[("a", (1, 1))]).await;
        world.ownership.send_replace(elsewhere);
        world.tell(&["a"], 2).await;
        assert!(subscription.settled(&shortly()).await.is_err());
        world.ownership.send_replace(Ownership::Here { epoch: 5 });
        world.hears(&[("a", (2, 2))]).await;
        subscription.stop().await;
    }
}
