//! Bodies and parameters that are wrong: a 4xx that names the field, and nothing done.

use actix_web::http::Method;

use crate::harness::{ask, get, post};

#[actix_web::test]
async fn a_good_body_arrives() {
    let answer = post("/v1/carts", r#"{"lines":[{"sku":"85123a","quantity":6}]}"#).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    assert_eq!(answer.header("location"), "/v1/carts/1");
    assert_eq!(answer.json()["lines"][0]["sku"], "85123A");
    assert_eq!(answer.told, [("public".to_owned(), "k1".to_owned())]);
}

#[actix_web::test]
async fn a_wrong_body_names_its_field() {
    let cases = [
        (r#"{"lines":"#, "lines"),
        ("", "body"),
        ("[]", "body"),
        (" [[]]", "body"),
        (r#"{"lines":[{"sku":"A","quantity":-1}]}"#, "lines[0].quantity"),
        (r#"{"lines":[{"sku":"A","quantity":1.5}]}"#, "lines[0].quantity"),
        (r#"{"lines":[{"sku":"A","quantity":99999999999}]}"#, "lines[0].quantity"),
        (r#"{"lines":[{"sku":"A","quantity":1},{"sku":"a b","quantity":1}]}"#, "lines[1].sku"),
        (r#"{"lines":[{"sku":"A"}]}"#, "lines[0].quantity"),
        ("{}", "lines"),
        (r#"{"lines":[],"price":3}"#, "price"),
        (r#"{"lines":[{"sku":"A","quantity":1,"colour":"red"}]}"#, "lines[0].colour"),
        (r#"{"lines":[],"lines":[]}"#, "lines"),
        (r#"{"lines":[]} x"#, "body"),
    ];
    for (body, field) in cases {
        let answer = post("/v1/carts", body).await;
        answer.problem(400, "malformed");
        assert_eq!(answer.fields(), [field], "{body}: {}", answer.text);
        assert!(answer.told.is_empty(), "{body}");
    }
}

#[actix_web::test]
async fn other_media_types_and_large_bodies_are_refused() {
    let key = ("idempotency-key", "k1");
    let form =
        ask(Method::POST, "/v1/carts", &[key, ("content-type", "text/plain")], Some("{}")).await;
    form.problem(415, "unsupported-media-type");
    let exact = format!(r#"{{"lines":[],"note":"{}"}}"#, "x".repeat(1024 - 22));
    assert_eq!(exact.len(), 1024);
    assert_eq!(post("/v1/carts", &exact).await.status, 201);
    let large = post("/v1/carts", &format!("{exact} ")).await;
    let problem = large.problem(413, "body-too-large");
    assert_eq!(problem["limit"], 1024);
    assert!(large.told.is_empty());
}

#[actix_web::test]
async fn parameters_are_checked_and_named() {
    let good = get("/v1/things?limit=2&price_max=7&after=x", &[]).await;
    assert_eq!(good.json(), serde_json::json!({ "items": [2, 7], "next": "x" }));
    for (path, field) in [
        ("/v1/things?limit=0", "limit"),
        ("/v1/things?limit=501", "limit"),
        ("/v1/things?limit=many", "limit"),
        ("/v1/things?price_max=-1", "price_max"),
        ("/v1/things?colour=red", "colour"),
        ("/v1/stock/a%20b", "sku"),
    ] {
        let answer = get(path, &[]).await;
        answer.problem(400, "malformed");
        assert_eq!(answer.fields(), [field], "{path}: {}", answer.text);
    }
    assert_eq!(get("/v1/stock/a%2Fb", &[]).await.json()["sku"], "A/B");
}

#[actix_web::test]
async fn a_post_needs_a_key_and_a_put_gets_a_fresh_one() {
    let body = Some(r#"{"lines":[]}"#);
    let missing = ask(Method::POST, "/v1/carts", &[], body).await;
    missing.problem(400, "idempotency-key-missing");
    assert_eq!(missing.fields(), ["Idempotency-Key"]);
    let quoted = ask(Method::POST, "/v1/carts", &[("idempotency-key", "\"k 2\"")], body).await;
    quoted.problem(400, "malformed");
    let quoted = ask(Method::POST, "/v1/carts", &[("idempotency-key", "\"k2\"")], body).await;
    assert_eq!(quoted.told[0].1, "k2");
    let secret = format!("Bearer {}", crate::harness::SECRET);
    let put = ask(Method::PUT, "/v1/carts", &[("authorization", &secret)], body).await;
    assert_eq!(put.told[0].1.len(), 36, "a UUID: {:?}", put.told);
}

#[actix_web::test]
async fn who_wants_no_copy_gets_none() {
    let headers = [("idempotency-key", "k1"), ("prefer", "respond-async, return=minimal")];
    let answer = ask(Method::POST, "/v1/carts", &headers, Some(r#"{"lines":[]}"#)).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (201, ""));
    assert_eq!(answer.header("location"), "/v1/carts/1");
    assert_eq!(answer.header("preference-applied"), "return=minimal");
    let read = get("/v1/versioned", &[("prefer", "return=minimal")]).await;
    assert!(!read.text.is_empty(), "a GET is for its body");
}
