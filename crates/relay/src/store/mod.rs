//! Everything but blobs, in one SQLite database.
//!
//! # Locking
//!
//! One thread owns the one connection that writes ([`writer`]). It takes the jobs that are ready, runs each in a savepoint of
//! one transaction, commits, and only then tells the callers and publishes the events. So what a caller was told is durable,
//! and events leave in the order of their `seq`. Readers have connections of their own (WAL): they never wait for the writer,
//! and see whole transactions only.
//!
//! Functions here are synchronous and take the connection: `&Connection` reads, [`BatchTx`] writes.

pub(crate) mod account;
pub(crate) mod app_password;
pub(crate) mod backlink;
pub(crate) mod backup_code;
pub(crate) mod blob;
mod checkpoint;
mod copier;
pub(crate) mod crawler;
mod db;
pub(crate) mod deletion;
pub(crate) mod email_token;
pub(crate) mod event;
pub(crate) mod invite;
pub(crate) mod meta;
mod migrate;
pub(crate) mod move_in;
pub(crate) mod oauth_consent;
pub(crate) mod oauth_request;
pub(crate) mod oauth_session;
mod packed;
pub(crate) mod passkey;
pub(crate) mod pending_did;
pub(crate) mod preference;
mod queue;
pub(crate) mod recent;
pub(crate) mod record;
pub(crate) mod repo;
pub(crate) mod reserved_handle;
pub(crate) mod reserved_key;
pub(crate) mod row;
pub(crate) mod session;
pub(crate) mod sign_in;
pub(crate) mod sign_in_link;
pub(crate) mod standing;
mod stats;
pub(crate) mod tls;
pub(crate) mod totp;
pub(crate) mod unused_repo;
pub(crate) mod web_session;
mod writer;

pub(crate) use db::{Db, DbOptions, LogWatch, Synchronous};
pub(crate) use event::Event;
pub(crate) use migrate::{check_schema, rehearse};
pub(crate) use stats::WriterStats;
pub(crate) use writer::{BatchTx, WriteFailed, WritePermit};

/// The number by which tables name an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct AccountId(pub(crate) i64);

/// The number under which the content of a repo is stored. That of an account changes when its repo is replaced as a whole.
///
/// Functions that read take the account: their statements look the number up, so each sees one repo, whatever takes its place
/// meanwhile. Those that write take the number, from a head that the writer has checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct RepoId(pub(crate) i64);

/// Why the database did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("SQLite failed")]
    Sqlite(#[from] rusqlite::Error),
    #[error("{table}.{column} holds what does not parse: {reason}")]
    Corrupt { table: &'static str, column: &'static str, reason: String },
    #[error("{table}: {changed} rows changed where 1 was expected")]
    RowCount { table: &'static str, changed: usize },
    #[error("the database was written by a newer version of relay (schema {found}, this one knows {known}); use that version")]
    FromTheFuture { found: i64, known: i64 },
    #[error("the database could not be opened at {path}")]
    Open {
        path: std::path::PathBuf,
        #[source]
        source: rusqlite::Error,
    },
    #[error("the file of the database could not be opened or synced")]
    File(#[source] std::io::Error),
}

impl StoreError {
    /// Whether the disk is full, or refuses writes: the caller did nothing wrong, and it may pass.
    pub(crate) fn is_out_of_space(&self) -> bool {
        let Self::Sqlite(rusqlite::Error::SqliteFailure(err, _)) = self else { return false };
        matches!(err.code, rusqlite::ErrorCode::DiskFull | rusqlite::ErrorCode::SystemIoFailure | rusqlite::ErrorCode::ReadOnly)
    }
}

impl StoreError {
    /// Whether another process holds the database, for longer than is waited for it.
    pub(crate) fn is_locked(&self) -> bool {
        let Self::Sqlite(rusqlite::Error::SqliteFailure(err, _)) = self else { return false };
        matches!(err.code, rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked)
    }

    /// Whether the process may open no more files, for now.
    pub(crate) fn is_out_of_files(&self) -> bool {
        let (Self::Sqlite(rusqlite::Error::SqliteFailure(err, _))
        | Self::Open { source: rusqlite::Error::SqliteFailure(err, _), .. }) = self
        else {
            return false;
        };
        err.code == rusqlite::ErrorCode::CannotOpen
    }
}

/// Checks that a write changed one row.
pub(crate) fn expect_one_row(table: &'static str, changed: usize) -> Result<(), StoreError> {
    if changed == 1 { Ok(()) } else { Err(StoreError::RowCount { table, changed }) }
}
