//! The contract attribute: derives every binding of a contract trait.
//!
//! It only checks the trait's form and names each method's types; everything that can be said in plain generic Rust
//! is said in the `contract` crate.

mod emit;
mod parse;

use proc_macro::TokenStream;
use syn::{ItemTrait, LitStr, parse_macro_input};

/// Makes a trait the contract of the module that is named.
///
/// Every method is a `#[query]` with `&Call` or a `#[command]` with `&Command`, takes exactly one owned argument and
/// gives back an `Answer<T, R>`. The trait itself is emitted with `#[async_trait]`, and `dyn Trait` implements
/// `contract::Contract`.
#[proc_macro_attribute]
pub fn contract(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let module = parse_macro_input!(attribute as LitStr);
    let mut contract = parse_macro_input!(item as ItemTrait);
    let methods = parse::module(&module).and_then(|()| parse::methods(&mut contract));
    match methods {
        Ok(methods) => emit::contract(&module, &contract, &methods),
        Err(error) => emit::refused(&contract, &error),
    }
    .into()
}
