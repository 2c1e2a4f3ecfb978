//! Who may call an operation, and how that is found out.

use std::{fmt, str::FromStr};

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload, http::header};
use contract::Caller;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{Problem, context::RequestContext, problems};

/// How many random bytes a guest's secret has: 128 bits cannot be guessed.
const SECRET_BYTES: usize = 16;

/// Who may call an operation. The route table enforces it before the handler runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Everyone. A credential is looked at when there is one, and refused when it is malformed.
    Public,
    /// The operator, or someone who shows a guest's secret. Whether the secret opens the thing is the handler's
    /// question: it gets the [`Visitor`].
    Guest,
    /// The operator only.
    Operator,
}

impl Access {
    /// The word in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Guest => "guest",
            Self::Operator => "operator",
        }
    }
}

/// The operator's bearer token, given to the app as `Data<OperatorToken>`. Kept as a hash, so that neither a log nor a
/// core dump of it opens anything, and compared in constant time.
#[derive(Clone)]
pub struct OperatorToken([u8; 32]);

impl OperatorToken {
    /// The token with this text.
    pub fn new(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// Is this it?
    pub fn admits(&self, token: &str) -> bool {
        let shown: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        self.0.ct_eq(&shown).into()
    }
}
impl fmt::Debug for OperatorToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OperatorToken(…)")
    }
}

/// The 128-bit secret that opens a guest's cart and its order: 32 lower-case hex digits, sent as a bearer token.
///
/// Invariant: exactly that text. Stores keep its [`digest`](Self::digest) only.
#[derive(Clone, PartialEq, Eq)]
pub struct GuestSecret(String);

/// The text is no guest's secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a guest's secret is 32 lower-case hex digits")]
pub struct GuestSecretError;

impl GuestSecret {
    /// A new secret; nothing when the system gives no random bytes, for a guessable one is worse than none.
    pub fn fresh() -> Option<Self> {
        let mut bytes = [0; SECRET_BYTES];
        getrandom::fill(&mut bytes).ok()?;
        Some(Self(hex(&bytes)))
    }

    /// The text, to hand to its owner.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The SHA-256 of it in hex: what may be stored and compared.
    pub fn digest(&self) -> String {
        hex(&Sha256::digest(self.0.as_bytes()))
    }

    /// The caller that it stands for: the scope of a guest's idempotency keys.
    pub fn caller(&self) -> Caller {
        let digest = self.digest();
        let short = digest.get(..32).unwrap_or(&digest);
        format!("guest:{short}").parse().expect("hex digits are visible ASCII")
    }
}
impl FromStr for GuestSecret {
    type Err = GuestSecretError;
    fn from_str(text: &str) -> Result<Self, GuestSecretError> {
        let good = text.len() == SECRET_BYTES * 2
            && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        good.then(|| Self(text.to_owned())).ok_or(GuestSecretError)
    }
}
impl fmt::Debug for GuestSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GuestSecret(…)")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Who stands at the door, as the route table found out. An extractor for handlers whose answer depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Visitor {
    /// The operator.
    Operator,
    /// Someone who shows this secret; whether it opens anything is not known yet.
    Guest(GuestSecret),
    /// Someone without a credential.
    Anyone,
}

impl Visitor {
    /// The caller of the calls that follow: the scope of idempotency keys.
    pub fn caller(&self) -> Caller {
        let fixed = |name: &str| name.parse().expect("a fixed name is a caller");
        match self {
            Self::Operator => fixed("operator"),
            Self::Guest(secret) => secret.caller(),
            Self::Anyone => fixed("public"),
        }
    }

    /// Is it the operator?
    pub fn is_operator(&self) -> bool {
        matches!(self, Self::Operator)
    }
}

impl FromRequest for Visitor {
    type Error = Problem;
    type Future = std::future::Ready<Result<Self, Problem>>;
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let extensions = request.extensions();
        let found = extensions.get::<RequestContext>().and_then(|context| context.visitor.clone());
        std::future::ready(found.ok_or_else(|| Problem::of(&problems::UNAUTHENTICATED)))
    }
}

/// Reads the credential and holds it against the operation's rule.
pub(crate) fn admit(request: &HttpRequest, access: Access) -> Result<Visitor, Problem> {
    let refused = |detail: &str| Problem::of(&problems::UNAUTHENTICATED).detail(detail);
    let visitor = match bearer(request)? {
        None => Visitor::Anyone,
        Some(token) if is_operator(request, token) => Visitor::Operator,
        Some(token) => token.parse().map(Visitor::Guest).map_err(|_none| {
            refused("the bearer token is neither the operator's nor a guest's secret")
        })?,
    };
    match (access, &visitor) {
        (Access::Public, _)
        | (Access::Guest | Access::Operator, Visitor::Operator)
        | (Access::Guest, Visitor::Guest(_)) => Ok(visitor),
        (Access::Operator, Visitor::Guest(_) | Visitor::Anyone) => {
            Err(refused("this wants the operator's token as `Authorization: Bearer …`"))
        }
        (Access::Guest, Visitor::Anyone) => {
            Err(refused("this wants the cart's secret as `Authorization: Bearer …`"))
        }
    }
}

fn bearer(request: &HttpRequest) -> Result<Option<&str>, Problem> {
    let Some(value) = request.headers().get(header::AUTHORIZATION) else { return Ok(None) };
    let token = value.to_str().ok().and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    token.map(Some).ok_or_else(|| {
        Problem::of(&problems::UNAUTHENTICATED)
            .detail("the Authorization header must be `Bearer <token>`")
    })
}

fn is_operator(request: &HttpRequest, token: &str) -> bool {
    request
        .app_data::<actix_web::web::Data<OperatorToken>>()
        .is_some_and(|operator| operator.admits(token))
}
