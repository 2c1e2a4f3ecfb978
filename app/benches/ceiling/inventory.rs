//! What inventory writes: the reservation and its commit.

use rusqlite::Connection;

use super::rows::{Module, NOW, Order, SKUS, keep, run, sku_code};

pub const MODULE: Module = Module { name: "inventory", fill, steps: &[reserve, commit] };

fn fill(connection: &Connection) {
    connection.execute_batch("BEGIN").unwrap();
    for sku in 0..SKUS {
        run(
            connection,
            "INSERT INTO levels (sku, location, on_hand, entries) VALUES (?1, 'main', 1000000000, 0)",
            [sku_code(sku)],
        );
    }
    connection.execute_batch("COMMIT").unwrap();
}

fn reserve(connection: &Connection, order: &Order) {
    run(
        connection,
        "INSERT INTO reservations (id, state, reference, created_at, expires_at, lines) VALUES (?1, 'open', ?2, ?3, ?4, ?5)",
        (&order.id, format!("order:{}", order.id), NOW, NOW + 900_000_000, &order.held),
    );
    for line in &order.lines {
        run(
            connection,
            "UPDATE levels SET reserved = reserved + ?1 WHERE sku = ?2 AND location = 'main' AND on_hand - reserved >= ?1",
            (line.quantity, &line.sku),
        );
    }
    let answer =
        format!(r#"{{"reservation":"{}","expires_at":"2026-11-23T03:28:43.564248Z"}}"#, order.id);
    keep(connection, ("module:ordering", "reserve"), &format!("{}:reserve", order.id), &answer);
}

fn commit(connection: &Connection, order: &Order) {
    run(
        connection,
        "UPDATE reservations SET state = 'committed', closed_at = ?1 WHERE id = ?2 AND state = 'open'",
        (NOW, &order.id),
    );
    let reference = format!("order:{}", order.id);
    for line in &order.lines {
        // The answer of the update is the entry's number: no second look at the level.
        let mut sell = connection
            .prepare_cached(
                "UPDATE levels SET on_hand = on_hand - ?1, reserved = reserved - ?1, entries = entries + 1 \
                 WHERE sku = ?2 AND location = 'main' RETURNING entries, on_hand",
            )
            .unwrap();
        let (number, on_hand): (i64, i64) = sell
            .query_row((line.quantity, &line.sku), |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        run(
            connection,
            "INSERT INTO ledger (sku, location, number, kind, quantity, on_hand, reference, booked_at) \
             VALUES (?1, 'main', ?2, 'sold', ?3, ?4, ?5, ?6)",
            (&line.sku, number, -line.quantity, on_hand, &reference, NOW),
        );
    }
    keep(connection, ("module:ordering", "commit"), &format!("{}:commit", order.id), "null");
}
