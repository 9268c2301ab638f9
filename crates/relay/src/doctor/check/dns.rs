//! `dns.servers`, `dns.host`, `dns.wildcard`: whether the names lead somewhere, and to where this machine is.

use std::net::IpAddr;

use crate::doctor::facts::{Addresses, Authorities, DnsFacts, Facts};
use crate::doctor::finding::Finding;
use crate::doctor::said::{Said, said};
use crate::doctor::stands;
use crate::identity::address::is_global_unicast;

pub(in crate::doctor) fn evaluate(facts: &Facts, findings: &mut Vec<Finding>) {
    let Some(dns) = &facts.dns else {
        findings.push(Finding::notice(
            "dns.host",
            said!("dns.local", "The server is for this machine alone, so no name is published for it."),
            Said::nothing(),
        ));
        return;
    };
    findings.push(servers(dns));
    findings.push(host(facts, dns));
    wildcards(facts, dns, findings);
}

fn servers(dns: &DnsFacts) -> Finding {
    const ID: &str = "dns.servers";
    let Authorities { zone, said } = match &dns.authorities {
        Ok(authorities) => authorities,
        Err(reason) => {
            return Finding::skipped(
                ID,
                said!("dns.not_asked", "The domain's own DNS servers were not asked: {reason}.", reason),
            );
        }
    };
    let silent: Vec<String> =
        said.iter().filter_map(|(server, answer)| Some(format!("{server}: {}", answer.as_ref().err()?))).collect();
    if silent.is_empty() {
        let names = said.iter().map(|(server, _)| server.as_str()).collect::<Vec<_>>().join(", ");
        return Finding::good(ID, said!("dns.answer", "The DNS servers of {zone} answer ({names}).", zone, names));
    }
    let sentence = said!(
        "dns.silent",
        "{count} of the {all} DNS servers of {zone} do not answer ({silent}).",
        count = silent.len(),
        all = said.len(),
        zone,
        silent = silent.join("; ")
    );
    Finding::warning(
        ID,
        sentence,
        said!(
            "dns.silent.do",
            "If others reach them, a firewall here keeps DNS from getting out. If not, the domain's registration names servers that \
         do not have the domain: correct them there."
        ),
    )
}

/// Says what is wrong with what the domain's own servers have, and with what others remember of it.
fn own_word(facts: &Facts, dns: &DnsFacts) -> Option<Finding> {
    const ID: &str = "dns.host";
    let name = &facts.setup.host;
    let Authorities { zone, said } = dns.authorities.as_ref().ok()?;
    let said: Vec<(&str, &[IpAddr])> =
        said.iter().filter_map(|(server, answer)| Some((server.as_str(), answer.as_deref().ok()?))).collect();
    let (_, first) = *said.first()?;
    if said.iter().all(|(_, addresses)| addresses.is_empty()) {
        let remembered = dns.host.iter().any(|(_, answer)| answer.is_ok());
        let sentence = if remembered {
            said!(
                "dns.removed",
                "The DNS servers of {zone} have no address for {name}; others still remember what was there.",
                zone,
                name
            )
        } else {
            said!("dns.missing", "The DNS servers of {zone} have no address for {name}.", zone, name)
        };
        return Some(Finding::error(ID, sentence, row(name, &facts.reached_by())));
    }
    if let Some((other, addresses)) = said.iter().find(|(_, addresses)| differ(first, addresses)) {
        return Some(Finding::warning(
            ID,
            said!(
                "dns.differ",
                "The DNS servers of {zone} do not agree: one has {first}, and {other} has {second}.",
                zone,
                first = shown(first),
                other,
                second = shown(addresses)
            ),
            said!(
                "dns.differ.do",
                "A change takes some minutes to get to all of them. If it does not, tell your DNS provider."
            ),
        ));
    }
    let (resolver, old) = dns.host.iter().find_map(|(resolver, answer)| {
        let known = answer.as_deref().unwrap_or_default();
        differ(first, known).then_some((resolver, known))
    })?;
    Some(Finding::warning(
        ID,
        said!(
            "dns.stale",
            "The DNS servers of {zone} have {new} for {name}, and {resolver} still has {old}.",
            zone,
            new = shown(first),
            name,
            resolver,
            old = shown(old)
        ),
        match dns.remembered_for.get(resolver) {
            Some(left) => said!(
                "dns.stale_until.do",
                "It forgets that in {minutes} minutes at the latest. Wait, then run this again.",
                minutes = left.as_secs().div_ceil(60)
            ),
            None => said!(
                "dns.stale.do",
                "What was there before is remembered for as long as its TTL said, at times for hours. Wait, then run this again."
            ),
        },
    ))
}

