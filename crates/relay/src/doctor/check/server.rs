//! `server`: whether the server runs and has its address.

use crate::doctor::facts::{Facts, ServerFacts};
use crate::doctor::finding::Finding;

pub(in crate::doctor) fn evaluate(facts: &Facts, findings: &mut Vec<Finding>) {
    findings.push(match &facts.server {
        ServerFacts::Answers => Finding::good("server", "The server runs."),
        ServerFacts::Stopped { address } => Finding::error(
            "server",
            format!("The server does not run: nothing answers at {address}."),
            "Start it: `relay serve`, or `systemctl start relay` where it is a service. Its log says why it ended.",
        ),
        ServerFacts::Occupied { address, by } => Finding::error(
            "server",
            format!("{address} is taken by {}.", by.as_deref().unwrap_or("another program")),
            "Stop that program, or choose another address in server.bind.",
        ),
        ServerFacts::Refused { address, reason } => Finding::error(
            "server",
            format!("The server cannot listen on {address}: {reason}."),
            "Ports below 1024 need a capability: `sudo setcap cap_net_bind_service=+ep $(command -v relay)`. An address has to \
             be one of this machine.",
        ),
    });
}
