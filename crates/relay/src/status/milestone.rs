//! The last backup, drill and verification, remembered over restarts: for `relay status`, the metrics and the notices.

use common::Clock as _;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use crate::error::XrpcError;
use crate::notice::Topic;
use crate::state::App;
use crate::store::{StoreError, meta};

/// What an operator wants to have seen succeed lately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Milestone {
    /// A backup was made.
    Backup,
    /// The newest backup was restored and checked.
    Drill,
    /// What is stored was checked.
    Verify,
}

/// What became of a milestone. Times are milliseconds since the epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Outcome {
    /// When it was last tried.
    pub(crate) at: i64,
    pub(crate) last_success_at: Option<i64>,
    /// What came of it, as a sentence.
    pub(crate) sentence: String,
    /// What to do, when it failed.
    pub(crate) remedy: Option<String>,
}

impl Outcome {
    pub(crate) fn is_success(&self) -> bool {
        self.last_success_at == Some(self.at)
    }
}

/// Why a milestone was not reached, as two sentences.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) problem: String,
    pub(crate) remedy: String,
}

impl Milestone {
    pub(crate) const ALL: [Self; 3] = [Self::Backup, Self::Drill, Self::Verify];

    /// Returns the stable name: that of the notice's topic.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Drill => "drill",
            Self::Verify => "verify",
        }
    }

    fn topic(self) -> Topic {
        match self {
            Self::Backup => Topic::Backup,
            Self::Drill => Topic::Drill,
            Self::Verify => Topic::Verify,
        }
    }
}

/// Remembers what came of a milestone, a sentence in either case, and tells the operator when that changed.
pub(crate) async fn record(app: &App, milestone: Milestone, result: Result<String, Failure>) -> Result<(), XrpcError> {
    match &result {
        Ok(_) => app.notices.well(&milestone.topic()),
        Err(failure) => app.notices.failing(&milestone.topic(), failure.problem.clone(), failure.remedy.clone()),
    }
    let at = app.clock.millis();
    let store = move |conn: &Connection| {
        let earlier = find(conn, milestone)?.unwrap_or_default();
        let outcome = match result {
            Ok(sentence) => Outcome { at, last_success_at: Some(at), sentence, remedy: None },
            Err(Failure { problem, remedy }) => {
                Outcome { at, last_success_at: earlier.last_success_at, sentence: problem, remedy: Some(remedy) }
            }
        };
        let json = serde_json::to_vec(&outcome).map_err(|err| corrupt(&err))?;
        meta::set(conn, &key(milestone), &json)
    };
    app.db.write(move |tx| store(tx).map_err(XrpcError::from)).await
}

/// Says again what did not hold when the server stopped, for it holds until it is tried anew.
pub(crate) async fn say_again(app: &App) -> Result<(), XrpcError> {
    for milestone in Milestone::ALL {
        let is_done_here = milestone == Milestone::Verify || !app.backups.is_empty();
        let found = app.db.read(move |conn| find(conn, milestone)).await.map_err(XrpcError::from)?;
        if is_done_here && let Some(Outcome { sentence, remedy: Some(remedy), .. }) = found {
            app.notices.failing(&milestone.topic(), sentence, remedy);
        }
    }
    Ok(())
}

/// Returns what came of a milestone last; `None` when it was never tried.
pub(crate) fn find(conn: &Connection, milestone: Milestone) -> Result<Option<Outcome>, StoreError> {
    let stored = meta::find(conn, &key(milestone))?;
    stored.map(|json| serde_json::from_slice(&json).map_err(|err| corrupt(&err))).transpose()
}

fn key(milestone: Milestone) -> String {
    format!("last {}", milestone.name())
}

fn corrupt(err: &serde_json::Error) -> StoreError {
    StoreError::Corrupt { table: "meta", column: "value", reason: err.to_string() }
}
