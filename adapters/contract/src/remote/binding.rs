//! One call over the wire: handshake, bulkhead, breaker, request, answer.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Method as HttpMethod, Request, StatusCode};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use tracing::Instrument;

use super::{Remote, breaker::Breaker, bulkhead::Bulkhead, client::Silence};
use crate::{
    Binding, Context, Contract, Descriptor, Fault, Handshake, Kind, Method, NotExecuted, Outcome,
    Reason, RpcError,
    dispatch::written,
    rpc::{REQUEST_BYTES_MAX, header},
    tries::{Failed, Limits, Tries},
};

/// An incompatible process is asked again after this time: it may have been replaced.
const HANDSHAKE_AGAIN: Duration = Duration::from_secs(5);

pub(super) struct RemoteBinding {
    remote: Remote,
    url: String,
    descriptor: Descriptor,
    /// `None` until the first handshake, and again when a call shows that the other side has changed.
    checked: Mutex<Option<Checked>>,
    tries: Tries,
    breaker: Breaker,
    bulkhead: Bulkhead,
}

/// What the last handshake found.
#[derive(Clone)]
struct Checked {
    at: Instant,
    differing: Arc<[String]>,
}

#[derive(Serialize)]
struct Asked<'a> {
    jsonrpc: &'static str,
    id: u8,
    method: &'static str,
    params: &'a RawValue,
}

#[derive(Deserialize)]
struct Answered<'a> {
    jsonrpc: String,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<RpcError>,
}

/// The one request of an exchange.
const ID: u8 = 1;

/// A JSON-RPC 2.0 answer to our request; an error may be one to a request whose id could not be read.
fn answered(body: &[u8]) -> Option<Answered<'_>> {
    let answered: Answered<'_> = serde_json::from_slice(body).ok()?;
    let id = answered.id.map(RawValue::get);
    let ours = id == Some(ID.to_string().as_str()) || (id.is_none() && answered.error.is_some());
    (answered.jsonrpc == "2.0" && ours).then_some(answered)
}

/// A `null` result is a result: the answer `()`.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl RemoteBinding {
    pub(super) fn new<C: Contract + ?Sized>(remote: Remote) -> Self {
        let limits = &remote.limits;
        let tries = Limits {
            tries_max: limits.tries_max,
            backoff: limits.backoff,
            backoff_max: limits.backoff_max,
            percent: limits.retry_percent,
            burst: limits.retry_burst,
        };
        Self {
            url: remote.url(&format!("/rpc/{}", C::MODULE)),
            descriptor: Descriptor::of::<C>(),
            checked: Mutex::new(None),
            tries: Tries::new(tries),
            breaker: Breaker::new(limits.breaker_failures, limits.breaker_open),
            bulkhead: Bulkhead::new(limits.calls_max, limits.waiting_max, limits.waiting),
            remote,
        }
    }

    /// One try, with everything that guards it.
    async fn attempt<C: Contract + ?Sized, M: Method<C>>(
        &self,
        context: &M::Context,
        body: &Bytes,
    ) -> Result<M::Answer, Failed<M::Refusal>> {
        let call = context.call();
        let place = self.bulkhead.enter(call.deadline.remaining()).await;
        // Asking again would only join the queue again.
        let _place = place.map_err(|full| Failed::finally(full.into()))?;
        if call.deadline.passed() {
            let detail = "the deadline passed before the call was sent";
            return Err(Fault::not_executed(Reason::DeadlinePassed, detail).into());
        }
        let leave = self.breaker.admit().map_err(|wait| {
            let detail =
                format!("{} did not answer several times in a row", self.descriptor.module);
            Fault::NotExecuted(NotExecuted::new(Reason::BreakerOpen, detail).after(wait))
        })?;
        let began = Instant::now();
        let sent = match self.handshake::<M::Context>(context).await {
            Ok(()) => self.send::<C, M>(context, body.clone()).await.map_err(Either::Silent),
            Err(stop) => Err(stop),
        };
        match sent {
            Ok((status, answer)) => {
                // A gateway that says it found nobody behind it is no answer of the module's.
                if status.is_server_error() && answered(&answer).is_none() {
                    leave.silent();
                } else {
                    leave.answered();
                }
                self.read::<C, M>(status, &answer)
            }
            Err(Either::Told(fault)) => {
                leave.answered();
                Err(Fault::NotExecuted(fault).into())
            }
            Err(Either::Silent(silence)) => {
                // A try that its caller's deadline cut short says nothing about the module.
                if !silence.late || began.elapsed() >= self.remote.limits.try_timeout / 2 {
                    leave.silent();
                }
                Err(Failed { again: silence.again, fault: silent(silence) })
            }
        }
    }

    async fn send<C: Contract + ?Sized, M: Method<C>>(
        &self,
        context: &M::Context,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), Silence> {
        let (call, limits) = (context.call(), &self.remote.limits);
        let remaining = call.deadline.remaining();
        let timeout = remaining.min(limits.try_timeout);
        // Nobody waits for a query's answer after the try; a command's is stored under its key for the next one.
        let told = match M::Context::KIND {
            Kind::Query => timeout,
            Kind::Command => remaining,
        };
        let hash = self.descriptor.method(M::NAME).map_or("", |method| method.hash.as_str());
        let mut request = self
            .request(HttpMethod::POST, &self.url, context)
            .header("content-type", "application/json")
            .header(header::CALLER, call.caller.as_str())
            .header(header::DEADLINE_MS, told.as_millis().to_string())
            .header(header::TRACEPARENT, call.trace.child().to_string())
            .header(header::METHOD_HASH, hash);
        if let Some(key) = context.key() {
            request = request.header(header::IDEMPOTENCY_KEY, key.as_str());
        }
        if call.forwarded {
            request = request.header(header::FORWARDED, "1");
        }
        self.remote.client.send(request, body, timeout, limits.answer_bytes_max).await
    }

    fn request<X: Context>(
        &self,
        method: HttpMethod,
        url: &str,
        context: &X,
    ) -> http::request::Builder {
        let (peer, token) = self.remote.keyring.choose(Some(&context.call().caller));
        Request::builder()
            .method(method)
            .uri(url)
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::PEER, peer)
    }

    /// Makes sure that the two processes speak the same contract, asking the other one when that is not known.
    async fn handshake<X: Context>(&self, context: &X) -> Result<(), Either> {
        let known = self.checked.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let known = known.filter(|k| k.differing.is_empty() || k.at.elapsed() < HANDSHAKE_AGAIN);
        let checked = match known {
            Some(checked) => checked,
            None => {
                let theirs = self.ask_handshake(context).await?;
                let differing = self.descriptor.handshake().differing(&theirs).into();
                let checked = Checked { at: Instant::now(), differing };
                *self.checked.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some(checked.clone());
                checked
            }
        };
        if checked.differing.is_empty() {
            return Ok(());
        }
        let (module, methods) = (self.descriptor.module, checked.differing.join("`, `"));
        let detail = format!("`{methods}` of {module} differs between the two processes");
        Err(Either::Told(NotExecuted::new(Reason::Incompatible, detail)))
    }

    async fn ask_handshake<X: Context>(&self, context: &X) -> Result<Handshake, Either> {
        let limits = &self.remote.limits;
        let timeout = context.call().deadline.remaining().min(limits.try_timeout);
        let request = self.request(HttpMethod::GET, &format!("{}/schema", self.url), context);
        let answer =
            self.remote.client.send(request, Bytes::new(), timeout, limits.answer_bytes_max);
        // The call itself was not sent yet, whatever became of this question.
        let unsent = |silence: Silence| Either::Silent(Silence { sent: false, ..silence });
        let (status, body) = answer.await.map_err(unsent)?;
        if status == StatusCode::OK
            && let Ok(handshake) = serde_json::from_slice(&body)
        {
            return Ok(handshake);
        }
        Err(Either::Told(match told::<crate::Never>(status, &body) {
            Some(Fault::NotExecuted(fault)) => fault,
            _ => {
                let detail = format!("the handshake was answered with HTTP status {status}");
                NotExecuted::new(Reason::Unavailable, detail)
            }
        }))
    }

    fn read<C: Contract + ?Sized, M: Method<C>>(
        &self,
        status: StatusCode,
        body: &[u8],
    ) -> Result<M::Answer, Failed<M::Refusal>> {
        if let Some(Answered { result: Some(result), error: None, .. }) = answered(body) {
            return serde_json::from_str(result.get()).map_err(|error| {
                // It was done; only its answer cannot be read, now or later.
                Failed::finally(Fault::unknown(format!("the answer cannot be read: {error}")))
            });
        }
        let fault = told(status, body).unwrap_or_else(|| {
            Fault::unknown(format!("HTTP status {status} without a JSON-RPC answer"))
        });
        if let Fault::NotExecuted(NotExecuted { reason: Reason::Incompatible, .. }) = &fault {
            *self.checked.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        Err(fault.into())
    }
}

