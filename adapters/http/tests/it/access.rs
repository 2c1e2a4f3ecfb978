//! Who gets in is the table's decision.

use crate::harness::{OPERATOR, SECRET, get};

#[actix_web::test]
async fn the_table_decides_who_enters() {
    let operator = format!("Bearer {OPERATOR}");
    let guest = format!("bearer {SECRET}");
    let cases = [
        ("public", None, Some("public")),
        ("public", Some(operator.as_str()), Some("operator")),
        ("public", Some(guest.as_str()), Some("guest:")),
        ("public", Some("Bearer nonsense"), None),
        ("public", Some("Basic abc"), None),
        ("guest", None, None),
        ("guest", Some(operator.as_str()), Some("operator")),
        ("guest", Some(guest.as_str()), Some("guest:")),
        ("operator", None, None),
        ("operator", Some(operator.as_str()), Some("operator")),
        ("operator", Some(guest.as_str()), None),
        ("operator", Some("Bearer operator-tokem"), None),
    ];
    for (rule, credential, caller) in cases {
        let headers: Vec<_> = credential.iter().map(|value| ("authorization", *value)).collect();
        let answer = get(&format!("/v1/who/{rule}"), &headers).await;
        match caller {
            Some(start) => {
                let shown = answer.json()["caller"].as_str().unwrap().to_owned();
                assert!(shown.starts_with(start), "{rule} {credential:?}: {shown}");
                assert!(!answer.text.contains(SECRET));
            }
            None => {
                answer.problem(401, "unauthenticated");
                assert_eq!(answer.header("www-authenticate"), "Bearer");
            }
        }
    }
}
