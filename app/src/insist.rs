//! Asking again: a call whose outcome is passing or unknown is repeated with the same key until it has an answer.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use contract::{Answer, Call, Caller, Deadline, Fault};

/// How long a command line insists before it gives up: a server that is restarted is back long before.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long one call may take: an import's batch on a slow disk.
const CALL_TIME: Duration = Duration::from_secs(60);

/// The first pause between two tries; each is twice the one before, up to the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_LONGEST: Duration = Duration::from_secs(2);

/// A call with the time that operator commands give.
pub fn call(caller: &Caller) -> Call {
    Call::new(caller.clone(), Deadline::within(CALL_TIME))
}

/// Asks until there is an answer or a refusal; `ask` must use the same key each time.
pub async fn insist<T, R>(what: &str, mut ask: impl AsyncFnMut() -> Answer<T, R>) -> Result<T>
where
    R: std::fmt::Display,
{
    let began = Instant::now();
    let mut pause = PAUSE_FIRST;
    loop {
        let problem = match ask().await {
            Ok(answer) => return Ok(answer),
            Err(Fault::Refused(refusal)) => return Err(anyhow!("{what}: {refusal}")),
            Err(Fault::NotExecuted(fault)) if !fault.reason.is_passing() => {
                return Err(anyhow!("{what}: {fault}"));
            }
            Err(Fault::NotExecuted(fault)) => {
                pause = fault.retry_after.unwrap_or(pause).min(PAUSE_LONGEST);
                fault.to_string()
            }
            Err(Fault::Unknown(fault)) => fault.to_string(),
        };
        if began.elapsed() + pause > PATIENCE {
            return Err(anyhow!("{what}: {problem} (tried for {} s)", PATIENCE.as_secs()));
        }
        tracing::debug!(what, problem, "asking again");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_LONGEST);
    }
}
