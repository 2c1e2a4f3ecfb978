//! What other modules may ask of catalog: products, variants and prices.
