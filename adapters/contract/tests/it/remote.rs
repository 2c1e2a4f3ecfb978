//! What only the remote binding can meet: silence, strangers, other versions, and too much of everything.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use contract::{
    Answer, Call, Caller, Client, Command, Deadline, Fault, Keyring, Never, Reason, Remote,
    RemoteLimits, async_trait, rpc::REQUEST_BYTES_MAX,
};
use tokio::runtime::Handle;

use crate::{
    depot::{Depot, Service, Take, Taken, call, command, eventually, reason, take},
    server::Server,
};

async fn served() -> (Arc<Service>, Server) {
    let service = Service::new();
    let server = Server::start::<dyn Depot>(Arc::clone(&service) as _).await;
    (service, server)
}

fn limits() -> RemoteLimits {
    RemoteLimits {
        backoff: Duration::from_millis(1),
        backoff_max: Duration::from_millis(2),
        ..RemoteLimits::default()
    }
}

fn depot(server: &Server, limits: RemoteLimits) -> Arc<dyn Depot> {
    contract::remote::<dyn Depot>(server.remote().limits(limits))
}

#[tokio::test]
async fn a_command_whose_connection_dies_is_asked_again_with_its_key() {
    let (service, server) = served().await;
    server.manners.hang_up_after.store(2, Ordering::SeqCst);
    let taken = depot(&server, limits()).take(&command("k"), take(5)).await;
    assert_eq!(taken, Ok(Taken { left: 95 }));
    assert_eq!(service.arrived(), 3, "three tries");
    assert_eq!(service.left("TEAPOT"), 95, "one effect");
}

#[tokio::test]
async fn a_command_that_nobody_answers_is_unknown_even_if_it_was_not_done() {
    let (service, server) = served().await;
    server.manners.hang_up_before.store(3, Ordering::SeqCst);
    let depot = depot(&server, limits());
    let lost = depot.take(&command("k"), take(5)).await;
    assert!(matches!(lost, Err(Fault::Unknown(_))), "{lost:?}");
    assert_eq!(service.left("TEAPOT"), 100);
    assert_eq!(depot.take(&command("k"), take(5)).await, Ok(Taken { left: 95 }));
}

#[tokio::test]
async fn a_command_that_is_answered_too_late_is_unknown() {
    let (service, server) = served().await;
    let impatient =
        RemoteLimits { try_timeout: Duration::from_millis(30), tries_max: 1, ..limits() };
    let late = depot(&server, impatient).wait(&command("k"), ()).await;
    assert!(matches!(late, Err(Fault::Unknown(_))), "{late:?}");
    assert_eq!(service.arrived(), 1);
}

#[tokio::test]
async fn an_answer_from_something_in_between_is_unknown() {
    let (_service, server) = served().await;
    server.manners.garbage.store(1, Ordering::SeqCst);
    let strict = RemoteLimits { tries_max: 1, ..limits() };
    let answer = depot(&server, strict).take(&command("k"), take(1)).await;
    assert!(matches!(answer, Err(Fault::Unknown(_))), "{answer:?}");
}

#[tokio::test]
async fn the_answer_to_another_request_is_none() {
    let (service, server) = served().await;
    server.manners.mixed_up.store(1, Ordering::SeqCst);
    let strict = RemoteLimits { tries_max: 1, ..limits() };
    let answer = depot(&server, strict).take(&command("k"), take(1)).await;
    assert!(matches!(answer, Err(Fault::Unknown(_))), "{answer:?}");
    assert_eq!(service.left("TEAPOT"), 99);
}

