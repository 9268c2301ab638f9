//! `relay adopt`: takes over the data folder of the official PDS.
//!
//! Exit codes as those of `relay verify`: 3 when something of an account is not carried over, 4 when a whole account is not.

mod print;

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use common::Clock as _;
use indicatif::{ProgressBar, ProgressStyle};
use tokio_util::sync::CancellationToken;

use super::verify::{self, Outcome, VerifyArgs};
use super::{CliError, ConfigSourceArgs};
use crate::adopt::{self, AdoptError, Correspondence, EnvFile, Folder, Report, Severity};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::error::with_causes;
use crate::state::AppState;

/// The arguments of `relay adopt`.
#[derive(Debug, Clone, Args)]
pub struct AdoptArgs {
    /// The data folder of the official PDS, such as /pds; nothing in it is changed
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Do it; without this all is looked at, and nothing is changed
    #[arg(long)]
    pub yes: bool,
    /// The file with the official PDS's settings [default: pds.env in the folder; variables of the environment count too]
    #[arg(long, value_name = "FILE")]
    pub env_file: Option<PathBuf>,
    /// Where its blobs are, if they are not where its settings say: a copy of its bucket, say
    #[arg(long, value_name = "DIR")]
    pub blobs: Option<PathBuf>,
    /// Write its settings, as they are here, to a new configuration file
    #[arg(long, value_name = "FILE")]
    pub write_config: Option<PathBuf>,
    /// Go on without its rotation key: then nothing can be changed here in the DIDs of its accounts
    #[arg(long)]
    pub without_rotation_key: bool,
    /// Do not ask what the DIDs of the accounts say
    #[arg(long)]
    pub no_identities: bool,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
    /// Where the configuration comes from.
    #[command(flatten)]
    pub source: ConfigSourceArgs,
}

/// Runs the verb.
pub(super) async fn run(args: &AdoptArgs, env: Vec<(String, String)>) -> Result<Outcome, CliError> {
    let old = EnvFile::read(args.env_file.as_deref(), &args.dir, &env)?;
    let settings = adopt::correspond(&old);
    // A file that is there already is how the server will run; else it runs as the old one did.
    let has_file = args.source.file().is_some();
    let defaults = if has_file { Vec::new() } else { settings.overrides() };
    let config = args.source.load_over(env.clone(), &defaults, &[])?.config;
    let folder = Folder::open(&args.dir, &old, args.blobs.as_deref(), !args.yes)?;
    check_secrets(args, &old)?;
    if args.yes && !folder.has_blobs() {
        return Err(CliError::Usage {
            problem: "The blobs of the old server are in a bucket.".into(),
            remedy: "Copy it to a folder, with `aws s3 sync` or `rclone`, and name that with --blobs.".into(),
        });
    }
    let mut report = if args.yes {
        check_agreement(&old, &config)?;
        Box::pin(carry(args, &old, &folder, config.clone())).await?
    } else {
        look(args, &old, &folder, &config).await?
    };
    for (severity, sentence) in adopt::disagreements(&old, &config) {
        report.add(severity, None, sentence);
    }
    if let Some(file) = &args.write_config {
        write_config(file, &settings, &config)?;
    }
    let verified = if args.yes { Some(verify_adopted(args, &config).await?) } else { None };
    let proposal = Proposal { settings: &settings, has_file, config: &config };
    print::report(args, &report, verified.as_ref(), &proposal)?;
    let outcome = match report.worst() {
        None | Some(Severity::Notice) => Outcome::Sound,
        Some(Severity::Warning) => Outcome::Warnings,
        Some(Severity::Error) => Outcome::Errors,
    };
    let verified = verified.map_or(Outcome::Sound, |report| Outcome::of(&report));
    Ok(if outcome.exit_code() > verified.exit_code() { outcome } else { verified })
}

/// What the old server's settings are here.
struct Proposal<'a> {
    settings: &'a Correspondence,
    /// Whether there is a configuration already, which is gone by.
    has_file: bool,
    config: &'a Config,
}

fn check_secrets(args: &AdoptArgs, old: &EnvFile) -> Result<(), CliError> {
    if adopt::rotation_key(old)?.is_some() || args.without_rotation_key {
        return Ok(());
    }
    let problem = if old.get("PDS_PLC_ROTATION_KEY_KMS_KEY_ID").is_some() {
        "The rotation key of the old server is in a key management service, from which it cannot be had."
    } else {
        "The rotation key of the old server is not among its settings (PDS_PLC_ROTATION_KEY_K256_PRIVATE_KEY_HEX)."
    };
    Err(CliError::Usage {
        problem: problem.into(),
        remedy:
            "Name the file with its settings with --env-file. Or go on with --without-rotation-key: handles and keys of its \
                 accounts can then only be changed by owners who have a rotation key of their own."
                .into(),
    })
}

