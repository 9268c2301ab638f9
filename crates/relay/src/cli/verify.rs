//! `relay verify`: checks everything that is stored, beside a running server or without one.
//!
//! Exit codes: 0 when nothing is wrong (notices do not count), 3 for warnings, 4 for errors; 1 when it could not be checked, 2
//! for mistakes in the arguments.

mod repair;

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use common::{AtIdentifier, Did};
use tokio_util::sync::CancellationToken;

use super::{CliError, ConfigSourceArgs};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::error::with_causes;
use crate::store::account;
use crate::verify::finding::{Finding, Severity};
use crate::verify::{self, BlobCheck, DatabaseCheck, Options, Phase, Progress, Report, Silent, Source, SourceError};
use crate::work::blocking;

/// The arguments of `relay verify`.
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// Only this account, by handle or DID
    #[arg(long, value_name = "ACCOUNT")]
    pub account: Option<String>,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
    /// Look at sizes of blobs only, and less closely at the database
    #[arg(long)]
    pub quick: bool,
    /// Leave the files of blobs out
    #[arg(long)]
    pub no_blobs: bool,
    /// Do not ask what the DIDs of the accounts say
    #[arg(long)]
    pub no_identities: bool,
    /// Stop after this long, having looked at a sample, such as 10m
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub budget: Option<Duration>,
    /// Mend what can be: trees and heads from their records, blobs from --blobs-from. What is replaced is kept in the data
    /// folder, in evidence/
    #[arg(long)]
    pub repair: bool,
    /// With --repair: a folder of blobs (of a backup, say), or the URL of a server that has them; may be repeated
    #[arg(long, value_name = "DIR|URL", requires = "repair")]
    pub blobs_from: Vec<String>,
    /// Where the configuration comes from.
    #[command(flatten)]
    pub source: ConfigSourceArgs,
}

impl VerifyArgs {
    /// As when nothing else is said.
    pub(super) fn of(source: &ConfigSourceArgs) -> Self {
        Self {
            account: None,
            json: true,
            quick: false,
            no_blobs: false,
            no_identities: false,
            budget: None,
            repair: false,
            blobs_from: Vec::new(),
            source: source.clone(),
        }
    }
}

pub(super) fn parse_time(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let seconds = match unit {
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3600,
        _ => return Err("write it as a number of s, m or h, such as 10m".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| "write it as a number of s, m or h, such as 10m".to_owned())?;
    Ok(Duration::from_secs(number.saturating_mul(seconds)))
}

/// How a verification went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing is wrong.
    Sound,
    /// Nothing is lost, but someone should look.
    Warnings,
    /// Something is lost, or served wrong.
    Errors,
}

impl Outcome {
    /// Returns the exit code of the process.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Sound => 0,
            Self::Warnings => 3,
            Self::Errors => 4,
        }
    }

    pub(super) fn of(report: &Report) -> Self {
        match report.worst() {
            None | Some(Severity::Notice) => Self::Sound,
            Some(Severity::Warning) => Self::Warnings,
            Some(Severity::Error) => Self::Errors,
        }
    }
}

/// Runs the verb.
pub(super) async fn run(args: &VerifyArgs, env: Vec<(String, String)>) -> Result<Outcome, CliError> {
    let config = args.source.load(env.clone())?.config;
    let stop = until_asked_to_stop();
    let mut report = verify_folder(args, &config, &stop).await?;
    if args.repair && repair::can(&report) {
        if !args.json {
            print(args, &report)?;
        }
        repair::run(args, env, &report).await?;
        report = verify_folder(args, &config, &stop).await?;
    }
    print(args, &report)?;
    Ok(Outcome::of(&report))
}

/// Returns a token that is cancelled when the operator wants an end.
pub(super) fn until_asked_to_stop() -> CancellationToken {
    let stop = CancellationToken::new();
    let interrupted = stop.clone();
    tokio::spawn(async move {
        super::asked_to_stop().await;
        interrupted.cancel();
    });
    stop
}

/// Returns what shows how far it is, to people at a terminal.
pub(super) fn bar(json: bool) -> Arc<dyn Progress + Send> {
    if !json && std::io::stderr().is_terminal() { Arc::new(Bar::new()) } else { Arc::new(Silent) }
}

pub(super) async fn verify_folder(args: &VerifyArgs, config: &Config, stop: &CancellationToken) -> Result<Report, CliError> {
    let bar = bar(args.json);
    let reading = config.clone();
    let (args, stop_reading, progress) = (args.clone(), stop.clone(), Arc::clone(&bar));
    let identities = !args.no_identities;
    let read = blocking(move || -> Result<_, CliError> {
        let source = Source::open(&reading)?;
        let account = args.account.as_deref().map(|account| find(&source, account)).transpose()?;
        let options = Options {
            account,
            database: if args.quick { DatabaseCheck::Quick } else { DatabaseCheck::Full },
            blobs: match (args.no_blobs, args.quick) {
                (true, _) => BlobCheck::Skip,
                (false, true) => BlobCheck::Presence,
                (false, false) => BlobCheck::Content,
            },
            budget: args.budget,
            seed: u64::from_be_bytes(crate::random::bytes()),
            bytes_per_second: None,
            stop: stop_reading,
        };
        let report = verify::run(&source.subject(), &options, &*progress);
        let expected = verify::identity::expected(source.conn(), source.master(), options.account.as_ref());
        Ok((report, expected))
    });
    let (mut report, expected) = read.await?;
    // A list of accounts that cannot be read was reported above.
    if identities && let Ok(expected) = expected {
        let identity = crate::identity::open(config, Arc::new(SystemClock::default())).map_err(|err| CliError::Failed {
            problem: format!("The accounts' DIDs cannot be looked up: {err}."),
            remedy: "Run it with --no-identities, or see the sections [identity] and [network] of the configuration.".into(),
        })?;
        let url = config.server.public_url.as_str();
        verify::identity::check(&identity, url, &expected, stop, &*bar, &mut report).await;
    }
    Ok(report)
}