#[tokio::test]
async fn a_request_that_is_too_large_is_not_sent() {
    let (_service, server) = served().await;
    let note = "x".repeat(REQUEST_BYTES_MAX);
    let answer = depot(&server, limits()).sign(&command("k"), note).await;
    assert_eq!(reason(answer), Reason::Malformed);
    assert_eq!(server.manners.calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn callers_in_a_hurry_do_not_open_the_breaker() {
    let (_service, server) = served().await;
    let sensitive = RemoteLimits { tries_max: 1, breaker_failures: 2, ..limits() };
    let depot = depot(&server, sensitive);
    for number in 0..3 {
        let deadline = Deadline::within(Duration::from_millis(20));
        let hurried = Call::new(Caller::module("shop"), deadline);
        let hurried = hurried.command(format!("k{number}").parse().unwrap());
        assert!(depot.wait(&hurried, ()).await.is_err());
    }
    assert_eq!(depot.nothing(&call(), ()).await, Ok(()), "the module is well");
}

#[tokio::test]
async fn a_query_that_nobody_answers_is_not_executed() {
    let (_service, server) = served().await;
    server.manners.hang_up_after.store(3, Ordering::SeqCst);
    let answer = depot(&server, limits()).stock(&call(), "TEAPOT".to_owned()).await;
    assert_eq!(reason(answer), Reason::Unavailable);
}

#[tokio::test]
async fn a_process_that_is_away_is_not_executed() {
    let (_service, server) = served().await;
    let depot = depot(&server, limits());
    drop(server);
    assert_eq!(reason(depot.take(&command("k"), take(1)).await), Reason::Unavailable);
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_unknown_to_a_command_and_useless_to_a_query() {
    let (_service, server) = served().await;
    let small = RemoteLimits { answer_bytes_max: 2000, ..limits() };
    let depot = depot(&server, small);
    assert!(depot.bytes(&call(), 1000).await.is_ok());
    let before = server.manners.calls.load(Ordering::SeqCst);
    assert_eq!(reason(depot.bytes(&call(), 3000).await), Reason::Unavailable);
    assert_eq!(
        server.manners.calls.load(Ordering::SeqCst),
        before + 1,
        "it would be as large again"
    );
}

#[tokio::test]
async fn the_handshake_is_made_once() {
    let (_service, server) = served().await;
    let depot = depot(&server, limits());
    for _ in 0..5 {
        assert!(depot.nothing(&call(), ()).await.is_ok());
    }
    assert_eq!(server.manners.handshakes.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_wrong_token_is_forbidden() {
    let (service, server) = served().await;
    let url = format!("http://{}", server.address);
    let keyring = Keyring::new("shop", "0000");
    let remote = Remote::new(Client::new(Handle::current()), &url, keyring).unwrap();
    let depot = contract::remote::<dyn Depot>(remote);
    assert_eq!(reason(depot.take(&command("k"), take(1)).await), Reason::Forbidden);
    assert_eq!(service.arrived(), 0);
}

#[tokio::test]
async fn a_module_does_not_speak_for_another() {
    let (service, server) = served().await;
    let url = format!("http://{}", server.address);
    let keyring = Keyring::new("payments", server.secret.token("payments"));
    let remote = Remote::new(Client::new(Handle::current()), &url, keyring).unwrap();
    let depot = contract::remote::<dyn Depot>(remote);
    assert_eq!(reason(depot.take(&command("k"), take(1)).await), Reason::Forbidden);
    assert_eq!(service.arrived(), 0);
}

mod other {
    //! The depot's contract as another version of it has it.

    use super::{Answer, Call, Command, Never, Take, async_trait};

    #[contract::contract("depot")]
    pub trait Depot: Send + Sync + 'static {
        /// The same as ever.
        #[query]
        async fn nothing(&self, call: &Call, _nothing: ()) -> Answer<(), Never>;
        /// Now gives a number.
        #[command]
        async fn take(&self, command: &Command, wish: Take) -> Answer<u32, Never>;
    }

    #[contract::contract("depot")]
    pub trait Larger: Send + Sync + 'static {
        /// The same as ever.
        #[query]
        async fn nothing(&self, call: &Call, _nothing: ()) -> Answer<(), Never>;
        /// New.
        #[query]
        async fn weather(&self, call: &Call, _nothing: ()) -> Answer<String, Never>;
    }

    pub struct Service;

    #[async_trait]
    impl Depot for Service {
        async fn nothing(&self, _call: &Call, _nothing: ()) -> Answer<(), Never> {
            Ok(())
        }
        async fn take(&self, _command: &Command, _wish: Take) -> Answer<u32, Never> {
            Ok(0)
        }
    }
}

#[tokio::test]
async fn incompatible_processes_do_not_talk_and_name_the_method() {
    let server = Server::start::<dyn other::Depot>(Arc::new(other::Service)).await;
    let depot = depot(&server, limits());
    let Err(Fault::NotExecuted(fault)) = depot.nothing(&call(), ()).await else {
        panic!("`take` differs, so nothing is asked");
    };
    assert_eq!(fault.reason, Reason::Incompatible);
    assert!(fault.detail.contains("`take`"), "{}", fault.detail);
    assert_eq!(server.manners.calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_process_that_is_replaced_by_another_version_is_noticed_by_the_next_call() {
    let (_service, server) = served().await;
    let depot = depot(&server, limits());
    assert!(depot.take(&command("k"), take(1)).await.is_ok());
    let address = server.address;
    drop(server);
    let mut other = None;
    for _ in 0..1000 {
        // The kernel may need a moment to let go of the port.
        if tokio::net::TcpListener::bind(address).await.is_ok() {
            let service = Arc::new(other::Service);
            other = Some(Server::start_at::<dyn other::Depot>(address, service).await);
            break;
        }
        tokio::task::yield_now().await;
    }
    let _other = other.expect("the port is free again");
    let Err(Fault::NotExecuted(fault)) = depot.take(&command("l"), take(1)).await else {
        panic!("the hash travels with each call");
    };
    assert_eq!(fault.reason, Reason::Incompatible);
    assert!(fault.detail.contains("depot.take"), "{}", fault.detail);
}

#[tokio::test]
async fn a_method_that_only_one_side_knows_is_refused_alone() {
    let server = Server::start::<dyn other::Depot>(Arc::new(other::Service)).await;
    let larger = contract::remote::<dyn other::Larger>(server.remote().limits(limits()));
    assert_eq!(larger.nothing(&call(), ()).await, Ok(()));
    assert_eq!(reason(larger.weather(&call(), ()).await), Reason::Incompatible);
}

#[tokio::test]
async fn the_breaker_opens_and_a_probe_closes_it() {
    let (_service, server) = served().await;
    let sensitive = RemoteLimits {
        tries_max: 1,
        breaker_failures: 3,
        breaker_open: Duration::from_millis(20),
        ..limits()
    };
    let depot = depot(&server, sensitive);
    server.manners.hang_up_before.store(usize::MAX, Ordering::SeqCst);
    for number in 0..3 {
        let lost = depot.take(&command(&format!("k{number}")), take(1)).await;
        assert!(matches!(lost, Err(Fault::Unknown(_))), "{lost:?}");
    }
    let asked = server.manners.calls.load(Ordering::SeqCst);
    assert_eq!(reason(depot.take(&command("k3"), take(1)).await), Reason::BreakerOpen);
    assert_eq!(server.manners.calls.load(Ordering::SeqCst), asked, "it is left alone");
    server.manners.hang_up_before.store(0, Ordering::SeqCst);
    let mut recovered = false;
    for _ in 0..1000 {
        if depot.nothing(&call(), ()).await.is_ok() {
            recovered = true;
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(recovered, "a probe finds that it answers again");
}

#[tokio::test]
async fn a_gateway_with_nobody_behind_it_opens_the_breaker() {
    let (_service, server) = served().await;
    server.manners.garbage.store(usize::MAX, Ordering::SeqCst);
    let sensitive = RemoteLimits { tries_max: 1, breaker_failures: 2, ..limits() };
    let depot = depot(&server, sensitive);
    for number in 0..2 {
        let lost = depot.take(&command(&format!("k{number}")), take(1)).await;
        assert!(matches!(lost, Err(Fault::Unknown(_))), "{lost:?}");
    }
    assert_eq!(reason(depot.take(&command("k2"), take(1)).await), Reason::BreakerOpen);
}

#[tokio::test]
async fn a_full_bulkhead_turns_callers_away() {
    let (service, server) = served().await;
    let narrow = RemoteLimits {
        calls_max: 1,
        waiting_max: 1,
        waiting: Duration::from_millis(50),
        ..limits()
    };
    let depot = depot(&server, narrow);
    let inside = tokio::spawn({
        let depot = Arc::clone(&depot);
        async move { depot.wait(&command("inside"), ()).await }
    });
    eventually("it is inside", || service.arrived() == 1).await;
    let (one, two) = (command("one"), command("two"));
    let (queued, turned_away) = tokio::join!(depot.take(&one, take(1)), depot.take(&two, take(1)));
    assert_eq!((reason(queued), reason(turned_away)), (Reason::Overloaded, Reason::Overloaded));
    service.go.add_permits(1);
    assert_eq!(inside.await.unwrap(), Ok(()));
    assert!(depot.take(&command("later"), take(1)).await.is_ok());
}

#[tokio::test]
async fn retries_stay_within_their_budget() {
    let (_service, server) = served().await;
    let thrifty =
        RemoteLimits { retry_percent: 10, retry_burst: 5, breaker_failures: u32::MAX, ..limits() };
    let depot = depot(&server, thrifty);
    server.manners.hang_up_before.store(usize::MAX, Ordering::SeqCst);
    for number in 0..50 {
        assert!(depot.take(&command(&format!("k{number}")), take(1)).await.is_err());
    }
    let asked = server.manners.calls.load(Ordering::SeqCst);
    assert!((50..=60).contains(&asked), "50 calls became {asked}");
}

#[test]
fn only_the_url_of_a_process_is_taken() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = Client::new(runtime.handle().clone());
    for (url, good) in [
        ("http://127.0.0.1:7702", true),
        ("http://inventory.shop.internal:7702/", true),
        ("https://127.0.0.1:7702", false),
        ("127.0.0.1:7702", false),
        ("http://127.0.0.1:7702/rpc", false),
        ("", false),
    ] {
        let made = Remote::new(client.clone(), url, Keyring::new("edge", "t"));
        assert_eq!(made.is_ok(), good, "{url}");
    }
}
