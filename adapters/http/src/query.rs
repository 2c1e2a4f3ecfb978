//! Query strings: typed parameters and pages.

use std::{
    future::{Ready, ready},
    ops::Deref,
};

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload};
use kernel_api::{PAGE_LIMIT_MAX, PageRequest};
use schemars::{JsonSchema, SchemaGenerator};
use serde::de::DeserializeOwned;

use crate::{Part, Problem, Spec, body::unreadable, context::RequestContext};

/// The names that [`Paging`] reads.
pub(crate) const PAGING_NAMES: [&str; 2] = ["after", "limit"];

/// The query string as a struct of scalars. Wrong values are 400 and named; parameters that the operation does not know
/// are refused before the handler runs.
///
/// Do not flatten other structs into it (serde then reads every value as text): take [`Paging`] as a parameter of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query<T>(pub T);

/// Which page of a list is wanted: `?after=<next of the page before>&limit=50`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paging(pub PageRequest);

impl<T> Deref for Query<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let paging = request
            .extensions()
            .get::<RequestContext>()
            .and_then(|context| context.registered.as_ref())
            .is_some_and(|registered| registered.spec.paging);
        let pairs: Vec<_> = pairs(request.query_string())
            .filter(|(name, _)| !(paging && PAGING_NAMES.contains(&name.as_str())))
            .collect();
        ready(read(&pairs).map(Self))
    }
}
impl<T: JsonSchema> Part for Query<T> {
    fn describe(spec: &mut Spec) {
        spec.query.push(SchemaGenerator::subschema_for::<T>);
    }
}

impl FromRequest for Paging {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let pairs: Vec<_> = pairs(request.query_string())
            .filter(|(name, _)| PAGING_NAMES.contains(&name.as_str()))
            .collect();
        ready(read(&pairs).and_then(|page: PageRequest| match page.limit {
            Some(limit) if limit == 0 || limit > PAGE_LIMIT_MAX => {
                Err(Problem::malformed("limit", format!("must be 1 to {PAGE_LIMIT_MAX}")))
            }
            Some(_) | None => Ok(Self(page)),
        }))
    }
}
impl Part for Paging {
    fn describe(spec: &mut Spec) {
        spec.paging = true;
        spec.query.push(SchemaGenerator::subschema_for::<PageRequest>);
    }
}

/// The decoded parameters of a query string.
pub(crate) fn pairs(query: &str) -> impl Iterator<Item = (String, String)> {
    form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
}

fn read<T: DeserializeOwned>(pairs: &[(String, String)]) -> Result<T, Problem> {
    let encoded = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let parsed = form_urlencoded::parse(encoded.as_bytes());
    serde_path_to_error::deserialize(serde_urlencoded::Deserializer::new(parsed))
        .map_err(|error| unreadable(&error.path().to_string(), &error.inner().to_string()))
}
