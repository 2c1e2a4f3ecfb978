//! Work beside a shop that serves.
//!
//! A copy or a comparison takes as much of a processor as there is. Where all of it is wanted by requests, they come
//! first: the work is done on a thread whose claim is a tenth of theirs, so it takes what they leave. A thread may give
//! its claim up but not have it back, so it is a thread of its own, which ends with the work.

use std::thread;

use tokio::sync::oneshot;

/// A thread that is this nice gets a tenth of what one gets that is not, where both want all. At 19 it would be a
/// seventieth: a snapshot that takes a second on an idle machine would be held for a minute on a busy one.
const NICE: i32 = 10;

/// Does blocking work, while whoever serves comes first; `None` when it panicked or no thread was to be had. Not for work
/// that others wait for, nor for work that holds what a writer of the module needs, nor for work that starts threads: they
/// are as nice, for as long as they live.
pub async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (tell, told) = oneshot::channel();
    thread::Builder::new()
        .name("mover".to_owned())
        .spawn(move || {
            // On Linux it is the calling thread that becomes nice. Elsewhere it may be the whole process.
            if cfg!(target_os = "linux")
                && let Err(error) = rustix::process::nice(NICE)
            {
                tracing::debug!(%error, "a mover's thread is not nice");
            }
            // Nobody listens any more when the caller has given up.
            drop(tell.send(work()));
        })
        .ok()?;
    told.await.ok()
}
