//! Whatever the outside answers, in whatever order: sagas end within the bound, and their effects are there once.

use proptest::prelude::*;
use saga::{SagaId, Status};

use crate::world::{Meets, Said, World, call, limits, worlds};

fn any_answer() -> impl Strategy<Value = Meets> {
    prop_oneof![
        4 => Just(Meets::Says(Said::Yes)),
        2 => Just(Meets::Says(Said::No)),
        2 => Just(Meets::Says(Said::Later)),
        3 => Just(Meets::Away),
        2 => Just(Meets::DoneButLost),
        2 => Just(Meets::Lost),
        1 => Just(Meets::Panics),
        1 => Just(Meets::Confused),
    ]
}

async fn check(world: &World, script: &[Meets]) -> Result<(), TestCaseError> {
    world.outside.script.lock().unwrap().clear();
    world.outside.calls.lock().unwrap().clear();
    world.outside.will(script);
    let runner = world.runner();
    let (id, progress) = world.buy(&runner).await;
    let calls = world.outside.calls.lock().unwrap().len();
    let bound = 3 * usize::try_from(limits().attempts_max).unwrap();
    prop_assert!(progress.status.is_over(), "{progress:?}");
    prop_assert!(calls <= bound, "{calls} calls");
    let mut effects = world.effects(id).await;
    let all = effects.len();
    effects.dedup();
    prop_assert_eq!(effects.len(), all, "an effect twice: {:?}", effects);
    let did = |step| world.outside.did(id, step);
    consistent(progress.status, &effects, &did)?;
    // An operator retries what is stuck, now that all goes well, until it is not.
    if progress.status == Status::Stuck {
        world.outside.script.lock().unwrap().clear();
        healed(&runner, id).await?;
        let effects = world.effects(id).await;
        let status = runner.show(&call(), id).await.unwrap().status;
        consistent(status, &effects, &did)?;
    }
    Ok(())
}

async fn healed(runner: &saga::Runner, id: SagaId) -> Result<(), TestCaseError> {
    runner.retry(&call(), id).await.unwrap();
    let progress = runner.drive(id, crate::world::long()).await.unwrap();
    // What was refused for good stays refused; everything else comes to an end.
    let refused = progress.reason.as_deref() == Some("not taken back");
    prop_assert!(progress.status != Status::Stuck || refused, "{progress:?}");
    Ok(())
}

fn consistent(
    status: Status,
    effects: &[String],
    did: &impl Fn(&'static str) -> bool,
) -> Result<(), TestCaseError> {
    let has = |what: &str| effects.iter().any(|effect| effect == what);
    match status {
        Status::Done => {
            prop_assert!(did("take") && did("pay") && !did("give-back"));
            prop_assert!(has("done") && !has("compensated"));
        }
        Status::Compensated => {
            prop_assert!(!did("pay"), "paid and undone");
            prop_assert_eq!(did("take"), did("give-back"), "taken and not given back");
            prop_assert!(has("compensated") && !has("done"));
        }
        Status::Stuck => prop_assert!(!has("done") && !has("compensated")),
        Status::Running | Status::Closed => prop_assert!(false, "{status}"),
    }
    Ok(())
}

#[test]
fn random_answers_end_in_order() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    for world in runtime.block_on(async { worlds() }) {
        let config = ProptestConfig { cases: 150, failure_persistence: None, ..Default::default() };
        let scripts = prop::collection::vec(any_answer(), 0..14);
        let mut proptest = proptest::test_runner::TestRunner::new(config);
        let world = &world;
        proptest.run(&scripts, |script| runtime.block_on(check(world, &script))).unwrap();
    }
}
