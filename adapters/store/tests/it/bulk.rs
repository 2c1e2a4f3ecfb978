//! Many rows at once.

use contract::Never;
use diesel::prelude::*;
use store::{cached, insert_all, limits::CHUNK_ROWS_MAX, on, testing};

use crate::shop::{MIGRATIONS, call, stock};

#[derive(Insertable)]
#[diesel(table_name = stock)]
struct NewStock {
    sku: String,
    on_hand: i64,
    reserved: i64,
}

#[tokio::test]
async fn many_rows_go_in_together_on_either_side_of_a_chunk() {
    for (store, _keep) in testing::both(&MIGRATIONS, "shop") {
        for rows in [0, 1, CHUNK_ROWS_MAX, CHUNK_ROWS_MAX + 1] {
            let ask = call();
            let done = store.write::<_, Never>(&ask, move |tx| {
                on!(tx.connection(), |c| diesel::delete(stock::table).execute(c))?;
                let rows: Vec<_> = (0..rows)
                    .map(|n| NewStock { sku: n.to_string(), on_hand: 1, reserved: 0 })
                    .collect();
                let into = insert_all(
                    tx.connection(),
                    &rows,
                    |c, row| cached(diesel::insert_into(stock::table).values(row)).execute(c),
                    |c, rows| diesel::insert_into(stock::table).values(rows).execute(c),
                )?;
                let count: i64 = on!(tx.connection(), |c| stock::table.count().get_result(c))?;
                Ok((into, count))
            });
            assert_eq!(done.await.unwrap(), (rows, i64::try_from(rows).unwrap()));
        }
    }
}
