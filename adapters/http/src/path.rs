//! Path parameters.

use std::{
    future::{Ready, ready},
    ops::Deref,
};

use actix_router::PathDeserializer;
use actix_web::{FromRequest, HttpRequest, dev::Payload};
use schemars::{JsonSchema, SchemaGenerator};
use serde::de::DeserializeOwned;

use crate::{Part, Problem, Spec};

/// The path's parameters: one value (`Path<Sku>`), a tuple in the path's order, or a struct by names. A value that
/// cannot be read is 400 and named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path<T>(pub T);

impl<T> Deref for Path<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: DeserializeOwned> FromRequest for Path<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let info = request.match_info();
        ready(T::deserialize(PathDeserializer::new(info)).map(Self).map_err(|error| {
            // The router's deserializer keeps no path, so with several parameters all of them are named.
            let names: Vec<_> = info.iter().map(|(name, _)| name.to_owned()).collect();
            Problem::malformed(names.join(","), error.to_string())
        }))
    }
}
impl<T: JsonSchema> Part for Path<T> {
    fn describe(spec: &mut Spec) {
        spec.path = Some(SchemaGenerator::subschema_for::<T>);
    }
}
