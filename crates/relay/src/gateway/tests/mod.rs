//! Routers of our own, on this machine.

use super::*;

mod port_control;
mod upnp;

const MAPPINGS: [Mapping; 2] = [Mapping { external: 443, internal: 8443 }, Mapping { external: 80, internal: 8080 }];

fn gateways(discovery: SocketAddr, port_control: Option<SocketAddr>) -> Gateways {
    Gateways { discovery, port_control }
}

/// An address where nobody answers; whoever asks there is not refused either.
struct Silent(tokio::net::UdpSocket);

impl Silent {
    async fn start() -> Self {
        Self(tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap())
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }
}

#[tokio::test]
async fn silence_is_not_waited_for_long() {
    let nobody = Silent::start().await;
    let begun = tokio::time::Instant::now();
    let err = open(gateways(nobody.address(), Some(nobody.address())), &MAPPINGS).await.unwrap_err();
    assert!(matches!(err, GatewayError::Silent { .. }), "{err}");
    assert_eq!(public_address(gateways(nobody.address(), Some(nobody.address()))).await, None);
    assert!(begun.elapsed() < 5 * PATIENCE);
}

/// Where NAT-PMP is there and refuses, the other way is taken.
#[tokio::test]
async fn a_router_that_refuses_one_way_is_asked_the_other() {
    let upnp = self::upnp::Fake::start("203.0.114.7", self::upnp::Kind::Willing).await;
    let other = self::port_control::Fake::start(self::port_control::Kind::Unwilling).await;
    let opened = open(gateways(upnp.discovery, Some(other.address)), &MAPPINGS).await.unwrap();
    assert_eq!(opened.by, Protocol::Upnp);
    assert!(!other.mapped().is_empty());
}

/// Where both are there and willing, one is enough.
#[tokio::test]
async fn a_router_that_is_willing_is_asked_once() {
    let upnp = self::upnp::Fake::start("203.0.114.7", self::upnp::Kind::Willing).await;
    let other = self::port_control::Fake::start(self::port_control::Kind::NatPmp).await;
    let opened = open(gateways(upnp.discovery, Some(other.address)), &MAPPINGS).await.unwrap();
    assert_eq!(opened.by, Protocol::NatPmp);
    assert_eq!(upnp.asked(), Vec::<String>::new());
}
