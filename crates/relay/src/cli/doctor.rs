//! `relay doctor`: looks whether all that the server stands on is well.
//!
//! The exit codes are those of `relay verify`.

use std::io::Write as _;
use std::sync::Arc;

use clap::Args;
use http::Method;

use super::account::Accounts;
use super::verify::Outcome as Verdict;
use super::{CliError, ConfigSourceArgs};
use crate::account::operator;
use crate::clock::SystemClock;
use crate::doctor::probe::{self, Known};
use crate::doctor::{self, Facts, Finding, Inside, Outcome};
use crate::mail::Mailer;

/// The arguments of `relay doctor`.
#[derive(Debug, Clone, Default, Args)]
pub struct DoctorArgs {
    /// Print the findings as JSON
    #[arg(long)]
    pub json: bool,
    /// Mend what can be mended without harm, and look again
    #[arg(long)]
    pub fix: bool,
    /// Where the configuration comes from.
    #[command(flatten)]
    pub source: ConfigSourceArgs,
}

/// Runs the verb.
pub(super) async fn run(args: &DoctorArgs, env: Vec<(String, String)>) -> Result<Verdict, CliError> {
    let mut facts = Box::pin(gather(args, env.clone())).await?;
    let mut out = std::io::stdout();
    if args.fix {
        let fixed = doctor::fix(&facts).map_err(|err| CliError::Failed {
            problem: format!("The permissions of the data folder cannot be changed: {err}."),
            remedy: "Run this as the user of the server, or as root.".to_owned(),
        })?;
        if fixed > 0 {
            facts = Box::pin(gather(args, env)).await?;
        }
        if !args.json {
            writeln!(out, "Mended: the permissions of {fixed} files.")?;
        }
    }
    let findings = doctor::evaluate(&facts);
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&findings).map_err(std::io::Error::from)?)?;
    } else {
        print(&mut out, &findings)?;
    }
    let any = |outcome| findings.iter().any(|finding| finding.outcome == outcome);
    Ok(if any(Outcome::Error) {
        Verdict::Errors
    } else if any(Outcome::Warning) {
        Verdict::Warnings
    } else {
        Verdict::Sound
    })
}

pub(super) async fn gather(args: &DoctorArgs, env: Vec<(String, String)>) -> Result<Facts, CliError> {
    let config = args.source.load(env.clone())?.config;
    let failed =
        |problem: String| CliError::Failed { problem, remedy: "Check the configuration: `relay config check`.".into() };
    let clock = Arc::new(SystemClock::default());
    let identity = crate::identity::open(&config, Arc::clone(&clock) as _).map_err(|err| failed(format!("{err}.")))?;
    let mail = Mailer::open(&config, Arc::clone(&clock) as _).map_err(|err| failed(format!("{err}.")))?;
    let known = ask(args, env, config.data.dir.join("relay.sqlite").exists()).await;
    Ok(Box::pin(probe::gather(&config, &identity, &mail, &clock, known)).await)
}

/// Asks the server for its accounts, or reads them when none runs.
async fn ask(args: &DoctorArgs, env: Vec<(String, String)>, has_data: bool) -> Known {
    // A look must not be what makes the data folder.
    if !has_data {
        return Known { accounts: Ok(Vec::new()), ..Known::default() };
    }
    match Accounts::open(&args.source, env).await {
        Ok(Accounts::Here(app)) => {
            let accounts = operator::list(&app).await.map_err(|err| err.describe());
            let milestones = crate::status::milestones(&app).await.unwrap_or_default();
            let room = crate::status::room_history(&app).await.unwrap_or_default();
            Known { accounts, milestones, room, ..Known::default() }
        }
        Ok(Accounts::There(server)) => {
            let accounts = server.call(Method::GET, "/accounts", None::<&()>).await.map_err(|err| err.to_string());
            // A server of an earlier version has no such word.
            let inside: Option<Inside> = server.call(Method::GET, "/doctor", None::<&()>).await.ok();
            let milestones = inside.as_ref().map(|inside| inside.milestones.clone()).unwrap_or_default();
            let room = inside.as_ref().map(|inside| inside.room.clone()).unwrap_or_default();
            Known { running: true, accounts, inside, milestones, room }
        }
        Err(err) => Known { accounts: Err(err.to_string().trim_end_matches('.').to_owned()), ..Known::default() },
    }
}

pub(super) fn print(out: &mut impl std::io::Write, findings: &[Finding]) -> std::io::Result<()> {
    for finding in findings {
        let mark = match finding.outcome {
            Outcome::Good => "ok     ",
            Outcome::Notice => "note   ",
            Outcome::Warning => "WARNING",
            Outcome::Error => "ERROR  ",
            Outcome::Skipped => "skipped",
        };
        writeln!(out, "{mark}  {:<16}  {}", finding.id, finding.sentence)?;
        if !finding.remedy.is_empty() {
            writeln!(out, "                           {}", finding.remedy)?;
        }
    }
    let count = |outcome| findings.iter().filter(|finding| finding.outcome == outcome).count();
    match (count(Outcome::Error), count(Outcome::Warning)) {
        (0, 0) => writeln!(out, "\nAll is well."),
        (errors, warnings) => {
            writeln!(out, "\n{errors} errors, {warnings} warnings. The first one first: others may follow from it.")
        }
    }
}
