//! A database for the tests of this module.

use std::sync::Arc;

use tempfile::TempDir;

use crate::clock::SystemClock;
use crate::store::{Db, DbOptions, Synchronous};

/// Makes an empty database with a clock that can be moved; it is gone with the folder.
pub(crate) fn db() -> (TempDir, Db, Arc<SystemClock>) {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Arc::new(SystemClock::default()));
    let options = DbOptions {
        synchronous: Synchronous::Normal,
        writer_cache_bytes: 1 << 20,
        reader_cache_bytes: 1 << 20,
        readers: 2,
        write_queue: 128,
        watch: None,
    };
    let db = Db::open(&dir.path().join("test.sqlite"), &options, Arc::clone(&clock) as _, Box::new(|_| ())).unwrap();
    (dir, db, clock)
}
