//! One operation: a method on a path, what it promises and who may call it.

use actix_web::http::Method;
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;

use crate::{Access, BODY_LIMIT, ProblemType, part::SchemaOf};

/// A method on a path. Everything that clients may know about it is said here or follows from its handler's parameters.
#[derive(Clone)]
pub struct Operation {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) description: &'static str,
    pub(crate) access: Access,
    pub(crate) answers: Vec<Answered>,
    pub(crate) problems: Vec<ProblemType>,
    pub(crate) body_limit: usize,
    pub(crate) etag: bool,
}

/// An answer that is no problem.
#[derive(Clone)]
pub(crate) struct Answered {
    pub status: u16,
    pub schema: Option<SchemaOf>,
}

/// A row of `banyan routes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RouteRow {
    /// The module that answers.
    pub module: &'static str,
    /// The method.
    pub method: String,
    /// The path.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
    /// What it does.
    pub summary: &'static str,
}

impl Operation {
    /// An operation: `path` is an actix pattern, `/v1/stock/{sku}`. Access is the operator's until said otherwise, so
    /// that forgetting it opens nothing.
    pub fn new(method: Method, path: &'static str) -> Self {
        Self {
            method,
            path,
            summary: "",
            description: "",
            access: Access::Operator,
            answers: Vec::new(),
            problems: Vec::new(),
            body_limit: BODY_LIMIT,
            etag: false,
        }
    }

    /// GET (and HEAD).
    pub fn get(path: &'static str) -> Self {
        Self::new(Method::GET, path)
    }

    /// POST: needs an `Idempotency-Key`.
    pub fn post(path: &'static str) -> Self {
        Self::new(Method::POST, path)
    }

    /// PUT.
    pub fn put(path: &'static str) -> Self {
        Self::new(Method::PUT, path)
    }

    /// PATCH.
    pub fn patch(path: &'static str) -> Self {
        Self::new(Method::PATCH, path)
    }

    /// DELETE.
    pub fn delete(path: &'static str) -> Self {
        Self::new(Method::DELETE, path)
    }

    /// What it does, in a line.
    #[must_use]
    pub fn summary(self, summary: &'static str) -> Self {
        Self { summary, ..self }
    }

    /// What it promises, at length.
    #[must_use]
    pub fn description(self, description: &'static str) -> Self {
        Self { description, ..self }
    }

    /// Who may call it.
    #[must_use]
    pub fn access(self, access: Access) -> Self {
        Self { access, ..self }
    }

    /// An answer with a body of this type.
    #[must_use]
    pub fn answers<T: JsonSchema>(mut self, status: u16) -> Self {
        let schema: SchemaOf = SchemaGenerator::subschema_for::<T>;
        self.answers.push(Answered { status, schema: Some(schema) });
        self
    }

    /// An answer without a body.
    #[must_use]
    pub fn answers_nothing(mut self, status: u16) -> Self {
        self.answers.push(Answered { status, schema: None });
        self
    }

    /// The module's own problems that it may end in. Those that every operation has (400, 401, 413 …) come by themselves.
    #[must_use]
    pub fn problems(mut self, problems: &[ProblemType]) -> Self {
        self.problems.extend_from_slice(problems);
        self
    }

    /// The largest body in bytes, where [`BODY_LIMIT`] does not fit.
    #[must_use]
    pub fn body_limit(self, body_limit: usize) -> Self {
        Self { body_limit, ..self }
    }

    /// Its answers carry an `ETag`.
    #[must_use]
    pub fn etag(self) -> Self {
        Self { etag: true, ..self }
    }
}
