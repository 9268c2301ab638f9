//! Backups and drills whose end the operator hears of: in the status, the metrics and the notices.

use super::{BackupError, BackupReport, Backups, DrillReport};
use crate::state::App;
use crate::status::milestone::{self, Failure, Milestone};

/// Makes a backup and says what came of it.
pub(crate) async fn back_up(app: &App, backups: &Backups) -> Result<BackupReport, BackupError> {
    let result = backups.run(&app.stop).await;
    let said = match &result {
        Ok(report) => Some(Ok(format!("Backup {} of {} bytes and {} blobs.", report.id, report.database_bytes, report.blobs))),
        Err(err) => failure(err),
    };
    say(app, Milestone::Backup, said).await;
    result
}

/// Restores the newest backup on trial and says what came of it.
pub(crate) async fn drill(app: &App, backups: &Backups) -> Result<DrillReport, BackupError> {
    let result = backups.drill(&app.stop).await;
    let said = match &result {
        Ok(DrillReport { failure: Some(problem), .. }) => Some(Err(Failure {
            problem: format!("The newest backup cannot be restored: {problem}"),
            remedy: "The next backup is made at once. If its drill fails as well, choose another place for backups.".to_owned(),
        })),
        Ok(report) => Some(Ok(format!(
            "Restored on trial: {} accounts, {} records; {} blobs were checked.",
            report.accounts, report.records, report.blobs_checked
        ))),
        Err(err) => failure(err),
    };
    say(app, Milestone::Drill, said).await;
    result
}

/// That another one runs, or that the server stops, is no failure.
fn failure(err: &BackupError) -> Option<Result<String, Failure>> {
    match err {
        BackupError::Busy | BackupError::Stopped => None,
        other => Some(Err(Failure { problem: format!("{other}."), remedy: other.remedy().to_owned() })),
    }
}

async fn say(app: &App, milestone: Milestone, said: Option<Result<String, Failure>>) {
    let Some(said) = said else { return };
    if let Err(err) = milestone::record(app, milestone, said).await {
        tracing::error!(error = %err.describe(), milestone = milestone.name(), "what came of it could not be written down");
    }
}
