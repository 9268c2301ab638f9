//! `clock`, `clock.sync`: whether this machine's clock agrees with others', and whether it will go on to.

use crate::doctor::facts::Facts;
use crate::doctor::finding::Finding;
use crate::doctor::said::said;

/// Tokens and records of others seem to come from the future beyond this.
const WARNING_MILLIS: i64 = 5_000;
const ERROR_MILLIS: i64 = 30_000;

pub(in crate::doctor) fn evaluate(facts: &Facts, findings: &mut Vec<Finding>) {
    compare(facts, findings);
    match facts.machine.clock_is_set {
        Some(true) => {
            findings.push(Finding::good("clock.sync", said!("clock.synced", "The system sets its clock by the network.")));
        }
        Some(false) => findings.push(Finding::notice(
            "clock.sync",
            said!("clock.drifts", "The system does not set its clock by the network, so it will go wrong in time."),
            said!("clock.drifts.do", "`sudo timedatectl set-ntp true`. In a virtual machine or container the host may do it."),
        )),
        None => {}
    }
}

fn compare(facts: &Facts, findings: &mut Vec<Finding>) {
    let mut ahead: Vec<i64> = facts.clocks.iter().map(|(_, ahead)| *ahead).collect();
    ahead.sort_unstable();
    // The middle one: a single host with a wrong clock is not believed.
    let Some(&ahead) = ahead.get(ahead.len() / 2) else {
        findings.push(Finding::skipped("clock", said!("clock.unknown", "No other host told the time.")));
        return;
    };
    let hosts = facts.clocks.iter().map(|(host, _)| host.as_str()).collect::<Vec<_>>().join(", ");
    let off = ahead.abs();
    if off < WARNING_MILLIS {
        findings.push(Finding::good("clock", said!("clock.right", "The clock agrees with that of {hosts}.", hosts)));
        return;
    }
    let seconds = off / 1000;
    let sentence = if ahead > 0 {
        said!("clock.fast", "The clock of this machine is {seconds} s fast, compared with {hosts}.", seconds, hosts)
    } else {
        said!("clock.slow", "The clock of this machine is {seconds} s slow, compared with {hosts}.", seconds, hosts)
    };
    let remedy = said!(
        "clock.set",
        "Set it by the network: `sudo timedatectl set-ntp true` on Linux, Settings > General > Date & Time on macOS."
    );
    findings.push(if off < ERROR_MILLIS {
        Finding::warning("clock", sentence, remedy)
    } else {
        Finding::error("clock", sentence, remedy)
    });
}