/// Whether two answers have nothing in common in a family of addresses; servers may give a part of many in turn.
fn differ(one: &[IpAddr], other: &[IpAddr]) -> bool {
    [IpAddr::is_ipv4, IpAddr::is_ipv6].into_iter().any(|of_family| {
        let part = |all: &[IpAddr]| all.iter().copied().filter(of_family).collect::<Vec<_>>();
        let (one, other) = (part(one), part(other));
        let common = one.iter().any(|address| other.contains(address));
        !common && one.len() + other.len() > 0
    })
}

fn shown(addresses: &[IpAddr]) -> String {
    if addresses.is_empty() {
        return "none".to_owned();
    }
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn host(facts: &Facts, dns: &DnsFacts) -> Finding {
    const ID: &str = "dns.host";
    let name = &facts.setup.host;
    if let Some(finding) = own_word(facts, dns) {
        return finding;
    }
    let row = row(name, &facts.reached_by());
    let mut found = Vec::new();
    let mut failures = Vec::new();
    for (resolver, answer) in &dns.host {
        match answer {
            Ok(addresses) => found.extend(addresses.iter().map(|address| (resolver, *address))),
            Err(reason) => failures.push(format!("{resolver}: {reason}")),
        }
    }
    if found.is_empty() {
        return Finding::error(
            ID,
            said!("dns.none", "{name} has no address ({reasons}).", name, reasons = failures.join("; ")),
            row,
        );
    }
    if let Some((_, private)) = found.iter().find(|(_, address)| !is_global_unicast(*address)) {
        return Finding::error(
            ID,
            said!("dns.private", "{name} leads to {private}, which only the local network reaches.", name, private),
            said!("dns.private.do", "Publish the public address instead.").then(row),
        );
    }
    if !failures.is_empty() {
        return Finding::warning(
            ID,
            said!("dns.partly", "{name} is known to some DNS servers only ({reasons}).", name, reasons = failures.join("; ")),
            said!(
                "dns.partly.do",
                "A new row takes some minutes, at times an hour, to be known everywhere. Wait, then run this again."
            ),
        );
    }
    let mut addresses: Vec<IpAddr> = found.iter().map(|(_, address)| *address).collect();
    addresses.sort_unstable();
    addresses.dedup();
    let shown = shown(&addresses);
    // Only an address that is public itself can be compared; behind a router or a proxy others answer for this machine.
    let reached_by = facts.reached_by();
    let wrong = reached_by.public().find(|own| {
        let same_family = |address: &&IpAddr| address.is_ipv4() == own.is_ipv4();
        addresses.iter().filter(same_family).count() > 0 && !addresses.contains(own)
    });
    if let Some(own) = wrong {
        return Finding::warning(
            ID,
            said!("dns.other", "{name} leads to {shown}, and this machine has {own}.", name, shown, own),
            said!("dns.other.do", "That is right if a proxy stands at {shown}. If not:", shown).then(row),
        );
    }
    Finding::good(ID, said!("dns.right", "{name} leads to {shown}.", name, shown))
}

fn wildcards(facts: &Facts, dns: &DnsFacts, findings: &mut Vec<Finding>) {
    const ID: &str = "dns.wildcard";
    for (name, answer) in &dns.wildcards {
        let domain = name.split_once('.').map_or(name.as_str(), |(_, domain)| domain);
        findings.push(match answer {
            Ok(addresses) if !addresses.is_empty() => {
                Finding::good(ID, said!("dns.wildcard", "Names under {domain} have an address, so handles there work.", domain))
            }
            _ if !stands(findings, &["dns.host"]) => Finding::skipped(
                ID,
                said!(
                    "dns.wildcard_later",
                    "*.{domain} is looked at once {host} has an address.",
                    domain,
                    host = facts.setup.host
                ),
            ),
            Ok(_) | Err(_) => Finding::error(
                ID,
                said!(
                    "dns.wildcard_missing",
                    "Names under {domain} have no address, so handles there cannot be verified.",
                    domain
                ),
                row(&format!("*.{domain}"), &facts.reached_by()),
            ),
        });
    }
}

/// The rows to write at the DNS provider.
fn row(name: &str, addresses: &Addresses) -> Said {
    let kind = |address: &IpAddr| if address.is_ipv4() { "A" } else { "AAAA" };
    let rows: Vec<String> = addresses.public().map(|address| format!("`{name}. {} {address}`", kind(&address))).collect();
    match rows.as_slice() {
        [] => {
            said!("dns.row_unknown", "At your DNS provider, write `{name}. A` with the public address of your network.", name)
        }
        [row] => said!("dns.row", "At your DNS provider, write {row}.", row),
        [row, second, ..] => said!("dns.rows", "At your DNS provider, write {row} and {second}.", row, second),
    }
}
