//! `plc`, `appview`, `crawler`: what the server calls.

use crate::doctor::facts::Facts;
use crate::doctor::finding::Finding;

pub(in crate::doctor) fn evaluate(facts: &Facts, findings: &mut Vec<Finding>) {
    for service in &facts.services {
        findings.push(match &service.problem {
            None => Finding::good(service.id, format!("The {} at {} answers.", service.name, service.url)),
            Some(problem) => Finding::error(
                service.id,
                format!("The {} at {} does not answer: {problem}.", service.name, service.url),
                "Check that this machine can call out (firewall, DNS); if it can, the trouble is at the other end and will pass.",
            ),
        });
    }
}
