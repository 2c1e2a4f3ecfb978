//! A small module to test with: stock and reservations.

use std::time::Duration;

use contract::{Call, Caller, Command, Deadline, Event};
use diesel::prelude::*;
use kernel_api::Id;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::{Abort, EmbeddedMigrations, Migrations, Tx, cached, embed_migrations, on};

pub const MIGRATIONS: Migrations = Migrations { sqlite: SQLITE, postgres: POSTGRES };
const SQLITE: EmbeddedMigrations = embed_migrations!("tests/migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("tests/migrations/postgres");

diesel::table! {
    stock (sku) {
        sku -> Text,
        on_hand -> BigInt,
        reserved -> BigInt,
    }
}
diesel::table! {
    reservation (id) {
        id -> Text,
        sku -> Text,
        quantity -> BigInt,
        made_at -> BigInt,
    }
}

#[derive(Debug, PartialEq, Eq, Clone, Serialize, Deserialize)]
pub enum Refusal {
    OutOfStock,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reserved {
    pub id: String,
    pub sku: String,
}

impl Event for Reserved {
    const NAME: &'static str = "shop.reserved";
    const VERSION: u32 = 1;
    fn key(&self) -> String {
        self.sku.clone()
    }
}

pub fn call() -> Call {
    Call::new(Caller::module("test"), Deadline::within(Duration::from_secs(30)))
}

pub fn command(key: &str) -> Command {
    call().command(key.parse().unwrap())
}

pub fn receive(tx: &mut Tx<'_>, sku: &str, quantity: i64) -> QueryResult<()> {
    let row = (stock::sku.eq(sku), stock::on_hand.eq(quantity), stock::reserved.eq(0));
    on!(tx.connection(), |c| cached(diesel::insert_into(stock::table).values(row)).execute(c))?;
    Ok(())
}

pub fn reserve(tx: &mut Tx<'_>, sku: &str, quantity: i64) -> Result<String, Abort<Refusal>> {
    let taken = on!(tx.connection(), |c| cached(
        diesel::update(
            stock::table
                .filter(stock::sku.eq(sku))
                .filter((stock::on_hand - stock::reserved).ge(quantity))
        )
        .set(stock::reserved.eq(stock::reserved + quantity))
    )
    .execute(c))?;
    if taken == 0 {
        return Err(Abort::Refused(Refusal::OutOfStock));
    }
    let id = Id::<Reserved>::fresh().to_string();
    let now = tx.now().micros();
    let row = (
        reservation::id.eq(&id),
        reservation::sku.eq(sku),
        reservation::quantity.eq(quantity),
        reservation::made_at.eq(now),
    );
    on!(tx.connection(), |c| cached(diesel::insert_into(reservation::table).values(row))
        .execute(c))?;
    tx.emit(&Reserved { id: id.clone(), sku: sku.to_owned() })?;
    Ok(id)
}
