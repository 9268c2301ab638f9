//! Backups and drills whose end the operator hears of: in the status, the metrics and the notices.

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

use super::{BackupError, BackupReport, Backups, DrillReport};
use crate::state::App;
use crate::status::milestone::{self, Failure, Milestone};

/// What came of something in a place.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum InPlace<T> {
    Done(T),
    Failed { place: String, failure: Failure },
}

/// Makes a backup in every place, and says what came of it.
pub(crate) async fn back_up_everywhere(app: &App) -> Vec<InPlace<BackupReport>> {
    join_all(app.backups.iter().map(|backups| async move { in_place(backups, back_up(app, backups).await) })).await
}

/// Restores the newest backup of every place on trial, and says what came of it.
pub(crate) async fn drill_everywhere(app: &App) -> Vec<InPlace<DrillReport>> {
    join_all(app.backups.iter().map(|backups| async move { in_place(backups, drill(app, backups).await) })).await
}

/// Makes every place this server's; returns their names.
pub(crate) async fn take_over_everywhere(app: &App) -> Vec<InPlace<String>> {
    join_all(
        app.backups.iter().map(|backups| async move { in_place(backups, backups.take_over().await.map(|()| backups.place())) }),
    )
    .await
}

fn in_place<T>(backups: &Backups, result: Result<T, BackupError>) -> InPlace<T> {
    match result {
        Ok(report) => InPlace::Done(report),
        Err(err) => InPlace::Failed { place: backups.place(), failure: as_failure(&err) },
    }
}

fn as_failure(err: &BackupError) -> Failure {
    Failure { problem: format!("{err}."), remedy: err.remedy().to_owned() }
}

/// Makes a backup and says what came of it.
pub(crate) async fn back_up(app: &App, backups: &Backups) -> Result<BackupReport, BackupError> {
    let result = backups.run(&app.stop).await;
    let said = match &result {
        Ok(report) => Some(Ok(format!("Backup {} of {} bytes and {} blobs.", report.id, report.database_bytes, report.blobs))),
        Err(err) => failure(err),
    };
    say(app, backups, Milestone::Backup, said).await;
    result
}

/// Restores the newest backup on trial and says what came of it.
pub(crate) async fn drill(app: &App, backups: &Backups) -> Result<DrillReport, BackupError> {
    let result = backups.drill(&app.stop).await;
    let said = match &result {
        Ok(DrillReport { failure: Some(problem), .. }) => Some(Err(Failure {
            problem: format!("The newest backup cannot be restored: {problem}."),
            remedy: "The next backup is made at once. If its drill fails as well, choose another place for backups.".to_owned(),
        })),
        Ok(report) => Some(Ok(format!(
            "Restored on trial: {} accounts, {} records; {} blobs were checked.",
            report.accounts, report.records, report.blobs_checked
        ))),
        Err(err) => failure(err),
    };
    say(app, backups, Milestone::Drill, said).await;
    result
}

/// That another one runs, or that the server stops, is no failure.
fn failure(err: &BackupError) -> Option<Result<String, Failure>> {
    match err {
        BackupError::Busy | BackupError::Stopped => None,
        other => Some(Err(as_failure(other))),
    }
}

/// Says what came of a milestone in a place. It is well when it is well in every place.
async fn say(app: &App, backups: &Backups, milestone: Milestone, said: Option<Result<String, Failure>>) {
    let Some(said) = said else { return };
    let several = app.backups.len() > 1;
    let with_place = |sentence: String| if several { format!("{}: {sentence}", backups.place()) } else { sentence };
    let said = match said {
        Ok(sentence) => Ok(with_place(sentence)),
        Err(failure) => Err(Failure { problem: with_place(failure.problem), ..failure }),
    };
    if let Err(err) = backups.note_problem(milestone, said.as_ref().err().cloned()).await {
        tracing::error!(error = &err as &dyn std::error::Error, place = backups.place(), "what came of it could not be noted");
    }
    let elsewhere = app.backups.iter().find_map(|backups| {
        let status = backups.status();
        if milestone == Milestone::Backup { status.backup_problem } else { status.drill_problem }
    });
    let said = match (said, elsewhere) {
        (Ok(_), Some(failure)) => Err(failure),
        (said, _) => said,
    };
    if let Err(err) = milestone::record(app, milestone, said).await {
        tracing::error!(error = %err.describe(), milestone = milestone.name(), "what came of it could not be written down");
    }
}
