//! `tls.renewal`: the certificates that the server orders.

use common::Datetime;

use crate::doctor::facts::Facts;
use crate::doctor::failed;
use crate::doctor::finding::Finding;
use crate::doctor::said::said;

const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;
/// Most names that are written out.
const MAX_NAMES: usize = 5;

pub(in crate::doctor) fn evaluate(facts: &Facts, findings: &mut Vec<Finding>) {
    const ID: &str = "tls.renewal";
    let Some(inside) = facts.inside.as_ref().filter(|inside| !inside.certificates.is_empty()) else { return };
    let before = findings.len();
    let waiting = inside.certificates.iter().filter(|certificate| certificate.problem.is_some()).count();
    if waiting > 0 && failed(findings, &["server", "dns.host", "acme", "dns.caa"]) {
        findings.push(Finding::skipped(
            ID,
            said!("renewal.follows", "{count} certificates cannot be had until that is mended.", count = waiting),
        ));
        return;
    }
    for certificate in &inside.certificates {
        let Some(problem) = certificate.problem.as_deref() else { continue };
        let problem = problem.trim_end_matches('.');
        let at = certificate.retry_at.filter(|at| *at > facts.now_millis).map(shown);
        let remedy = match (certificate.limited, at) {
            (true, Some(at)) => {
                said!("renewal.limited_until.do", "There is nothing to mend: the server tries again on {at}.", at)
            }
            (true, None) => said!("renewal.limited.do", "There is nothing to mend: the server tries again by itself."),
            (false, Some(at)) => said!(
                "renewal.at.do",
                "The server tries again by itself, on {at}. What the authority says is most often about DNS or ports 80 and 443.",
                at
            ),
            (false, None) => said!(
                "renewal.do",
                "The server tries again by itself. What the authority says is most often about DNS or ports 80 and 443."
            ),
        };
        findings.push(match certificate.not_after.map(|end| (end - facts.now_millis).div_euclid(DAY_MILLIS)) {
            Some(days) if days >= 0 => Finding::warning(
                ID,
                said!(
                    "renewal.late",
                    "The certificate of {name} is not renewed, and good for {days} more days: {problem}.",
                    name = certificate.name,
                    days,
                    problem
                ),
                remedy,
            ),
            _ => Finding::error(
                ID,
                said!("renewal.none", "There is no certificate for {name}: {problem}.", name = certificate.name, problem),
                remedy,
            ),
        });
        if findings.len() - before >= MAX_NAMES {
            return;
        }
    }
    if findings.len() == before {
        let count = inside.certificates.len();
        findings.push(Finding::good(
            ID,
            said!("renewal.good", "The {count} certificates that the server orders are current.", count),
        ));
    }
}

/// Writes a moment to the minute: `2026-11-24 14:00 UTC`.
fn shown(millis: i64) -> String {
    let text = Datetime::from_millis(millis);
    format!("{} UTC", text.as_str()[..16].replace('T', " "))
}
