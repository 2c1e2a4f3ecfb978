//! History: documents that happened elsewhere, imported as they were.

use kernel_api::{Currency, Exact, Id, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Adjustment, Customer, Line, Order, ReturnNote, Settlement};

/// A part of a source (a file). No sagas run and no stock or payment is asked for: the importer brings stock movements
/// and payments to their modules, under ids that follow from these documents'. Each document is known by its
/// reference within the source: importing it again changes nothing and answers the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Import {
    /// The source, such as the hash of a file.
    pub source: String,
    /// The documents, at most [`IMPORT_DOCUMENTS_MAX`](crate::IMPORT_DOCUMENTS_MAX), in the order of their time:
    /// returns are matched to the sales before them.
    pub documents: Vec<ImportedDocument>,
}

/// A document of the past.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ImportedDocument {
    /// A sale: it was paid and shipped.
    Order(ImportedOrder),
    /// A return or a credit.
    Return(ImportedReturn),
    /// A correction of the books.
    Adjustment(ImportedAdjustment),
}

/// A sale of the past. Its reservation and payment, in their modules, carry its UUID: the reservation exists where it
/// has goods, the payment where its rounded total is not zero.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImportedOrder {
    /// The id, derived from the source so that a second run makes the same one.
    pub id: Id<Order>,
    /// The document's number.
    pub reference: String,
    /// Who bought.
    #[serde(default)]
    pub customer: Option<Id<Customer>>,
    /// The currency of all lines.
    pub currency: Currency,
    /// The lines: quantities positive.
    pub lines: Vec<Line>,
    /// How many rows of the source it stands for.
    pub rows: i64,
    /// When.
    pub at: Timestamp,
}

/// A return or credit of the past.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImportedReturn {
    /// The id, derived from the source. Its refunds' and credit's ids follow from it: see the answer.
    pub id: Id<ReturnNote>,
    /// The document's number.
    pub reference: String,
    /// Who returned.
    #[serde(default)]
    pub customer: Option<Id<Customer>>,
    /// The currency of all lines.
    pub currency: Currency,
    /// The lines: quantities negative.
    pub lines: Vec<Line>,
    /// How many rows of the source it stands for.
    pub rows: i64,
    /// When.
    pub at: Timestamp,
}

/// A correction of the past.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImportedAdjustment {
    /// The id, derived from the source.
    pub id: Id<Adjustment>,
    /// The document's number.
    pub reference: String,
    /// Whom it concerned.
    #[serde(default)]
    pub customer: Option<Id<Customer>>,
    /// The currency of all lines.
    pub currency: Currency,
    /// The lines: services only, of either sign.
    pub lines: Vec<Line>,
    /// How many rows of the source it stands for.
    pub rows: i64,
    /// When.
    pub at: Timestamp,
}

/// What became of an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Imported {
    /// How many documents were new.
    pub new: u64,
    /// How many were there already.
    pub known: u64,
    /// How the returns among the documents, new or known, were settled, in the order given: the importer brings
    /// these to payments (those of amount zero are left out there).
    pub settled: Vec<SettledReturn>,
}

/// How an imported return was settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SettledReturn {
    /// The return.
    pub note: Id<ReturnNote>,
    /// The document's number.
    pub reference: String,
    /// Refunds of the orders it was matched to, and at most one unlinked credit.
    pub settlements: Vec<Settlement>,
}

/// What an importer knows of a source when it has come to its end. Recording it again replaces it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SourceRecord {
    /// The source, such as the hash of a file.
    pub source: String,
    /// The name people know it by, such as the file's.
    pub name: String,
    /// All its rows.
    pub rows: i64,
    /// Rows that ended in documents of ordering.
    pub document_rows: i64,
    /// Rows that ended as stock movements only.
    pub stock_rows: i64,
    /// Rows that were listed and not taken.
    pub listed_rows: i64,
    /// The unrounded sum of all its rows that were not listed.
    pub net: Exact,
    /// When the import came to its end.
    pub finished_at: Timestamp,
}

/// Why an import was refused; nothing of it was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum ImportError {
    /// More documents than one import may carry.
    #[error("more than {limit} documents in one import")]
    TooManyDocuments {
        /// The limit.
        limit: usize,
    },
    /// A document breaks a rule of its kind.
    #[error("document {reference}: {field}: {problem}")]
    BadDocument {
        /// The document's number.
        reference: String,
        /// The field's path within the document.
        field: String,
        /// What is wrong.
        problem: String,
    },
    /// The reference is there already with other content.
    #[error("document {reference} was imported before with other content")]
    Changed {
        /// The document's number.
        reference: String,
    },
    /// There is no such customer.
    #[error("document {reference}: there is no such customer")]
    UnknownCustomer {
        /// The document's number.
        reference: String,
    },
}
