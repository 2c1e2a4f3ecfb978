//! Names: what is shown, what is looked for, what is taken.

use std::collections::BTreeSet;

use catalog_api::{Label, Title};
use kernel_api::Sku;

/// The most characters of a title.
const TITLE_LENGTH_MAX: usize = 200;

/// The title of a line of a cart: the product's, with the variant's label, cut where both are too long for one.
pub(crate) fn display_title(title: &Title, label: Option<&Label>) -> Title {
    let Some(label) = label else { return title.clone() };
    let joined = format!("{title} ({label})");
    let cut: String = joined.chars().take(TITLE_LENGTH_MAX).collect();
    cut.parse().expect("a start of two good texts is a good text")
}

/// What a text is looked for in: title, SKUs and labels, each on a line of its own so that nothing is found across two.
pub(crate) fn search_text<'a>(
    title: &str,
    variants: impl Iterator<Item = (&'a str, Option<&'a str>)>,
) -> String {
    let mut text = title.to_lowercase();
    for (sku, label) in variants {
        for part in [Some(sku), label].into_iter().flatten() {
            text.push('\n');
            text.push_str(&part.to_lowercase());
        }
    }
    text
}

/// The SKUs that are named more than once, in their order.
pub(crate) fn taken_twice<'a>(skus: impl Iterator<Item = &'a Sku>) -> Vec<Sku> {
    let mut seen = BTreeSet::new();
    let twice: BTreeSet<_> = skus.filter(|sku| !seen.insert(*sku)).cloned().collect();
    twice.into_iter().collect()
}
