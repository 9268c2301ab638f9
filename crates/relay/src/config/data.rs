//! `[data]`: where data is kept and how SQLite is tuned.

use std::path::PathBuf;
use std::time::Duration;

use super::reader::Reader;
use super::values::days;

/// The section `[data]`.
#[derive(Debug, Clone)]
pub struct Data {
    /// The folder of the database, the blobs and the master key.
    pub dir: PathBuf,
    /// When SQLite waits for the disk.
    pub synchronous: Synchronous,
    /// Page cache of the connection that writes.
    pub writer_cache_bytes: u64,
    /// Page cache of each connection that reads.
    pub reader_cache_bytes: u64,
    /// How many connections read.
    pub readers: usize,
    /// How many writes may wait.
    pub writer_queue: usize,
    /// Whether what is stored is verified now and then.
    pub verify: bool,
    /// How often.
    pub verify_every: Duration,
    /// How fast, at most.
    pub verify_bytes_per_second: u64,
}

/// SQLite's `PRAGMA synchronous`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Synchronous {
    /// Every commit is on the disk before it is acknowledged.
    Full,
    /// Commits reach the disk at checkpoints.
    Normal,
}

impl Data {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self {
            dir: reader.path("data.dir"),
            synchronous: reader
                .choice("data.sqlite_synchronous", &[("full", Synchronous::Full), ("normal", Synchronous::Normal)]),
            writer_cache_bytes: reader.size("data.writer_cache", 64 << 10),
            reader_cache_bytes: reader.size("data.reader_cache", 64 << 10),
            readers: reader.number("data.readers", 1..=256) as usize,
            writer_queue: reader.number("data.writer_queue", 1..=1_000_000) as usize,
            verify: reader.flag("data.verify"),
            verify_every: reader.duration("data.verify_every", Duration::from_secs(3600)..=days(365)),
            verify_bytes_per_second: reader.size("data.verify_rate", 64 << 10),
        }
    }
}
