//! UPnP IGD: routers that are found by a call to all, and spoken to by SOAP.

use std::net::{IpAddr, SocketAddr};

use igd_next::aio::Gateway;
use igd_next::aio::tokio::{Tokio, search_gateway};
use igd_next::{AddPortError, PortMappingProtocol, SearchOptions};

use super::{LEASE_SECONDS, Mapping, PATIENCE, own_address};

/// What routers show beside the mapping.
const DESCRIPTION: &str = "relay (AT Protocol PDS)";

/// A router that answered.
pub(super) struct Router(Gateway<Tokio>);

/// Looks for a router; `Err` says why there is none.
pub(super) async fn find(discovery: SocketAddr) -> Result<Router, String> {
    let mut options = SearchOptions::default();
    options.broadcast_address = discovery;
    // One that is asked by its own address, and not found by a call to all, may have that address, whatever it is.
    if !discovery.ip().is_multicast() {
        options.allowed_gateway_ips.push(discovery.ip());
    }
    options.timeout = Some(PATIENCE);
    options.single_search_timeout = Some(PATIENCE);
    search_gateway(options).await.map(Router).map_err(|err| err.to_string())
}

impl Router {
    pub(super) async fn public_address(&self) -> Result<IpAddr, String> {
        self.0.get_external_ip().await.map_err(|err| err.to_string())
    }

    /// Has it pass a port on.
    pub(super) async fn add(&self, mapping: Mapping) -> Result<(), String> {
        let own = own_address(self.0.addr).map_err(|err| err.to_string())?;
        let to = SocketAddr::new(own, mapping.internal);
        let lease = |seconds| self.0.add_port(PortMappingProtocol::TCP, mapping.external, to, seconds, DESCRIPTION);
        let added = match lease(LEASE_SECONDS).await {
            // Some routers know mappings for good only.
            Err(AddPortError::OnlyPermanentLeasesSupported) => lease(0).await,
            added => added,
        };
        added.map_err(|err| err.to_string().trim_end_matches('.').to_owned())
    }
}
