//! `server`, `service`: whether the server runs and has its address, and whether it starts with the machine.

use crate::doctor::facts::{Facts, ServerFacts};
use crate::doctor::finding::Finding;
use crate::doctor::said::said;

pub(in crate::doctor) fn evaluate(facts: &Facts, findings: &mut Vec<Finding>) {
    findings.push(match &facts.server {
        ServerFacts::Answers => Finding::good("server", said!("server.runs", "The server runs.")),
        ServerFacts::Stopped { .. } if facts.service.as_ref().is_some_and(|service| !service.runs) => Finding::error(
            "server",
            said!("server.service_stopped", "The server does not run: its service is stopped."),
            said!("server.service_stopped.do", "`relay doctor --fix` starts it. `relay service logs` says why it ended."),
        )
        .fixable(),
        ServerFacts::Stopped { address } => Finding::error(
            "server",
            said!("server.stopped", "The server does not run: nothing answers at {address}.", address),
            said!("server.stopped.do", "Start it: `relay serve`, or `systemctl start relay` where it is a service. Its log says why it ended."),
        ),
        ServerFacts::Occupied { address, by } => Finding::error(
            "server",
            if let Some(by) = by {
                said!("server.taken_by", "{address} is taken by {by}.", address, by)
            } else {
                said!("server.taken", "{address} is taken by another program.", address)
            },
            if address.ends_with(":443") || address.ends_with(":80") {
                said!(
                    "server.taken_web.do",
                    "Stop that program, or let it pass requests on: set tls.mode to proxy; docs/PROXIES.md says what to write there."
                )
            } else {
                said!("server.taken.do", "Stop that program, or choose another address in server.bind.")
            },
        ),
        ServerFacts::Refused { address, reason } => Finding::error(
            "server",
            said!("server.refused", "The server cannot listen on {address}: {reason}.", address, reason),
            said!("server.refused.do", "Ports below 1024 need a capability: `sudo setcap cap_net_bind_service=+ep $(command -v relay)`. An address has to \
             be one of this machine."),
        ),
    });
    service(facts, findings);
}

fn service(facts: &Facts, findings: &mut Vec<Finding>) {
    const ID: &str = "service";
    let Some(service) = &facts.service else { return };
    findings.push(if service.enabled {
        Finding::good(ID, said!("service.enabled", "The server is a service, which starts with the machine."))
    } else {
        Finding::warning(
            ID,
            said!(
                "service.disabled",
                "The service does not start with the machine: after the next restart nobody gets to the server."
            ),
            said!("service.disabled.do", "Run `relay doctor --fix`, or `systemctl enable relay`."),
        )
        .fixable()
    });
}
