//! `router.ports`: whether the router passes ports on, where the server has it do that.

use crate::doctor::facts::Facts;
use crate::doctor::finding::Finding;
use crate::doctor::said::said;
use crate::gateway::{Grant, RouterStatus};

const MINUTE_MILLIS: i64 = 60 * 1000;

pub(in crate::doctor) fn evaluate(facts: &Facts, findings: &mut Vec<Finding>) {
    let Some(router) = facts.inside.as_ref().and_then(|inside| inside.router.as_ref()) else { return };
    findings.push(ports(facts, router));
}

fn ports(facts: &Facts, RouterStatus { ports, granted, problem }: &RouterStatus) -> Finding {
    const ID: &str = "router.ports";
    let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
    let ports = ports.join(", ");
    let Some(problem) = problem else {
        let Some(Grant { by, address, .. }) = granted else {
            return Finding::skipped(ID, said!("router.asked", "The router is being asked to open its ports."));
        };
        return Finding::good(
            ID,
            said!(
                "router.passes",
                "The router at {address} passes ports {ports} on to this machine (by {by}).",
                address,
                ports,
                by
            ),
        );
    };
    let own = facts.addresses.v4.map_or_else(|| "this machine".to_owned(), |own| own.to_string());
    let remedy = said!(
        "router.do",
        "Allow UPnP, NAT-PMP or PCP for this machine in the router's settings, or have it pass ports {ports} on to {own} there by hand, \
         and set network.open_ports to false.",
        ports,
        own
    );
    match granted {
        Some(Grant { by, at, .. }) => Finding::warning(
            ID,
            said!(
                "router.passed",
                "The router passed ports {ports} on (by {by}) {minutes} minutes ago and does not any more: {problem}.",
                ports,
                by,
                minutes = (facts.now_millis - at).max(0) / MINUTE_MILLIS,
                problem
            ),
            said!("router.passed.do", "The server asks again every minute.").then(remedy),
        ),
        None => Finding::error(
            ID,
            said!("router.refuses", "The router does not pass ports {ports} on: {problem}.", ports, problem),
            remedy,
        ),
    }
}
