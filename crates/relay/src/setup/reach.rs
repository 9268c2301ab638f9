//! Whether the world can reach this machine: its ports and its address.

use std::net::{IpAddr, SocketAddr};

use crate::config::Config;
use crate::doctor::probe::{addresses, server};
use crate::doctor::{Addresses, ServerFacts};
use crate::identity::address::{is_carrier_grade, is_global_unicast};

/// How a port of this machine is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PortState {
    Free,
    /// Another program has it; its name, where the system tells.
    Taken(Option<String>),
    /// This user may not have it.
    Refused(String),
}

/// Where this machine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Location {
    /// It has this public address.
    Public(IpAddr),
    /// It is behind a router, and has this address there.
    BehindRouter(IpAddr),
    /// The provider shares one address among customers.
    CarrierGrade(IpAddr),
    Offline,
}

/// What is known of how the world reaches this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    /// The ports that TLS takes, in the order of the configuration.
    pub(crate) ports: Vec<(SocketAddr, PortState)>,
    pub(crate) location: Location,
    /// Whether the router takes questions, so that it could open its ports.
    pub(crate) router_answers: bool,
}

impl Reach {
    /// Looks at this machine.
    pub(crate) fn look(config: &Config) -> Self {
        let addresses = config.tls.https_bind.iter().chain(&config.tls.http_bind);
        // One family of each port will do; the other is bound where there is one.
        let mut ports: Vec<(SocketAddr, PortState)> = Vec::new();
        for address in addresses {
            if ports.iter().all(|(known, _)| known.port() != address.port()) {
                ports.push((*address, port_state(server::free(*address))));
            }
        }
        Self { ports, location: locate(&addresses::look()), router_answers: false }
    }

    /// Takes what the router says of its own address. One that has no public address is behind another, the provider's.
    pub(super) fn ask_router(&mut self, address: Option<IpAddr>) {
        self.router_answers = address.is_some();
        if let Some(shared) = address.filter(|address| !is_global_unicast(*address)) {
            self.location = Location::CarrierGrade(shared);
        }
    }

    /// Whether this server could speak TLS here itself.
    pub(crate) fn ports_are_free(&self) -> bool {
        self.ports.iter().all(|(_, state)| *state == PortState::Free)
    }
}

fn port_state(facts: ServerFacts) -> PortState {
    match facts {
        ServerFacts::Stopped { .. } | ServerFacts::Answers => PortState::Free,
        ServerFacts::Occupied { by, .. } => PortState::Taken(by),
        ServerFacts::Refused { reason, .. } => PortState::Refused(reason),
    }
}

fn locate(own: &Addresses) -> Location {
    if let Some(public) = own.public().next() {
        return Location::Public(public);
    }
    match own.all().next() {
        Some(IpAddr::V4(v4)) if is_carrier_grade(v4) => Location::CarrierGrade(IpAddr::V4(v4)),
        Some(address) => Location::BehindRouter(address),
        None => Location::Offline,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_machine_is() {
        let at = |v4: Option<&str>, v6: Option<&str>| {
            locate(&Addresses { v4: v4.map(|ip| ip.parse().unwrap()), v6: v6.map(|ip| ip.parse().unwrap()) })
        };
        assert_eq!(at(Some("203.0.114.7"), None), Location::Public("203.0.114.7".parse().unwrap()));
        assert_eq!(at(Some("192.168.1.2"), None), Location::BehindRouter("192.168.1.2".parse().unwrap()));
        assert_eq!(at(Some("100.70.1.2"), None), Location::CarrierGrade("100.70.1.2".parse().unwrap()));
        let over_v6 = at(Some("100.70.1.2"), Some("2a00:1450::1"));
        assert_eq!(over_v6, Location::Public("2a00:1450::1".parse().unwrap()), "IPv6 needs no router's help");
        assert_eq!(at(None, None), Location::Offline);
    }

    #[test]
    fn who_has_a_port_is_named() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let state = port_state(server::free(socket.local_addr().unwrap()));
        assert!(matches!(&state, PortState::Taken(_)), "{state:?}");
        #[cfg(target_os = "linux")]
        assert!(matches!(state, PortState::Taken(Some(by)) if by.ends_with(&format!("(process {})", std::process::id()))));
    }

    #[test]
    fn a_router_behind_another_is_told() {
        let router = "192.168.1.2".parse().unwrap();
        let reach = || Reach { ports: Vec::new(), location: Location::BehindRouter(router), router_answers: false };
        let after = |address: Option<&str>| {
            let mut reach = reach();
            reach.ask_router(address.map(|ip| ip.parse().unwrap()));
            (reach.location, reach.router_answers)
        };
        assert_eq!(after(Some("203.0.114.7")), (Location::BehindRouter(router), true));
        assert_eq!(after(Some("100.70.1.2")), (Location::CarrierGrade("100.70.1.2".parse().unwrap()), true));
        assert_eq!(after(None), (Location::BehindRouter(router), false));
    }
}
