//! What is asked of a verification, and what it found.

use std::collections::BTreeMap;
use std::time::Duration;

use common::Did;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::finding::{Finding, Kind, Severity};

/// Findings that are kept whole; those beyond are counted.
const MAX_FINDINGS: usize = 1000;

/// How thoroughly blobs are looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum BlobCheck {
    /// Not at all.
    Skip,
    /// That the file is there and has its size.
    Presence,
    /// That the content has its hash.
    #[default]
    Content,
}

/// How thoroughly SQLite's own check of its pages is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum DatabaseCheck {
    /// Each page, but not that indices agree with their tables.
    Quick,
    #[default]
    Full,
}

/// What is looked at, and how fast.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// Only this account; then the database as a whole and orphans are left out.
    pub(crate) account: Option<Did>,
    pub(crate) database: DatabaseCheck,
    pub(crate) blobs: BlobCheck,
    /// After this long, the rest is left out. Accounts and blobs are taken in an order that `seed` determines, so that
    /// another run samples others.
    pub(crate) budget: Option<Duration>,
    pub(crate) seed: u64,
    /// Bytes a second that are read at most, so that a server goes on meanwhile.
    pub(crate) bytes_per_second: Option<u64>,
    /// Ends the run early.
    pub(crate) stop: CancellationToken,
}

/// A part of a verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Phase {
    Database,
    Secrets,
    Repos,
    Events,
    Blobs,
    Orphans,
    Identities,
}

/// Is told how far a verification is.
pub(crate) trait Progress: Sync {
    /// A phase of `total` steps begins.
    fn begin(&self, phase: Phase, total: u64);
    /// Steps of the phase were done.
    fn advance(&self, steps: u64);
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Silent;

impl Progress for Silent {
    fn begin(&self, _: Phase, _: u64) {}
    fn advance(&self, _: u64) {}
}

/// How much of something was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Coverage {
    pub(crate) checked: u64,
    pub(crate) total: u64,
}

/// What was looked at and what is wrong.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    /// The first findings, at most a thousand.
    pub(crate) findings: Vec<Finding>,
    /// All findings, by id.
    pub(crate) counts: BTreeMap<Kind, u64>,
    pub(crate) coverage: BTreeMap<Phase, Coverage>,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) duration_ms: u64,
    /// Whether all was looked at that was asked for.
    pub(crate) complete: bool,
}

impl Report {
    pub(super) fn add(&mut self, finding: Finding) {
        *self.counts.entry(finding.id).or_default() += 1;
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(finding);
        }
    }

    /// Returns how bad the worst finding is; `None` without any.
    pub(crate) fn worst(&self) -> Option<Severity> {
        self.counts.keys().map(|kind| kind.severity()).max()
    }

    /// Returns how many findings of a severity there are.
    pub(crate) fn count(&self, severity: Severity) -> u64 {
        self.counts.iter().filter(|(kind, _)| kind.severity() == severity).map(|(_, count)| count).sum()
    }

    /// Whether nothing is lost and nothing is served wrong, as far as was looked.
    pub(crate) fn is_sound(&self) -> bool {
        self.count(Severity::Error) == 0
    }
}
