//! Work on other threads and tasks. Whoever waits for it gets its panic, too.

use std::future::Future;
use std::panic::resume_unwind;

use tokio::task::JoinError;

/// Runs what computes or waits for the disk on a thread where it blocks nobody.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    joined(tokio::task::spawn_blocking(work).await)
}

/// Runs what must not be left half done when nobody waits for it any more.
pub(crate) async fn detached<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    joined(tokio::spawn(work).await)
}

/// Returns what a task that nobody cancels came to.
pub(crate) fn joined<T>(result: Result<T, JoinError>) -> T {
    match result {
        Ok(done) => done,
        Err(err) => resume_unwind(err.into_panic()),
    }
}
