//! What is known of the backups: of the last one, of the last drill, of what was sent since.

use common::Datetime;
use serde::{Deserialize, Serialize};

use super::manifest::{self, Manifest};
use super::{BackupError, Backups, Opened};
use crate::config::BackupPlace;
use crate::status::milestone::{Failure, Milestone};
use crate::store::{Db, StoreError, meta};

/// Begin of the name of the report in `meta`; the place follows.
const STATUS: &str = "backup_status";

/// How the backups in a place are doing. Times are milliseconds since the epoch.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Status {
    pub(crate) place: String,
    pub(crate) last_backup: Option<BackupReport>,
    /// Why the last attempt failed, when it did.
    pub(crate) failure: Option<String>,
    pub(crate) last_drill: Option<DrillReport>,
    /// When a restored copy was last found good.
    pub(crate) verified_at: Option<i64>,
    /// What the operator was told of last, while it holds: of making backups, of restoring them.
    pub(crate) backup_problem: Option<Failure>,
    pub(crate) drill_problem: Option<Failure>,
    /// Of this run of the server: noted, it would change with every change.
    pub(crate) shipping: Shipping,
}

/// How the sending of changes is doing.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Shipping {
    /// All that was committed until then is in the place.
    pub(crate) through: Option<i64>,
    /// Bytes of changes that wait.
    pub(crate) waiting_bytes: u64,
    /// Why the last attempt failed, when it did.
    pub(crate) failure: Option<String>,
}

/// A backup that was made.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BackupReport {
    pub(crate) place: String,
    pub(crate) id: String,
    pub(crate) began_at: i64,
    pub(crate) ended_at: i64,
    pub(crate) database_bytes: u64,
    pub(crate) blobs: u64,
    pub(crate) blob_bytes: u64,
    pub(crate) missing_blobs: u64,
    /// What had to be sent, compressed and encrypted.
    pub(crate) sent_bytes: u64,
}

/// A drill that was held.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DrillReport {
    pub(crate) place: String,
    /// The backup that was restored.
    pub(crate) id: Option<String>,
    pub(crate) at: i64,
    pub(crate) seconds: f64,
    /// The moment that the restored copy was of.
    pub(crate) restored_through: Option<i64>,
    pub(crate) accounts: u64,
    pub(crate) records: u64,
    /// Blobs that were fetched and hashed.
    pub(crate) blobs_checked: u64,
    /// Why it failed, when it did.
    pub(crate) failure: Option<String>,
}

/// A backup in a place.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Listing {
    pub(crate) id: String,
    pub(crate) ended_at: String,
    pub(crate) public_url: String,
    pub(crate) version: String,
    pub(crate) database_bytes: u64,
    pub(crate) blobs: u64,
    pub(crate) blob_bytes: u64,
    pub(crate) missing_blobs: u64,
}

/// Lists the backups in a place, the oldest first. One that is damaged is named in the second list.
pub(crate) async fn list(opened: &Opened) -> Result<(Vec<Listing>, Vec<String>), BackupError> {
    let (mut good, mut damaged) = (Vec::new(), Vec::new());
    for id in manifest::list_ids(&opened.place).await? {
        match Manifest::read(&opened.place, &opened.key, &id).await {
            Ok(manifest) => good.push(Listing {
                id,
                ended_at: time(manifest.ended_at),
                public_url: manifest.public_url,
                version: manifest.version,
                database_bytes: manifest.database_bytes,
                blobs: manifest.blobs,
                blob_bytes: manifest.blob_bytes,
                missing_blobs: manifest.missing_blobs.len() as u64,
            }),
            Err(BackupError::Damaged { reason, .. }) => damaged.push(format!("{id}: {reason}")),
            Err(err) => return Err(err),
        }
    }
    Ok((good, damaged))
}

/// Writes a time as `--at` reads it.
pub(super) fn time(millis: i64) -> String {
    Datetime::from_millis(millis).as_str().to_owned()
}

pub(super) async fn load(db: &Db, place: &BackupPlace) -> Result<Status, StoreError> {
    let name = name(place);
    let stored = db.read(move |conn| meta::find(conn, &name)).await?;
    // One of another version is as good as none.
    let stored: Status = stored.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default();
    Ok(Status { place: place.describe(), shipping: Shipping::default(), ..stored })
}

fn name(place: &BackupPlace) -> String {
    format!("{STATUS} {}", super::tag(place))
}

impl Backups {
    async fn save_status(&self) -> Result<(), BackupError> {
        let json = serde_json::to_vec(&Status { shipping: Shipping::default(), ..self.status() })
            .map_err(|err| BackupError::Pack(err.into()))?;
        let name = name(&self.to.place);
        self.db.write(move |tx| meta::set(tx, &name, &json).map_err(BackupError::from)).await
    }

    /// Remembers what the operator is told of a milestone in this place.
    pub(super) async fn note_problem(&self, milestone: Milestone, problem: Option<Failure>) -> Result<(), BackupError> {
        {
            let mut status = self.lock_status();
            let noted = match milestone {
                Milestone::Backup => &mut status.backup_problem,
                Milestone::Drill => &mut status.drill_problem,
                Milestone::Verify => return Ok(()),
            };
            if *noted == problem {
                return Ok(());
            }
            *noted = problem;
        }
        self.save_status().await
    }

    pub(super) async fn note_backup(&self, report: &BackupReport) -> Result<(), BackupError> {
        tracing::info!(
            place = report.place,
            id = report.id,
            database_bytes = report.database_bytes,
            blobs = report.blobs,
            sent_bytes = report.sent_bytes,
            duration_ms = report.ended_at - report.began_at,
            "a backup was made"
        );
        {
            let mut status = self.lock_status();
            status.last_backup = Some(report.clone());
            status.failure = None;
        }
        self.save_status().await
    }

    pub(super) async fn note_failure(&self, err: &BackupError) {
        if matches!(err, BackupError::Stopped) {
            return;
        }
        tracing::error!(
            place = self.place(),
            error = err as &dyn std::error::Error,
            remedy = err.remedy(),
            "a backup failed; it will be tried again"
        );
        self.lock_status().failure = Some(err.to_string());
        if let Err(err) = self.save_status().await {
            tracing::warn!(error = &err as &dyn std::error::Error, "the failure of a backup could not be noted");
        }
    }

    pub(super) async fn note_drill(&self, report: DrillReport) -> Result<(), BackupError> {
        match &report.failure {
            None => tracing::info!(
                place = report.place,
                id = report.id,
                accounts = report.accounts,
                records = report.records,
                seconds = report.seconds,
                "the backup was restored on trial, and is good"
            ),
            Some(why) => tracing::error!(
                place = report.place,
                id = report.id,
                why,
                "THE BACKUP CANNOT BE RESTORED. The next one begins anew; look at the place for backups now"
            ),
        }
        {
            let mut status = self.lock_status();
            if report.failure.is_none() {
                status.verified_at = Some(report.at);
            }
            status.last_drill = Some(report);
        }
        self.save_status().await
    }
}
