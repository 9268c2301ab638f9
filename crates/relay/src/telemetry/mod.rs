//! What the server counts of itself, and how it is read: `/metrics` ([`metrics`]), and `relay status` ([`crate::status`]).
//!
//! Counting is an atomic addition or two; everything else happens when someone asks.

pub(crate) mod disk;
pub(crate) mod latency;
pub(crate) mod log;
mod metrics;
mod process;
mod requests;
pub(crate) mod room;
pub(crate) mod spans;
#[cfg(feature = "otel")]
pub(crate) mod traces;

use std::collections::VecDeque;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

pub(crate) use metrics::{encode, handler, serve};
pub(crate) use requests::Requests;

use crate::store::WriterStats;
use latency::{Counted, Latency};

/// Samples that rates are made from: with one each 15 seconds, the last minute.
const SAMPLES: usize = 5;

/// The counters of the server.
#[derive(Debug)]
pub(crate) struct Telemetry {
    pub(crate) requests: Requests,
    /// Requests that read: GET and HEAD.
    pub(crate) reads: Latency,
    /// Requests that change something: POST.
    pub(crate) writes: Latency,
    /// Handlers that panicked.
    pub(crate) panics: Arc<AtomicU64>,
    writer: Arc<WriterStats>,
    samples: Mutex<VecDeque<Sample>>,
    pub(crate) started: Instant,
    pub(crate) started_millis: i64,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) at: Instant,
    pub(crate) reads: Counted,
    pub(crate) writes: Counted,
    pub(crate) transactions: Counted,
    pub(crate) events: u64,
}

impl Telemetry {
    pub(crate) fn new(writer: Arc<WriterStats>, started_millis: i64) -> Self {
        let telemetry = Self {
            requests: Requests::new(),
            reads: Latency::default(),
            writes: Latency::default(),
            panics: Arc::default(),
            writer,
            samples: Mutex::default(),
            started: Instant::now(),
            started_millis,
        };
        telemetry.sample();
        telemetry
    }

    /// Returns the counters as they are now.
    pub(crate) fn now(&self) -> Sample {
        Sample {
            at: Instant::now(),
            reads: self.reads.counted(),
            writes: self.writes.counted(),
            transactions: self.writer.transactions.counted(),
            events: self.writer.events.load(std::sync::atomic::Ordering::Relaxed),
        }
    }

    /// Remembers the counters, for rates.
    pub(crate) fn sample(&self) {
        let sample = self.now();
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        if samples.len() >= SAMPLES {
            samples.pop_front();
        }
        samples.push_back(sample);
    }

    /// Returns the oldest counters that are remembered: about a minute old, or those of the start.
    pub(crate) fn earlier(&self) -> Option<Sample> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner).front().copied()
    }
}
