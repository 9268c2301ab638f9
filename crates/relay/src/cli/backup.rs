//! `relay backup`: makes a backup, lists those there are, restores the newest on trial.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};
use http::Method;

use super::account::Accounts;
use super::{CliError, ConfigSourceArgs};
use crate::backup::told::{self, InPlace};
use crate::backup::{self, BackupError, BackupKey, BackupReport, Backups, DrillReport, Listing, Opened, Place, Status};
use crate::config::{BackupKeySource, BackupPlace, BackupTo, S3Access, Secret};
use crate::identity::http::{ObjectStoreClient, roots_from_pem};
use crate::state::AppState;

/// The arguments of `relay backup`.
#[derive(Debug, Clone, Args)]
pub struct BackupArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: BackupVerb,
}

/// What to do with backups.
#[derive(Debug, Clone, Subcommand)]
pub enum BackupVerb {
    /// Make a backup now, whether the server runs or not
    Now(NowArgs),
    /// Restore the newest backup into a temporary folder and check it
    Drill(NowArgs),
    /// Show how the backups are doing, as a line of JSON for each place
    Status(NowArgs),
    /// List the backups in the places that are configured, or in SOURCE
    List(ListArgs),
    /// Make the places that are configured this server's, when they were another's that is gone for good
    TakeOver(NowArgs),
    /// Print a new key for backup.key_file
    NewKey,
}

/// The arguments of `relay backup now`, `drill`, `status` and `take-over`.
#[derive(Debug, Clone, Args)]
pub struct NowArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Where the configuration comes from.
    #[command(flatten)]
    pub source: ConfigSourceArgs,
}

/// The arguments of `relay backup list`.
#[derive(Debug, Clone, Args)]
pub struct ListArgs {
    /// Print one JSON object per line
    #[arg(long)]
    pub json: bool,
    /// The place.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Where the configuration comes from.
    #[command(flatten)]
    pub source: ConfigSourceArgs,
}

/// Where backups are, when the configuration is lost with the rest.
#[derive(Debug, Clone, Default, Args)]
pub struct PlaceArgs {
    /// A folder, or s3://bucket/prefix [default: backup.to]
    #[arg(value_name = "SOURCE")]
    pub place: Option<String>,
    /// The S3-compatible store [default: Amazon's]
    #[arg(long, value_name = "URL", requires = "place")]
    pub s3_endpoint: Option<String>,
    /// The region of the store
    #[arg(long, value_name = "REGION", requires = "place", default_value = "us-east-1")]
    pub s3_region: String,
    /// A file with the passphrase [default: RELAY_BACKUP_PASSPHRASE, or a line of standard input]
    #[arg(long, value_name = "FILE", requires = "place")]
    pub passphrase_file: Option<PathBuf>,
    /// A file with the key, where there is no passphrase
    #[arg(long, value_name = "FILE", requires = "place", conflicts_with = "passphrase_file")]
    pub key_file: Option<PathBuf>,
    /// A PEM file of certificate authorities to trust besides the public ones
    #[arg(long, value_name = "FILE", requires = "place")]
    pub roots: Option<PathBuf>,
}

