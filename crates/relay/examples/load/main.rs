//! Measures PDSs side by side over their public API, and checks what they answer while it measures.
//!
//! `tests/load/run.sh` is the command; tests/load/README.md tells what is measured and how to read it.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it prints a table")]

mod client;
mod crash;
mod firehose;
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
    /// Kill the program with signal 9 in the middle of writes so many times, and look whether anything is lost
    #[arg(long, default_value_t = 3)]
    kills: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let args = Args::parse();
    let temporary = tempfile::Builder::new().prefix("load-").tempdir()?;
    let data = args.data.clone().unwrap_or_else(|| temporary.path().to_owned());
    let mut servers = vec![Pds::relay(&args.relay, &data.join("relay")).await?];
    if let Some(official) = &args.official {
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
    for scenario in SCENARIOS {
        if !args.only.is_empty() && !args.only.iter().any(|only| scenario.name.starts_with(only.as_str())) {
            continue;
        }
        for _ in 0..args.rounds {
            for server in &servers {
                let limit = Duration::from_secs(args.seconds);
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
    if let Some(out) = &args.out {
        std::fs::write(out, serde_json::to_vec_pretty(&report.json())?)?;
    }
    if report.has_failures() { Err("something failed; see above".into()) } else { Ok(()) }
}

/// Returns an error with this text unless the condition holds.
fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<()> {
    if holds { Ok(()) } else { Err(otherwise().into()) }
}
