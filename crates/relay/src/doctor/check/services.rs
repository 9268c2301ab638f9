//! `plc`, `appview`, `crawler`: what the server calls.

use crate::doctor::facts::Facts;
use crate::doctor::finding::Finding;
use crate::doctor::said::said;

pub(in crate::doctor) fn evaluate(facts: &Facts, findings: &mut Vec<Finding>) {
    for service in &facts.services {
        findings.push(match &service.problem {
            None => Finding::good(service.id, said!("service.answers", "The {name} at {url} answers.", name = service.name, url = service.url)),
            Some(problem) => Finding::error(
                service.id,
                said!("service.silent", "The {name} at {url} does not answer: {problem}.", name = service.name, url = service.url, problem),
                said!("service.silent.do", "Check that this machine can call out (firewall, DNS); if it can, the trouble is at the other end and will pass."),
            ),
        });
    }
}
