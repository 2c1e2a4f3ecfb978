//! Clients that send nonsense, or nothing.

use std::{net::SocketAddr, time::Duration};

use actix_web::{
    App, HttpServer,
    http::{
        Method,
        header::{HeaderName, HeaderValue},
    },
    middleware::from_fn,
    rt, test as actix_test,
    web::Data,
};
use http_api::{BodyTime, OperatorToken};
use proptest::{
    prelude::{Just, Strategy, any, prop, prop_oneof},
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};

use crate::harness::{OPERATOR, table};

/// A request that anyone could send.
#[derive(Debug, Clone)]
struct Anything {
    method: Method,
    path: String,
    headers: Vec<(&'static str, Vec<u8>)>,
    body: Vec<u8>,
}

fn anything() -> impl Strategy<Value = Anything> {
    let methods =
        [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::HEAD, Method::DELETE];
    let paths =
        ["/v1/stock/", "/v1/carts", "/v1/things", "/v1/versioned", "/v1/who/guest", "/docs", "/"];
    let names = [
        "authorization",
        "idempotency-key",
        "if-match",
        "if-none-match",
        "content-type",
        "prefer",
        "x-request-id",
        "traceparent",
        "banyan-caller",
    ];
    let end = proptest::string::string_regex("[a-z0-9%/?&=+.~-]{0,24}").expect("a good expression");
    let good = prop_oneof![
        Just(b"application/json".to_vec()),
        Just(format!("Bearer {OPERATOR}").into_bytes()),
        Just(b"\"v3\"".to_vec()),
        Just(b"k1".to_vec()),
    ];
    let value = prop_oneof![good, prop::collection::vec(any::<u8>(), 0..40)];
    let headers = prop::collection::vec((prop::sample::select(names.to_vec()), value), 0..6);
    let json =
        proptest::string::string_regex(r#"\{?"?(lines|note|sku)?"?:?[\[\]\{\}0-9a-z",:.-]{0,40}"#)
            .expect("a good expression")
            .prop_map(String::into_bytes);
    let body = prop_oneof![json, prop::collection::vec(any::<u8>(), 0..64)];
    let start = (prop::sample::select(methods.to_vec()), prop::sample::select(paths.to_vec()), end);
    (start, headers, body).prop_map(|((method, path, end), headers, body)| Anything {
        method,
        path: format!("{path}{end}"),
        headers,
        body,
    })
}

#[test]
fn nothing_that_is_sent_is_our_fault() {
    rt::System::new().block_on(async {
        let (table, _) = table();
        let app = App::new()
            .app_data(Data::new(OperatorToken::new(OPERATOR)))
            .wrap(from_fn(http_api::observe))
            .configure(|config| table.configure(config));
        let service = actix_test::init_service(app).await;
        let mut runner = TestRunner::new(Config { cases: 2000, ..Config::default() });
        for _ in 0..2000 {
            let sent = anything().new_tree(&mut runner).unwrap().current();
            if sent.path.parse::<actix_web::http::Uri>().is_err() {
                continue;
            }
            let mut request =
                actix_test::TestRequest::default().method(sent.method.clone()).uri(&sent.path);
            for (name, value) in &sent.headers {
                if let Ok(value) = HeaderValue::from_bytes(value) {
                    request = request.append_header((HeaderName::from_static(name), value));
                }
            }
            let request = request.set_payload(sent.body.clone()).to_request();
            let response = actix_test::call_service(&service, request).await;
            let status = response.status();
            assert!(!status.is_server_error(), "{status} for {sent:?}");
            let kind = response.headers().get("content-type").cloned();
            if status.is_client_error() {
                assert_eq!(kind.unwrap(), "application/problem+json", "{sent:?}");
            }
        }
    });
}

/// What a server that gives bodies a tenth of a second answers to these bytes, sent over a socket that stays open.
fn answer_to(bytes: &'static [u8]) -> String {
    rt::System::new().block_on(async {
        let (table, _) = table();
        let server = HttpServer::new(move || {
            let table = table.clone();
            App::new()
                .app_data(Data::new(BodyTime(Duration::from_millis(100))))
                .wrap(from_fn(http_api::observe))
                .configure(move |config| table.configure(config))
        })
        .workers(1)
        .client_request_timeout(Duration::from_millis(100))
        .bind(("127.0.0.1", 0))
        .unwrap();
        let address = server.addrs()[0];
        let server = server.run();
        let handle = server.handle();
        rt::spawn(server);
        let text = rt::task::spawn_blocking(move || talk(address, bytes)).await.unwrap();
        handle.stop(false).await;
        text
    })
}

fn talk(address: SocketAddr, bytes: &[u8]) -> String {
    use std::io::{Read, Write};
    let mut socket = std::net::TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    socket.write_all(bytes).unwrap();
    let mut heard = vec![0; 4096];
    let length = socket.read(&mut heard).unwrap();
    String::from_utf8_lossy(&heard[..length]).into_owned()
}

#[test]
fn a_client_that_stops_in_the_middle_is_let_go() {
    let half_a_body = b"POST /v1/carts HTTP/1.1\r\nhost: a\r\nidempotency-key: k\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{\"lines\":";
    let answer = answer_to(half_a_body);
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("request-timeout"), "{answer}");
    let half_a_head = b"POST /v1/carts HTTP/1.1\r\nhost: a\r\nidempo";
    let answer = answer_to(half_a_head);
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}
