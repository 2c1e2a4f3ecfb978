//! What the modules' writers share: the order, its lines, and a file with the module's real tables.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, Params};

/// How many products the file sells.
pub const SKUS: u64 = 3_670;

/// How a module writes an order: transactions, one after the other.
pub struct Module {
    pub name: &'static str,
    /// What is there before the first order.
    pub fill: fn(&Connection),
    pub steps: &'static [fn(&Connection, &Order)],
}

/// An order, with all its texts made before anything is written.
pub struct Order {
    pub number: i64,
    pub id: String,
    pub cart: String,
    pub customer: String,
    pub reference: String,
    pub lines: Vec<Line>,
    /// The lines as ordering keeps them.
    pub sold: String,
    /// The lines as inventory keeps them.
    pub held: String,
}

pub struct Line {
    pub sku: String,
    pub quantity: i64,
    pub price_micros: i64,
}

/// 22 or 23 lines, 22.6 in the mean.
pub fn lines_of(order: u64) -> u64 {
    if order % 5 < 2 { 22 } else { 23 }
}

impl Order {
    /// All of it follows from its number.
    pub fn numbered(number: u64) -> Self {
        let lines: Vec<_> = (0..lines_of(number)).map(|line| Line::of(number, line)).collect();
        let (mut sold, mut held) = (String::from("["), String::from("["));
        for (index, line) in lines.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let Line { sku, quantity, price_micros } = line;
            write!(sold, r#"{comma}{{"s":"{sku}","t":"WHITE HANGING HEART T-LIGHT","q":{quantity},"p":{price_micros}}}"#).unwrap();
            write!(held, r#"{comma}["{sku}","main",{quantity}]"#).unwrap();
        }
        sold.push(']');
        held.push(']');
        Self {
            number: i64::try_from(number).unwrap(),
            id: id(number, 1),
            cart: id(number, 2),
            customer: id(number * 7 % 3_300, 3),
            reference: (536_365 + number).to_string(),
            lines,
            sold,
            held,
        }
    }
}

impl Line {
    fn of(order: u64, line: u64) -> Self {
        // Spread over all products, and each at most once in an order.
        let sku = (order.wrapping_mul(2_654_435_761) + line * 157) % SKUS;
        let quantity = 1 + i64::try_from(sku % 12).unwrap();
        Self { sku: sku_code(sku), quantity, price_micros: 2_550_000 }
    }
}

pub fn sku_code(number: u64) -> String {
    (20_000 + number).to_string()
}

/// A text like a UUIDv7: ids of one kind rise with time.
pub fn id(number: u64, kind: u64) -> String {
    format!(
        "01a20672-{:04x}-7{kind:03x}-a418-{:012x}",
        number >> 16,
        number.wrapping_mul(0x9e37_79b9_7f4a) & 0xffff_ffff_ffff
    )
}

/// Writes with a statement that is prepared once.
pub fn run(connection: &Connection, sql: &str, values: impl Params) {
    connection.prepare_cached(sql).unwrap().execute(values).unwrap();
}

/// The row that keeps a command's answer.
pub fn keep(connection: &Connection, (caller, operation): (&str, &str), key: &str, answer: &str) {
    run(
        connection,
        "INSERT INTO idempotency (caller, operation, key, request_hash, answer, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        (
            caller,
            operation,
            key,
            "47e49c4d6ecba513b8b605cb350cc7bbf28363d936161c160fdd7fcb8fa24261",
            answer,
            NOW,
        ),
    );
}

/// A moment.
pub const NOW: i64 = 1_795_404_523_564_248;

/// A file with the module's tables, made by its migrations.
pub fn open(path: &Path, module: &str) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.set_prepared_statement_cache_capacity(64);
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
             PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16384;",
        )
        .unwrap();
    for part in ["store", module] {
        for migration in migrations(part) {
            connection
                .execute_batch(&fs::read_to_string(migration.join("up.sql")).unwrap())
                .unwrap();
        }
    }
    connection
}

fn migrations(of: &str) -> Vec<PathBuf> {
    let directory = format!("{}/../migrations/{of}/sqlite", env!("CARGO_MANIFEST_DIR"));
    let mut found: Vec<_> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}
