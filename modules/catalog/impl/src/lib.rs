//! The catalog module: products, variants and prices.
