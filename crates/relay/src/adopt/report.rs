//! What there is to take over, and what is wrong with it.

use common::Did;
use serde::Serialize;

/// Problems that are kept; those beyond are counted.
const MAX_PROBLEMS: usize = 1000;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// Something is different here.
    Notice,
    /// Something of an account is not carried over.
    Warning,
    /// A whole account is not carried over, or nothing can be.
    Error,
}

/// Something that someone should know.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Problem {
    pub(crate) severity: Severity,
    pub(crate) account: Option<Did>,
    pub(crate) sentence: String,
}

/// What there is, or what was taken over.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) accounts: u64,
    /// Whether an earlier run had come to its end, so that only what it set aside was tried again.
    pub(crate) was_finished: bool,
    /// Of the accounts, those that an earlier run took over.
    pub(crate) already_here: u64,
    /// Accounts that are not carried over.
    pub(crate) set_aside: u64,
    pub(crate) records: u64,
    pub(crate) repo_bytes: u64,
    pub(crate) blobs: u64,
    pub(crate) blob_bytes: u64,
    pub(crate) sessions: u64,
    pub(crate) app_passwords: u64,
    /// Sessions of OAuth apps.
    pub(crate) app_sessions: u64,
    pub(crate) invite_codes: u64,
    pub(crate) reserved_keys: u64,
    /// Events that are kept, and the last `seq` of the old server.
    pub(crate) events: u64,
    pub(crate) last_seq: i64,
    pub(crate) problems: Vec<Problem>,
    /// All problems, the ones that are not kept included.
    pub(crate) problem_count: u64,
    pub(crate) duration_ms: u64,
}

impl Report {
    pub(crate) fn add(&mut self, severity: Severity, account: Option<&Did>, sentence: String) {
        self.problem_count += 1;
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(Problem { severity, account: account.cloned(), sentence });
        }
    }

    pub(super) fn set_aside(&mut self, account: &Did, sentence: String) {
        self.set_aside += 1;
        self.add(Severity::Error, Some(account), sentence);
    }

    /// Adds what was counted of one account.
    pub(super) fn take(&mut self, account: Self) {
        self.blobs += account.blobs;
        self.blob_bytes += account.blob_bytes;
        self.sessions += account.sessions;
        self.app_passwords += account.app_passwords;
        self.app_sessions += account.app_sessions;
        for Problem { severity, account, sentence } in account.problems {
            self.add(severity, account.as_ref(), sentence);
        }
    }

    pub(crate) fn worst(&self) -> Option<Severity> {
        self.problems.iter().map(|problem| problem.severity).max()
    }
}
