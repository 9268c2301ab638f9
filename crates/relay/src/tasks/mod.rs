//! Work in the background, supervised: what panics is counted, told to the operator and started again, and all stop with the
//! server. [`registry`] knows what each task did.

mod backup;
pub(crate) mod blob_gc;
pub(crate) mod crawl;
mod moved_away;
mod prune;
pub(crate) mod registry;
mod verify;
mod watch;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use tokio_util::task::TaskTracker;

use self::registry::{Turn, panic_text};
use crate::error::XrpcError;
use crate::gateway;
use crate::notice::Topic;
use crate::state::AppState;

/// Starts all tasks.
pub(crate) fn start(app: &AppState, tracker: &TaskTracker) {
    app.tls.start(tracker, &app.stop);
    crawl::start(app, tracker);
    crate::notice::start(app, tracker);
    let seen = Arc::new(watch::Seen::default());
    every(app, tracker, "watch disk and writer", app.config.notices.pace.look, move |app| {
        watch::run_once(app, Arc::clone(&seen))
    });
    backup::start(app, tracker);
    let mark = Arc::new(AtomicI64::new(0));
    every(app, tracker, "find accounts that moved away", Duration::from_secs(600), move |app| {
        moved_away::run_once(app, Arc::clone(&mark))
    });
    every(app, tracker, "prune events", Duration::from_secs(600), prune::run_once);
    every(app, tracker, "verify what is stored", Duration::from_secs(600), verify::run_once);
    every(app, tracker, "collect blobs", Duration::from_secs(3600), blob_gc::run_once);
    if app.config.network.open_ports && app.config.tls.mode.serves() {
        at_start(app, tracker, "open the router's ports", open_ports);
        every(app, tracker, "open the router's ports", gateway::RENEW_EVERY, open_ports);
    }
    at_start(app, tracker, "end DIDs without accounts", crate::account::settle_pending_dids);
    every(app, tracker, "end DIDs without accounts", Duration::from_secs(600), crate::account::settle_pending_dids);
    // Also where the server never runs for an hour.
    at_start(app, tracker, "delete accounts", crate::account::delete_due);
    every(app, tracker, "delete accounts", Duration::from_secs(3600), crate::account::delete_due);
    every(app, tracker, "finish deletions", Duration::from_secs(600), crate::account::finish_deletions);
    every(app, tracker, "sweep sessions", Duration::from_secs(3600), crate::account::sweep_sessions);
    every(app, tracker, "sweep browsers", Duration::from_secs(3600), crate::pages::sweep);
    every(app, tracker, "sweep the sessions of apps", Duration::from_secs(3600), crate::oauth::sweep);
}

/// Has the router pass the ports on for another while; returns how many.
async fn open_ports(app: AppState) -> Result<usize, XrpcError> {
    let mappings = gateway::mappings(&app.config);
    gateway::open(gateway::DISCOVERY, &mappings).await.map_err(XrpcError::internal)?;
    Ok(mappings.len())
}

/// Runs `work` once in each `period`, from one period after the start. `work` returns how much it did.
///
/// One that fails three times in a row, or panics, is told to the operator ([`Topic::Task`]).
pub(crate) fn every<F, W>(app: &AppState, tracker: &TaskTracker, name: &'static str, period: Duration, work: W)
where
    F: Future<Output = Result<usize, XrpcError>> + Send + 'static,
    W: Fn(AppState) -> F + Send + 'static,
{
    let app = app.clone();
    app.tasks.add(name, Some(period));
    tracker.spawn(async move {
        loop {
            tokio::select! {
                () = app.stop.cancelled() => return,
                () = tokio::time::sleep(period) => {}
            }
            take_turn(&app, name, work(app.clone())).await;
        }
    });
}

/// Runs `work` once, now.
fn at_start<F, W>(app: &AppState, tracker: &TaskTracker, name: &'static str, work: W)
where
    F: Future<Output = Result<usize, XrpcError>> + Send + 'static,
    W: FnOnce(AppState) -> F,
{
    let (app, work) = (app.clone(), work(app.clone()));
    tracker.spawn(async move { take_turn(&app, name, work).await });
}

/// Runs `work` once, as a turn of the task `name`; also for work that is asked for out of turn.
pub(crate) async fn take_turn<F>(app: &AppState, name: &'static str, work: F)
where
    F: Future<Output = Result<usize, XrpcError>> + Send + 'static,
{
    app.tasks.begin(name, &*app.clock);
    // A task of its own, so that a panic ends the turn and not what comes after.
    let turn = match tokio::spawn(work).await {
        Ok(Ok(done)) => Turn::Done(done),
        Ok(Err(err)) => Turn::Failed(err.describe()),
        Err(err) => Turn::Panicked(panic_text(err)),
    };
    let failures = app.tasks.end(name, &turn, &*app.clock);
    match &turn {
        Turn::Done(0) => tracing::debug!(task = name, "nothing to do"),
        Turn::Done(done) => tracing::info!(task = name, done, "done"),
        Turn::Failed(error) => tracing::error!(task = name, error, "failed; it will be tried again"),
        Turn::Panicked(error) => tracing::error!(task = name, error, "panicked; it will be tried again"),
    }
    tell(app, name, &turn, failures);
}

/// Keeps `work` going until the server stops: when it panics it is counted and started anew, after a while that grows.
pub(crate) fn supervise<F, W>(app: &AppState, tracker: &TaskTracker, name: &'static str, work: W)
where
    F: Future<Output = ()> + Send + 'static,
    W: Fn(AppState) -> F + Send + 'static,
{
    let app = app.clone();
    app.tasks.add(name, None);
    tracker.spawn(async move {
        let mut pause = FIRST_PAUSE;
        loop {
            app.tasks.begin(name, &*app.clock);
            let begun = tokio::time::Instant::now();
            let (stop, future) = (app.stop.clone(), work(app.clone()));
            let ran = tokio::spawn(async move { stop.run_until_cancelled(future).await.is_some() }).await;
            let turn = match ran {
                Ok(_) => Turn::Done(1),
                Err(err) => Turn::Panicked(panic_text(err)),
            };
            let failures = app.tasks.end(name, &turn, &*app.clock);
            let Turn::Panicked(error) = &turn else { return };
            if begun.elapsed() > LONGEST_PAUSE {
                pause = FIRST_PAUSE;
            }
            tracing::error!(task = name, error, pause_ms = pause.as_millis(), "panicked; it is started again");
            tell(&app, name, &turn, failures);
            if app.stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    });
}

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Failures in a row from which on it is no passing trouble.
const TELL_AFTER: u64 = 3;

fn tell(app: &AppState, name: &'static str, turn: &Turn, failures: u64) {
    let topic = Topic::Task(name);
    match turn {
        Turn::Done(_) => app.notices.well(&topic),
        Turn::Panicked(error) => app.notices.failing(
            &topic,
            format!("The background task \"{name}\" panicked: {error}."),
            "This is a fault of the program; it tries again. Please report it with the log around it.",
        ),
        Turn::Failed(error) if failures >= TELL_AFTER => app.notices.failing(
            &topic,
            format!("The background task \"{name}\" failed {failures} times in a row: {error}."),
            "It tries again; the log says more.",
        ),
        Turn::Failed(_) => {}
    }
}
