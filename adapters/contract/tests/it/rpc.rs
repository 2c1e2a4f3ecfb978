//! The server's half as any other language sees it: headers and JSON-RPC 2.0.

use std::{collections::BTreeMap, sync::Arc};

use contract::{
    Answer, Call, Descriptor, Never, Secret,
    rpc::{self, Document, Head, REQUEST_BYTES_MAX, Registry},
};
use serde_json::{Value, json};

use crate::depot::{Depot, Service};

struct Peer {
    registry: Registry,
    service: Arc<Service>,
    headers: BTreeMap<&'static str, String>,
}

impl Peer {
    fn new() -> Self {
        let secret = Secret::new([1; 32]);
        let service = Service::new();
        let registry = Registry::new(secret.clone());
        registry.insert(contract::dispatcher::<dyn Depot>(Arc::clone(&service) as _));
        let headers = BTreeMap::from([
            ("authorization", format!("Bearer {}", secret.token("shop"))),
            ("banyan-peer", "shop".to_owned()),
            ("banyan-caller", "module:shop".to_owned()),
            ("banyan-deadline-ms", "5000".to_owned()),
            ("idempotency-key", "k".to_owned()),
        ]);
        Self { registry, service, headers }
    }

    fn with(mut self, header: &'static str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.headers.insert(header, value.to_owned()),
            None => self.headers.remove(header),
        };
        self
    }

    fn head(&self) -> Head {
        Head::read(|name| self.headers.get(name).map(String::as_str))
    }

    async fn post(&self, body: &str) -> (u16, Value) {
        let reply = rpc::call(&self.registry, "depot", self.head(), body.as_bytes()).await;
        (reply.status, serde_json::from_slice(&reply.body).unwrap())
    }

    async fn ask(&self, method: &str, params: Value) -> (u16, Value) {
        let body = json!({ "jsonrpc": "2.0", "id": "a", "method": method, "params": params });
        self.post(&body.to_string()).await
    }
}

#[tokio::test]
async fn nobody_works_on_when_the_deadline_has_passed() {
    let peer = Peer::new().with("banyan-deadline-ms", Some("20"));
    let (status, answer) = peer.ask("wait", json!([null])).await;
    assert_eq!((status, &answer["error"]["code"]), (200, &json!(-32002)), "{answer}");
    peer.service.go.add_permits(1);
    assert_eq!((peer.service.arrived(), peer.service.go.available_permits()), (1, 1));
}

#[tokio::test]
async fn an_absurd_deadline_is_cut_or_refused() {
    for (header, code) in [
        ("18446744073709551615", None),
        ("0", Some(-32001)),
        ("-1", Some(-32001)),
        ("1.5", Some(-32001)),
        ("99999999999999999999999", Some(-32001)),
    ] {
        let peer = Peer::new().with("banyan-deadline-ms", Some(header));
        let (_, answer) = peer.ask("nothing", json!([null])).await;
        assert_eq!(answer["error"]["code"].as_i64(), code, "{header}: {answer}");
        assert_eq!(peer.service.arrived(), usize::from(code.is_none()));
    }
}

#[tokio::test]
async fn params_nested_without_end_are_malformed() {
    let peer = Peer::new();
    let deep = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
    let (_, answer) = peer
        .post(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"nothing","params":{deep}}}"#))
        .await;
    assert_eq!(answer["error"]["data"]["not_executed"]["reason"], "malformed", "{answer}");
    assert_eq!(peer.service.arrived(), 0);
}

#[tokio::test]
async fn an_answer_carries_the_id_and_the_result() {
    for params in [json!({ "sku": "TEAPOT" }), json!(["TEAPOT"])] {
        let answer = Peer::new().ask("stock", params).await;
        assert_eq!(answer, (200, json!({ "jsonrpc": "2.0", "id": "a", "result": 100 })));
    }
}

#[tokio::test]
async fn an_error_carries_the_whole_fault() {
    let (status, answer) = Peer::new().ask("stock", json!({ "sku": "GHOST" })).await;
    assert_eq!((status, &answer["error"]["code"]), (200, &json!(-32000)));
    let refused = json!({ "refused": { "refusal": "unlisted", "sku": "GHOST" } });
    assert_eq!(answer["error"]["data"], refused);

    let (_, answer) = Peer::new().ask("refuse", json!({ "reason": "overloaded" })).await;
    assert_eq!(answer["error"]["code"], json!(-32001));
    let told = json!({ "reason": "overloaded", "detail": "as told", "retry_after_ms": 7 });
    assert_eq!(answer["error"]["data"], json!({ "not_executed": told }));
}

