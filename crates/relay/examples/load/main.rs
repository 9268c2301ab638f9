//! Measures PDSs side by side over their public API, and checks what they answer while it measures.
//!
//! `tests/load/run.sh` is the command; tests/load/README.md tells what is measured and how to read it.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it prints a table")]

mod client;
mod crash;
mod fairness;
mod firehose;
mod idle;
mod many;
mod report;
mod scenarios;
mod servers;
mod user;

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use serde_json::json;

use crate::report::Report;
use crate::scenarios::SCENARIOS;
use crate::servers::{Kind, Pds};

/// Whatever goes wrong ends a measurement, and is told as it is.
type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, Parser)]
struct Args {
    /// The program to measure
    #[arg(long)]
    relay: PathBuf,
    /// The folder with the official PDS (tests/clients/official, after its install.sh)
    #[arg(long)]
    official: Option<PathBuf>,
    /// Only scenarios whose name begins with one of these
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Most seconds for each scenario and server
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// How often each scenario is run; the best run counts, since others use the machine too
    #[arg(long, default_value_t = 2)]
    rounds: usize,
    /// Where the raw results go
    #[arg(long)]
    out: Option<PathBuf>,
    /// Where servers keep their data [default: a temporary folder]
    #[arg(long)]
    data: Option<PathBuf>,
    /// Subscribers of the fan-out
    #[arg(long, default_value_t = 200)]
    subscribers: usize,
    /// Only look what one who takes all that he can get does to the others (--only picks disturbers; 10 seconds each are enough)
    #[arg(long)]
    fairness: bool,
    /// Only look how the server bears so many accounts; --records each, in the folder --data, which they stay in
    #[arg(long, requires = "data")]
    many: Option<usize>,
    #[arg(long, default_value_t = 100)]
    records: usize,
    /// Only look how the server bears so many open connections that say nothing, and a tenth as many subscribers
    #[arg(long)]
    idle: Option<usize>,
    /// Kill the program with signal 9 in the middle of writes so many times, and look whether anything is lost
    #[arg(long, default_value_t = 3)]
    kills: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let args = Args::parse();
    let temporary = tempfile::Builder::new().prefix("load-").tempdir()?;
    let data = args.data.clone().unwrap_or_else(|| temporary.path().to_owned());
    let limit = Duration::from_secs(args.seconds);
    if let Some(accounts) = args.many {
        return write_out(&args, &many::run(&args.relay, &data, accounts, args.records, limit).await?);
    }
    let mut servers = vec![Pds::relay(&args.relay, &data.join("relay")).await?];
    if let Some(official) = &args.official
        && !args.fairness
        && args.idle.is_none()
    {
        let plc = servers[0].plc.clone();
        servers.push(Pds::official(official, &data.join("official"), &plc).await?);
    }
    let mut report = Report::new(servers.iter().map(|server| server.kind));
    for server in &mut servers {
        server.settle().await;
        report.note(server.kind, "start_ms", json!(server.start.as_millis()));
        report.note(server.kind, "idle_mib", json!(server.rss_mib()));
        server.prepare(20).await?;
    }
    if args.fairness {
        let besides = fairness::run(&servers[0], &args.only, limit).await?;
        return write_out(&args, &json!(besides.iter().map(fairness::Beside::json).collect::<Vec<_>>()));
    }
    if let Some(connections) = args.idle {
        return write_out(&args, &idle::run(&servers[0], connections, limit).await?);
    }
    for scenario in SCENARIOS {
        if !args.only.is_empty() && !args.only.iter().any(|only| scenario.name.starts_with(only.as_str())) {
            continue;
        }
        for _ in 0..args.rounds {
            for server in &servers {
                match scenarios::run(scenario, server, limit, args.subscribers).await {
                    Ok(measured) => report.add(scenario.name, server.kind, measured),
                    Err(err) => report.failed(scenario.name, server.kind, &err.to_string()),
                }
            }
        }
        report.print_last(scenario.name);
    }
    for server in &mut servers {
        report.note(server.kind, "after_all_mib", json!(server.rss_mib()));
        match server.disk_per_post().await {
            Ok(bytes) => report.note(server.kind, "disk_bytes_per_post", json!(bytes)),
            Err(err) => report.failed("disk", server.kind, &err.to_string()),
        }
    }
    for server in servers {
        server.stop().await;
    }
    if args.kills > 0 {
        match crash::nothing_is_lost(&args.relay, &data.join("crash"), args.kills).await {
            Ok(told) => report.note(Kind::Relay, "kill_9", json!(told)),
            Err(err) => report.failed("kill -9", Kind::Relay, &err.to_string()),
        }
    }
    report.print();
    write_out(&args, &report.json())?;
    if report.has_failures() { Err("something failed; see above".into()) } else { Ok(()) }
}

fn write_out(args: &Args, results: &serde_json::Value) -> Result<()> {
    match &args.out {
        Some(out) => Ok(std::fs::write(out, serde_json::to_vec_pretty(results)?)?),
        None => Ok(()),
    }
}

/// Returns an error with this text unless the condition holds.
fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<()> {
    if holds { Ok(()) } else { Err(otherwise().into()) }
}
