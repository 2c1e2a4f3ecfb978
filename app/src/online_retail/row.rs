//! One row of the file: typed, or listed with the reason why it cannot be.

use std::{fmt, io::Read};

use kernel_api::{Currency, Timestamp, UnitPrice};
use serde::Serialize;

use super::FileError;

/// The columns, in the order of the original file. They may stand in any order, and others may stand beside them.
const COLUMNS: [&str; 8] = [
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
];

/// The longest text of a cell that is kept: the real ones end at 35 characters, and a bound keeps one broken quote
/// from becoming a description of megabytes.
const CELL_LENGTH_MAX: usize = 200;

/// The most units in one row: what the shop takes in a line. The real file's largest is 80,995.
const QUANTITY_MAX: i64 = ordering_api::QUANTITY_MAX;

/// A row as it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The line of the file, the header being line 1.
    pub number: u64,
    /// `536365`, `C536379` (cancellation or credit), `A563185` (bad debt).
    pub invoice: String,
    /// The stock code, in upper case: `85123A` and `85123a` are one product.
    pub code: String,
    /// The product's name or a note of the staff, with its spaces; may be empty.
    pub description: String,
    /// Never 0; negative on cancellations and write-offs.
    pub quantity: i64,
    /// To the minute. The file says no zone; it is taken as UTC.
    pub at: Timestamp,
    /// Per unit, in pounds.
    pub price: UnitPrice,
    /// The customer, where one is known.
    pub customer: Option<String>,
    /// As written: `EIRE`, `RSA`, `Unspecified` are no ISO names.
    pub country: String,
}

/// A row that does not end in the books, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// The line of the file, the header being line 1.
    pub number: u64,
    /// The invoice as written.
    pub invoice: String,
    /// Why.
    pub problem: Problem,
    /// What the row is worth in millionths of a pound, where that much can be read: so that no money leaves in silence.
    pub micros: Option<i64>,
}

/// Why a row cannot be booked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "problem", rename_all = "snake_case")]
pub enum Problem {
    /// It has more or fewer cells than the header.
    #[error("the row has not as many cells as the header")]
    Cells,
    /// A cell is not UTF-8.
    #[error("the row is not UTF-8")]
    Encoding,
    /// A cell cannot be read.
    #[error("{column} `{text}` {wants}")]
    Cell {
        /// The column.
        column: &'static str,
        /// What stands there, shortened.
        text: String,
        /// What should stand there.
        wants: &'static str,
    },
    /// Quantity times price does not fit.
    #[error("quantity times price does not fit")]
    Overflow,
    /// Its invoice had ended: other rows far later in time stand between.
    #[error("invoice had ended more than {minutes} minutes before this row")]
    Late {
        /// How long an invoice stays open.
        minutes: i64,
    },
    /// The whole invoice is beyond what the shop takes in one document.
    #[error("the invoice has {0}")]
    TooLarge(&'static str),
    /// It names another customer or country than the first row of its invoice.
    #[error("another {what} than the invoice's first row")]
    Inconsistent {
        /// `customer` or `country`.
        what: &'static str,
    },
    /// The signs do not fit the kind of invoice.
    #[error("{0}")]
    Sign(&'static str),
    /// A price-0 row of a code that is no product moves no stock and no money.
    #[error("a stock adjustment of `{code}`, which is no product")]
    NoProduct {
        /// The code.
        code: String,
    },
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} (invoice {}): {}", self.number, self.invoice, self.problem)
    }
}

impl Row {
    /// The row's worth in millionths of a pound; rows are only made where it fits.
    pub fn micros(&self) -> i64 {
        self.price.micros.saturating_mul(self.quantity)
    }

    /// The same row as one that is not booked.
    pub fn listed(&self, problem: Problem) -> Listed {
        Listed {
            number: self.number,
            invoice: self.invoice.clone(),
            problem,
            micros: Some(self.micros()),
        }
    }
}

/// The rows of a text.
pub struct Rows<R> {
    reader: csv::Reader<R>,
    record: csv::ByteRecord,
    columns: [usize; 8],
    width: usize,
    count: u64,
    /// What the reader's line numbers lack: where lines end in CR LF it ends a row at the CR, and counts the LF only after
    /// the next one has begun.
    behind: u64,
}

