//! The result of the last verification, as it is kept.

use std::collections::BTreeMap;

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::finding::{Finding, Kind};
use super::report::{Coverage, Phase, Report};
use crate::store::{StoreError, meta, row};

/// Name of the value in `meta`.
pub(crate) const LAST: &str = "last_verification";
/// Findings that are kept.
const KEPT: usize = 20;

/// What the last verification of the server found.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Last {
    /// In milliseconds since the epoch.
    pub(crate) finished_at: i64,
    pub(crate) duration_ms: u64,
    pub(crate) bytes: u64,
    pub(crate) counts: BTreeMap<Kind, u64>,
    pub(crate) coverage: BTreeMap<Phase, Coverage>,
    /// The first ones.
    pub(crate) findings: Vec<Finding>,
}

impl Last {
    pub(crate) fn new(finished_at: i64, report: &Report) -> Self {
        Self {
            finished_at,
            duration_ms: report.duration_ms,
            bytes: report.bytes,
            counts: report.counts.clone(),
            coverage: report.coverage.clone(),
            findings: report.findings.iter().take(KEPT).cloned().collect(),
        }
    }
}

/// Returns the result of the last verification; `None` before the first.
pub(crate) fn last(conn: &Connection) -> Result<Option<Last>, StoreError> {
    let Some(json) = meta::find(conn, LAST)? else { return Ok(None) };
    serde_json::from_slice(&json).map(Some).map_err(|err| row::corrupt("meta", LAST, &err))
}
