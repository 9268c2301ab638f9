//! `[metrics]`: figures for Prometheus.

use std::net::SocketAddr;

use super::{reader::Reader, values::parse_socket_addr};

/// The section `[metrics]`.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// The addresses where anyone may read them; none by default.
    pub bind: Vec<SocketAddr>,
}

impl Metrics {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self { bind: reader.list("metrics.bind", parse_socket_addr).unwrap_or_default() }
    }
}