fn find(source: &Source, text: &str) -> Result<Did, CliError> {
    let usage =
        |problem: String| CliError::Usage { problem, remedy: "`relay account list` shows those that there are.".into() };
    let who: AtIdentifier = text.parse().map_err(|err| usage(format!("{text}: {err}.")))?;
    let found = match &who {
        AtIdentifier::Did(did) => account::find_by_did(source.conn(), did),
        AtIdentifier::Handle(handle) => account::find_by_handle(source.conn(), handle),
    };
    let found = found.map_err(|err| CliError::from(SourceError::from(err)))?;
    found.map(|account| account.did).ok_or_else(|| usage(format!("There is no account {text} here.")))
}

impl From<SourceError> for CliError {
    fn from(err: SourceError) -> Self {
        let remedy = match &err {
            SourceError::NoDatabase { .. } => "Name the data folder with --data-dir.",
            SourceError::MasterKey(_) => "Run it as the user that the server runs as.",
            SourceError::Blobs(_) => "See the section [blobs] of the configuration.",
            SourceError::Store(_) => "Copy the data folder aside before anything else; then restore the newest backup.",
        };
        let problem = with_causes(&err);
        Self::Failed { problem: format!("The data folder cannot be read: {problem}."), remedy: remedy.into() }
    }
}

pub(super) fn print(args: &VerifyArgs, report: &Report) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string(report).map_err(std::io::Error::from)?)?;
        return Ok(());
    }
    for finding in &report.findings {
        print_finding(&mut out, finding)?;
    }
    let listed = report.findings.len() as u64;
    let all: u64 = report.counts.values().sum();
    if all > listed {
        writeln!(out, "... and {} more findings of these kinds.\n", all - listed)?;
    }
    let of = |phase| report.coverage.get(&phase).copied().unwrap_or_default();
    let (repos, blobs, events) = (of(Phase::Repos), of(Phase::Blobs), of(Phase::Events));
    writeln!(
        out,
        "Verified {} of {} repos with {} records, {} of {} events, {} of {} blobs: {:.1} MB in {:.1} s.",
        repos.checked,
        repos.total,
        report.records,
        events.checked,
        events.total,
        blobs.checked,
        blobs.total,
        report.bytes as f64 / 1e6,
        report.duration_ms as f64 / 1e3,
    )?;
    if !report.complete {
        writeln!(out, "The time was over before all was looked at.")?;
    }
    match (report.count(Severity::Error), report.count(Severity::Warning), report.count(Severity::Notice)) {
        (0, 0, 0) => writeln!(out, "Nothing is wrong.")?,
        (errors, warnings, notices) => writeln!(out, "{errors} errors, {warnings} warnings, {notices} notices.")?,
    }
    Ok(())
}

fn print_finding(out: &mut impl std::io::Write, finding: &Finding) -> std::io::Result<()> {
    let severity = match finding.severity {
        Severity::Notice => "notice",
        Severity::Warning => "WARNING",
        Severity::Error => "ERROR",
    };
    let account = finding.account.as_ref().map(|did| format!("  {did}")).unwrap_or_default();
    writeln!(out, "{severity}  {}{account}\n    {}\n    {}\n", finding.id.name(), finding.sentence, finding.remedy)
}

/// A bar on the terminal for each phase.
struct Bar(indicatif::ProgressBar);

impl Bar {
    fn new() -> Self {
        let bar = indicatif::ProgressBar::new(0);
        if let Ok(style) = indicatif::ProgressStyle::with_template("{msg:12} {wide_bar} {pos}/{len}  {eta} left") {
            bar.set_style(style);
        }
        Self(bar)
    }
}

impl Progress for Bar {
    fn begin(&self, phase: Phase, total: u64) {
        self.0.set_length(total);
        self.0.set_position(0);
        self.0.reset_eta();
        self.0.set_message(match phase {
            Phase::Database => "database",
            Phase::Secrets => "secrets",
            Phase::Repos => "repos",
            Phase::Events => "events",
            Phase::Blobs => "blobs",
            Phase::Orphans => "orphans",
            Phase::Identities => "identities",
        });
    }

    fn advance(&self, steps: u64) {
        self.0.inc(steps);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_a_number_with_a_unit() {
        assert_eq!(parse_time("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_time("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(parse_time("2h"), Ok(Duration::from_secs(7200)));
        for wrong in ["", "10", "m", "10 m", "1d"] {
            assert!(parse_time(wrong).is_err(), "{wrong}");
        }
    }
}
