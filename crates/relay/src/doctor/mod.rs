//! `relay doctor`: whether what the server stands on is as it must be, and what to do where it is not.
//!
//! [`probe`] looks at the machine and the network and writes [`Facts`]; [`evaluate`] is pure and turns them into findings, in
//! the order in which one depends on another. So every sentence is tested without a network.

mod check;
mod facts;
mod finding;
mod fix;
pub(crate) mod probe;
mod said;

#[cfg(test)]
pub(crate) use facts::Authorities;
pub(crate) use facts::{Addresses, DnsFacts, Facts, Inside, ServerFacts, Setup};
pub(crate) use finding::{Finding, Outcome};
pub(crate) use fix::{Mended, fix};

/// Returns what the facts mean, one finding for each check, in order of dependency.
pub(crate) fn evaluate(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    check::folder::evaluate(facts, &mut findings);
    check::secrets::evaluate(facts, &mut findings);
    check::machine::evaluate(facts, &mut findings);
    check::clock::evaluate(facts, &mut findings);
    check::server::evaluate(facts, &mut findings);
    check::address::evaluate(facts, &mut findings);
    check::router::evaluate(facts, &mut findings);
    if failed(&findings, &["ip.address"]) {
        check::address::skip_the_network(&mut findings);
    } else {
        check::dns::evaluate(facts, &mut findings);
        check::acme::evaluate(facts, &mut findings);
        check::renewal::evaluate(facts, &mut findings);
        check::public::evaluate(facts, &mut findings);
        check::services::evaluate(facts, &mut findings);
        check::accounts::evaluate(facts, &mut findings);
        check::crawlers::evaluate(facts, &mut findings);
        check::mail::evaluate(facts, &mut findings);
    }
    check::backup::evaluate(facts, &mut findings);
    check::release::evaluate(facts, &mut findings);
    findings
}

/// Whether all checks with these ids went well or were only noticed; a check that did not happen did not go well.
fn stands(findings: &[Finding], ids: &[&str]) -> bool {
    ids.iter().all(|id| {
        findings.iter().any(|finding| finding.id == *id)
            && findings.iter().filter(|finding| finding.id == *id).all(|finding| finding.outcome <= Outcome::Warning)
    })
}

/// Whether one of the checks with these ids found an error, from which others may follow.
fn failed(findings: &[Finding], ids: &[&str]) -> bool {
    findings.iter().any(|finding| finding.outcome == Outcome::Error && ids.contains(&finding.id))
}

#[cfg(test)]
mod tests;