impl<R: Read> Rows<R> {
    /// Reads the header.
    pub fn new(text: R) -> Result<Self, FileError> {
        let mut reader =
            csv::ReaderBuilder::new().flexible(true).buffer_capacity(1 << 16).from_reader(text);
        let header = reader.byte_headers()?.clone();
        let mut columns = [0; 8];
        for (place, name) in columns.iter_mut().zip(COLUMNS) {
            // Spreadsheets put a byte order mark before the first name.
            let is_named =
                |cell: &[u8]| cell.strip_prefix(b"\xef\xbb\xbf").unwrap_or(cell) == name.as_bytes();
            let missing = || FileError::Columns { expected: COLUMNS.join(","), missing: name };
            *place = header.iter().position(is_named).ok_or_else(missing)?;
        }
        let behind = u64::from(reader.position().line() == 1);
        let (record, width) = (csv::ByteRecord::new(), header.len());
        Ok(Self { reader, record, columns, width, count: 0, behind })
    }

    /// How many rows have been read.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The next row; `None` at the end.
    pub fn next_row(&mut self) -> Result<Option<Result<Row, Listed>>, FileError> {
        if !self.reader.read_byte_record(&mut self.record)? {
            return Ok(None);
        }
        self.count += 1;
        let number = self.record.position().map_or(0, csv::Position::line) + self.behind;
        Ok(Some(self.typed(number)))
    }

    fn typed(&self, number: u64) -> Result<Row, Listed> {
        let list = |invoice: &str, problem| Listed {
            number,
            invoice: shortened(invoice),
            problem,
            micros: None,
        };
        if self.record.len() != self.width {
            return Err(list("", Problem::Cells));
        }
        let mut cells = [""; 8];
        for (cell, place) in cells.iter_mut().zip(self.columns) {
            let bytes = self.record.get(place).unwrap_or_default();
            *cell = std::str::from_utf8(bytes).map_err(|_bad| list("", Problem::Encoding))?;
        }
        parse(number, cells).map_err(|problem| list(cells[0], problem))
    }
}

fn parse(number: u64, cells: [&str; 8]) -> Result<Row, Problem> {
    let [invoice, code, description, quantity, at, price, customer, country] = cells;
    let bad = |column, text, wants| Problem::Cell { column, text: shortened(text), wants };
    let digits = invoice.strip_prefix(['C', 'A']).unwrap_or(invoice);
    if digits.is_empty() || digits.len() > 12 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(bad("InvoiceNo", invoice, "is not digits after an optional C or A"));
    }
    if code.trim().is_empty()
        || code.len() > 64
        || !code.bytes().all(|byte| (b' '..=b'~').contains(&byte))
    {
        return Err(bad("StockCode", code, "is not a stock code"));
    }
    if description.len() > CELL_LENGTH_MAX || description.contains(char::is_control) {
        return Err(bad("Description", description, "is not one line of at most 200 bytes"));
    }
    let quantity = match quantity.parse::<i64>() {
        Ok(units) if units != 0 && units.unsigned_abs() <= QUANTITY_MAX.unsigned_abs() => units,
        Ok(_) | Err(_) => {
            return Err(bad("Quantity", quantity, "is not a whole number other than 0"));
        }
    };
    let at = time(at).ok_or_else(|| bad("InvoiceDate", at, "is not a time as 12/31/2010 8:26"))?;
    let price = UnitPrice::parse(price, Currency::GBP)
        .map_err(|_bad| bad("UnitPrice", price, "is not a decimal with at most six places"))?;
    if price.times(quantity).is_none() {
        return Err(Problem::Overflow);
    }
    if customer.len() > 32 || !customer.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(bad("CustomerID", customer, "is not letters and digits"));
    }
    if country.is_empty() || country.len() > 64 || country.contains(char::is_control) {
        return Err(bad("Country", country, "is not a name of at most 64 bytes"));
    }
    Ok(Row {
        number,
        invoice: invoice.to_owned(),
        code: code.trim().to_ascii_uppercase(),
        description: description.to_owned(),
        quantity,
        at,
        price,
        customer: (!customer.is_empty()).then(|| customer.to_owned()),
        country: country.to_owned(),
    })
}

/// Reads `M/D/YYYY H:MM`, month first, as UTC.
fn time(text: &str) -> Option<Timestamp> {
    let (date, clock) = text.split_once(' ')?;
    let mut date = date.splitn(3, '/').map(number);
    let (month, day, year) = (date.next()??, date.next()??, date.next()??);
    let (hour, minute) = clock.split_once(':')?;
    let month = time::Month::try_from(u8::try_from(month).ok()?).ok()?;
    let day =
        time::Date::from_calendar_date(i32::from(year), month, u8::try_from(day).ok()?).ok()?;
    let minute = u8::try_from(number(minute)?).ok()?;
    let moment = day.with_hms(u8::try_from(number(hour)?).ok()?, minute, 0).ok()?.assume_utc();
    Some(Timestamp::from_micros(moment.unix_timestamp().checked_mul(1_000_000)?))
}

fn number(text: &str) -> Option<u16> {
    let plain = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok())?
}

/// What an error may repeat of a cell.
fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests;
