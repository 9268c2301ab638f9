//! The router that this machine is behind: its public address, and its ports. It is asked by NAT-PMP or PCP, and by UPnP IGD where
//! that does not lead anywhere.
//!
//! Routers take mappings for a while, so they are asked for again long before it is over (`tasks/ports.rs`), which makes them anew after
//! the router was restarted. They are not taken back when the server stops: a restart would leave a gap, and what is not renewed ends
//! by itself.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::identity::address::is_global_unicast;

mod kept;
mod port_control;
mod route;
#[cfg(test)]
mod tests;
mod upnp;

pub(crate) use kept::{Grant, KeptRouter, RouterStatus};

/// How long a router may take to answer a question.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a mapping is asked for.
const LEASE_SECONDS: u32 = 3600;
/// How often it is asked for again: for so long at most nobody gets in after the router was restarted.
pub(crate) const RENEW_EVERY: Duration = Duration::from_secs(5 * 60);

/// Where routers are asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gateways {
    /// Where all that speak UPnP hear it.
    discovery: SocketAddr,
    /// Where one that speaks NAT-PMP or PCP listens; `None` where no way to the world is known.
    port_control: Option<SocketAddr>,
}

/// The language that a router was spoken to in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Protocol {
    Upnp,
    NatPmp,
    Pcp,
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Upnp => "UPnP",
            Self::NatPmp => "NAT-PMP",
            Self::Pcp => "PCP",
        })
    }
}

/// What a router did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Opened {
    /// Its address in the world.
    pub(crate) address: IpAddr,
    pub(crate) by: Protocol,
}

/// Why the router does not pass ports on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GatewayError {
    #[error(
        "no router answered, neither by UPnP ({upnp}) nor by NAT-PMP or PCP ({port_control}): it has none of them, or they are \
         turned off in its settings"
    )]
    Silent { upnp: String, port_control: String },
    #[error("the router did not open port {port}, asked by {by}: {reason}")]
    Refused { by: Protocol, port: u16, reason: String },
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

impl Gateways {
    /// Returns those of this network. UPnP Device Architecture 2.0, section 1.3.2, has the address of the call to all.
    pub(crate) async fn of_this_network() -> Self {
        let discovery = SocketAddr::from(([239, 255, 255, 250], 1900));
        let port_control = route::default_router().await.map(|router| (router, port_control::PORT).into());
        Self { discovery, port_control }
    }

    async fn port_control(&self) -> Result<port_control::Router, String> {
        match self.port_control {
            Some(router) => port_control::find(router).await,
            None => Err("no router is set in this machine's network".to_owned()),
        }
    }
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
pub(crate) async fn public_address(gateways: Gateways) -> Option<IpAddr> {
    let by_upnp = async { upnp::find(gateways.discovery).await.ok()?.public_address().await.ok() };
    let by_port_control = async { Some(gateways.port_control().await.ok()?.public_address) };
    tokio::pin!(by_upnp, by_port_control);
    // Whoever answers first; one that does not answer is waited for a while.
    tokio::select! {
        Some(address) = &mut by_upnp => Some(address),
        Some(address) = &mut by_port_control => Some(address),
        else => None,
    }
}

/// Has the router pass ports on to this machine.
pub(crate) async fn open(gateways: Gateways, mappings: &[Mapping]) -> Result<Opened, GatewayError> {
    // Looked for meanwhile, since it takes a while to know that there is none.
    let upnp = upnp::find(gateways.discovery);
    tokio::pin!(upnp);
    let mut found = None;
    let port_control = gateways.port_control();
    tokio::pin!(port_control);
    let port_control = loop {
        tokio::select! {
            answer = &mut port_control => break answer,
            answer = &mut upnp, if found.is_none() => found = Some(answer),
        }
    };
    let refused = match &port_control {
        Ok(router) => match open_by_port_control(router, mappings).await {
            Ok(opened) => return public(opened),
            Err(refused) => Some(refused),
        },
        Err(_) => None,
    };
    let upnp = match found {
        Some(found) => found,
        None => upnp.await,
    };
    match (upnp, refused, port_control) {
        // Some routers take the one and not the other.
        (Ok(upnp), _, _) => public(open_by_upnp(&upnp, mappings).await?),
        (Err(_), Some(refused), _) => Err(refused),
        (Err(upnp), None, port_control) => {
            Err(GatewayError::Silent { upnp, port_control: port_control.err().unwrap_or_default() })
        }
    }
}

fn public(opened: Opened) -> Result<Opened, GatewayError> {
    if is_global_unicast(opened.address) { Ok(opened) } else { Err(GatewayError::NotPublic(opened.address)) }
}

async fn open_by_upnp(router: &upnp::Router, mappings: &[Mapping]) -> Result<Opened, GatewayError> {
    let by = Protocol::Upnp;
    for mapping in mappings {
        let port = mapping.external;
        router.add(*mapping).await.map_err(|reason| GatewayError::Refused { by, port, reason })?;
    }
    let port = mappings.first().map_or(0, |mapping| mapping.external);
    let address = router.public_address().await.map_err(|reason| GatewayError::Refused { by, port, reason })?;
    Ok(Opened { address, by })
}

async fn open_by_port_control(router: &port_control::Router, mappings: &[Mapping]) -> Result<Opened, GatewayError> {
    let by = router.protocol;
    for mapping in mappings {
        let port = mapping.external;
        router.add(*mapping).await.map_err(|reason| GatewayError::Refused { by, port, reason })?;
    }
    Ok(Opened { address: router.public_address, by })
}

/// Returns the address of this machine that the router sees. Connecting a datagram socket sends nothing.
fn own_address(router: SocketAddr) -> std::io::Result<IpAddr> {
    let any: SocketAddr = if router.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0; 16], 0).into() };
    let socket = UdpSocket::bind(any)?;
    socket.connect(router)?;
    Ok(socket.local_addr()?.ip())
}
