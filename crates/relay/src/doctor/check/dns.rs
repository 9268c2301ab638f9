//! `dns.host`, `dns.wildcard`: whether the names lead somewhere, and to where this machine is.

use std::net::IpAddr;

use crate::doctor::facts::{Addresses, DnsFacts, Facts};
use crate::doctor::finding::Finding;
use crate::doctor::stands;
use crate::identity::address::is_global_unicast;

pub(in crate::doctor) fn evaluate(facts: &Facts, findings: &mut Vec<Finding>) {
    let Some(dns) = &facts.dns else {
        findings.push(Finding::notice("dns.host", "The server is for this machine alone, so no name is published for it.", ""));
        return;
    };
    findings.push(host(facts, dns));
    wildcards(facts, dns, findings);
}

fn host(facts: &Facts, dns: &DnsFacts) -> Finding {
    const ID: &str = "dns.host";
    let name = &facts.setup.host;
    let row = row(name, &facts.addresses);
    let mut found = Vec::new();
    let mut failures = Vec::new();
    for (resolver, answer) in &dns.host {
        match answer {
            Ok(addresses) => found.extend(addresses.iter().map(|address| (resolver, *address))),
            Err(reason) => failures.push(format!("{resolver}: {reason}")),
        }
    }
    if found.is_empty() {
        return Finding::error(ID, format!("{name} has no address ({}).", failures.join("; ")), row);
    }
    if let Some((_, private)) = found.iter().find(|(_, address)| !is_global_unicast(*address)) {
        return Finding::error(
            ID,
            format!("{name} leads to {private}, which only the local network reaches."),
            format!("Publish the public address instead. {row}"),
        );
    }
    if !failures.is_empty() {
        return Finding::warning(
            ID,
            format!("{name} is known to some DNS servers only ({}).", failures.join("; ")),
            "A new row takes some minutes, at times an hour, to be known everywhere. Wait, then run this again.",
        );
    }
    let mut addresses: Vec<IpAddr> = found.iter().map(|(_, address)| *address).collect();
    addresses.sort_unstable();
    addresses.dedup();
    let shown = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    // Only an address that is public itself can be compared; behind a router or a proxy others answer for this machine.
    let own = [facts.addresses.v4, facts.addresses.v6];
    let wrong = own.into_iter().flatten().filter(|own| is_global_unicast(*own)).find(|own| {
        let same_family = |address: &&IpAddr| address.is_ipv4() == own.is_ipv4();
        addresses.iter().filter(same_family).count() > 0 && !addresses.contains(own)
    });
    if let Some(own) = wrong {
        return Finding::warning(
            ID,
            format!("{name} leads to {shown}, and this machine has {own}."),
            format!("That is right if a proxy stands at {shown}. If not: {row}"),
        );
    }
    Finding::good(ID, format!("{name} leads to {shown}."))
}

fn wildcards(facts: &Facts, dns: &DnsFacts, findings: &mut Vec<Finding>) {
    const ID: &str = "dns.wildcard";
    for (name, answer) in &dns.wildcards {
        let domain = name.split_once('.').map_or(name.as_str(), |(_, domain)| domain);
        findings.push(match answer {
            Ok(addresses) if !addresses.is_empty() => {
                Finding::good(ID, format!("Names under {domain} have an address, so handles there work."))
            }
            _ if !stands(findings, &["dns.host"]) => {
                Finding::skipped(ID, format!("*.{domain} is looked at once {} has an address.", facts.setup.host))
            }
            Ok(_) | Err(_) => Finding::error(
                ID,
                format!("Names under {domain} have no address, so handles there cannot be verified."),
                row(&format!("*.{domain}"), &facts.addresses),
            ),
        });
    }
}

/// The rows to write at the DNS provider.
fn row(name: &str, addresses: &Addresses) -> String {
    let public = |address: Option<IpAddr>| address.filter(|address| is_global_unicast(*address));
    let rows: Vec<String> = [("A", public(addresses.v4)), ("AAAA", public(addresses.v6))]
        .into_iter()
        .filter_map(|(kind, address)| Some(format!("`{name}. {kind} {}`", address?)))
        .collect();
    if rows.is_empty() {
        return format!("At your DNS provider, write `{name}. A` with the public address of your network.");
    }
    format!("At your DNS provider, write {}.", rows.join(" and "))
}
