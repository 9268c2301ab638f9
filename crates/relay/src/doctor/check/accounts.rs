//! `account.handle`, `account.did`: whether the world finds the accounts here.

use crate::doctor::facts::{AccountFacts, Facts, Published};
use crate::doctor::failed;
use crate::doctor::finding::Finding;
use crate::doctor::said::said;

pub(in crate::doctor) fn evaluate(facts: &Facts, findings: &mut Vec<Finding>) {
    let accounts = match &facts.accounts {
        Ok(accounts) => accounts,
        Err(reason) => {
            findings.push(Finding::skipped(
                "account.did",
                said!("account.unknown", "The accounts were not looked at: {reason}.", reason),
            ));
            return;
        }
    };
    if accounts.is_empty() {
        let domain = facts.setup.handle_domains.first().map_or(".example.com", String::as_str);
        findings.push(Finding::notice(
            "account.did",
            said!("account.none", "There is no account yet."),
            said!("account.none.do", "Make one: `relay account create alice{domain} --email alice@example.com`.", domain),
        ));
        return;
    }
    let before = findings.len();
    let no_directory = failed(findings, &["plc"]);
    let no_names = failed(findings, &["server", "dns.host", "dns.wildcard", "tls.renewal", "tls.certificate", "http.health"]);
    let (mut undocumented, mut unnamed) = (0, 0);
    for account in accounts {
        if no_directory && account.document.is_err() && account.did.as_str().starts_with("did:plc:") {
            undocumented += 1;
        } else {
            findings.extend(did(facts, account));
        }
        let named_here = |domain: &String| account.handle.as_str().ends_with(domain.as_str());
        let named_here = facts.setup.handle_domains.iter().any(named_here);
        if named_here && no_names && account.resolved.is_err() {
            unnamed += 1;
        } else if !(facts.setup.local && named_here) {
            // No DNS has the names of a server for this machine alone.
            findings.extend(handle(account));
        }
    }
    // One cause is told once, and not for each account.
    if undocumented > 0 {
        findings.push(Finding::skipped(
            "account.did",
            said!(
                "account.later_directory",
                "The documents of {count} accounts are looked at once the PLC directory answers.",
                count = undocumented
            ),
        ));
    }
    if unnamed > 0 {
        findings.push(Finding::skipped(
            "account.handle",
            said!(
                "account.later_names",
                "The handles of {count} accounts are looked at once the world gets to this server by its name.",
                count = unnamed
            ),
        ));
    }
    if findings.len() == before {
        findings.push(Finding::good(
            "account.did",
            match accounts.len() {
                1 => said!("account.found_one", "The account is found by handle and DID."),
                count => said!("account.found", "{count} accounts are found by handle and DID.", count),
            },
        ));
    }
}

fn did(facts: &Facts, account: &AccountFacts) -> Option<Finding> {
    const ID: &str = "account.did";
    let (did, own) = (&account.did, facts.setup.public_url.as_str());
    match &account.document {
        Err(reason) => Some(Finding::error(
            ID,
            said!("account.document", "The document of {did} cannot be had: {reason}.", did, reason),
            said!("account.document.do", "For did:plc the PLC directory has to answer; for did:web, the account's own host."),
        )),
        Ok(Published { server: Some(server), handle, signing_key }) if server.trim_end_matches('/') == own => match handle {
            _ if account.signing_key.as_ref().is_some_and(|own| signing_key.as_ref() != Some(own)) => Some(Finding::error(
                ID,
                said!(
                    "account.key_differs",
                    "The document of {did} ({handle}) has another signing key than this server, so nobody believes what is posted.",
                    did,
                    handle = account.handle
                ),
                said!(
                    "account.key_differs.do",
                    "`relay rotate signing-key {did}` publishes a key of this server. If an older backup was restored, that is what is missing.",
                    did
                ),
            )),
            Some(handle) if *handle != account.handle => Some(Finding::warning(
                ID,
                said!(
                    "account.names_differ",
                    "The document of {did} has the handle {handle}, and this server {here}.",
                    did,
                    handle,
                    here = account.handle
                ),
                said!("account.names_differ.do", "Set the handle again in the app, so that both say the same."),
            )),
            Some(_) | None => None,
        },
        Ok(Published { server, .. }) => Some(Finding::error(
            ID,
            match server {
                Some(place) => said!(
                    "account.elsewhere",
                    "The document of {did} ({handle}) says that the account is at {place}.",
                    did,
                    handle = account.handle,
                    place
                ),
                None => {
                    said!("account.nowhere", "The document of {did} ({handle}) names no server.", did, handle = account.handle)
                }
            },
            said!(
                "account.elsewhere.do",
                "If the account moved away, deactivate it here. If this server moved, update its DID: docs/OPERATIONS.md."
            ),
        )),
    }
}

fn handle(account: &AccountFacts) -> Option<Finding> {
    const ID: &str = "account.handle";
    let (did, handle) = (&account.did, &account.handle);
    match &account.resolved {
        Ok(resolved) if resolved == did => None,
        Ok(resolved) => Some(Finding::error(
            ID,
            said!("account.handle_taken", "The handle {handle} leads to {resolved}, and not to {did}.", handle, resolved, did),
            said!(
                "account.handle_taken.do",
                "Somebody else's DNS row or file has the name. Change it there, or choose another handle."
            ),
        )),
        Err(reason) => Some(Finding::error(
            ID,
            said!(
                "account.handle_lost",
                "The handle {handle} leads nowhere, so apps show it as invalid: {reason}.",
                handle,
                reason
            ),
            said!(
                "account.handle_lost.do",
                "Under a domain of this server *.DOMAIN has to lead here. For an own domain write the DNS row `_atproto.{handle}. TXT \"did={did}\"`.",
                handle,
                did
            ),
        )),
    }
}
