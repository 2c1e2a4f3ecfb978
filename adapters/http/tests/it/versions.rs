//! Edits want the version that was read.

use actix_web::http::Method;

use crate::harness::{OPERATOR, ask, get};

#[actix_web::test]
async fn an_edit_wants_the_version_that_was_read() {
    let operator = format!("Bearer {OPERATOR}");
    let edit = async |version: Option<&str>| {
        let mut headers = vec![("authorization", operator.as_str())];
        headers.extend(version.map(|version| ("if-match", version)));
        ask(Method::PATCH, "/v1/versioned", &headers, None).await
    };
    let done = edit(Some("\"v3\"")).await;
    assert_eq!((done.status.as_u16(), done.header("etag")), (204, "\"v4\""));
    assert_eq!(edit(Some("*")).await.status, 204);
    assert_eq!(edit(Some("\"v3-1f00\"")).await.status, 204, "the hash is about freshness only");
    edit(Some("\"v2\"")).await.problem(412, "version-mismatch");
    edit(Some("W/\"v3\"")).await.problem(412, "version-mismatch");
    edit(Some("junk")).await.problem(412, "version-mismatch");
    edit(None).await.problem(428, "version-missing");
}

#[actix_web::test]
async fn what_is_known_is_not_sent_again() {
    let first = get("/v1/versioned", &[]).await;
    assert_eq!(first.header("etag"), "\"v3\"");
    for (held, status) in [("\"v3\"", 304), ("\"v1\", W/\"v3\"", 304), ("*", 304), ("\"v2\"", 200)]
    {
        let again = get("/v1/versioned", &[("if-none-match", held)]).await;
        assert_eq!(again.status, status, "{held}");
        assert_eq!(again.text.is_empty(), status == 304);
    }
}
