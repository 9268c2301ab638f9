//! `[network]`: outgoing connections and the proxies in front.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use rustls::pki_types::CertificateDer;

use super::{
    reader::{Reader, Shown},
    sources::read_bounded,
    values::{IpRange, parse_dns_server},
};
use crate::identity::http::roots_from_pem;

/// The section `[network]`.
#[derive(Debug, Clone)]
pub struct Network {
    /// Whether the server refuses to call private addresses on behalf of others.
    pub protect_private_addresses: bool,
    /// The proxies that are believed about a client's address.
    pub trusted_proxies: Vec<IpRange>,
    /// The DNS servers; `None` means the system's.
    pub dns_servers: Option<Vec<SocketAddr>>,
    /// Whether lexicons are looked up that records are to be checked against.
    pub resolve_record_lexicons: bool,
    /// Whether the router is asked to pass the ports of TLS on to this machine.
    pub open_ports: bool,
    /// Certificate authorities to trust besides the public ones.
    pub extra_roots: Option<ExtraRoots>,
    /// Bounds on services that calls are passed on to. There is no setting for them; tests are less patient.
    pub upstream: UpstreamBounds,
}

/// How much a service that answers a call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpstreamBounds {
    /// Time from when the call was sent until the head of the answer.
    pub head: Duration,
    /// Time for the body of the answer.
    pub body: Duration,
    /// The largest body of an answer.
    pub body_bytes: u64,
}

impl Default for UpstreamBounds {
    fn default() -> Self {
        Self { head: Duration::from_secs(10), body: Duration::from_secs(120), body_bytes: 10 << 20 }
    }
}

/// Certificates out of a PEM file.
#[derive(Clone)]
pub struct ExtraRoots {
    /// The file.
    pub file: PathBuf,
    /// What it holds, at least one.
    pub certificates: Vec<CertificateDer<'static>>,
}

impl fmt::Debug for ExtraRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} certificates of {}", self.certificates.len(), self.file.display())
    }
}

impl Network {
    /// Tells whether `peer` is a proxy that is believed about a client's address.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|range| range.contains(peer))
    }

    /// Returns the certificate authorities to trust besides the public ones.
    pub fn roots(&self) -> &[CertificateDer<'static>] {
        self.extra_roots.as_ref().map_or(&[], |roots| &roots.certificates)
    }

    pub(super) fn read(reader: &mut Reader) -> Self {
        let dns_servers = reader.list("network.dns_servers", parse_dns_server).filter(|servers| !servers.is_empty());
        reader.derived("network.dns_servers", Shown::Unset);
        Self {
            protect_private_addresses: reader.flag("network.protect_private_addresses"),
            trusted_proxies: reader.list("network.trusted_proxies", IpRange::parse).unwrap_or_default(),
            dns_servers,
            resolve_record_lexicons: reader.flag("network.resolve_record_lexicons"),
            open_ports: reader.flag("network.open_ports"),
            extra_roots: read_roots(reader),
            upstream: UpstreamBounds::default(),
        }
    }
}

fn read_roots(reader: &mut Reader) -> Option<ExtraRoots> {
    const PATH: &str = "network.extra_root_certificates";
    let file = reader.optional_path(PATH)?;
    let text = match read_bounded(&file) {
        Ok(text) => text,
        Err(err) => {
            reader.complain(
                PATH,
                &format!("cannot be read: {err}"),
                "Check the path, and that the user of the server may read the file.",
            );
            return None;
        }
    };
    let Ok(certificates) = roots_from_pem(text.as_bytes()) else {
        reader.complain(
            PATH,
            "has no certificates in PEM form",
            "The file has parts that begin with -----BEGIN CERTIFICATE-----.",
        );
        return None;
    };
    Some(ExtraRoots { file, certificates })
}
