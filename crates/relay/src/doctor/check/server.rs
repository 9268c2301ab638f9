//! `server`: whether the server runs and has its address.

use crate::doctor::facts::{Facts, ServerFacts};
use crate::doctor::finding::Finding;
use crate::doctor::said::said;

pub(in crate::doctor) fn evaluate(facts: &Facts, findings: &mut Vec<Finding>) {
    findings.push(match &facts.server {
        ServerFacts::Answers => Finding::good("server", said!("server.runs", "The server runs.")),
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
            said!("server.taken.do", "Stop that program, or choose another address in server.bind."),
        ),
        ServerFacts::Refused { address, reason } => Finding::error(
            "server",
            said!("server.refused", "The server cannot listen on {address}: {reason}.", address, reason),
            said!("server.refused.do", "Ports below 1024 need a capability: `sudo setcap cap_net_bind_service=+ep $(command -v relay)`. An address has to \
             be one of this machine."),
        ),
    });
}