/// Why nothing was sent.
enum Either {
    Told(NotExecuted),
    Silent(Silence),
}

fn silent<R>(silence: Silence) -> Fault<R> {
    if silence.sent {
        Fault::unknown(silence.detail)
    } else {
        Fault::not_executed(Reason::Unavailable, silence.detail)
    }
}

/// The fault in an answer: from its error object, or from a status with which something in between refuses requests.
fn told<R: serde::de::DeserializeOwned>(status: StatusCode, body: &[u8]) -> Option<Fault<R>> {
    if let Some(Answered { result: None, error: Some(error), .. }) = answered(body) {
        return Some(error.into_fault());
    }
    let reason = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Reason::Forbidden,
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Reason::Unavailable,
        StatusCode::PAYLOAD_TOO_LARGE => Reason::Malformed,
        StatusCode::TOO_MANY_REQUESTS => Reason::Overloaded,
        _ => return None,
    };
    Some(Fault::not_executed(reason, format!("HTTP status {status}")))
}

impl<C: Contract + ?Sized> Binding<C> for RemoteBinding {
    async fn carry<M: Method<C>>(
        &self,
        context: &M::Context,
        argument: M::Argument,
    ) -> Outcome<C, M> {
        let params = written::<C, M>(&argument)?;
        // What is asked again is what was asked, byte for byte.
        drop(argument);
        let asked = Asked { jsonrpc: "2.0", id: ID, method: M::NAME, params: &params };
        let body = Bytes::from(serde_json::to_vec(&asked).expect("JSON around JSON is JSON"));
        if body.len() > REQUEST_BYTES_MAX {
            let detail = format!("the request is larger than {REQUEST_BYTES_MAX} bytes");
            return Err(Fault::not_executed(Reason::Malformed, detail));
        }
        let span = tracing::debug_span!(
            "remote",
            module = C::MODULE,
            method = M::NAME,
            trace = %context.call().trace,
        );
        self.tries.ask(context, || self.attempt::<C, M>(context, &body)).instrument(span).await
    }
}
