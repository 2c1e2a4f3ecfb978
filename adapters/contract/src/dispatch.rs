//! Calls as text: finds the method, reads its argument, calls the service, writes the outcome.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    marker::PhantomData,
    sync::Arc,
};

use futures_util::future::BoxFuture;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, DeserializeOwned, MapAccess, SeqAccess},
};
use serde_json::value::RawValue;

use crate::{
    Call, Contract, Fault, IdempotencyKey, Kind, Method, Never, Reason, Visitor, binding::Context,
    schema::Descriptor,
};

/// The error codes of JSON-RPC 2.0 and ours.
pub mod code {
    /// The body is no JSON.
    pub const PARSE: i64 = -32700;
    /// The body is no JSON-RPC 2.0 request.
    pub const INVALID_REQUEST: i64 = -32600;
    /// There is no such method.
    pub const METHOD_NOT_FOUND: i64 = -32601;
    /// The params are not the method's argument.
    pub const INVALID_PARAMS: i64 = -32602;
    /// A bug or a broken store.
    pub const INTERNAL: i64 = -32603;
    /// The module's rule said no; `data` has the refusal.
    pub const REFUSED: i64 = -32000;
    /// Certainly no effect; `data` says why.
    pub const NOT_EXECUTED: i64 = -32001;
    /// The effect is not known.
    pub const UNKNOWN: i64 = -32002;
}

/// What travels beside the argument, as it comes off a wire.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The call.
    pub call: Call,
    /// The key, where the method is a command.
    pub key: Option<IdempotencyKey>,
}

/// A module's contract, callable as text.
pub trait Dispatch: Send + Sync {
    /// What it offers.
    fn descriptor(&self) -> &Descriptor;

    /// Calls `method` with JSON-RPC params: an object with its one argument by name, or an array of one.
    fn dispatch<'a>(
        &'a self,
        method: &'a str,
        parts: Parts,
        params: &'a RawValue,
    ) -> BoxFuture<'a, Result<Box<RawValue>, RpcError>>;
}

/// The error object of JSON-RPC 2.0. `data` is the `Fault`, whole: `{"refused": …}`, `{"not_executed": …}` or
/// `{"unknown": …}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RpcError {
    /// One of [`code`].
    pub code: i64,
    /// For people.
    pub message: String,
    /// The fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<RawValue>>,
}

/// The dispatcher of a service.
pub fn dispatcher<C: Contract + ?Sized>(service: Arc<C>) -> Arc<dyn Dispatch> {
    let mut table = Table(HashMap::new());
    C::methods(&mut table);
    Arc::new(Dispatcher { service, methods: table.0, descriptor: Descriptor::of::<C>() })
}

type Entry<C> =
    for<'a> fn(&'a C, Parts, &'a RawValue) -> BoxFuture<'a, Result<Box<RawValue>, RpcError>>;

struct Dispatcher<C: ?Sized> {
    service: Arc<C>,
    methods: HashMap<&'static str, Entry<C>>,
    descriptor: Descriptor,
}

struct Table<C: ?Sized>(HashMap<&'static str, Entry<C>>);

impl<C: Contract + ?Sized> Visitor<C> for Table<C> {
    fn method<M: Method<C>>(&mut self) {
        self.0.insert(M::NAME, |service, parts, params| {
            Box::pin(one::<C, M>(service, parts, params))
        });
    }
}

impl<C: Contract + ?Sized> Dispatch for Dispatcher<C> {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn dispatch<'a>(
        &'a self,
        method: &'a str,
        parts: Parts,
        params: &'a RawValue,
    ) -> BoxFuture<'a, Result<Box<RawValue>, RpcError>> {
        match self.methods.get(method) {
            Some(entry) => entry(&self.service, parts, params),
            None => {
                let detail = format!("{} has no method `{method}`", self.descriptor.module);
                Box::pin(async move {
                    Err(RpcError::with_code(code::METHOD_NOT_FOUND, Reason::Malformed, detail))
                })
            }
        }
    }
}

async fn one<C: Contract + ?Sized, M: Method<C>>(
    service: &C,
    parts: Parts,
    params: &RawValue,
) -> Result<Box<RawValue>, RpcError> {
    let context = M::Context::from_parts(parts.call, parts.key).ok_or_else(|| {
        RpcError::not_executed(Reason::Malformed, "a command needs an idempotency key")
    })?;
    if context.call().deadline.passed() {
        return Err(RpcError::not_executed(
            Reason::DeadlinePassed,
            "the deadline passed before the call",
        ));
    }
    let argument = read::<M::Argument>(M::ARGUMENT, params)?;
    // Its caller is gone when the deadline passes, so nobody goes on working for it.
    let until = context.call().deadline.instant().into();
    let answer = tokio::time::timeout_at(until, M::call(service, &context, argument)).await;
    match answer.unwrap_or_else(|_late| Err(late(M::Context::KIND))) {
        Ok(answer) => serde_json::value::to_raw_value(&answer).map_err(|error| {
            // The effect stands but cannot be told.
            let fault = Fault::<Never>::unknown(format!("the answer cannot be written: {error}"));
            RpcError::from_fault(&fault)
        }),
        Err(fault) => Err(RpcError::from_fault(&fault)),
    }
}

/// A call that was still under way when its deadline passed.
fn late<R>(kind: Kind) -> Fault<R> {
    let detail = "the deadline passed while the call was under way";
    match kind {
        Kind::Query => Fault::not_executed(Reason::DeadlinePassed, detail),
        Kind::Command => Fault::unknown(detail),
    }
}

