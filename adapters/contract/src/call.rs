//! What travels with every call in every binding: deadline, trace, caller and, for a command, its key.

use std::{
    fmt,
    ops::Deref,
    str::FromStr,
    sync::Arc,
    time::{Duration, Instant},
};

/// The longest idempotency key: room for two UUIDs and a step's name, and a bound on the column.
const KEY_LENGTH_MAX: usize = 200;

/// The farthest deadline: beyond any wait, and near enough that every clock can count to it.
const DEADLINE_MAX: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// A query's context. There is no way to make one without a deadline.
#[derive(Clone, Debug)]
pub struct Call {
    /// When the caller stops waiting.
    pub deadline: Deadline,
    /// The trace that this call is part of.
    pub trace: TraceContext,
    /// On whose behalf the call is made.
    pub caller: Caller,
    /// Did a process that does not have the module pass it on? It does not happen twice to one call.
    pub forwarded: bool,
    /// May a query be answered from a copy of the module's data, where one is [lent](crate::Switch::lend) to this process?
    /// It holds in this process and for this one call: it goes over no wire, and to nobody whom the module calls.
    pub from_copy: bool,
}

/// A command's context: a [`Call`] with the key that makes it idempotent.
#[derive(Clone, Debug)]
pub struct Command {
    /// The call.
    pub call: Call,
    /// The same caller, operation and key always mean the same one effect.
    pub key: IdempotencyKey,
}

/// A value that came from outside and cannot be part of a call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// An idempotency key must be 1 to 200 visible ASCII characters.
    #[error("an idempotency key is 1 to 200 visible ASCII characters")]
    Key,
    /// A caller must be 1 to 200 visible ASCII characters.
    #[error("a caller is 1 to 200 visible ASCII characters")]
    Caller,
    /// A `traceparent` must follow W3C Trace Context, version 00.
    #[error("a traceparent is 00-<32 hex>-<16 hex>-<2 hex>, ids not all zero")]
    TraceParent,
}

impl Call {
    /// A call that starts a new trace.
    pub fn new(caller: Caller, deadline: Deadline) -> Self {
        Self { deadline, trace: TraceContext::start(), caller, forwarded: false, from_copy: false }
    }

    /// The same call as the command that `key` names.
    pub fn command(&self, key: IdempotencyKey) -> Command {
        Command { call: self.clone(), key }
    }

    /// The call that follows from this one on another's behalf: same trace and deadline.
    #[must_use]
    pub fn on_behalf_of(&self, caller: Caller) -> Self {
        let (deadline, trace) = (self.deadline, self.trace);
        Self { deadline, trace, caller, forwarded: false, from_copy: false }
    }
}

impl Deref for Command {
    type Target = Call;
    fn deref(&self) -> &Call {
        &self.call
    }
}

/// The moment after which an answer is of no use. It travels between processes as the time that remains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// This long from now, and at most 30 years.
    pub fn within(time: Duration) -> Self {
        Self(Instant::now() + time.min(DEADLINE_MAX))
    }

    /// The time that remains; zero once it has passed.
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Has it passed?
    pub fn passed(self) -> bool {
        self.0 <= Instant::now()
    }

    /// The instant itself, for timers.
    pub fn instant(self) -> Instant {
        self.0
    }
}

/// Who asks: `module:ordering`, `operator`, `public`, `guest:<hash of its secret>`, `import:<file hash>` …
/// It scopes idempotency keys, so it must be the same when the same call is made again.
///
/// Invariant: 1 to 200 visible ASCII characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Caller(Arc<str>);

/// The name of one effect, given by the caller.
///
/// Invariant: 1 to 200 visible ASCII characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdempotencyKey(Arc<str>);

fn visible(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= KEY_LENGTH_MAX
        && text.bytes().all(|byte| byte.is_ascii_graphic())
}

impl Caller {
    /// A module that calls in its own name.
    pub fn module(name: &str) -> Self {
        Self(format!("module:{name}").into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
impl FromStr for Caller {
    type Err = CallError;
    fn from_str(text: &str) -> Result<Self, CallError> {
        visible(text).then(|| Self(text.into())).ok_or(CallError::Caller)
    }
}
impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl IdempotencyKey {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
impl FromStr for IdempotencyKey {
    type Err = CallError;
    fn from_str(text: &str) -> Result<Self, CallError> {
        visible(text).then(|| Self(text.into())).ok_or(CallError::Key)
    }
}
impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The trace that a call is part of (W3C Trace Context, version 00). Text form: the `traceparent` header.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    trace: u128,
    span: u64,
    sampled: bool,
}

impl TraceContext {
    /// A new trace with random ids.
    pub fn start() -> Self {
        Self { trace: random().max(1), span: low_half(random()).max(1), sampled: true }
    }

    /// The next span of the same trace.
    #[must_use]
    pub fn child(self) -> Self {
        Self { span: low_half(random()).max(1), ..self }
    }

    /// The trace id, 32 hex digits.
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace)
    }

    /// The span id, 16 hex digits.
    pub fn span_id(&self) -> String {
        format!("{:016x}", self.span)
    }
}

/// Random bits for ids that must be unique, not secret.
fn random() -> u128 {
    let mut bytes = [0; 16];
    // Without a random source ids collide and traces mix; that is no reason to refuse a sale.
    if getrandom::fill(&mut bytes).is_err() {
        return 1;
    }
    u128::from_le_bytes(bytes)
}

#[allow(clippy::cast_possible_truncation, reason = "the low half is what is wanted")]
fn low_half(bits: u128) -> u64 {
    bits as u64
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, u8::from(self.sampled))
    }
}
impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl FromStr for TraceContext {
    type Err = CallError;
    fn from_str(text: &str) -> Result<Self, CallError> {
        let mut parts = text.trim().splitn(4, '-');
        let mut hex = |length: usize| {
            parts
                .next()
                .filter(|part| {
                    part.len() == length
                        && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
                })
                .ok_or(CallError::TraceParent)
        };
        let version = hex(2)?;
        let trace = u128::from_str_radix(hex(32)?, 16).map_err(|_bad| CallError::TraceParent)?;
        let span = u64::from_str_radix(hex(16)?, 16).map_err(|_bad| CallError::TraceParent)?;
        let flags = u8::from_str_radix(hex(2)?, 16).map_err(|_bad| CallError::TraceParent)?;
        if version != "00" || trace == 0 || span == 0 {
            return Err(CallError::TraceParent);
        }
        Ok(Self { trace, span, sampled: flags & 1 == 1 })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Deadline;

    #[test]
    fn any_time_makes_a_deadline() {
        assert!(Deadline::within(Duration::ZERO).passed());
        assert!(!Deadline::within(Duration::MAX).passed());
    }
}
