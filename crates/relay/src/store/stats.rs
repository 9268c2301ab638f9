//! What the writer counts of itself.

use std::sync::atomic::AtomicU64;

use crate::telemetry::latency::Latency;

/// Counters of the writer thread.
#[derive(Debug, Default)]
pub(crate) struct WriterStats {
    /// Transactions, from begin to commit.
    pub(crate) transactions: Latency,
    /// Jobs that were in them.
    pub(crate) jobs: AtomicU64,
    /// Transactions that failed.
    pub(crate) failures: AtomicU64,
    /// Writes that were refused, since the queue was full.
    pub(crate) refused: AtomicU64,
    /// Events that became durable, and the bytes of their frames.
    pub(crate) events: AtomicU64,
    pub(crate) event_bytes: AtomicU64,
}
