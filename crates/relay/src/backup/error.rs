//! Why a backup, or the way back, did not work.

use std::path::PathBuf;

use crate::error::XrpcError;
use crate::store::{StoreError, WriteFailed};

/// Why a backup was not made, checked or restored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BackupError {
    #[error("{name} could not be {what} in the place for backups: {source}")]
    Place { what: &'static str, name: String, source: Box<object_store::Error> },
    #[error("the folder {path} cannot be used: {source}")]
    Folder { path: PathBuf, source: std::io::Error },
    #[error("the key file {path} cannot be read: {source}")]
    KeyFile { path: PathBuf, source: std::io::Error },
    #[error("{path} holds no age identity; it begins with AGE-SECRET-KEY-1")]
    NoKeyInFile { path: PathBuf },
    #[error("the passphrase is not the one that these backups were made with")]
    WrongPassphrase,
    #[error("{place} has the backups of another server, {public_url}, since {since}")]
    NotOurs { place: String, public_url: String, since: String },
    #[error("there is no backup in {place}")]
    NoBackup { place: String },
    #[error("there is no backup from before that time; the oldest is of {oldest}")]
    NoneBefore { oldest: String },
    #[error("{name} is damaged: {reason}")]
    Damaged { name: String, reason: String },
    #[error("the changes after {until} are damaged ({source}); what was before can be restored with --at {until}")]
    TailDamaged { until: String, source: Box<BackupError> },
    #[error("the backup was made by version {version}, whose format this one does not know; use that version")]
    FromTheFuture { version: String },
    #[error("{path} is not empty; name a folder that is empty or not there yet")]
    NotEmpty { path: PathBuf },
    #[error("the clock of this machine says a time before the backup was made; set it first, since events are numbered by it")]
    Clock,
    #[error("the restored database is not sound: {0}")]
    Unsound(String),
    #[error("another backup is being made")]
    Busy,
    #[error("the server stops")]
    Stopped,
    #[error("could not compress or encrypt: {0}")]
    Pack(#[source] std::io::Error),
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Write(#[from] WriteFailed),
    #[error("SQLite failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
}

impl BackupError {
    /// Makes an error of reading or writing `path`.
    pub(super) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }

    /// Returns what the operator can do about it.
    pub(crate) fn remedy(&self) -> &'static str {
        match self {
            Self::Place { .. } => "Check that the place can be reached, and that address, bucket and credentials are right.",
            Self::Folder { .. } | Self::Io { .. } => "Check that the folder is there, has room, and that you may write to it.",
            Self::KeyFile { .. } | Self::NoKeyInFile { .. } => "Give the key file that these backups were made with.",
            Self::WrongPassphrase => "Give the passphrase that was set when the first backup was made there.",
            Self::NotOurs { .. } => {
                "Nothing was written there: two servers in one place remove each other's backups. Give this one a folder or prefix of \
                 its own in backup.to. If that server is gone for good and this one takes its place: `relay backup take-over`."
            }
            Self::NoBackup { .. } | Self::NoneBefore { .. } => "`relay backup list` shows what there is.",
            Self::Damaged { .. } | Self::Unsound(_) => {
                "Restore from another copy, or an earlier backup with --at; `relay backup list` shows what there is."
            }
            Self::TailDamaged { .. } => "Run it again with --at as it says.",
            Self::FromTheFuture { .. } => "Install that version.",
            Self::NotEmpty { .. } => "Nothing was changed.",
            Self::Clock => "Set the clock, then run it again.",
            Self::Busy => "Wait until it is done; `relay backup list` shows it then.",
            Self::Stopped => "What was sent is not sent again the next time.",
            Self::Pack(_) | Self::Store(_) | Self::Write(_) | Self::Sqlite(_) => "Look at the log of the server.",
        }
    }
}

impl From<BackupError> for XrpcError {
    fn from(err: BackupError) -> Self {
        let message = format!("{err}. {}", err.remedy());
        Self::upstream(message).with_cause(err)
    }
}
