//! `[limits]`: bounds on what clients may send, and on how fast.

use std::time::Duration;

use super::{
    reader::Reader,
    secret::{Secret, parse_strong},
    values::{IpRange, days},
};

/// The section `[limits]`.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The largest blob.
    pub blob_upload_bytes: u64,
    /// Whether repositories may be imported.
    pub accept_imports: bool,
    /// The largest repository that may be imported.
    pub import_bytes: u64,
    /// How far back a subscriber may begin.
    pub backfill: Duration,
    /// How many events a live subscriber may be behind.
    pub subscriber_buffer: usize,
    /// Whether clients are limited in how much they may ask.
    pub rate_limits: bool,
    /// The header value that lifts the limits for a request.
    pub rate_limit_bypass_key: Option<Secret>,
    /// Where clients are that are not limited.
    pub rate_limit_bypass_addresses: Vec<IpRange>,
}

impl Limits {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self {
            blob_upload_bytes: reader.size("limits.blob_upload", 1),
            accept_imports: reader.flag("limits.accept_imports"),
            import_bytes: reader.size("limits.import", 1),
            backfill: reader.duration("limits.backfill", Duration::from_secs(60)..=days(3650)),
            subscriber_buffer: reader.number("limits.subscriber_buffer", 1..=1_000_000) as usize,
            rate_limits: reader.flag("limits.rate_limits"),
            rate_limit_bypass_key: reader.optional("limits.rate_limit_bypass_key", parse_strong),
            rate_limit_bypass_addresses: reader.list("limits.rate_limit_bypass_addresses", IpRange::parse).unwrap_or_default(),
        }
    }
}
