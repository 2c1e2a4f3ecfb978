//! The shared kernel: the few words that every module uses the same way (money, ids, SKUs, time, pages).

mod bounded;
mod currency;
mod id;
mod money;
mod page;
mod price;
mod sku;
mod text;
mod time;

pub use bounded::{Bounded, BoundedError};
pub use currency::{Currency, CurrencyError};
pub use id::{Id, IdError};
pub use money::{AmountError, Money};
pub use page::{PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX, Page, PageRequest};
pub use price::{Exact, UnitPrice};
pub use sku::{SKU_LENGTH_MAX, Sku, SkuError};
pub use text::{Text, TextError};
pub use time::{Clock, Timestamp, TimestampError};
