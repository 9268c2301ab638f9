//! The router that this machine is behind: its public address, and its ports, by UPnP IGD.
//!
//! Routers take mappings for a while, so they are asked for again before it is over (`tasks/`), also after the router was
//! restarted. They are not taken back when the server stops: a restart would leave a gap, and what is not renewed ends by itself.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use igd_next::aio::Gateway;
use igd_next::aio::tokio::{Tokio, search_gateway};
use igd_next::{AddPortError, PortMappingProtocol, SearchOptions};

use crate::config::Config;
use crate::identity::address::is_global_unicast;

#[cfg(test)]
mod tests;

/// Where routers listen for questions, UPnP Device Architecture 2.0, section 1.3.2.
pub(crate) const DISCOVERY: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::new(239, 255, 255, 250)), 1900);
/// How long a router may take to say that it is there.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a mapping is asked for.
const LEASE_SECONDS: u32 = 3600;
/// How often it is asked for again.
pub(crate) const RENEW_EVERY: Duration = Duration::from_secs(20 * 60);
/// What routers show beside the mapping.
const DESCRIPTION: &str = "relay (AT Protocol PDS)";

/// Why the router does not pass ports on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GatewayError {
    #[error("no router answered: it has no UPnP, or it is turned off in its settings ({0})")]
    Silent(String),
    #[error("the router did not open port {port}: {reason}")]
    Refused { port: u16, reason: String },
    #[error(
        "the router has no public address itself, but {0}: the provider shares one among customers, so nobody gets through"
    )]
    NotPublic(IpAddr),
}

/// A port of the router, and the port of this machine that it is passed on to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mapping {
    pub(crate) external: u16,
    pub(crate) internal: u16,
}

/// Returns the ports that the world comes by.
pub(crate) fn mappings(config: &Config) -> Vec<Mapping> {
    let url = &config.server.public_url;
    let first = |addresses: &[SocketAddr]| addresses.first().map(SocketAddr::port);
    let https = first(&config.tls.https_bind).map(|internal| Mapping { external: url.port().unwrap_or(443), internal });
    let http = first(&config.tls.http_bind).map(|internal| Mapping { external: 80, internal });
    https.into_iter().chain(http).collect()
}

/// Returns the address that the router has in the world; `None` when there is none that answers.
pub(crate) async fn public_address(discovery: SocketAddr) -> Option<IpAddr> {
    find(discovery).await.ok()?.get_external_ip().await.ok()
}

/// Has the router pass ports on to this machine, and returns its public address.
pub(crate) async fn open(discovery: SocketAddr, mappings: &[Mapping]) -> Result<IpAddr, GatewayError> {
    let gateway = find(discovery).await?;
    let own = own_address(gateway.addr).map_err(|err| GatewayError::Silent(err.to_string()))?;
    for mapping in mappings {
        add(&gateway, SocketAddr::new(own, mapping.internal), mapping.external).await?;
    }
    let address = gateway.get_external_ip().await.map_err(|err| GatewayError::Silent(err.to_string()))?;
    if is_global_unicast(address) { Ok(address) } else { Err(GatewayError::NotPublic(address)) }
}

async fn find(discovery: SocketAddr) -> Result<Gateway<Tokio>, GatewayError> {
    let mut options = SearchOptions::default();
    options.broadcast_address = discovery;
    // One that is asked by its own address, and not found by a call to all, may have that address, whatever it is.
    if !discovery.ip().is_multicast() {
        options.allowed_gateway_ips.push(discovery.ip());
    }
    options.timeout = Some(PATIENCE);
    options.single_search_timeout = Some(PATIENCE);
    search_gateway(options).await.map_err(|err| GatewayError::Silent(err.to_string()))
}

async fn add(gateway: &Gateway<Tokio>, to: SocketAddr, port: u16) -> Result<(), GatewayError> {
    let lease = |seconds| gateway.add_port(PortMappingProtocol::TCP, port, to, seconds, DESCRIPTION);
    let added = match lease(LEASE_SECONDS).await {
        // Some routers know mappings for good only.
        Err(AddPortError::OnlyPermanentLeasesSupported) => lease(0).await,
        added => added,
    };
    added.map_err(|err| GatewayError::Refused { port, reason: err.to_string().trim_end_matches('.').to_owned() })
}

/// Returns the address of this machine that the router sees. Connecting a datagram socket sends nothing.
fn own_address(router: SocketAddr) -> std::io::Result<IpAddr> {
    let any: SocketAddr = if router.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0; 16], 0).into() };
    let socket = UdpSocket::bind(any)?;
    socket.connect(router)?;
    Ok(socket.local_addr()?.ip())
}
