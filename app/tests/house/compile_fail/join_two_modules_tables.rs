// Tables of two modules never stand in one query, even where code can name both.
mod one {
    diesel::table! { stock_level (sku) { sku -> Text, on_hand -> BigInt, } }
}
mod other {
    diesel::table! { order_line (id) { id -> Text, sku -> Text, } }
}

use diesel::prelude::*;

fn main() {
    let _query = one::stock_level::table
        .inner_join(other::order_line::table.on(other::order_line::sku.eq(one::stock_level::sku)))
        .select(other::order_line::id);
    let _query = one::stock_level::table.filter(one::stock_level::sku.eq(other::order_line::sku));
}
