//! Writes what the attribute adds to a contract trait.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Error, ItemTrait, LitStr, ext::IdentExt};

use crate::parse::Method;

/// The trait and its errors, so that what uses the trait does not fail as well.
pub(crate) fn refused(contract: &ItemTrait, error: &Error) -> TokenStream {
    let error = error.to_compile_error();
    quote! {
        #error
        #[::contract::async_trait]
        #contract
    }
}

/// The trait, one unit type per method, the one generic implementation that all bindings share, and `Contract`.
pub(crate) fn contract(module: &LitStr, contract: &ItemTrait, methods: &[Method]) -> TokenStream {
    let name = &contract.ident;
    let types = methods.iter().enumerate().map(|(index, method)| unit(contract, index, method));
    let bound = methods.iter().map(carried);
    let units = methods.iter().map(unit_name);
    quote! {
        #[::contract::async_trait]
        #contract

        const _: () = {
            #(#types)*

            struct Bound<B>(B);

            #[::contract::async_trait]
            impl<B: ::contract::Binding<dyn #name>> #name for Bound<B> {
                #(#bound)*
            }

            impl ::contract::Contract for dyn #name {
                const MODULE: &'static str = #module;

                fn methods<V: ::contract::Visitor<Self>>(visitor: &mut V) {
                    #(visitor.method::<#units>();)*
                }

                fn bind<B: ::contract::Binding<Self>>(binding: B) -> ::std::sync::Arc<Self> {
                    ::std::sync::Arc::new(Bound(binding))
                }
            }
        };
    }
}

fn unit_name(method: &Method) -> proc_macro2::Ident {
    format_ident!("Method_{}", method.name)
}

/// The type that stands for one method in the generic code.
fn unit(contract: &ItemTrait, index: usize, method: &Method) -> TokenStream {
    let Method { name, context, argument_name, argument, answer, refusal, summary } = method;
    let (unit, contract, text) = (unit_name(method), &contract.ident, name.unraw().to_string());
    quote! {
        #[allow(non_camel_case_types, reason = "it is named after the method")]
        struct #unit;

        impl ::contract::Method<dyn #contract> for #unit {
            const NAME: &'static str = #text;
            const INDEX: usize = #index;
            const ARGUMENT: &'static str = #argument_name;
            const SUMMARY: &'static str = #summary;
            type Context = #context;
            type Argument = #argument;
            type Answer = #answer;
            type Refusal = #refusal;

            fn call<'a>(
                service: &'a dyn #contract,
                context: &'a Self::Context,
                argument: Self::Argument,
            ) -> ::contract::BoxFuture<'a, ::contract::Answer<Self::Answer, Self::Refusal>> {
                service.#name(context, argument)
            }
        }
    }
}

/// A method of the implementation that hands everything to a binding.
fn carried(method: &Method) -> TokenStream {
    let Method { name, context, argument, answer, refusal, .. } = method;
    let unit = unit_name(method);
    quote! {
        async fn #name(&self, context: &#context, argument: #argument) -> ::contract::Answer<#answer, #refusal> {
            self.0.carry::<#unit>(context, argument).await
        }
    }
}
