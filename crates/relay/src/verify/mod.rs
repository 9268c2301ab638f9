//! Whether a data folder holds what it must: `relay verify`, the nightly task, and the restore drill.
//!
//! [`run`] only reads, over one connection and the files of blobs, so it works beside a server, on a folder that none has, and
//! on one that was just restored. Each repo is read in a snapshot of its own: no transaction is held open for longer than one
//! repo takes, so the log of the database does not grow meanwhile. [`identity::check`] is apart, since it asks the network.
//!
//! **Invariant:** what cannot be read is a finding, never the end of the run.

mod blobs;
mod database;
mod events;
pub(crate) mod finding;
pub(crate) mod identity;
pub(crate) mod mend;
mod pace;
mod report;
mod repos;
mod sealed;
mod source;

use std::time::Instant;

use common::{Cid, Did};
use crypto::seal::MasterKey;
use rusqlite::Connection;

use self::finding::{Finding, Kind};
use self::pace::Pace;
pub(crate) use self::report::{BlobCheck, DatabaseCheck, Options, Phase, Progress, Report, Silent};
pub(crate) use self::source::{Source, SourceError};
use crate::blob::BlobFiles;
use crate::error::with_causes;
use crate::store::StoreError;

/// What is verified.
#[derive(Debug)]
pub(crate) struct Subject<'a> {
    /// Reads the database; no transaction is open on it.
    pub(crate) conn: &'a Connection,
    /// Without it, signatures and sealed keys are left out.
    pub(crate) master: Option<&'a MasterKey>,
    /// Without it, the files of blobs are left out.
    pub(crate) blobs: Option<&'a BlobFiles>,
}

/// Looks at everything that `options` ask for. It blocks for as long as that takes.
pub(crate) fn run(subject: &Subject<'_>, options: &Options, progress: &dyn Progress) -> Report {
    let begun = Instant::now();
    let mut run = Run {
        conn: subject.conn,
        master: subject.master,
        options,
        progress,
        pace: Pace::new(options, begun),
        report: Report { complete: true, ..Report::default() },
    };
    if options.account.is_none() {
        database::check(&mut run);
    }
    sealed::check(&mut run);
    repos::check(&mut run);
    events::check(&mut run);
    if let Some(files) = subject.blobs
        && options.blobs != BlobCheck::Skip
    {
        blobs::check(&mut run, files);
    }
    let mut report = run.report;
    report.duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    report
}

/// A verification that is under way.
struct Run<'a> {
    conn: &'a Connection,
    master: Option<&'a MasterKey>,
    options: &'a Options,
    progress: &'a dyn Progress,
    pace: Pace,
    report: Report,
}

impl Run<'_> {
    fn find(&mut self, kind: Kind, account: Option<&Did>, sentence: impl Into<String>) {
        self.report.add(Finding::new(kind, account, sentence));
    }

    /// As [`Self::find`], about a blob.
    fn find_blob(&mut self, kind: Kind, account: Option<&Did>, cid: &Cid, sentence: impl Into<String>) {
        self.report.add(Finding { blob: Some(*cid), ..Finding::new(kind, account, sentence) });
    }

    /// Notes that the database could not be read.
    fn unreadable(&mut self, account: Option<&Did>, what: &str, err: &StoreError) {
        let kind = match err {
            StoreError::Corrupt { .. } if account.is_some() => Kind::TreeUnreadable,
            _ => Kind::DatabaseDamaged,
        };
        self.find(kind, account, format!("{what} could not be read: {}.", with_causes(err)));
    }

    fn begin(&mut self, phase: Phase, total: u64) {
        self.report.coverage.entry(phase).or_default().total = total;
        self.progress.begin(phase, total);
    }

    fn advance(&mut self, phase: Phase, steps: u64) {
        self.report.coverage.entry(phase).or_default().checked += steps;
        self.progress.advance(steps);
    }

    /// Accounts for bytes that were read, and waits where a pace was asked for.
    fn read(&mut self, bytes: u64) {
        self.report.bytes += bytes;
        self.pace.took(bytes);
    }

    /// Whether the run shall end here, what is left being left out.
    fn is_over(&mut self) -> bool {
        let over = self.pace.is_over();
        if over {
            self.report.complete = false;
        }
        over
    }
}

/// Returns a number that stands for `value` in an order of chance.
fn shuffled(seed: u64, value: u64) -> u64 {
    let mut mixed = seed ^ value.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Returns a place among digests.
fn digest_of(seed: u64) -> [u8; 32] {
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&shuffled(seed, 0).to_be_bytes());
    digest
}
