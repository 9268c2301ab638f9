//! What a service manager such as systemd is told: that the server is up, that it stops, and that it still works.
//!
//! sd_notify(3). Without `NOTIFY_SOCKET` in the environment nothing is said to anybody.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::state::AppState;
use crate::status::probe_read;
use crate::store::WriteFailed;

/// Says that the server is up, and from then on that it works, as often as the watchdog wants to hear it.
pub(crate) fn ready(app: &AppState) {
    say(&[NotifyState::Ready, NotifyState::Status(&format!("serving {}", app.config.server.public_url))]);
    if let Some(interval) = sd_notify::watchdog_enabled() {
        // More often than wanted, so that one answer that comes late is no reason for a restart.
        tokio::spawn(feed(app.clone(), interval / 4));
    }
}

/// Says that the server finishes what is under way.
pub(crate) fn stopping() {
    say(&[NotifyState::Stopping]);
}

fn say(states: &[NotifyState<'_>]) {
    if let Err(err) = sd_notify::notify(states) {
        tracing::warn!(error = &err as &dyn std::error::Error, "the service manager could not be told how the server is");
    }
}

/// Feeds the watchdog while the database answers. It is not fed by a timer alone: a server whose writer hangs is to be
/// started again.
async fn feed(app: AppState, period: Duration) {
    let mut turns = tokio::time::interval(period);
    while !app.stop.is_cancelled() {
        turns.tick().await;
        if answers(&app).await {
            say(&[NotifyState::Watchdog]);
        }
    }
    // Stopping is bounded by itself, and by the service manager's own limit.
    say(&[NotifyState::Watchdog]);
}

/// Whether a reader and the writer answer. That they fail is an answer: a full disk is not cured by a restart.
async fn answers(app: &AppState) -> bool {
    let read = probe_read(app).await;
    let written: Result<(), WriteFailed> = app.db.write(|_| Ok(())).await;
    if let Err(err) = read {
        tracing::error!(error = &err as &dyn std::error::Error, "the database does not answer");
    }
    match written {
        Ok(()) | Err(WriteFailed::Transaction(_)) => true,
        // The queue is full: whether the writer still takes from it is not known.
        Err(WriteFailed::Overloaded(_) | WriteFailed::Stopped) => false,
    }
}
