//! Placement over HTTP: what is shown, what is refused, and how.

use std::sync::Arc;

use actix_web::{App, http::StatusCode, test, test::TestRequest, web::Data};
use http_api::{About, OperatorToken, Table};
use kernel_api::Id;
use placement_api::{Plan, Step};
use serde_json::{Value, json};

use super::world::{World, call};

async fn send(world: &World, request: TestRequest) -> (StatusCode, String) {
    let about = About { title: "test".into(), version: "0".into(), description: String::new() };
    let table = Table::new(&about, vec![crate::routes(Arc::clone(&world.placement))]);
    let app = App::new()
        .app_data(Data::new(OperatorToken::new("secret")))
        .configure(|config| table.configure(config));
    let response = test::call_service(&test::init_service(app).await, request.to_request()).await;
    let status = response.status();
    let body = test::read_body(response).await;
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn ask(world: &World, request: TestRequest) -> (StatusCode, Value) {
    let (status, body) = send(world, request).await;
    (status, serde_json::from_str(&body).unwrap_or(Value::Null))
}

fn get(path: &str) -> TestRequest {
    TestRequest::get().uri(path).insert_header(("authorization", "Bearer secret"))
}

fn post(path: &str, body: &Value) -> TestRequest {
    TestRequest::post()
        .uri(path)
        .insert_header(("authorization", "Bearer secret"))
        .insert_header(("idempotency-key", Id::<()>::fresh().to_string()))
        .set_json(body)
}

fn wish() -> Value {
    json!({
        "carve": Id::<()>::fresh(), "module": "inventory", "to": "child",
        "database": "postgres://me:hush@db/shop", "who": "<b>me</b>", "reason": "to grow",
        "plan": { "observe_s": 0 },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_carve_is_begun_watched_and_certified() {
    World::each(async |world| {
        world.monolith().await;
        world.announce("child", 1, "carve:").await;
        let (status, carve) = ask(&world, post("/v1/placement/carves", &wish())).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{carve}");
        let id = carve["id"].as_str().unwrap().parse().unwrap();
        let begun = world.placement.carve(&call(), id).await.unwrap();
        world.until(&begun, Step::Ended).await;
        let at = format!("/v1/placement/carves/{}", begun.id);
        let (status, certificate) = ask(&world, get(&format!("{at}/certificate"))).await;
        assert_eq!((status, &certificate["outcome"]), (StatusCode::OK, &json!("completed")));
        let (status, page) = send(&world, get(&format!("{at}/certificate.html"))).await;
        assert_eq!(status, StatusCode::OK);
        assert!(page.contains("completed, nothing lost"), "{page}");
        assert!(page.contains("&lt;b&gt;me&lt;/b&gt;") && !page.contains("<b>me"), "{page}");
        let (_, journal) = ask(&world, get(&format!("{at}/journal?limit=2"))).await;
        assert_eq!(journal["items"][0]["step"], "plan");
        let (_, carves) = send(&world, get("/v1/placement/carves?module=inventory")).await;
        assert!(carves.contains(&begun.id.to_string()));
        // No answer shows a password.
        for path in ["", "/journal", "/certificate"] {
            assert!(!send(&world, get(&format!("{at}{path}"))).await.1.contains("hush"), "{path}");
        }
        let (_, table) = ask(&world, get("/v1/placement")).await;
        assert_eq!(table["placed"][0]["owner"], "child");
        let (status, _) = ask(&world, get("/v1/placement/processes")).await;
        assert_eq!(status, StatusCode::OK);
        let late = post(&format!("{at}/wishes"), &json!({ "wish": "cancel" }));
        let (status, problem) = ask(&world, late).await;
        assert_eq!(status, StatusCode::CONFLICT);
        assert_eq!(problem["type"], "urn:banyan:problem:carve-state");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_request_names_its_field() {
    World::each(async |world| {
        world.monolith().await;
        for (field, value) in [
            ("to", json!("carve:7")),
            ("module", json!("Inventory")),
            ("url", json!("ftp://host")),
            ("database", json!("mysql://host")),
            ("who", json!("")),
            ("carve", json!("7")),
        ] {
            let mut wish = wish();
            wish[field] = value;
            let (status, problem) = ask(&world, post("/v1/placement/carves", &wish)).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{field}: {problem}");
            assert_eq!(problem["errors"][0]["field"], field, "{problem}");
        }
        let mut reads = wish();
        reads["plan"] = json!({ "reads": [101] });
        let (status, problem) = ask(&world, post("/v1/placement/carves", &reads)).await;
        assert_eq!(
            (status, &problem["errors"][0]["field"]),
            (StatusCode::BAD_REQUEST, &json!("plan.reads[0]"))
        );
        let nothing = format!("/v1/placement/carves/{}", Id::<()>::fresh());
        for path in ["", "/journal", "/certificate", "/certificate.html"] {
            let (status, _) = ask(&world, get(&format!("{nothing}{path}"))).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        }
        for path in ["/v1/placement/carves?after=x", "/v1/placement/carves?module=A"] {
            assert_eq!(ask(&world, get(path)).await.0, StatusCode::BAD_REQUEST, "{path}");
        }
        let dry = json!({ "module": "inventory", "to": "monolith" });
        let (status, problem) = ask(&world, post("/v1/placement/readiness", &dry)).await;
        assert_eq!(status, StatusCode::CONFLICT, "{problem}");
        let stranger = TestRequest::get().uri("/v1/placement");
        assert_eq!(ask(&world, stranger).await.0, StatusCode::UNAUTHORIZED);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_carve_under_way_is_shown_in_the_table() {
    World::each(async |world| {
        world.monolith().await;
        world.around.script().endless = true;
        let carve = world.begin(Plan::default()).await;
        world.until(&carve, Step::Copy).await;
        let (_, table) = ask(&world, get("/v1/placement")).await;
        assert_eq!(table["placed"][0]["moving"]["step"], "copy");
        let (status, problem) = ask(&world, post("/v1/placement/carves", &wish())).await;
        assert_eq!((status, &problem["carve"]), (StatusCode::CONFLICT, &json!(carve.id)));
        let at = format!("/v1/placement/carves/{}/wishes", carve.id);
        let (status, paused) = ask(&world, post(&at, &json!({ "wish": "pause" }))).await;
        assert_eq!((status, &paused["paused"]), (StatusCode::ACCEPTED, &json!(true)));
        let (status, _) = ask(&world, post(&at, &json!({ "wish": "fly" }))).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
    })
    .await;
}
