//! Why bytes were not kept, found or removed.

use std::io;

use common::Cid;

use crate::error::XrpcError;
use crate::store::{StoreError, WriteFailed};

/// Why the blob store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BlobError {
    #[error("The blob is too large. The limit of this server is {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("the disk is full or not writable")]
    NoSpace(#[source] io::Error),
    #[error("the bytes of {0} are not there, or not whole")]
    Missing(Cid),
    #[error("a blob could not be {action}")]
    Io { action: &'static str, source: io::Error },
    #[error("a blob could not be {action} in the store")]
    Store { action: &'static str, source: Box<object_store::Error> },
}

impl BlobError {
    /// Wraps an error of the store; `action` is what was not done.
    pub(super) fn store(action: &'static str) -> impl Fn(object_store::Error) -> Self {
        move |source| Self::Store { action, source: Box::new(source) }
    }

    /// Wraps an error of the operating system; `action` is what was not done.
    pub(super) fn io(action: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::ReadOnlyFilesystem => {
                Self::NoSpace(source)
            }
            // The standard library's kinds grow; to us every other one is the same.
            _ => Self::Io { action, source },
        }
    }
}

impl From<BlobError> for XrpcError {
    fn from(err: BlobError) -> Self {
        match err {
            BlobError::TooLarge { .. } => Self::new(http::StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLarge", err.to_string()),
            BlobError::NoSpace(_) => {
                Self::unavailable("The server's disk is full or not writable; try again later", 30).with_cause(err)
            }
            BlobError::Store { .. } => {
                Self::unavailable("The server cannot reach its store of blobs; try again later", 30).with_cause(err)
            }
            BlobError::Missing(_) | BlobError::Io { .. } => Self::internal(err),
        }
    }
}

/// Why an uploaded blob did not become one of an account.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegisterError {
    #[error("Blob has been takendown, cannot re-upload")]
    TakenDown,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Write(#[from] WriteFailed),
}

impl From<RegisterError> for XrpcError {
    fn from(err: RegisterError) -> Self {
        match err {
            RegisterError::TakenDown => Self::invalid_request(err.to_string()),
            RegisterError::Store(err) => err.into(),
            RegisterError::Write(err) => err.into(),
        }
    }
}

/// Why collecting stopped; what it did not do waits for the next time.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CollectError {
    #[error(transparent)]
    Blob(#[from] BlobError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Write(#[from] WriteFailed),
}

impl From<CollectError> for XrpcError {
    fn from(err: CollectError) -> Self {
        match err {
            CollectError::Blob(err) => err.into(),
            CollectError::Store(err) => err.into(),
            CollectError::Write(err) => err.into(),
        }
    }
}