/// Refuses to carry accounts to a server of another name.
fn check_agreement(old: &EnvFile, config: &Config) -> Result<(), CliError> {
    let worst = adopt::disagreements(old, config).into_iter().find(|(severity, _)| *severity == Severity::Error);
    match worst {
        None => Ok(()),
        Some((_, sentence)) => Err(CliError::Usage {
            problem: sentence,
            remedy:
                "Let the configuration say what the old server's settings said. A change of the name comes later, by itself."
                    .into(),
        }),
    }
}

async fn look(args: &AdoptArgs, old: &EnvFile, folder: &Folder, config: &Config) -> Result<Report, CliError> {
    let clock = Arc::new(SystemClock::default());
    let now = clock.millis();
    let since = now - i64::try_from(config.limits.backfill.as_millis()).unwrap_or(i64::MAX);
    let rotation_key = adopt::rotation_key(old)?.map(|key| key.verifying_key().to_did_key());
    let bar = Bar::new(args.json, "{msg:9} {wide_bar} {pos}/{len} accounts  {eta} left");
    let looked =
        tokio::task::block_in_place(|| adopt::look(folder, rotation_key, now, since, &|done, all| bar.show(done, all)));
    bar.0.finish_and_clear();
    let (mut report, expected) = looked?;
    if !args.no_identities {
        let identity = crate::identity::open(config, clock).map_err(|err| CliError::Failed {
            problem: format!("The accounts' DIDs cannot be looked up: {err}."),
            remedy: "Run it with --no-identities, or see the sections [identity] and [network] of the configuration.".into(),
        })?;
        let mut found = crate::verify::Report::default();
        let url = config.server.public_url.as_str();
        let bar = verify::bar(args.json);
        crate::verify::identity::check(&identity, url, &expected, &CancellationToken::new(), &*bar, &mut found).await;
        for finding in found.findings {
            report.add(Severity::Warning, finding.account.as_ref(), finding.sentence);
        }
    }
    Ok(report)
}

async fn carry(args: &AdoptArgs, old: &EnvFile, folder: &Folder, config: Config) -> Result<Report, CliError> {
    if folder.holds(&config.data.dir) {
        return Err(AdoptError::Inside.into());
    }
    let app = AppState::open(config, Arc::default()).await?;
    let bar = Bar::new(args.json, "{msg:9} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}  {eta} left");
    let show = |done, all| bar.show(done, all);
    let request = adopt::Request { folder, env: old, app: &app, progress: &show };
    let report = tokio::select! {
        report = adopt::carry(request) => report?,
        () = super::asked_to_stop() => {
            return Err(CliError::Failed {
                problem: "The adoption was interrupted.".into(),
                remedy: "Run it again: it goes on where it was. Until it is done, no server starts on this data folder.".into(),
            });
        }
    };
    bar.0.finish_and_clear();
    Ok(report)
}

/// Verifies what was taken over, as `relay verify` does.
async fn verify_adopted(args: &AdoptArgs, config: &Config) -> Result<crate::verify::Report, CliError> {
    verify::verify_folder(&verify_args(args), config, &verify::until_asked_to_stop()).await
}

fn verify_args(args: &AdoptArgs) -> VerifyArgs {
    VerifyArgs {
        account: None,
        json: args.json,
        quick: false,
        no_blobs: false,
        no_identities: args.no_identities,
        budget: None,
        repair: false,
        blobs_from: Vec::new(),
        source: args.source.clone(),
    }
}

fn write_config(file: &std::path::Path, settings: &Correspondence, config: &Config) -> Result<(), CliError> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let text = settings.toml(Some(&config.data.dir.display().to_string()), true);
    let written = options.open(file).and_then(|mut out| {
        out.write_all(text.as_bytes())?;
        out.sync_all()
    });
    match written {
        Ok(()) => Ok(()),
        // Run twice, it is there already, and may have been edited since.
        Err(err) if err.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(err) => Err(CliError::Failed {
            problem: format!("The configuration cannot be written to {}: {err}.", file.display()),
            remedy: "Name another file with --write-config.".into(),
        }),
    }
}

impl From<AdoptError> for CliError {
    fn from(err: AdoptError) -> Self {
        let problem = with_causes(&err);
        Self::Failed { problem: format!("The adoption stopped: {problem}."), remedy: err.remedy().into() }
    }
}

/// How far it is, on a terminal.
struct Bar(ProgressBar);

impl Bar {
    fn new(hidden: bool, template: &str) -> Self {
        let bar = if hidden { ProgressBar::hidden() } else { ProgressBar::new(0) };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message("accounts");
        Self(bar)
    }

    fn show(&self, done: u64, all: u64) {
        self.0.set_length(all);
        self.0.set_position(done);
    }
}
