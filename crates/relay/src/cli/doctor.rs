//! `relay doctor`: looks whether all that the server stands on is well.
//!
//! The exit codes are those of `relay verify`.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use http::Method;

use super::account::Accounts;
use super::verify::Outcome as Verdict;
use super::{CliError, ConfigSourceArgs};
use crate::account::operator;
use crate::clock::SystemClock;
use crate::doctor::probe::{self, Known};
use crate::doctor::{self, Facts, Finding, Inside, Mended, Outcome};
use crate::mail::Mailer;
use crate::service::{self, Installed, Scope};

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
        let mended = Box::pin(doctor::fix(&facts)).await;
        tell(args, &mended)?;
        if !mended.is_empty() {
            facts = Box::pin(gather(args, env)).await?;
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

/// Says what was mended; what scripts read stays as it is without.
fn tell(args: &DoctorArgs, mended: &[Mended]) -> std::io::Result<()> {
    let mut out: Box<dyn std::io::Write> = if args.json { Box::new(std::io::stderr()) } else { Box::new(std::io::stdout()) };
    for what in mended {
        match what {
            Ok(what) => writeln!(out, "Mended: {what}")?,
            Err(what) => writeln!(out, "Not mended: {what}")?,
        }
    }
    if mended.is_empty() { writeln!(out, "There is nothing that --fix mends.\n") } else { writeln!(out) }
}

/// Returns the service of the system that has this data folder, be it that of the machine or of whoever runs this.
async fn service(env: Vec<(String, String)>, data_dir: PathBuf) -> Option<Installed> {
    let look = move || {
        let manager = super::service::manager().ok()?;
        let own = super::service::scope(&env).ok();
        let machine = Scope::System { user_exists: true };
        let mut scopes: Vec<Scope> = own.into_iter().chain([machine]).collect();
        scopes.dedup();
        scopes.into_iter().find_map(|scope| service::find(manager, scope, &data_dir))
    };
    tokio::task::spawn_blocking(look).await.ok().flatten()
}

pub(super) async fn gather(args: &DoctorArgs, env: Vec<(String, String)>) -> Result<Facts, CliError> {
    let config = args.source.load(env.clone())?.config;
    let service = service(env.clone(), std::path::absolute(&config.data.dir)?).await;
    let failed =
        |problem: String| CliError::Failed { problem, remedy: "Check the configuration: `relay config check`.".into() };
    let clock = Arc::new(SystemClock::default());
    let identity = crate::identity::open(&config, Arc::clone(&clock) as _).map_err(|err| failed(format!("{err}.")))?;
    let mail = Mailer::open(&config, Arc::clone(&clock) as _).map_err(|err| failed(format!("{err}.")))?;
    let known = Known { service, ..ask(args, env, config.data.dir.join("relay.sqlite").exists()).await };
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
            let signing_keys = probe::signing_keys(&app).await.unwrap_or_default();
            Known { accounts, milestones, room, signing_keys, ..Known::default() }
        }
        Ok(Accounts::There(server)) => {
            let accounts = server.call(Method::GET, "/accounts", None::<&()>).await.map_err(|err| err.to_string());
            // A server of an earlier version has no such word.
            let inside: Option<Inside> = server.call(Method::GET, "/doctor", None::<&()>).await.ok();
            let milestones = inside.as_ref().map(|inside| inside.milestones.clone()).unwrap_or_default();
            let room = inside.as_ref().map(|inside| inside.room.clone()).unwrap_or_default();
            let signing_keys = inside.as_ref().map(|inside| inside.signing_keys.clone()).unwrap_or_default();
            Known { running: true, accounts, inside, milestones, room, signing_keys, ..Known::default() }
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
