//! `acme`, `dns.caa`: the certificate authority, and whether DNS lets it issue for the names of the server.

use crate::doctor::facts::{AcmeFacts, CaaRecord, Facts};
use crate::doctor::finding::Finding;
use crate::doctor::said::said;

pub(in crate::doctor) fn evaluate(facts: &Facts, findings: &mut Vec<Finding>) {
    let Some(acme) = &facts.acme else { return };
    let names = match &acme.authority {
        Ok(names) => {
            findings.push(Finding::good(
                "acme",
                said!("acme.answers", "The certificate authority at {url} answers.", url = acme.url),
            ));
            names
        }
        Err(reason) => {
            findings.push(Finding::error(
                "acme",
                said!("acme.silent", "The certificate authority at {url} does not answer: {reason}.", url = acme.url, reason),
                said!("acme.silent.do", "Check tls.acme_directory, and that this machine can call out."),
            ));
            findings.push(Finding::skipped(
                "dns.caa",
                said!("caa.later", "It is looked at once the certificate authority answers."),
            ));
            return;
        }
    };
    // An authority that does not say what CAA calls it does not look at CAA.
    if let Some(first) = names.first() {
        let wrong = acme.names.iter().find_map(|(name, records)| judge(name, records, names, acme));
        let good = || {
            Finding::good(
                "dns.caa",
                said!("caa.good", "DNS lets {first} issue certificates for the names of the server.", first),
            )
        };
        findings.push(wrong.unwrap_or_else(good));
    }
}

fn judge(name: &str, records: &Result<Vec<CaaRecord>, String>, authority: &[String], acme: &AcmeFacts) -> Option<Finding> {
    const ID: &str = "dns.caa";
    let records = match records {
        Ok(records) => records,
        Err(reason) => {
            return Some(Finding::warning(
                ID,
                said!(
                    "caa.unknown",
                    "Whether DNS lets the authority issue certificates for {name} cannot be found out: {reason}.",
                    name,
                    reason
                ),
                said!(
                    "caa.unknown.do",
                    "The authority asks the same question, and refuses as long as it gets no answer. Tell your DNS provider."
                ),
            ));
        }
    };
    let known = |record: &&CaaRecord| matches!(record.tag.as_str(), "issue" | "issuewild" | "iodef" | "issuemail" | "issuevmc");
    if let Some(strange) = records.iter().find(|record| record.critical && !known(record)) {
        return Some(Finding::error(
            ID,
            said!(
                "caa.critical",
                "The CAA row `{owner} CAA 128 {tag}` of {domain} lets nobody issue who does not understand it.",
                owner = strange.owner,
                tag = strange.tag,
                domain = strange.owner
            ),
            said!("caa.critical.do", "Remove it, or write 0 in place of 128."),
        ));
    }
    // https://www.rfc-editor.org/rfc/rfc8659.html#section-4.3
    let wild = name.starts_with("*.") && records.iter().any(|record| record.tag == "issuewild");
    let tag = if wild { "issuewild" } else { "issue" };
    let relevant: Vec<&CaaRecord> = records.iter().filter(|record| record.tag == tag).collect();
    let owner = &relevant.first()?.owner;
    if relevant.iter().any(|record| permits(&record.value, authority, &acme.methods)) {
        return None;
    }
    let found = relevant.iter().map(|record| format!("\"{}\"", record.value)).collect::<Vec<_>>().join(", ");
    Some(Finding::error(
        ID,
        said!(
            "caa.forbidden",
            "The CAA rows of {owner} forbid {authority} to issue certificates for {name} (found {found}).",
            owner,
            authority = authority[0],
            name,
            found
        ),
        said!(
            "caa.forbidden.do",
            "At your DNS provider, add `{owner}. CAA 0 {tag} \"{authority}\"`.",
            owner,
            tag,
            authority = authority[0]
        ),
    ))
}

/// Whether the value of a record names the authority, and a way of proof that is used.
// https://www.rfc-editor.org/rfc/rfc8657.html#section-4
fn permits(value: &str, authority: &[String], methods: &[&str]) -> bool {
    let mut parts = value.split(';').map(str::trim);
    let issuer = parts.next().unwrap_or_default().trim_end_matches('.').to_lowercase();
    let methods_named = parts.find_map(|part| part.split_once('=').filter(|(key, _)| key.trim() == "validationmethods"));
    let method_fits = methods_named.is_none_or(|(_, named)| named.split(',').any(|method| methods.contains(&method.trim())));
    authority.contains(&issuer) && method_fits
}