/// Runs the verb.
pub(super) async fn run(args: &BackupArgs, env: Vec<(String, String)>) -> Result<(), CliError> {
    let mut out = std::io::stdout();
    match &args.verb {
        BackupVerb::Now(args) => {
            let done: Vec<InPlace<BackupReport>> = match Accounts::open(&args.source, env).await? {
                Accounts::Here(app) => told::back_up_everywhere(with_backups(&app)?).await,
                Accounts::There(server) => server.call(Method::POST, "/backup", None::<&()>).await?,
            };
            each(done, |report| {
                if args.json {
                    return json(&mut out, report);
                }
                writeln!(out, "{}: {}  {}", report.place, report.id, size(report.database_bytes))?;
                writeln!(out, "blobs: {} ({})", report.blobs, size(report.blob_bytes))?;
                writeln!(out, "sent: {}", size(report.sent_bytes))?;
                if report.missing_blobs > 0 {
                    writeln!(out, "{} blobs are not there to be backed up; `relay verify` tells more.", report.missing_blobs)?;
                }
                Ok(())
            })?;
        }
        BackupVerb::Drill(args) => {
            let done: Vec<InPlace<DrillReport>> = match Accounts::open(&args.source, env).await? {
                Accounts::Here(app) => told::drill_everywhere(with_backups(&app)?).await,
                Accounts::There(server) => server.call(Method::POST, "/backup/drill", None::<&()>).await?,
            };
            each(done, |report| {
                if args.json {
                    json(&mut out, report)?;
                }
                let place = &report.place;
                if let Some(why) = &report.failure {
                    return Err(CliError::Failed {
                        problem: format!("The backup in {place} cannot be restored: {why}."),
                        remedy: "Make another one with `relay backup now`, and find out what happened to the place.".into(),
                    });
                }
                if !args.json {
                    let (accounts, records, blobs) = (report.accounts, report.records, report.blobs_checked);
                    let seconds = report.seconds;
                    writeln!(
                        out,
                        "{place}: good: {accounts} accounts, {records} records, {blobs} blobs looked at, in {seconds:.1} s."
                    )?;
                }
                Ok(())
            })?;
        }
        BackupVerb::Status(args) => {
            let status: Vec<Status> = match Accounts::open(&args.source, env).await? {
                Accounts::Here(app) => with_backups(&app)?.backups.iter().map(Backups::status).collect(),
                Accounts::There(server) => server.call(Method::GET, "/backup", None::<&()>).await?,
            };
            for status in status {
                json(&mut out, &status)?;
            }
        }
        BackupVerb::TakeOver(args) => {
            let done: Vec<InPlace<String>> = match Accounts::open(&args.source, env).await? {
                Accounts::Here(app) => told::take_over_everywhere(with_backups(&app)?).await,
                Accounts::There(server) => server.call(Method::POST, "/backup/take-over", None::<&()>).await?,
            };
            each(done, |place| {
                if args.json {
                    return json(&mut out, place);
                }
                writeln!(out, "{place} is this server's now; `relay backup now` makes the first backup.")?;
                Ok(())
            })?;
        }
        BackupVerb::List(args) => {
            if args.place.place.is_some() {
                return show_list(&mut out, &args.place.open(&env).await?, args.json).await;
            }
            let config = args.source.load(env)?.config;
            if config.backup.to.is_empty() {
                return Err(no_place());
            }
            for to in &config.backup.to {
                let opened = open(to, config.network.roots()).await?;
                if !args.json && config.backup.to.len() > 1 {
                    writeln!(out, "{}", opened.place.describe())?;
                }
                show_list(&mut out, &opened, args.json).await?;
            }
        }
        BackupVerb::NewKey => write!(out, "{}", BackupKey::generate().to_text().as_str())?,
    }
    Ok(())
}

impl PlaceArgs {
    /// Opens the place.
    pub(super) async fn open(&self, env: &[(String, String)]) -> Result<Opened, CliError> {
        let usage = |problem: String, remedy: &str| CliError::Usage { problem, remedy: remedy.into() };
        let text = self.place.as_deref().unwrap_or_default();
        let absolute = std::path::absolute(text)?;
        let place = if text.contains("://") { text.to_owned() } else { absolute.display().to_string() };
        let place = BackupPlace::parse(&place).ok_or_else(|| {
            usage(format!("{text} is neither a folder nor a bucket."), "Write a path, or s3://bucket/prefix.")
        })?;
        let var = |names: &[&str]| {
            let value = |name: &&str| env.iter().find(|(key, value)| key == name && !value.is_empty());
            names.iter().find_map(value).map(|(_, value)| value.clone())
        };
        let place = match place {
            BackupPlace::S3(mut s3) => {
                s3.region.clone_from(&self.s3_region);
                if let Some(endpoint) = &self.s3_endpoint {
                    let parsed = url::Url::parse(endpoint);
                    let parsed =
                        parsed.map_err(|_| usage(format!("{endpoint} is not a URL."), "Write https://s3.example.com."))?;
                    s3.endpoint = Some(parsed);
                }
                let key = var(&["RELAY_BACKUP_S3_ACCESS_KEY", "AWS_ACCESS_KEY_ID"]);
                let secret = var(&["RELAY_BACKUP_S3_SECRET_KEY", "AWS_SECRET_ACCESS_KEY"]);
                s3.access = key.zip(secret).map(|(key, secret)| S3Access { key, secret: Secret::new(secret) });
                BackupPlace::S3(s3)
            }
            folder @ BackupPlace::Folder(_) => folder,
        };
        let key = match (&self.key_file, &self.passphrase_file) {
            (Some(file), _) => BackupKeySource::File(file.clone()),
            (None, Some(file)) => {
                let text = std::fs::read_to_string(file)
                    .map_err(|err| usage(format!("{} cannot be read: {err}.", file.display()), "Check the path."))?;
                BackupKeySource::Passphrase(Secret::new(text.trim_end_matches(['\r', '\n'])))
            }
            (None, None) => BackupKeySource::Passphrase(Secret::new(match var(&["RELAY_BACKUP_PASSPHRASE"]) {
                Some(passphrase) => passphrase,
                None => ask_passphrase()?,
            })),
        };
        let roots = match &self.roots {
            Some(file) => roots_from_pem(&std::fs::read(file)?).map_err(|err| usage(format!("{err}."), "Check the file."))?,
            None => Vec::new(),
        };
        open(&BackupTo { place, key }, &roots).await
    }
}

