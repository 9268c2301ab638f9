//! Sends changes every few seconds, makes a whole backup when it is time, restores it on trial; and after a restore, tells the
//! network.

use std::time::Duration;

use common::Clock as _;
use futures_util::future::join_all;
use tokio_util::task::TaskTracker;

use crate::backup::{self, BackupError, Backups, told};
use crate::state::AppState;

/// The first wait after a failed backup, doubled with each.
const FIRST_RETRY: Duration = Duration::from_secs(60);
const LAST_RETRY: Duration = Duration::from_secs(3600);
/// How long sending changes may take, and when the server stops: what is left then is sent after the next start.
const PATIENCE: Duration = Duration::from_secs(120);
const LAST_PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked whether a backup is due.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Starts what there is to do.
pub(super) fn start(app: &AppState, tracker: &TaskTracker) {
    tracker.spawn(backup::announce(app.clone()));
    if app.backups.is_empty() {
        return;
    }
    super::supervise_to_its_end(app, tracker, "send changes to the backups", |app| async move {
        join_all(app.backups.iter().map(|backups| ship(&app, backups))).await;
    });
    super::supervise(app, tracker, "make backups", |app| async move {
        join_all(app.backups.iter().map(|backups| back_up(&app, backups))).await;
    });
}

/// Sends changes until the server stops, and what is left then.
async fn ship(app: &AppState, backups: &Backups) {
    let every = backups.settings().ship_every;
    let mut was_failing = false;
    loop {
        let is_last = app.stop.run_until_cancelled(tokio::time::sleep(every)).await.is_none();
        let patience = if is_last { LAST_PATIENCE } else { PATIENCE };
        match tokio::time::timeout(patience, backups.ship()).await {
            Ok(Ok(_)) => {
                if std::mem::take(&mut was_failing) {
                    tracing::info!(place = backups.place(), "changes reach the place for backups again");
                }
            }
            Ok(Err(err)) if !was_failing => {
                was_failing = true;
                tracing::error!(
                    place = backups.place(),
                    error = &err as &dyn std::error::Error,
                    remedy = err.remedy(),
                    "changes do not reach the place for backups; they wait on the disk"
                );
            }
            Ok(Err(_)) => {}
            Err(_) => tracing::warn!(
                place = backups.place(),
                "changes did not reach the place for backups within {} s; they wait on the disk",
                patience.as_secs()
            ),
        }
        if is_last {
            return;
        }
    }
}

/// Makes backups when they are due.
async fn back_up(app: &AppState, backups: &Backups) {
    let mut retry = FIRST_RETRY;
    loop {
        if !is_due(app, backups) {
            tokio::time::sleep(LOOK_EVERY).await;
            continue;
        }
        match told::back_up(app, backups).await {
            Ok(_) => {
                retry = FIRST_RETRY;
                if backups.settings().drill
                    && let Err(err) = told::drill(app, backups).await
                {
                    let error = &err as &dyn std::error::Error;
                    tracing::warn!(error, remedy = err.remedy(), "the backup could not be restored on trial");
                }
                // After a drill that failed, the next backup is due at once; were that to fail as well, not in a tight circle.
                tokio::time::sleep(LOOK_EVERY).await;
            }
            // Someone else's, by hand.
            Err(BackupError::Busy) => tokio::time::sleep(LOOK_EVERY).await,
            Err(_) => {
                tokio::time::sleep(retry).await;
                retry = (retry * 2).min(LAST_RETRY);
            }
        }
    }
}

fn is_due(app: &AppState, backups: &Backups) -> bool {
    let last = backups.status().last_backup.map(|last| last.ended_at);
    let every = backups.settings().every.as_millis() as i64;
    // A time to come is that of a clock that was set.
    let now = app.clock.millis();
    !backups.has_chain() || last.is_none_or(|last| last > now || last + every <= now)
}