/// The params of method `M`: its argument by name.
pub(crate) fn written<C: ?Sized, M: Method<C>>(
    argument: &M::Argument,
) -> Result<Box<RawValue>, Fault<M::Refusal>> {
    serde_json::value::to_raw_value(&BTreeMap::from([(M::ARGUMENT, argument)])).map_err(|error| {
        Fault::not_executed(Reason::Malformed, format!("the argument cannot be written: {error}"))
    })
}

fn read<P: DeserializeOwned>(name: &'static str, params: &RawValue) -> Result<P, RpcError> {
    let mut json = serde_json::Deserializer::from_str(params.get());
    let mut track = serde_path_to_error::Track::new();
    let json = serde_path_to_error::Deserializer::new(&mut json, &mut track);
    let seed = One { name, value: PhantomData };
    de::DeserializeSeed::deserialize(seed, json).map_err(|error| {
        let detail = match track.path().to_string() {
            path if path == "." => error.to_string(),
            path => format!("{path}: {error}"),
        };
        RpcError::with_code(code::INVALID_PARAMS, Reason::Malformed, detail)
    })
}

/// Reads `{"name": value}` or `[value]`.
struct One<P> {
    name: &'static str,
    value: PhantomData<P>,
}

impl<'de, P: Deserialize<'de>> de::DeserializeSeed<'de> for One<P> {
    type Value = P;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<P, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, P: Deserialize<'de>> de::Visitor<'de> for One<P> {
    type Value = P;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with `{}` or an array of one", self.name)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<P, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<String>()? {
            if key != self.name {
                return Err(de::Error::unknown_field(&key, &[]));
            }
            if found.replace(map.next_value()?).is_some() {
                return Err(de::Error::duplicate_field(self.name));
            }
        }
        found.ok_or_else(|| de::Error::missing_field(self.name))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<P, A::Error> {
        let found = sequence.next_element()?.ok_or_else(|| de::Error::invalid_length(0, &self))?;
        match sequence.next_element::<de::IgnoredAny>()? {
            None => Ok(found),
            Some(_) => Err(de::Error::invalid_length(2, &self)),
        }
    }
}

impl RpcError {
    /// A fault as an error object.
    pub fn from_fault<R: Serialize>(fault: &Fault<R>) -> Self {
        let (code, message) = match fault {
            Fault::Refused(_) => (code::REFUSED, "refused".to_owned()),
            Fault::NotExecuted(reason) => (code::NOT_EXECUTED, reason.to_string()),
            Fault::Unknown(reason) => (code::UNKNOWN, reason.to_string()),
        };
        Self { code, message, data: serde_json::value::to_raw_value(fault).ok() }
    }

    /// Not executed, with our own code.
    pub fn not_executed(reason: Reason, detail: impl Into<String>) -> Self {
        Self::from_fault(&Fault::<Never>::not_executed(reason, detail))
    }

    /// Not executed, with one of JSON-RPC's codes.
    pub fn with_code(code: i64, reason: Reason, detail: impl Into<String>) -> Self {
        Self { code, ..Self::not_executed(reason, detail) }
    }

    /// The fault that this error tells. Another implementation may leave `data` out: then the code must do, and what
    /// is not certain to have had no effect is unknown. A newer one may have a reason or a refusal that is new to this
    /// side; even so it says that nothing was done.
    pub fn into_fault<R: DeserializeOwned>(self) -> Fault<R> {
        let told = self.data.as_deref().map_or("null", RawValue::get);
        if let Ok(fault) = serde_json::from_str(told) {
            return fault;
        }
        match (self.code, serde_json::from_str(told)) {
            (_, Ok(Told::Refused(_) | Told::NotExecuted(_))) => {
                Fault::not_executed(Reason::Incompatible, self.message)
            }
            (
                code::PARSE | code::INVALID_REQUEST | code::METHOD_NOT_FOUND | code::INVALID_PARAMS,
                Err(_),
            ) => Fault::not_executed(Reason::Malformed, self.message),
            (code, _) => {
                Fault::unknown(format!("error {code} without its fault: {}", self.message))
            }
        }
    }
}

/// Which of the three faults, whatever is in it.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Told {
    Refused(de::IgnoredAny),
    NotExecuted(de::IgnoredAny),
    Unknown(de::IgnoredAny),
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::{RpcError, code};
    use crate::{Fault, Never, NotExecuted, Reason};

    fn fault(code: i64, data: Option<&str>) -> Fault<Never> {
        let data = data.map(|text| RawValue::from_string(text.to_owned()).expect("it is JSON"));
        RpcError { code, message: "no".to_owned(), data }.into_fault()
    }

    #[test]
    fn what_is_told_to_have_no_effect_is_not_executed_whatever_its_reason() {
        for (code, data, expected) in [
            (
                code::NOT_EXECUTED,
                Some(r#"{"not_executed":{"reason":"lunch","detail":""}}"#),
                Reason::Incompatible,
            ),
            (code::REFUSED, Some(r#"{"refused":{"refusal":"new"}}"#), Reason::Incompatible),
            (code::INVALID_PARAMS, None, Reason::Malformed),
        ] {
            let told = fault(code, data);
            let Fault::NotExecuted(NotExecuted { reason, .. }) = told else {
                unreachable!("{told:?}")
            };
            assert_eq!(reason, expected);
        }
        for (code, data) in [
            (code::NOT_EXECUTED, None),
            (code::REFUSED, Some("{}")),
            (code::INTERNAL, None),
            (code::INVALID_PARAMS, Some(r#"{"unknown":7}"#)),
        ] {
            assert!(matches!(fault(code, data), Fault::Unknown(_)), "{code}");
        }
    }
}