fn ask_passphrase() -> Result<String, CliError> {
    writeln!(std::io::stderr(), "The passphrase of the backups, as a line (it is shown as you type):")?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

async fn open(to: &BackupTo, roots: &[rustls::pki_types::CertificateDer<'static>]) -> Result<Opened, CliError> {
    let client = ObjectStoreClient::new(roots)
        .map_err(|err| CliError::Failed { problem: format!("{err}."), remedy: "Check the certificates.".into() })?;
    let place = Place::open(&to.place, client, None, false)?;
    let key = backup::open_key(&place, &to.key, false).await?;
    Ok(Opened { place, key })
}

fn with_backups(app: &AppState) -> Result<&AppState, CliError> {
    if app.backups.is_empty() { Err(no_place()) } else { Ok(app) }
}

/// Shows what came of it in each place; fails with what failed in any.
fn each<T>(done: Vec<InPlace<T>>, mut show: impl FnMut(&T) -> Result<(), CliError>) -> Result<(), CliError> {
    let several = done.len() > 1;
    let mut failed = None;
    for done in done {
        let shown = match done {
            InPlace::Done(report) => show(&report),
            InPlace::Failed { place, failure } => Err(CliError::Failed {
                problem: if several { format!("{place}: {}", failure.problem) } else { capital(&failure.problem) },
                remedy: failure.remedy,
            }),
        };
        if let Err(err) = shown {
            failed.get_or_insert(err);
        }
    }
    failed.map_or(Ok(()), Err)
}

/// Lists what is in a place.
async fn show_list(out: &mut impl std::io::Write, opened: &Opened, as_json: bool) -> Result<(), CliError> {
    let (good, damaged): (Vec<Listing>, _) = backup::list(opened).await?;
    for backup in good {
        if as_json {
            json(out, &backup)?;
        } else {
            let (database, blobs) = (size(backup.database_bytes), size(backup.blob_bytes));
            writeln!(out, "{}  {}  database {database}, blobs {blobs}", backup.ended_at, backup.id)?;
        }
    }
    if damaged.is_empty() {
        return Ok(());
    }
    Err(CliError::Failed {
        problem: format!("Damaged: {}.", damaged.join("; ")),
        remedy: "The others can be restored; make a new one now.".into(),
    })
}

fn no_place() -> CliError {
    CliError::Usage {
        problem: "There is no place for backups.".into(),
        remedy: "Set backup.to and backup.passphrase in the configuration; docs/OPERATIONS.md tells how.".into(),
    }
}

fn json(out: &mut impl std::io::Write, value: &impl serde::Serialize) -> Result<(), CliError> {
    let line = serde_json::to_string(value).map_err(std::io::Error::from)?;
    writeln!(out, "{line}")?;
    Ok(())
}

/// Writes a size for people.
pub(super) fn size(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}

impl From<BackupError> for CliError {
    fn from(err: BackupError) -> Self {
        Self::Failed { problem: format!("{}.", capital(&err.to_string())), remedy: err.remedy().into() }
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// The clock of verbs that have no server.
pub(super) fn clock() -> Arc<crate::clock::SystemClock> {
    Arc::default()
}
