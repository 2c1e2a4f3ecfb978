//! What becomes of calls without an answer.

use crate::harness::get;

#[actix_web::test]
async fn every_reason_has_its_problem() {
    let cases = [
        ("overloaded", 503, "overloaded", true),
        ("unavailable", 503, "unavailable", true),
        ("breaker_open", 503, "unavailable", true),
        ("gate_closed", 503, "moving", true),
        ("moved", 503, "moving", true),
        ("incompatible", 503, "unavailable", true),
        ("deadline_passed", 504, "deadline-passed", true),
        ("key_reused", 422, "idempotency-key-reused", false),
        ("forbidden", 403, "forbidden", false),
        ("malformed", 400, "malformed", false),
        ("failed", 500, "internal", false),
        ("unknown", 503, "outcome-unknown", true),
    ];
    for (reason, status, slug, waits) in cases {
        let answer = get(&format!("/v1/faults/{reason}"), &[]).await;
        answer.problem(status, slug);
        assert_eq!(!answer.header("retry-after").is_empty(), waits, "{reason}");
        if status == 500 {
            assert!(!answer.text.contains("inner words"), "{}", answer.text);
        }
    }
}

#[actix_web::test]
async fn a_refusal_keeps_its_members() {
    let answer = get("/v1/buy", &[]).await;
    let problem = answer.problem(409, "out-of-stock");
    assert_eq!(problem["title"], "Not enough in stock");
    assert_eq!(problem["detail"], "two are short");
    assert_eq!(problem["short"], 2);
    assert_eq!(answer.fields(), ["lines[1].quantity"]);
}
