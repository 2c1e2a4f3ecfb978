//! The OpenAPI document says what the routes do, and the page shows it.

use crate::harness::{get, table};

#[test]
fn the_document_says_what_the_handlers_read() {
    let (table, _) = table();
    let document: serde_json::Value = serde_json::from_str(table.openapi()).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let post = &document["paths"]["/v1/carts"]["post"];
    assert_eq!(post["tags"][0], "shelf");
    assert_eq!(
        post["requestBody"]["content"]["application/json"]["schema"]["$ref"],
        "#/components/schemas/Cart"
    );
    assert_eq!(post["parameters"][0]["name"], "Idempotency-Key");
    assert_eq!(post["parameters"][0]["required"], true);
    assert!(
        post["responses"]["409"]["description"]
            .as_str()
            .unwrap()
            .contains("urn:banyan:problem:out-of-stock")
    );
    assert!(post["responses"]["413"].is_object() && post["responses"]["415"].is_object());
    assert_eq!(
        document["components"]["schemas"]["Cart"]["properties"]["lines"]["items"]["$ref"],
        "#/components/schemas/Line"
    );
    let stock = &document["paths"]["/v1/stock/{sku}"]["get"];
    assert_eq!(stock["parameters"][0]["in"], "path");
    assert!(stock["parameters"][0]["schema"]["pattern"].is_string(), "{stock}");
    assert_eq!(stock["security"], serde_json::json!([{}]));
    let list = &document["paths"]["/v1/things"]["get"];
    let names: Vec<_> = list["parameters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["after", "limit", "price_max"]);
    let edit = &document["paths"]["/v1/versioned"]["patch"];
    assert_eq!(edit["security"], serde_json::json!([{ "operator": [] }]));
    assert!(edit["parameters"].as_array().unwrap().iter().any(|p| p["name"] == "If-Match"));
    assert!(edit["responses"]["412"].is_object() && edit["responses"]["428"].is_object());
}

#[test]
fn every_reference_leads_somewhere() {
    let (table, _) = table();
    let document: serde_json::Value = serde_json::from_str(table.openapi()).unwrap();
    let references =
        table.openapi().split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap());
    for reference in references {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
}

#[actix_web::test]
async fn the_page_needs_nothing_from_outside() {
    let page = get("/docs", &[]).await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
    for outside in ["http://", "https://", "src=\"//", "@import"] {
        assert!(!page.text.contains(outside), "{outside}");
    }
    assert!(page.text.contains("openapi.json"));
    assert_eq!(get("/openapi.json", &[]).await.json()["openapi"], "3.1.0");
}
