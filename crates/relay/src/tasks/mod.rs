//! Work in the background, supervised: what panics is counted, told to the operator and started again, and all stop with the
//! server. [`registry`] knows what each task did.

mod backup;
pub(crate) mod blob_gc;
pub(crate) mod crawl;
mod moved_away;
mod ports;
mod prune;
pub(crate) mod registry;
mod room;
mod verify;
mod watch;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use tokio_util::task::TaskTracker;

use self::registry::{Turn, panic_text};
use crate::error::XrpcError;
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
    let again = app.clone();
    tracker.spawn(async move {
        if let Err(err) = crate::status::milestone::say_again(&again).await {
            tracing::error!(error = %err.describe(), "what was not well before the restart could not be read");
        }
    });
    backup::start(app, tracker);
    let mark = Arc::new(AtomicI64::new(0));
    every(app, tracker, "find accounts that moved away", Duration::from_secs(600), move |app| {
        moved_away::run_once(app, Arc::clone(&mark))
    });
    every(app, tracker, "prune events", Duration::from_secs(600), prune::run_once);
    every(app, tracker, "note the room on the disk", Duration::from_secs(3600), room::run_once);
    every(app, tracker, "verify what is stored", Duration::from_secs(600), verify::run_once);
    at_start(app, tracker, "move blobs to their store", blob_gc::move_in);
    every(app, tracker, "move blobs to their store", Duration::from_secs(3600), blob_gc::move_in);
    every(app, tracker, "collect blobs", Duration::from_secs(3600), blob_gc::run_once);
    ports::start(app, tracker);
    at_start(app, tracker, "end DIDs without accounts", crate::account::settle_pending_dids);
    every(app, tracker, "end DIDs without accounts", Duration::from_secs(600), crate::account::settle_pending_dids);
    at_start(app, tracker, "end moves of accounts here", crate::move_in::end_moves);
    every(app, tracker, "end moves of accounts here", Duration::from_secs(600), crate::move_in::end_moves);
    // Also where the server never runs for an hour.
    at_start(app, tracker, "delete accounts", crate::account::delete_due);
    every(app, tracker, "delete accounts", Duration::from_secs(3600), crate::account::delete_due);
    at_start(app, tracker, "finish deletions", crate::account::finish_deletions);
    every(app, tracker, "finish deletions", Duration::from_secs(600), crate::account::finish_deletions);
    every(app, tracker, "sweep sessions", Duration::from_secs(3600), crate::account::sweep_sessions);
    every(app, tracker, "sweep browsers", Duration::from_secs(3600), crate::pages::sweep);
    every(app, tracker, "sweep the sessions of apps", Duration::from_secs(3600), crate::oauth::sweep);
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
    supervise_to_its_end(app, tracker, name, move |app| {
        let (stop, work) = (app.stop.clone(), work(app));
        async move {
            stop.run_until_cancelled(work).await;
        }
    });
}

/// As [`supervise`], for work that has something left to do when the server stops, and ends by itself then.
pub(crate) fn supervise_to_its_end<F, W>(app: &AppState, tracker: &TaskTracker, name: &'static str, work: W)
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
            let mut running = tokio::spawn(work(app.clone()));
            let ran = if let Ok(ran) = tokio::time::timeout(LONGEST_PAUSE, &mut running).await {
                ran
            } else {
                app.notices.well(&Topic::Task(name));
                running.await
            };
            let turn = match ran {
                Ok(()) => Turn::Done(1),
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::extract::State;
    use serde_json::Value;
    use tokio::sync::mpsc;

    use super::*;
    use crate::config::{Config, DevOptions};

    const PANICS: usize = 3;

    /// Starts a server that is told of notices.
    async fn listen() -> (String, mpsc::UnboundedReceiver<Value>) {
        let (told, notices) = mpsc::unbounded_channel();
        let note = async |State(told): State<mpsc::UnboundedSender<Value>>, axum::Json(notice): axum::Json<Value>| {
            drop(told.send(notice));
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, axum::Router::new().fallback(note).with_state(told)).into_future());
        (url, notices)
    }

    #[tokio::test]
    async fn a_task_that_panics_is_started_again_counted_and_told_of_once() {
        let dir = tempfile::TempDir::new().unwrap();
        let (url, mut told) = listen().await;
        let mut config = Config::dev(&DevOptions {
            bind: "127.0.0.1:2583".parse().unwrap(),
            plc_url: "http://localhost:1".to_owned(),
            data_dir: dir.path().join("data"),
            admin_password: None,
            settings: Vec::new(),
        })
        .unwrap();
        config.notices.webhook_url = Some(url.parse().unwrap());
        let app = AppState::open(config, Arc::default()).await.unwrap();
        let tracker = TaskTracker::new();
        crate::notice::start(&app, &tracker);

        let (runs, (runs_on, mut is_running)) = (Arc::new(AtomicUsize::new(0)), mpsc::unbounded_channel());
        let (last_words, finished) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&runs));
        let said = Arc::clone(&last_words);
        supervise_to_its_end(&app, &tracker, "a task", move |app| {
            let (run, runs_on, said) = (runs.fetch_add(1, Ordering::SeqCst), runs_on.clone(), Arc::clone(&said));
            async move {
                assert!(run >= PANICS, "run {run} failed");
                runs_on.send(()).unwrap();
                app.stop.cancelled().await;
                said.fetch_add(1, Ordering::SeqCst);
            }
        });
        is_running.recv().await.unwrap();
        let status = crate::status::collect(&app).await.unwrap();
        let task = &status.tasks["a task"];
        assert_eq!((task.panics, task.failures, task.is_running), (3, 3, true));
        assert!(task.error.as_ref().unwrap().contains("run 2 failed"), "{task:?}");
        assert!(crate::status::view::view(&status).contains("runs, 3 panics"));
        let metrics = crate::telemetry::encode(&app).await.unwrap();
        assert!(metrics.contains("relay_task_turns_total{task=\"a task\",outcome=\"panic\"} 3"), "{metrics}");

        let notice = told.recv().await.unwrap();
        assert_eq!((&notice["topic"], &notice["state"]), (&Value::from("task:a task"), &Value::from("failing")));
        assert!(notice["problem"].as_str().unwrap().contains("panicked: run"), "{notice}");
        // Another change comes next, and not the second panic.
        app.notices.failing(&Topic::Disk, "It is full.", "Make room.");
        assert_eq!(told.recv().await.unwrap()["topic"], "disk");

        app.stop.cancel();
        tracker.close();
        tracker.wait().await;
        assert_eq!((last_words.load(Ordering::SeqCst), finished.load(Ordering::SeqCst)), (1, 4), "it ended by itself");
        assert_eq!(app.tasks.all()["a task"].successes, 1);
    }
}
