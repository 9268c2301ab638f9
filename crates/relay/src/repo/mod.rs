//! Repositories: how a write becomes a commit, and how a repo is read and exported.
//!
//! # A write
//!
//! [`Repos::write`] takes the repo's lock, prepares the commit on top of the newest head, durable or not ([`prepare`]), hands
//! it to the store's writer, makes it the newest head, and gives the lock free. Then it waits for the commit to be durable. So
//! the commits of one repo are prepared one after the other and become durable together, under one sync.
//!
//! # Tricky bits
//!
//! - The store moves a repo only from the head that the commit was prepared on. When a transaction fails, every commit that
//!   stands on it fails by that, and the head in memory is dropped ([`handle`]).
//! - A write takes its place in the write queue before it is prepared, and there is no await between the change of the head in
//!   memory and the commit being queued: a caller that goes away leaves either nothing or a whole write.

mod duplicates;
mod export;
pub(crate) mod fresh;
mod handle;
mod import;
mod nodes;
mod prepare;
mod rebuild;
mod resign;
mod slices;
mod snapshot;
mod sweep;
mod write;

pub(crate) use export::{Export, export};
pub(crate) use import::{ImportError, Imports, StagingError, blobs_of, import};
pub(crate) use rebuild::{NewHead, RebuildError, Rebuilt};
pub(crate) use snapshot::{RepoSnapshot, SnapshotError};
pub(crate) use write::{CommitMeta, FirstCommit, Record, Repos, Swap, Write, WriteError};
