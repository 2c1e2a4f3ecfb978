//! The kinds of problem that belong to no module.

use crate::ProblemType;

/// The request cannot be read: JSON, a parameter or a header is wrong; `errors` names the field.
pub const MALFORMED: ProblemType = ProblemType::new("malformed", 400, "The request cannot be read");

/// A POST came without `Idempotency-Key`.
pub const KEY_MISSING: ProblemType =
    ProblemType::new("idempotency-key-missing", 400, "A POST needs an Idempotency-Key");

/// No credential, or an unknown one.
pub const UNAUTHENTICATED: ProblemType =
    ProblemType::new("unauthenticated", 401, "A valid credential is needed");

/// The credential does not allow this.
pub const FORBIDDEN: ProblemType = ProblemType::new("forbidden", 403, "This is not allowed");

/// There is no such thing, or not for this caller.
pub const NOT_FOUND: ProblemType = ProblemType::new("not-found", 404, "There is no such thing");

/// The path exists, the method does not.
pub const METHOD_NOT_ALLOWED: ProblemType =
    ProblemType::new("method-not-allowed", 405, "The path has no such method");

/// The body did not arrive in time.
pub const REQUEST_TIMEOUT: ProblemType =
    ProblemType::new("request-timeout", 408, "The request took too long to arrive");

/// The version in `If-Match` is not the one in force.
pub const VERSION_MISMATCH: ProblemType =
    ProblemType::new("version-mismatch", 412, "Someone else changed it in the meantime");

/// The body is larger than allowed.
pub const BODY_TOO_LARGE: ProblemType =
    ProblemType::new("body-too-large", 413, "The request body is too large");

/// The body is not JSON.
pub const MEDIA_TYPE: ProblemType =
    ProblemType::new("unsupported-media-type", 415, "The request body must be JSON");

/// The key was used before with another request.
pub const KEY_REUSED: ProblemType = ProblemType::new(
    "idempotency-key-reused",
    422,
    "The Idempotency-Key belongs to another request",
);

/// An edit came without `If-Match`.
pub const VERSION_MISSING: ProblemType =
    ProblemType::new("version-missing", 428, "An edit needs If-Match");

/// Our bug.
pub const INTERNAL: ProblemType = ProblemType::new("internal", 500, "The service failed");

/// Too much work is waiting.
pub const OVERLOADED: ProblemType = ProblemType::new("overloaded", 503, "The service is busy");

/// A part of the service is away.
pub const UNAVAILABLE: ProblemType =
    ProblemType::new("unavailable", 503, "A part of the service is away");

/// The module is changing its place.
pub const MOVING: ProblemType =
    ProblemType::new("moving", 503, "A part of the service is changing its place");

/// It may have been done or not: repeat with the same key.
pub const OUTCOME_UNKNOWN: ProblemType =
    ProblemType::new("outcome-unknown", 503, "The outcome is not known yet");

/// The time ran out before anything was done.
pub const DEADLINE_PASSED: ProblemType =
    ProblemType::new("deadline-passed", 504, "The time for the request ran out");
