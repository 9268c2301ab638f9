//! `ip.address`: whether this machine can be reached from outside at all.

use std::net::IpAddr;

use crate::doctor::facts::Facts;
use crate::doctor::finding::Finding;
use crate::doctor::said::said;
use crate::identity::address::is_carrier_grade;

pub(in crate::doctor) fn evaluate(facts: &Facts, findings: &mut Vec<Finding>) {
    const ID: &str = "ip.address";
    if facts.setup.local {
        return;
    }
    let shown: Vec<String> = facts.addresses.all().map(|address| address.to_string()).collect();
    findings.push(match facts.addresses.v4 {
        _ if shown.is_empty() => Finding::error(
            ID,
            said!("address.offline", "This machine has no way to the network."),
            said!("address.offline.do", "Check its cable or Wi-Fi, and that it gets an address."),
        ),
        Some(IpAddr::V4(v4)) if is_carrier_grade(v4) && facts.addresses.v6.is_none() => Finding::warning(
            ID,
            said!(
                "address.shared",
                "The address {v4} is shared among customers of the provider, so nobody can call this machine by it.",
                v4
            ),
            said!(
                "address.shared.do",
                "Ask the provider for a public IPv4 address or for IPv6, or put a small rented server or a tunnel in front."
            ),
        ),
        _ if facts.addresses.public().next().is_some() => Finding::good(
            ID,
            said!("address.public", "This machine has a public address ({addresses}).", addresses = shown.join(", ")),
        ),
        _ => Finding::notice(
            ID,
            said!(
                "address.router",
                "This machine is behind a router; its own address is {address}.",
                address = shown.join(", ")
            ),
            said!("address.router.do", "The router has to pass ports 443 and 80 on to it (\"port forwarding\")."),
        ),
    });
}

/// Without a way to the network everything that is asked of others fails, and says nothing of itself.
pub(in crate::doctor) fn skip_the_network(findings: &mut Vec<Finding>) {
    let later = || said!("address.later", "It is looked at once this machine has a way to the network.");
    findings.extend(["dns.host", "http.health", "plc", "account.did", "mail"].map(|id| Finding::skipped(id, later())));
}
