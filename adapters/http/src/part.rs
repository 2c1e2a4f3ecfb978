//! What a handler's parameters say about its operation: the document is written from the types that are really read.

use actix_web::{HttpRequest, web};
use schemars::{Schema, SchemaGenerator};

/// Makes the schema of a type in a document's generator.
pub(crate) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// What an operation reads from a request, filled by its handler's parameters.
#[derive(Clone, Default)]
pub struct Spec {
    pub(crate) body: Option<SchemaOf>,
    pub(crate) query: Vec<SchemaOf>,
    pub(crate) path: Option<SchemaOf>,
    pub(crate) paging: bool,
    pub(crate) key: bool,
    pub(crate) if_match: bool,
}

/// One parameter of a handler. Extractors that the client can see describe themselves; the others say nothing.
pub trait Part {
    /// Adds what this parameter reads.
    fn describe(spec: &mut Spec) {
        let _ = spec;
    }
}

impl Part for HttpRequest {}
impl<T: ?Sized> Part for web::Data<T> {}
impl<T: Part> Part for Option<T> {
    fn describe(spec: &mut Spec) {
        T::describe(spec);
    }
}

/// The parameters of a handler together.
pub trait Parts {
    /// Adds what they read.
    fn describe(spec: &mut Spec);
}

impl Parts for () {
    fn describe(_: &mut Spec) {}
}
impl<A: Part> Parts for (A,) {
    fn describe(spec: &mut Spec) {
        A::describe(spec);
    }
}
impl<A: Part, B: Part> Parts for (A, B) {
    fn describe(spec: &mut Spec) {
        <(A,)>::describe(spec);
        B::describe(spec);
    }
}
impl<A: Part, B: Part, C: Part> Parts for (A, B, C) {
    fn describe(spec: &mut Spec) {
        <(A, B)>::describe(spec);
        C::describe(spec);
    }
}
impl<A: Part, B: Part, C: Part, D: Part> Parts for (A, B, C, D) {
    fn describe(spec: &mut Spec) {
        <(A, B, C)>::describe(spec);
        D::describe(spec);
    }
}
impl<A: Part, B: Part, C: Part, D: Part, E: Part> Parts for (A, B, C, D, E) {
    fn describe(spec: &mut Spec) {
        <(A, B, C, D)>::describe(spec);
        E::describe(spec);
    }
}
impl<A: Part, B: Part, C: Part, D: Part, E: Part, F: Part> Parts for (A, B, C, D, E, F) {
    fn describe(spec: &mut Spec) {
        <(A, B, C, D, E)>::describe(spec);
        F::describe(spec);
    }
}
impl<A: Part, B: Part, C: Part, D: Part, E: Part, F: Part, G: Part> Parts
    for (A, B, C, D, E, F, G)
{
    fn describe(spec: &mut Spec) {
        <(A, B, C, D, E, F)>::describe(spec);
        G::describe(spec);
    }
}
