//! `relay update`: puts a new version in the place of this one, and the old one back when the new one is not well.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use semver::Version;

use super::verify::{Outcome, parse_time};
use super::{CliError, ConfigSourceArgs};
use crate::clock::SystemClock;
use crate::config::{Config, Override};
use crate::identity::dns::Dns;
use crate::identity::http::{HttpClients, HttpOptions};
use crate::service;
use crate::update::{ReleaseKey, Releases, Service, UpdateError, Updater};

/// The arguments of `relay update`.
#[derive(Debug, Clone, Args)]
pub struct UpdateArgs {
    /// Only tell whether there is a newer version; the exit code is 3 when there is
    #[arg(long, conflicts_with = "undo")]
    pub check: bool,
    /// Go back to the version before the last update
    #[arg(long)]
    pub undo: bool,
    /// With --undo: take the data back too, and lose what was written since
    #[arg(long, requires = "undo")]
    pub with_data: bool,
    /// The index of releases, a URL or a file (update.source)
    #[arg(long, value_name = "URL|FILE")]
    pub source: Option<String>,
    /// The public key of minisign that releases are signed with, or its file (update.public_key)
    #[arg(long, value_name = "KEY|FILE")]
    pub key: Option<String>,
    /// The program to replace [default: this one]
    #[arg(long, value_name = "FILE")]
    pub program: Option<PathBuf>,
    /// Take a release that is older than this version
    #[arg(long)]
    pub allow_downgrade: bool,
    /// Do not have the server make a backup first
    #[arg(long)]
    pub without_backup: bool,
    /// Update although this is a container: its program is on a disk that stays
    #[arg(long)]
    pub in_container: bool,
    /// How long the new version is watched once it is up
    #[arg(long, value_name = "TIME", value_parser = parse_time, default_value = "1m")]
    pub watch: Duration,
    /// How long it may take to be up
    #[arg(long, value_name = "TIME", value_parser = parse_time, default_value = "2m")]
    pub patience: Duration,
    /// How long the server may take to end; then it is killed, which loses nothing
    #[arg(long, value_name = "TIME", value_parser = parse_time, default_value = "100s")]
    pub stop_within: Duration,
    /// Where the configuration comes from.
    #[command(flatten)]
    pub config: ConfigSourceArgs,
}

/// Runs the verb.
pub(super) async fn run(args: &UpdateArgs, env: Vec<(String, String)>) -> Result<Outcome, CliError> {
    // The public URL may be known to `relay serve` alone, as a flag, and does not matter here.
    let any = Override {
        flag: "relay update".to_owned(),
        path: "server.public_url".to_owned(),
        value: "http://localhost".to_owned(),
    };
    let config = args.config.load_with(env.clone(), &[any])?.config;
    let here: Version = env!("CARGO_PKG_VERSION").parse().expect("cargo checks the version");
    let clock = SystemClock::default();
    let say = |sentence: &str| {
        let mut out = std::io::stdout();
        // Whoever closed the terminal still gets the update.
        drop(writeln!(out, "{sentence}"));
    };
    let updater = || -> Result<Updater<'_>, CliError> {
        Ok(Updater {
            program: program(args.program.as_deref())?,
            here: here.clone(),
            data_dir: std::path::absolute(&config.data.dir)?,
            service: find_service(&env),
            patience: (args.patience, args.watch),
            stop_within: args.stop_within,
            back_up: !config.backup.to.is_empty() && !args.without_backup,
            allow_downgrade: args.allow_downgrade,
            in_container: args.in_container,
            clock: &clock,
            say: &say,
        })
    };
    if args.undo {
        updater()?.undo(args.with_data).await?;
        return Ok(Outcome::Sound);
    }
    let source = args.source.as_ref().or(config.update.source.as_ref()).ok_or(UpdateError::NoSource)?;
    let key = args.key.as_deref().map(read_key).transpose()?;
    let key = key.or_else(|| config.update.public_key.clone()).ok_or(UpdateError::NoKey)?;
    let releases = Releases::at(source, &clients(&config)?.trusted);
    let index = releases.index(&key).await?;
    if index.version == here {
        say(&format!("Version {here} is the newest."));
        return Ok(Outcome::Sound);
    }
    let notes = index.notes.as_ref().map(|notes| format!(" What is new: {notes}")).unwrap_or_default();
    if args.check {
        if index.version < here {
            say(&format!("Version {here} is newer than the newest release, {}.", index.version));
            return Ok(Outcome::Sound);
        }
        say(&format!("Version {} is there; this is {here}. `relay update` installs it.{notes}", index.version));
        return Ok(Outcome::Warnings);
    }
    say(&format!("Version {} follows {here}.{notes}", index.version));
    updater()?.update(&index, &releases, &key).await?;
    Ok(Outcome::Sound)
}

/// Returns the whole path of the program.
fn program(named: Option<&Path>) -> Result<PathBuf, CliError> {
    let path = named.map_or_else(std::env::current_exe, |path| Ok(path.to_owned()));
    path.and_then(|path| path.canonicalize()).map_err(|err| CliError::Failed {
        problem: format!("The program is not found: {err}."),
        remedy: "Name it by its whole path with --program.".to_owned(),
    })
}

fn read_key(text: &str) -> Result<ReleaseKey, CliError> {
    let from_file = || ReleaseKey::parse(&std::fs::read_to_string(text).ok()?);
    ReleaseKey::parse(text).or_else(from_file).ok_or_else(|| CliError::Usage {
        problem: format!("--key {text:?} is no public key of minisign, and no file with one."),
        remedy: "Write the second line of minisign.pub, which begins with RW, or the path of the file.".to_owned(),
    })
}

fn clients(config: &Config) -> Result<HttpClients, CliError> {
    let failed = |err: String| CliError::Failed {
        problem: format!("Outgoing connections cannot be set up: {err}."),
        remedy: "Check the section [network] of the configuration.".to_owned(),
    };
    let nameservers = config.network.dns_servers.as_deref().unwrap_or_default();
    let dns = Dns::new(nameservers, config.identity.resolver_timeout).map_err(|err| failed(err.to_string()))?;
    let extra_roots = config.network.extra_roots.as_ref().map(|roots| roots.certificates.clone()).unwrap_or_default();
    HttpClients::new(&HttpOptions { extra_roots, ..HttpOptions::default() }, dns).map_err(|err| failed(err.to_string()))
}

/// Returns the service that runs the server, if there is one.
fn find_service(env: &[(String, String)]) -> Option<Service> {
    let (manager, scope) = (super::service::manager().ok()?, super::service::scope(env).ok()?);
    let said = service::ask(&service::describe(manager, &scope)).ok()?;
    // systemd answers with an empty line for a unit that it does not know.
    said.contains('/').then_some(Service { manager, scope })
}

impl From<UpdateError> for CliError {
    fn from(err: UpdateError) -> Self {
        let text = err.to_string();
        let mut letters = text.chars();
        let sentence: String = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
        Self::Failed { problem: format!("{sentence}."), remedy: err.remedy() }
    }
}
