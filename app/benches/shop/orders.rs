//! Invoices of nobody in particular, in the format that the replay reads.

use std::{
    io::Write,
    sync::atomic::{AtomicU64, Ordering},
};

use tempfile::NamedTempFile;

/// Invoices of one minute, so that the reader can close those of the minutes before.
const PER_MINUTE: u64 = 40;

/// Sets the files of this bench apart, and with them their keys.
static FILES: AtomicU64 = AtomicU64::new(0);

/// A file with this many orders, each of as many lines as its number says, over this many products.
pub fn file(count: u64, lines: impl Fn(u64) -> u64, skus: u64) -> NamedTempFile {
    let number = FILES.fetch_add(1, Ordering::Relaxed);
    let mut text = String::from(
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n",
    );
    for order in 0..count {
        let (day, minute) = (1 + order / PER_MINUTE / 1440, order / PER_MINUTE % 1440);
        let at = format!("1/{day}/2011 {}:{:02}", minute / 60, minute % 60);
        for line in 0..lines(order) {
            let sku = (order.wrapping_mul(2_654_435_761).wrapping_add(line * 17 + number)) % skus;
            text.push_str(&format!(
                "{},{},PRODUCT {sku},1,{at},2.55,,United Kingdom\n",
                100_000 + order,
                20_000 + sku
            ));
        }
    }
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}
