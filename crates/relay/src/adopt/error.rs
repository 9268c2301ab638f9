//! Why an adoption did not happen.

use std::io;
use std::path::{Path, PathBuf};

use crate::blob::BlobError;
use crate::store::{StoreError, WriteFailed};

/// Why nothing, or nothing more, is taken over. What was, stays; another run goes on from there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdoptError {
    #[error("there is no account.sqlite in {path}")]
    NotAFolder { path: PathBuf },
    #[error("{path} is missing; set PDS_{variable} in the old server's settings to where it is")]
    Missing { path: PathBuf, variable: &'static str },
    #[error("{} is in use{}", .path.display(), .pid.map(|pid| format!(" by process {pid}")).unwrap_or_default())]
    InUse { path: PathBuf, pid: Option<u32> },
    #[error("the old server wrote to {path} meanwhile")]
    Changed { path: PathBuf },
    #[error("{path} has the migration {found:?}, and this program knows those up to {known}")]
    Newer { path: PathBuf, found: String, known: &'static str },
    #[error("{path} lacks the migration {needed}: the old server is from before {since}")]
    Older { path: PathBuf, needed: &'static str, since: &'static str },
    #[error("{path} is not a database of the official PDS")]
    Foreign { path: PathBuf },
    #[error("{path} cannot be read")]
    Database {
        path: PathBuf,
        #[source]
        source: rusqlite::Error,
    },
    #[error("{path} cannot be read")]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path}:{line}: {why}")]
    EnvFile { path: PathBuf, line: usize, why: &'static str },
    #[error("{0}")]
    Setting(String),
    #[error("the data folder has accounts of its own")]
    NotEmpty,
    #[error("the data folder is in the old server's folder, which shall stay as it is")]
    Inside,
    #[error("the data folder was begun with the accounts of {0}")]
    OtherServer(String),
    #[error("the old server ran since the adoption was begun, so what was taken over is of the past")]
    RanSince,
    #[error("a blob could not be stored")]
    Blob(#[from] BlobError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Write(#[from] WriteFailed),
}

impl From<rusqlite::Error> for AdoptError {
    fn from(err: rusqlite::Error) -> Self {
        Self::Store(err.into())
    }
}

impl AdoptError {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    pub(super) fn database(path: &Path) -> impl FnOnce(rusqlite::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Database { path, source }
    }

    /// Says what to do.
    pub(crate) fn remedy(&self) -> &'static str {
        match self {
            Self::NotAFolder { .. } => "Name the folder that PDS_DATA_DIRECTORY named; the usual one is /pds.",
            Self::Missing { .. } | Self::Foreign { .. } | Self::EnvFile { .. } | Self::Setting(_) => {
                "Mend that and run it again. Nothing was changed."
            }
            Self::InUse { .. } => "Stop the official PDS, and see to it that nothing starts it again. Nothing was changed.",
            Self::Changed { .. } | Self::RanSince => {
                "Stop the official PDS for good, empty the new data folder, and begin anew: the newest state has to be taken over."
            }
            Self::Newer { .. } => "Use a newer version of relay, which knows it. Nothing was changed.",
            Self::Older { .. } => {
                "Let a recent version of the official PDS start once, which brings its databases up to date; stop it and run this again."
            }
            Self::Database { .. } | Self::Io { .. } => {
                "Run it as a user who may read the old server's folder; that folder is not changed."
            }
            Self::NotEmpty | Self::OtherServer(_) => "Name another folder with --data-dir, which is empty or not there.",
            Self::Inside => "Name another folder with --data-dir.",
            Self::Blob(_) | Self::Store(_) | Self::Write(_) => "Mend that and run it again: it goes on where it was.",
        }
    }
}
