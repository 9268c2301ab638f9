//! What was measured, as a table and as JSON.

use std::time::Duration;

use serde_json::{Value, json};

use crate::servers::Kind;

/// A run of one scenario.
#[derive(Clone, Debug, Default)]
pub(crate) struct Measured {
    /// Requests, or what else the scenario counts: records, events, megabytes.
    pub(crate) count: f64,
    pub(crate) unit: &'static str,
    pub(crate) elapsed: Duration,
    /// CPU time of the server.
    pub(crate) cpu: Duration,
    /// In microseconds, of each request.
    pub(crate) latencies: Vec<u64>,
    pub(crate) rss_mib: f64,
}

impl Measured {
    fn rate(&self) -> f64 {
        self.count / self.elapsed.as_secs_f64().max(1e-9)
    }

    fn cpu_us(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.count.max(1.0)
    }

    fn quantile_ms(&self, part: f64) -> f64 {
        quantile_ms(&self.latencies, part)
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "count": self.count, "unit": self.unit, "seconds": self.elapsed.as_secs_f64(), "per_second": self.rate(),
            "server_cpu_us_each": self.cpu_us(), "p50_ms": self.quantile_ms(0.5), "p99_ms": self.quantile_ms(0.99),
            "rss_mib": self.rss_mib,
        })
    }
}

/// Returns the time, in milliseconds, within which this part of `latencies` lies, which are in microseconds.
pub(crate) fn quantile_ms(latencies: &[u64], part: f64) -> f64 {
    let mut sorted = latencies.to_vec();
    sorted.sort_unstable();
    let at = ((sorted.len() as f64 * part).ceil() as usize).clamp(1, sorted.len().max(1)) - 1;
    sorted.get(at).map_or(0.0, |&micros| micros as f64 / 1000.0)
}

/// Everything that a run found out.
#[derive(Debug)]
pub(crate) struct Report {
    kinds: Vec<Kind>,
    runs: Vec<(&'static str, Kind, Measured)>,
    notes: Vec<(Kind, &'static str, Value)>,
    failures: Vec<String>,
}

impl Report {
    pub(crate) fn new(kinds: impl Iterator<Item = Kind>) -> Self {
        println!("| scenario | relay/s | official/s | ratio | p50, p99 ms | official | server CPU us each | official |");
        println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
        Self { kinds: kinds.collect(), runs: Vec::new(), notes: Vec::new(), failures: Vec::new() }
    }

    pub(crate) fn add(&mut self, scenario: &'static str, kind: Kind, measured: Measured) {
        self.runs.push((scenario, kind, measured));
    }

    pub(crate) fn note(&mut self, kind: Kind, what: &'static str, value: Value) {
        self.notes.push((kind, what, value));
    }

    pub(crate) fn failed(&mut self, scenario: &str, kind: Kind, why: &str) {
        eprintln!("FAILED {scenario} ({}): {why}", kind.name());
        self.failures.push(format!("{scenario} ({}): {why}", kind.name()));
    }

    pub(crate) fn has_failures(&self) -> bool {
        !self.failures.is_empty()
    }

    fn best(&self, scenario: &str, kind: Kind) -> Option<&Measured> {
        let runs = self.runs.iter().filter(|run| run.0 == scenario && run.1 == kind).map(|run| &run.2);
        runs.max_by(|a, b| a.rate().total_cmp(&b.rate()))
    }

    /// Prints the row of a scenario.
    pub(crate) fn print_last(&self, scenario: &str) {
        let (ours, theirs) = (self.best(scenario, Kind::Relay), self.best(scenario, Kind::Official));
        let rate = |m: Option<&Measured>| m.map_or("-".into(), |m| format!("{:.0}", m.rate()));
        let times =
            |m: Option<&Measured>| m.map_or("-".into(), |m| format!("{:.2}, {:.2}", m.quantile_ms(0.5), m.quantile_ms(0.99)));
        let cpu = |m: Option<&Measured>| m.map_or("-".into(), |m| format!("{:.1}", m.cpu_us()));
        let ratio = ours.zip(theirs).map_or("-".into(), |(a, b)| format!("{:.1} x", a.rate() / b.rate()));
        let unit = ours.or(theirs).map_or("", |m| m.unit);
        println!(
            "| {scenario} ({unit}) | {} | {} | {ratio} | {} | {} | {} | {} |",
            rate(ours),
            rate(theirs),
            times(ours),
            times(theirs),
            cpu(ours),
            cpu(theirs)
        );
    }

    /// Prints what is no scenario.
    pub(crate) fn print(&self) {
        println!();
        for (kind, what, value) in &self.notes {
            println!("{}: {what}: {value}", kind.name());
        }
        for failure in &self.failures {
            println!("FAILED {failure}");
        }
    }

    pub(crate) fn json(&self) -> Value {
        let run =
            |(name, kind, m): &(&str, Kind, Measured)| json!({ "scenario": name, "server": kind.name(), "measured": m.json() });
        let note = |(kind, what, value): &(Kind, &str, Value)| json!({ "server": kind.name(), "what": what, "value": value });
        json!({
            "servers": self.kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>(),
            "cores": std::thread::available_parallelism().map_or(0, usize::from),
            "runs": self.runs.iter().map(run).collect::<Vec<_>>(),
            "notes": self.notes.iter().map(note).collect::<Vec<_>>(),
            "failures": self.failures,
        })
    }
}
