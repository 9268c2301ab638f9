//! A database for the tests of this module.

use std::path::Path;
use std::sync::Arc;

use common::Clock;
use tempfile::TempDir;

use crate::clock::SystemClock;
use crate::store::{Db, DbOptions, LogWatch, StoreError, Synchronous, WriteFailed};

/// Why a write of a test failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Write(#[from] WriteFailed),
}

/// Makes an empty database with a clock that can be moved; it is gone with the folder.
pub(crate) fn db() -> (TempDir, Db, Arc<SystemClock>) {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Arc::new(SystemClock::default()));
    let db = open(&dir.path().join("test.sqlite"), Arc::clone(&clock) as _, None);
    (dir, db, clock)
}

/// Opens a database, or makes it.
pub(crate) fn open(path: &Path, clock: Arc<dyn Clock>, watch: Option<Arc<dyn LogWatch>>) -> Db {
    let options = DbOptions {
        synchronous: Synchronous::Normal,
        writer_cache_bytes: 1 << 20,
        reader_cache_bytes: 1 << 20,
        readers: 2,
        write_queue: 128,
        watch,
    };
    Db::open(path, &options, clock, Box::new(|_| ())).unwrap()
}
