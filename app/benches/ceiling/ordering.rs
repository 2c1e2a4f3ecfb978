//! What ordering writes: the cart, the checkout's saga step by step, the order's events, its read models, its facts.

use rusqlite::Connection;

use super::rows::{Module, NOW, Order, keep, run};

pub const MODULE: Module = Module {
    name: "ordering",
    fill: |_| {},
    steps: &[open_cart, check_out, reserved, authorised, placed, paid],
};

const SECRET: &str = "c4c6d9e156ada86f417922defb34ce25145c3420aa09589cd05c3661464c34be";
const PARTS: &str = r#"[{"kind":"goods","net":{"amount":"349.35","currency":"GBP"}}]"#;
const TRACE: &str = "00-00b3abe19a9ab2a84e5a943b225b7169-b4e07eafde8c1d47-01";

fn open_cart(connection: &Connection, order: &Order) {
    run(
        connection,
        "INSERT INTO cart (id, version, customer, reference, currency, secret_hash, lines, line_count, goods, parts, \
         net_micros, total_minor, priced_at, created_at) VALUES (?1, 1, ?2, ?3, 'GBP', ?4, ?5, ?6, 1, ?7, ?8, ?9, ?10, ?10)",
        (
            &order.cart,
            &order.customer,
            &order.reference,
            SECRET,
            &order.sold,
            i64::try_from(order.lines.len()).unwrap(),
            PARTS,
            349_350_000,
            34_935,
            NOW,
        ),
    );
    let key = format!("replay:257c72b11e77fca4:{}:cart", order.reference);
    keep(connection, ("operator", "open_cart"), &key, &format!("\"{}\"", order.cart));
}

fn check_out(connection: &Connection, order: &Order) {
    run(
        connection,
        "UPDATE cart SET checkout = ?1 WHERE id = ?2 AND version = 1 AND checkout IS NULL",
        (&order.id, &order.cart),
    );
    run(
        connection,
        "INSERT INTO saga (id, kind, version, state, step, status, revision, attempts, in_doubt, next_try_at, \
         lease_owner, lease_until_at, created_at, updated_at) \
         VALUES (?1, 'ordering.checkout', 1, ?2, 'reserve', 'running', 1, 0, 0, ?3, ?4, ?5, ?3, ?3)",
        (
            &order.id,
            state(order, "reserve"),
            NOW,
            "01a20672-dab3-7528-b844-fb2483b4db2d",
            NOW + 30_000_000,
        ),
    );
    let key = format!("replay:257c72b11e77fca4:{}:checkout:1", order.reference);
    keep(connection, ("operator", "check_out"), &key, &format!("\"{}\"", order.id));
}

fn reserved(connection: &Connection, order: &Order) {
    step(connection, order, "authorise", 1);
}

fn authorised(connection: &Connection, order: &Order) {
    step(connection, order, "commit", 2);
}

fn placed(connection: &Connection, order: &Order) {
    event(
        connection,
        order,
        1,
        "placed",
        &format!(
            r#"{{"reference":"{}","customer":"{}","secret":"{SECRET}","currency":"GBP","lines":{}}}"#,
            order.reference, order.customer, order.sold
        ),
    );
    run(
        connection,
        "INSERT INTO order_summary (id, version, origin, status, paid, reference, source_rows, customer, currency, \
         line_count, goods, parts, net_micros, total_minor, promised_minor, refunded_minor, secret_hash, placed_at, updated_at) \
         VALUES (?1, 1, 'live', 'placed', 0, ?2, 0, ?3, 'GBP', ?4, 1, ?5, 349350000, 34935, 0, 0, ?6, ?7, ?7)",
        (
            &order.id,
            &order.reference,
            &order.customer,
            i64::try_from(order.lines.len()).unwrap(),
            PARTS,
            SECRET,
            NOW + order.number,
        ),
    );
    for (number, line) in (0_i64..).zip(&order.lines) {
        run(
            connection,
            "INSERT INTO order_line (order_id, line, sku, quantity, price_micros, returned) VALUES (?1, ?2, ?3, ?4, ?5, 0)",
            (&order.id, number, &line.sku, line.quantity, line.price_micros),
        );
    }
    let total = r#"{"amount":"349.35","currency":"GBP"}"#;
    tell(
        connection,
        order,
        "ordering.order.placed",
        &format!(
            r#"{{"order":"{}","customer":"{}","total":{total},"lines":23,"at":"2026-11-23T03:28:45.509594Z"}}"#,
            order.id, order.customer
        ),
    );
    step(connection, order, "capture", 3);
}

fn paid(connection: &Connection, order: &Order) {
    run(
        connection,
        "UPDATE order_summary SET version = 2, status = 'paid', paid = 1, updated_at = ?1 WHERE id = ?2 AND version = 1",
        (NOW, &order.id),
    );
    event(connection, order, 2, "paid", "{}");
    let charged = r#"{"amount":"349.35","currency":"GBP"}"#;
    tell(
        connection,
        order,
        "ordering.order.paid",
        &format!(
            r#"{{"order":"{}","charged":{charged},"parts":{PARTS},"at":"2026-11-23T03:28:45.509594Z"}}"#,
            order.id
        ),
    );
    step(connection, order, "completed", 4);
}

fn step(connection: &Connection, order: &Order, name: &str, from: i64) {
    let status = if name == "completed" { "done" } else { "running" };
    run(
        connection,
        "UPDATE saga SET state = ?1, step = ?2, status = ?3, revision = revision + 1, lease_until_at = ?4, updated_at = ?5 \
         WHERE id = ?6 AND revision = ?7",
        (state(order, name), name, status, NOW + 30_000_000, NOW, &order.id, from),
    );
}

fn state(order: &Order, step: &str) -> String {
    format!(
        r#"{{"cart":"{}","total_minor":34935,"currency":"GBP","goods":true,"placed":false,"step":{{"step":"{step}","token":"tok_approve"}}}}"#,
        order.cart
    )
}

fn event(connection: &Connection, order: &Order, number: i64, kind: &str, data: &str) {
    run(
        connection,
        "INSERT INTO order_event (order_id, seq, kind, version, data, at) VALUES (?1, ?2, ?3, 1, ?4, ?5)",
        (&order.id, number, kind, data, NOW),
    );
}

fn tell(connection: &Connection, order: &Order, kind: &str, data: &str) {
    run(
        connection,
        "INSERT INTO outbox (event_id, kind, version, subject, data, traceparent, occurred_at) VALUES (?1, ?2, 1, ?3, ?4, ?5, ?6)",
        (&order.cart, kind, &order.id, data, TRACE, NOW),
    );
}
