//! Periodic work, supervised: a task that panics is logged and goes on with its next turn, and all stop with the server.

pub(crate) mod blob_gc;
mod crawl;
mod moved_away;
mod prune;
mod verify;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use tokio_util::task::TaskTracker;

use crate::error::XrpcError;
use crate::state::AppState;

/// Starts all tasks.
pub(crate) fn start(app: &AppState, tracker: &TaskTracker) {
    app.tls.start(tracker, &app.stop);
    crawl::start(app, tracker);
    let mark = Arc::new(AtomicI64::new(0));
    every(app, tracker, "find accounts that moved away", Duration::from_secs(600), move |app| {
        moved_away::run_once(app, Arc::clone(&mark))
    });
    every(app, tracker, "prune events", Duration::from_secs(600), prune::run_once);
    every(app, tracker, "verify what is stored", Duration::from_secs(600), verify::run_once);
    every(app, tracker, "collect blobs", Duration::from_secs(3600), blob_gc::run_once);
    at_start(app, tracker, "end DIDs without accounts", crate::account::settle_pending_dids);
    every(app, tracker, "end DIDs without accounts", Duration::from_secs(600), crate::account::settle_pending_dids);
    every(app, tracker, "delete accounts", Duration::from_secs(3600), crate::account::delete_due);
    every(app, tracker, "finish deletions", Duration::from_secs(600), crate::account::finish_deletions);
    every(app, tracker, "sweep sessions", Duration::from_secs(3600), crate::account::sweep_sessions);
    every(app, tracker, "sweep browsers", Duration::from_secs(3600), crate::pages::sweep);
    every(app, tracker, "sweep the sessions of apps", Duration::from_secs(3600), crate::oauth::sweep);
}

/// Runs `work` once in each `period`, from one period after the start.
fn every<F, W>(app: &AppState, tracker: &TaskTracker, name: &'static str, period: Duration, work: W)
where
    F: Future<Output = Result<usize, XrpcError>> + Send + 'static,
    W: Fn(AppState) -> F + Send + 'static,
{
    let app = app.clone();
    tracker.spawn(async move {
        loop {
            tokio::select! {
                () = app.stop.cancelled() => return,
                () = tokio::time::sleep(period) => {}
            }
            turn(name, work(app.clone())).await;
        }
    });
}

/// Runs `work` once, now.
fn at_start<F, W>(app: &AppState, tracker: &TaskTracker, name: &'static str, work: W)
where
    F: Future<Output = Result<usize, XrpcError>> + Send + 'static,
    W: FnOnce(AppState) -> F,
{
    tracker.spawn(turn(name, work(app.clone())));
}

async fn turn(name: &'static str, work: impl Future<Output = Result<usize, XrpcError>> + Send + 'static) {
    // A turn of its own, so that a panic ends the turn and not the task.
    match tokio::spawn(work).await {
        Ok(Ok(0)) => tracing::debug!(task = name, "nothing to do"),
        Ok(Ok(done)) => tracing::info!(task = name, done, "done"),
        Ok(Err(err)) => tracing::error!(task = name, error = %err.describe(), "failed; it will be tried again"),
        Err(err) => tracing::error!(task = name, error = %err, "panicked; it will be tried again"),
    }
}
