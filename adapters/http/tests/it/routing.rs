//! Paths, methods, ids and headers.

use actix_web::http::Method;

use crate::harness::{ask, get, table};

#[actix_web::test]
async fn literal_paths_win_over_parameters() {
    assert_eq!(get("/v1/stock/latest", &[]).await.json(), "latest");
    assert_eq!(get("/v1/stock/85123a", &[]).await.json()["sku"], "85123A");
}

#[actix_web::test]
async fn what_there_is_not_is_a_problem() {
    get("/v1/nothing", &[]).await.problem(404, "not-found");
    get("/", &[]).await.problem(404, "not-found");
    let other = ask(Method::DELETE, "/v1/carts", &[], None).await;
    other.problem(405, "method-not-allowed");
    assert_eq!(other.header("allow"), "POST, PUT");
    assert_eq!(ask(Method::HEAD, "/v1/stock/latest", &[], None).await.status, 200);
}

#[actix_web::test]
async fn ids_are_taken_over_or_made() {
    let given = get("/v1/stock/latest", &[("x-request-id", "abc-1")]).await;
    assert_eq!(given.header("x-request-id"), "abc-1");
    for unsound in ["", "has space"] {
        let made = get("/v1/stock/latest", &[("x-request-id", unsound)]).await;
        assert_eq!(made.header("x-request-id").len(), 36);
    }
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let traced = get("/v1/stock/A", &[("traceparent", parent)]).await;
    assert_eq!(traced.json()["trace"], "0af7651916cd43dd8448eb211c80319c");
    let untraced = get("/v1/stock/A", &[("traceparent", "00-junk")]).await;
    assert_eq!(untraced.json()["trace"].as_str().unwrap().len(), 32);
}

#[actix_web::test]
async fn nobody_outside_may_speak_for_a_process() {
    let forged = get("/v1/stock/A", &[("banyan-caller", "module:ordering")]).await;
    assert_eq!(forged.json()["caller"], "public");
}

#[test]
fn the_list_shows_every_operation() {
    let (table, _) = table();
    let rows = table.rows();
    assert_eq!(rows.len(), 12);
    let cart = rows.iter().find(|row| row.path == "/v1/carts" && row.method == "POST").unwrap();
    assert_eq!(
        (cart.module, cart.access.as_str(), cart.summary),
        ("shelf", "public", "Make a cart")
    );
    assert_eq!(rows.iter().find(|row| row.method == "PATCH").unwrap().access.as_str(), "operator");
}
