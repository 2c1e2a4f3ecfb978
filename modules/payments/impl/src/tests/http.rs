//! The routes, over the real service.

use std::sync::Arc;

use actix_web::{
    App,
    body::MessageBody,
    dev::{Service as _, ServiceResponse},
    http::Method,
    middleware::from_fn,
    test,
    web::Data,
};
use http_api::{About, OperatorToken, Table};
use kernel_api::Id;
use payments_api::Payment;
use serde_json::{Value, json};

use super::{Shop, shops};

const OPERATOR: &str = "operator-token";

/// Asks the module's routes as the operator; the status and the body.
async fn ask(
    shop: &Shop,
    method: Method,
    path: &str,
    key: &str,
    body: Option<Value>,
) -> (u16, Value) {
    let about =
        About { title: "test".to_owned(), version: "0".to_owned(), description: String::new() };
    let table = Table::new(&about, vec![crate::routes(Arc::new(shop.service.clone()))]);
    let app = App::new()
        .app_data(Data::new(OperatorToken::new(OPERATOR)))
        .wrap(from_fn(http_api::observe))
        .configure(|config| table.configure(config));
    let app = test::init_service(app).await;
    let mut request = test::TestRequest::with_uri(path)
        .method(method)
        .insert_header(("authorization", format!("Bearer {OPERATOR}")))
        .insert_header(("idempotency-key", key));
    if let Some(body) = body {
        request = request.set_json(body);
    }
    let answer: ServiceResponse<_> = app.call(request.to_request()).await.unwrap();
    let status = answer.status().as_u16();
    let bytes = answer.into_body().try_into_bytes().ok().unwrap();
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

fn amount(text: &str) -> Value {
    json!({ "amount": { "amount": text, "currency": "GBP" } })
}

#[actix_web::test]
async fn the_operator_sees_and_changes_payments() {
    let shop = shops().remove(0);
    let payment = Id::<Payment>::fresh();
    shop.authorise("a", payment, 1000, "tok_approve").await.unwrap();
    let path = format!("/v1/payments/{payment}");
    let post = |what: &str, key: &'static str, body: Value| {
        let (shop, path) = (&shop, format!("{path}/{what}"));
        async move { ask(shop, Method::POST, &path, key, Some(body)).await }
    };
    let (status, receipt) = post("captures", "c1", amount("6.00")).await;
    assert_eq!((status, &receipt["operation"]), (201, &json!("capture")));
    assert_eq!(post("captures", "c1", amount("6.00")).await, (201, receipt));
    assert_eq!(post("captures", "c1", amount("6.01")).await.0, 422, "the key is used");
    let (status, problem) = post("captures", "c2", amount("4.01")).await;
    assert_eq!((status, &problem["left"]["amount"]), (422, &json!("4.00")), "{problem}");
    assert_eq!(post("voids", "v1", json!({})).await.0, 201);
    assert_eq!(post("voids", "v2", json!({})).await.0, 409);
    let (status, detail) = ask(&shop, Method::GET, &path, "-", None).await;
    assert_eq!((status, &detail["payment"]["state"]), (200, &json!("captured")));
    let (_, page) = ask(&shop, Method::GET, "/v1/payments?limit=1", "-", None).await;
    assert_eq!(page["items"][0]["id"], json!(payment));
    let (_, entries) = ask(&shop, Method::GET, "/v1/ledger/entries", "-", None).await;
    assert_eq!(entries["items"].as_array().unwrap().len(), 1);
    let (_, accounts) = ask(&shop, Method::GET, "/v1/ledger/accounts", "-", None).await;
    let clearing = &accounts["accounts"][0];
    assert_eq!(clearing["account"], "provider_clearing");
    assert_eq!(clearing["balance"]["amount"], "6.00");
    let (_, audit) = ask(&shop, Method::GET, "/v1/ledger/audit", "-", None).await;
    assert_eq!(audit["differences"], json!([]));
}

#[actix_web::test]
async fn bad_input_is_named_and_a_card_number_is_not_repeated() {
    let shop = shops().remove(0);
    let payment = Id::<Payment>::fresh();
    shop.authorise("a", payment, 1000, "tok_approve").await.unwrap();
    let captures = format!("/v1/payments/{payment}/captures");
    for (body, status, field) in [
        (amount("1.001"), 400, "amount"),
        (amount("-1.00"), 422, "amount"),
        (amount("0"), 422, "amount"),
        (json!({}), 400, "amount"),
        (json!({ "card": "4111 1111 1111 1111" }), 400, "card"),
    ] {
        let (answered, problem) = ask(&shop, Method::POST, &captures, "k", Some(body)).await;
        assert_eq!(
            (answered, &problem["errors"][0]["field"]),
            (status, &json!(field)),
            "{problem}"
        );
        assert!(!problem.to_string().contains("4111"), "{problem}");
    }
    // What goes back goes through the order's returns, which keep its books.
    let refunds = format!("/v1/payments/{payment}/refunds");
    assert_eq!(ask(&shop, Method::POST, &refunds, "k", Some(amount("1.00"))).await.0, 404);
    for path in ["/v1/payments/no-id", "/v1/payments?after=x", "/v1/ledger/entries?after=x"] {
        assert_eq!(ask(&shop, Method::GET, path, "-", None).await.0, 400, "{path}");
    }
    let nobody = format!("/v1/payments/{}", Id::<Payment>::fresh());
    assert_eq!(ask(&shop, Method::GET, &nobody, "-", None).await.0, 404);
    assert_eq!(shop.detail(payment).await.payment.captured.minor, 0);
}
