//! What payments writes: each operation's intent and its answer, the money's entry, and the revenue's.

use rusqlite::Connection;

use super::rows::{Module, NOW, Order, run};

pub const MODULE: Module = Module {
    name: "payments",
    fill: |connection| {
        run(
            connection,
            "INSERT INTO cursor (subscription, position, updated_at) VALUES ('revenue', 0, ?1)",
            [NOW],
        );
    },
    steps: &[authorise, authorised, capture, captured, earned],
};

fn authorise(connection: &Connection, order: &Order) {
    run(
        connection,
        "INSERT INTO payments (id, kind, order_id, currency, amount, token, history, version, intent_key, intent, ask_again_at, created_at) \
         VALUES (?1, 'charge', ?1, 'GBP', 34935, 'tok_approve', 0, 1, ?2, ?3, ?4, ?5)",
        (&order.id, key(order, "authorise"), intent(order, "authorise"), NOW + 30_000_000, NOW),
    );
}

fn authorised(connection: &Connection, order: &Order) {
    settle(
        connection,
        order,
        "authorise",
        "UPDATE payments SET version = version + 1, intent_key = NULL, intent = NULL, ask_again_at = NULL, \
         authorised = authorised + 34935 WHERE id = ?1 AND intent_key = ?2",
    );
}

fn capture(connection: &Connection, order: &Order) {
    run(
        connection,
        "UPDATE payments SET version = version + 1, intent_key = ?1, intent = ?2, ask_again_at = ?3 WHERE id = ?4 AND intent_key IS NULL",
        (key(order, "capture"), intent(order, "capture"), NOW + 30_000_000, &order.id),
    );
}

fn captured(connection: &Connection, order: &Order) {
    settle(
        connection,
        order,
        "capture",
        "UPDATE payments SET version = version + 1, intent_key = NULL, intent = NULL, ask_again_at = NULL, \
         captured = captured + 34935 WHERE id = ?1 AND intent_key = ?2",
    );
    enter(connection, order, &order.cart, ("provider_clearing", "receivable"), "captured");
}

/// A page of events moves the cursor once; here each order does, which is one row of an update in place.
fn earned(connection: &Connection, order: &Order) {
    let entry = format!("{}e", order.cart);
    enter(connection, order, &entry, ("receivable", "sales"), "order_paid");
    run(
        connection,
        "UPDATE cursor SET position = position + 1, updated_at = ?1 WHERE subscription = 'revenue'",
        [NOW],
    );
}

fn settle(connection: &Connection, order: &Order, kind: &str, sql: &str) {
    run(connection, sql, (&order.id, key(order, kind)));
    run(
        connection,
        "INSERT INTO operations (key, payment_id, kind, currency, amount, reference, request_hash, settled_at) \
         VALUES (?1, ?2, ?3, 'GBP', 34935, ?4, '2f729a8c91ae832f1d337f38b2942e2a', ?5)",
        (key(order, kind), &order.id, kind, &order.cart, NOW),
    );
}

fn enter(
    connection: &Connection,
    order: &Order,
    entry: &str,
    (debit, credit): (&str, &str),
    reason: &str,
) {
    run(
        connection,
        "INSERT INTO transfers (entry_id, line, debit, credit, micros, currency, reason, reference, subject, booked_at) \
         VALUES (?1, 0, ?2, ?3, 349350000, 'GBP', ?4, ?5, ?5, ?6)",
        (entry, debit, credit, reason, &order.id, NOW),
    );
}

fn key(order: &Order, kind: &str) -> String {
    format!("module:ordering {kind} {}:{kind}", order.id)
}

fn intent(order: &Order, kind: &str) -> String {
    format!(
        r#"{{"kind":"{kind}","amount":{{"amount":"349.35","currency":"GBP"}},"reference":"{}","subject":"{}","token":"tok_approve","request_hash":"2f729a8c91ae832f1d337f38b2942e2a","since":"2026-11-23T03:28:45.509594Z"}}"#,
        order.cart, order.id
    )
}
