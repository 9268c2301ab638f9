//! Verifies what is stored, slowly, once in a while, and keeps the result for `relay status` and metrics.

use common::Clock as _;

use crate::background::background;
use crate::error::XrpcError;
use crate::state::AppState;
use crate::status::milestone::{self, Failure, Milestone};
use crate::verify::finding::Severity;
use crate::verify::{self, BlobCheck, DatabaseCheck, Options, Silent, Source};

/// Findings that are logged one by one.
const LOGGED: usize = 20;

/// Verifies when the last time is long enough ago; returns how many findings there are.
pub(super) async fn run_once(app: AppState) -> Result<usize, XrpcError> {
    let settings = &app.config.data;
    if !settings.verify {
        return Ok(0);
    }
    let last = app.db.read(|conn| milestone::find(conn, Milestone::Verify)).await.map_err(XrpcError::from)?;
    let due = last.is_none_or(|last| app.clock.millis().abs_diff(last.at) >= settings.verify_every.as_millis() as u64);
    if !due {
        return Ok(0);
    }
    let reading = app.clone();
    let options = Options {
        // The full check of SQLite reads everything at once, as fast as it can.
        database: DatabaseCheck::Quick,
        blobs: BlobCheck::Content,
        bytes_per_second: Some(settings.verify_bytes_per_second),
        stop: app.stop.clone(),
        ..Options::default()
    };
    // Over a connection of its own: one of the pool would be missed by exports for as long as this takes.
    let verified =
        background(move || Source::open(&reading.config).map(|source| verify::run(&source.subject(), &options, &Silent)));
    let report = verified.await.map_err(XrpcError::internal)?;
    if app.stop.is_cancelled() {
        return Ok(0);
    }
    for finding in report.findings.iter().take(LOGGED) {
        let account = finding.account.as_ref().map(common::Did::as_str);
        tracing::error!(id = finding.id.name(), account, remedy = finding.remedy, "{}", finding.sentence);
    }
    let found: u64 = report.counts.values().sum();
    let result = match report.worst() {
        Some(Severity::Error) => Err(Failure {
            problem: format!("What is stored is not sound: {found} findings, which the log names."),
            remedy:
                "Run `relay verify` to see them all, then `relay verify --repair`; docs/OPERATIONS.md says what each means."
                    .to_owned(),
        }),
        None | Some(Severity::Notice | Severity::Warning) => Ok(format!("Sound, with {found} findings.")),
    };
    milestone::record(&app, Milestone::Verify, result).await?;
    Ok(usize::try_from(found).unwrap_or(usize::MAX))
}