#[tokio::test]
async fn what_is_no_request_is_refused_with_the_specified_code() {
    for (body, code) in [
        ("", -32700),
        ("{", -32700),
        ("nonsense", -32700),
        (r#"{"jsonrpc":"2.0","id":1,"method":"nothing","params":[null]} x"#, -32700),
        ("[]", -32600),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"nothing","params":[null]}]"#, -32600),
        (r#"{"jsonrpc":"1.0","id":1,"method":"nothing","params":[null]}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"params":[null]}"#, -32600),
        (r#"{"jsonrpc":"2.0","method":"nothing","params":[null]}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":null,"method":"nothing","params":[null]}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":{},"method":"nothing","params":[null]}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":5,"params":[null]}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"nothing","params":[null],"more":1}"#, -32600),
    ] {
        let (status, answer) = Peer::new().post(body).await;
        assert_eq!((status, &answer["error"]["code"]), (200, &json!(code)), "{body}");
        assert_eq!(answer["id"], Value::Null, "{body}");
        assert_eq!(answer["error"]["data"]["not_executed"]["reason"], "malformed", "{body}");
    }
}

#[tokio::test]
async fn a_wrong_argument_is_named() {
    for (method, params, code, named) in [
        ("ghost", json!({}), -32601, "ghost"),
        ("stock", json!({}), -32602, "sku"),
        ("stock", json!([]), -32602, "sku"),
        ("stock", json!(["a", "b"]), -32602, "sku"),
        ("stock", json!("TEAPOT"), -32602, "sku"),
        ("stock", json!({ "sku": "a", "more": 1 }), -32602, "more"),
        ("stock", Value::Null, -32602, "params"),
        ("take", json!({ "wish": { "sku": "a", "quantity": -1 } }), -32602, "wish.quantity"),
        ("take", json!({ "wish": { "sku": "a" } }), -32602, "quantity"),
    ] {
        let peer = Peer::new();
        let (_, answer) = peer.ask(method, params.clone()).await;
        let error = &answer["error"];
        assert_eq!((&error["code"], &answer["id"]), (&json!(code), &json!("a")), "{params}");
        let detail = error["data"]["not_executed"]["detail"].as_str().unwrap();
        assert!(detail.contains(named), "{params}: {detail}");
        assert_eq!(peer.service.arrived(), 0);
    }
}

#[tokio::test]
async fn headers_are_checked_before_anything_is_done() {
    let other = Secret::new([1; 32]).token("payments");
    for (header, value, status, reason) in [
        ("authorization", None, 401, "forbidden"),
        ("authorization", Some("Bearer 00"), 401, "forbidden"),
        ("authorization", Some(&*format!("Bearer {other}")), 401, "forbidden"),
        ("banyan-peer", None, 401, "forbidden"),
        ("banyan-peer", Some("payments"), 401, "forbidden"),
        ("banyan-caller", Some("module:payments"), 200, "forbidden"),
        ("banyan-caller", None, 200, "malformed"),
        ("banyan-caller", Some("a b"), 200, "malformed"),
        ("banyan-deadline-ms", None, 200, "malformed"),
        ("banyan-deadline-ms", Some("soon"), 200, "malformed"),
        ("banyan-deadline-ms", Some("0"), 200, "deadline_passed"),
        ("idempotency-key", None, 200, "malformed"),
        ("idempotency-key", Some(""), 200, "malformed"),
        ("banyan-method-hash", Some("00"), 200, "incompatible"),
    ] {
        let peer = Peer::new().with(header, value);
        let params = json!({ "wish": { "sku": "TEAPOT", "quantity": 1 } });
        let (got, answer) = peer.ask("take", params).await;
        assert_eq!(got, status, "{header}: {value:?}");
        let told = &answer["error"]["data"]["not_executed"]["reason"];
        assert_eq!(told, reason, "{header}: {value:?}");
        assert_eq!(peer.service.arrived(), 0, "{header}: {value:?}");
    }
}

#[tokio::test]
async fn an_unreadable_trace_is_started_anew() {
    let peer = Peer::new().with("traceparent", Some("00-zz"));
    let (_, answer) = peer.ask("sign", json!(["n"])).await;
    assert_eq!(answer["result"]["trace"].as_str().unwrap().len(), 32);
}

#[tokio::test]
async fn a_body_has_its_limit() {
    let (status, _) = Peer::new().post(&" ".repeat(REQUEST_BYTES_MAX + 1)).await;
    assert_eq!(status, 413);
    let (status, _) = Peer::new().post(&" ".repeat(REQUEST_BYTES_MAX)).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn a_module_that_is_not_here_has_moved() {
    let peer = Peer::new();
    peer.registry.remove("depot");
    let (status, answer) = peer.ask("nothing", json!([null])).await;
    assert_eq!(status, 404);
    assert_eq!(answer["error"]["data"]["not_executed"]["reason"], "moved");
}

/// Words that Rust keeps for itself.
#[contract::contract("words")]
trait Words: Send + Sync + 'static {
    /// Finds what matches.
    #[query]
    async fn r#match(&self, call: &Call, r#type: String) -> Answer<(), Never>;
}

#[test]
fn names_on_the_wire_are_plain() {
    let words = Descriptor::of::<dyn Words>();
    assert_eq!((words.methods[0].name, words.methods[0].argument), ("match", "type"));
}

#[tokio::test]
async fn the_contract_describes_itself() {
    let peer = Peer::new();
    let reply = rpc::document(&peer.registry, "depot", &peer.head(), Document::OpenRpc);
    let document: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(document["openrpc"], "1.3.2");
    let take = &document["methods"][1];
    assert_eq!((&take["name"], &take["x-kind"]), (&json!("take"), &json!("command")));
    assert_eq!(take["summary"], "Takes some of it.");
    assert_eq!(take["params"][0]["schema"]["properties"]["quantity"]["type"], "integer");
    assert_eq!(take["errors"][0]["code"], -32000);
    let never = &document["methods"][3];
    assert_eq!(never["errors"][0]["code"], -32001, "it has no refusal");
    let (_, discovered) = peer.ask("rpc.discover", json!([])).await;
    assert_eq!(discovered["result"], document);
    let stranger = peer.with("authorization", None);
    let reply = rpc::document(&stranger.registry, "depot", &stranger.head(), Document::Schema);
    assert_eq!(reply.status, 401);
}
