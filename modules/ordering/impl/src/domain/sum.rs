//! Adding up lines.

use std::collections::BTreeMap;

use kernel_api::{Currency, Exact, Money};
use ordering_api::{AMOUNT_MINOR_MAX, Line, Part, PartKind, Sum, UNBACKED_MINOR_MAX};

/// How many millionths a hundredth has.
const MICROS_PER_MINOR: i64 = 10_000;

/// How many millionths the largest sum has.
const MICROS_MAX: i64 = AMOUNT_MINOR_MAX * MICROS_PER_MINOR;

/// The exact sums of a document or a part of it, while they grow.
///
/// Invariant: the absolute amounts that were added are together at most [`MICROS_MAX`], so no sum of them overflows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    parts: BTreeMap<PartKind, i64>,
    weight: i64,
}

/// The amount makes the sum larger than any document may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLarge;

impl Tally {
    /// Adds `quantity` units of a line.
    pub fn add(&mut self, line: &Line, quantity: i64) -> Result<(), TooLarge> {
        let micros = line.unit_price.micros.checked_mul(quantity).ok_or(TooLarge)?;
        self.add_micros(line.part(), micros)
    }

    /// Adds an amount in millionths.
    pub fn add_micros(&mut self, kind: PartKind, micros: i64) -> Result<(), TooLarge> {
        let weight = self
            .weight
            .checked_add(micros.checked_abs().ok_or(TooLarge)?)
            .filter(|weight| *weight <= MICROS_MAX)
            .ok_or(TooLarge)?;
        self.weight = weight;
        *self.parts.entry(kind).or_default() += micros;
        Ok(())
    }

    /// Refuses more than only an operator's word may stand behind.
    pub fn check_unbacked(&self) -> Result<(), TooLarge> {
        if self.weight > UNBACKED_MINOR_MAX * MICROS_PER_MINOR { Err(TooLarge) } else { Ok(()) }
    }

    /// The unrounded sum in millionths.
    pub fn micros(&self) -> i64 {
        self.parts.values().sum()
    }

    /// The unrounded sum rounded to the minor unit.
    pub fn rounded(&self, currency: Currency) -> Money {
        Exact::new(self.micros(), currency).rounded()
    }

    /// The parts that are not zero.
    pub fn parts(&self, currency: Currency) -> Vec<Part> {
        self.parts
            .iter()
            .filter(|(_, micros)| **micros != 0)
            .map(|(kind, micros)| Part { kind: *kind, net: Exact::new(*micros, currency) })
            .collect()
    }

    /// The sum, all of it rounded at once.
    pub fn sum(&self, currency: Currency) -> Sum {
        Sum {
            parts: self.parts(currency),
            net: Exact::new(self.micros(), currency),
            total: self.rounded(currency),
        }
    }
}

/// The sum of lines; the index of the line that makes it too large otherwise.
pub(crate) fn of(lines: &[Line], currency: Currency) -> Result<Sum, usize> {
    let mut tally = Tally::default();
    for (index, line) in lines.iter().enumerate() {
        tally.add(line, line.quantity).map_err(|TooLarge| index)?;
    }
    Ok(tally.sum(currency))
}

/// The same of lines that only an operator's word stands behind.
pub(crate) fn of_unbacked(lines: &[Line], currency: Currency) -> Result<Sum, usize> {
    let mut tally = Tally::default();
    for (index, line) in lines.iter().enumerate() {
        let added = tally.add(line, line.quantity).and_then(|()| tally.check_unbacked());
        added.map_err(|TooLarge| index)?;
    }
    Ok(tally.sum(currency))
}
