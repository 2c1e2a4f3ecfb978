//! Reads a contract trait and says, at the right place, what is wrong with it.

use syn::{
    Attribute, Error, Expr, FnArg, GenericArgument, Ident, ItemTrait, Lit, LitStr, Meta, Pat,
    PathArguments, ReturnType, TraitItem, TraitItemFn, Type, ext::IdentExt, spanned::Spanned,
};

/// One method of a contract.
pub(crate) struct Method {
    pub(crate) name: Ident,
    /// The type behind the reference of the second parameter, `Call` or `Command`.
    pub(crate) context: Type,
    pub(crate) argument_name: String,
    pub(crate) argument: Type,
    pub(crate) answer: Type,
    pub(crate) refusal: Type,
    pub(crate) summary: String,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Query,
    Command,
}

impl Kind {
    fn context(self) -> &'static str {
        match self {
            Self::Query => "Call",
            Self::Command => "Command",
        }
    }

    fn attribute(self) -> &'static str {
        match self {
            Self::Query => "#[query]",
            Self::Command => "#[command]",
        }
    }
}

/// A module's name is part of URLs, tables and events, so it is plain.
pub(crate) fn module(name: &LitStr) -> Result<(), Error> {
    let text = name.value();
    let plain = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if text.is_empty() || !plain {
        return Err(Error::new(name.span(), "a module's name is lower-case letters and `_`"));
    }
    Ok(())
}

/// Reads every method and takes the `#[query]` and `#[command]` attributes off. All errors are told at once.
pub(crate) fn methods(contract: &mut ItemTrait) -> Result<Vec<Method>, Error> {
    let mut errors: Option<Error> = None;
    let mut methods = Vec::new();
    if !contract.generics.params.is_empty() {
        errors = Some(Error::new(contract.generics.span(), "a contract has no generic parameters"));
    }
    for item in &mut contract.items {
        let read = match item {
            TraitItem::Fn(method) => read(method),
            other => Err(Error::new(other.span(), "a contract has methods only")),
        };
        match (read, &mut errors) {
            (Ok(method), _) => methods.push(method),
            (Err(error), Some(all)) => all.combine(error),
            (Err(error), none) => *none = Some(error),
        }
    }
    errors.map_or(Ok(methods), Err)
}

fn read(method: &mut TraitItemFn) -> Result<Method, Error> {
    let kind = take_kind(method)?;
    let signature = &method.sig;
    if signature.asyncness.is_none() {
        return Err(Error::new(signature.fn_token.span(), "a contract's method is `async fn`"));
    }
    if !signature.generics.params.is_empty() {
        return Err(Error::new(signature.generics.span(), "a contract's method is not generic"));
    }
    if let Some(body) = &method.default {
        return Err(Error::new(body.span(), "a contract's method has no body"));
    }
    let mut inputs = signature.inputs.iter();
    match inputs.next() {
        Some(FnArg::Receiver(this)) if this.reference.is_some() && this.mutability.is_none() => {}
        _ => {
            return Err(Error::new(
                signature.ident.span(),
                "a contract's method starts with `&self`",
            ));
        }
    }
    let context = match inputs.next() {
        Some(FnArg::Typed(parameter)) => context(kind, &parameter.ty)?,
        _ => return Err(Error::new(signature.ident.span(), wanted_context(kind))),
    };
    let (argument_name, argument) = match (inputs.next(), inputs.next()) {
        (Some(FnArg::Typed(parameter)), None) => argument(&parameter.pat, &parameter.ty)?,
        (_, Some(extra)) => {
            return Err(Error::new(
                extra.span(),
                "a contract's method takes exactly one argument after its context: make it a struct",
            ));
        }
        _ => {
            return Err(Error::new(
                signature.ident.span(),
                "a contract's method takes exactly one argument after its context: `()` if there is nothing to say",
            ));
        }
    };
    let (answer, refusal) = answer(&signature.output, signature.ident.span())?;
    let (name, summary) = (signature.ident.clone(), summary(&method.attrs));
    Ok(Method { name, context, argument_name, argument, answer, refusal, summary })
}

fn take_kind(method: &mut TraitItemFn) -> Result<Kind, Error> {
    let mut kinds = Vec::new();
    method.attrs.retain(|attribute| {
        let kind = match attribute.path() {
            path if path.is_ident("query") => Kind::Query,
            path if path.is_ident("command") => Kind::Command,
            _ => return true,
        };
        kinds.push(kind);
        false
    });
    match kinds.as_slice() {
        [kind] => Ok(*kind),
        _ => Err(Error::new(
            method.sig.ident.span(),
            "a contract's method is either a #[query] or a #[command]",
        )),
    }
}

fn wanted_context(kind: Kind) -> String {
    format!("a {} takes `&{}` after `&self`", kind.attribute(), kind.context())
}

fn context(kind: Kind, found: &Type) -> Result<Type, Error> {
    let wrong = || Error::new(found.span(), wanted_context(kind));
    let Type::Reference(reference) = found else { return Err(wrong()) };
    let Type::Path(path) = &*reference.elem else { return Err(wrong()) };
    let named = path.path.segments.last().is_some_and(|last| last.ident == kind.context());
    if !named || reference.mutability.is_some() {
        return Err(wrong());
    }
    Ok((*reference.elem).clone())
}

fn argument(pattern: &Pat, found: &Type) -> Result<(String, Type), Error> {
    let Pat::Ident(name) = pattern else {
        return Err(Error::new(pattern.span(), "a contract's argument has a plain name"));
    };
    if matches!(found, Type::Reference(_) | Type::ImplTrait(_)) {
        return Err(Error::new(
            found.span(),
            "a contract's argument is an owned value: it may travel",
        ));
    }
    Ok((name.ident.unraw().to_string().trim_start_matches('_').to_owned(), found.clone()))
}

fn answer(output: &ReturnType, method: proc_macro2::Span) -> Result<(Type, Type), Error> {
    const WANTED: &str = "a contract's method gives back `Answer<T, R>`";
    let ReturnType::Type(_, found) = output else { return Err(Error::new(method, WANTED)) };
    let wrong = || Error::new(found.span(), WANTED);
    let Type::Path(path) = &**found else { return Err(wrong()) };
    let last = path.path.segments.last().filter(|last| last.ident == "Answer").ok_or_else(wrong)?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return Err(wrong()) };
    let mut arguments = arguments.args.iter();
    match (arguments.next(), arguments.next(), arguments.next()) {
        (Some(GenericArgument::Type(answer)), Some(GenericArgument::Type(refusal)), None) => {
            Ok((answer.clone(), refusal.clone()))
        }
        _ => Err(wrong()),
    }
}

/// The text of a method's doc comment, for the contract's document.
fn summary(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(text) => match &text.lit {
                Lit::Str(text) => Some(text.value().trim().to_owned()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    });
    lines.collect::<Vec<_>>().join("\n").trim().to_owned()
}
