//! The machine's own addresses.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use crate::doctor::facts::Addresses;

/// Finds the addresses that packets to the world leave from. Connecting a datagram socket sends nothing.
pub(crate) fn look() -> Addresses {
    let own = |from: &str, to: &str| -> Option<IpAddr> {
        let socket = UdpSocket::bind(from).ok()?;
        socket.connect(to).ok()?;
        socket.local_addr().ok().map(|address: SocketAddr| address.ip()).filter(|ip| !ip.is_loopback())
    };
    Addresses { v4: own("0.0.0.0:0", "192.0.2.1:9"), v6: own("[::]:0", "[2001:db8::1]:9") }
}
