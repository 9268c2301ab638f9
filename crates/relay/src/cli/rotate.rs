//! `relay rotate`: changes keys.

use std::io::Write as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use http::Method;

use super::account::Accounts;
use super::{CliError, ConfigSourceArgs};
use crate::account::{self, RotateSigningKey, RotatedSigningKey};
use crate::config::MasterKeySource;
use crate::data_dir::read_master_key;
use crate::error::with_causes;
use crate::secrets::rotate::{self, RotateError};
use crate::state::AppState;

/// The arguments of `relay rotate`.
#[derive(Debug, Clone, Args)]
pub struct RotateArgs {
    /// What to change.
    #[command(subcommand)]
    pub verb: RotateVerb,
}

/// What to change.
#[derive(Debug, Clone, Subcommand)]
pub enum RotateVerb {
    /// Give an account another signing key: in its DID, and under its repo
    SigningKey(SigningKeyArgs),
    /// Give the server another rotation key, which it changes the accounts' did:plc with; the server has to be stopped
    RotationKey(ConfigSourceArgs),
    /// Seal all secrets under another master key; the server has to be stopped
    MasterKey(MasterKeyArgs),
}

/// The arguments of `relay rotate signing-key`.
#[derive(Debug, Clone, Args)]
pub struct SigningKeyArgs {
    /// The handle or DID of the account
    #[arg(value_name = "ACCOUNT")]
    pub account: String,
    /// Where the configuration comes from.
    #[command(flatten)]
    pub source: ConfigSourceArgs,
}

/// The arguments of `relay rotate master-key`.
#[derive(Debug, Clone, Args)]
pub struct MasterKeyArgs {
    /// A file with the new key, 64 hexadecimal digits: needed where the configuration gives the key (secrets.master_key)
    #[arg(long, value_name = "FILE")]
    pub new_key_file: Option<PathBuf>,
    /// Where the configuration comes from.
    #[command(flatten)]
    pub source: ConfigSourceArgs,
}

/// Runs the verb.
pub(super) async fn run(args: &RotateArgs, env: Vec<(String, String)>) -> Result<(), CliError> {
    match &args.verb {
        RotateVerb::SigningKey(args) => signing_key(args, env).await,
        RotateVerb::RotationKey(source) => rotation_key(source, env).await,
        RotateVerb::MasterKey(args) => master_key(args, env).await,
    }
}

async fn signing_key(args: &SigningKeyArgs, env: Vec<(String, String)>) -> Result<(), CliError> {
    let input = RotateSigningKey { account: args.account.clone() };
    let done: RotatedSigningKey = match Accounts::open(&args.source, env).await? {
        Accounts::Here(app) => account::rotate_for_operator(&app, input).await?,
        Accounts::There(server) => server.call(Method::POST, "/rotate/signing-key", Some(&input)).await?,
    };
    writeln!(std::io::stdout(), "{} has the signing key {}, and its repo is at {}.", done.did, done.key, done.rev)?;
    Ok(())
}

async fn stopped(source: &ConfigSourceArgs, env: Vec<(String, String)>) -> Result<Box<AppState>, CliError> {
    match Accounts::open(source, env).await? {
        Accounts::Here(app) => Ok(app),
        Accounts::There(_) => Err(CliError::Failed {
            problem: "A server has the data folder, and this key cannot be changed under it.".into(),
            remedy: "Stop the server first. Nothing was changed.".into(),
        }),
    }
}

async fn rotation_key(source: &ConfigSourceArgs, env: Vec<(String, String)>) -> Result<(), CliError> {
    let app = stopped(source, env).await?;
    let done = account::rotate_rotation_key(&app).await?;
    let mut out = std::io::stdout();
    for did in &done.not_ours {
        writeln!(out, "{did} does not name the server's rotation key, and was left alone.")?;
    }
    for (did, why) in &done.failed {
        writeln!(out, "{did} could not be changed: {why}.")?;
    }
    if !done.failed.is_empty() {
        return Err(CliError::Failed {
            problem: format!("{} DIDs could not be changed.", done.failed.len()),
            remedy: "Run it again when the PLC directory answers. The server works meanwhile, with the key that it has.".into(),
        });
    }
    writeln!(out, "The rotation key is {}; {} DIDs name it.", done.key, done.changed)?;
    Ok(())
}

async fn master_key(args: &MasterKeyArgs, env: Vec<(String, String)>) -> Result<(), CliError> {
    let app = stopped(&args.source, env).await?;
    let old = app.secrets.master().clone();
    let mut out = std::io::stdout();
    match (&app.config.secrets.master_key, &args.new_key_file) {
        (MasterKeySource::DataDir(file), None) => {
            let new = rotate::begin(file)?;
            let count = rotate::reseal(&app.db, old.clone(), new.clone()).await?;
            rotate::settle(file, old.clone(), Some(new.id()))?;
            let (path, old) = (file.display(), old.id());
            writeln!(out, "{count} secrets are sealed under the new key in {path}. Keep a copy of it with your backups.")?;
            writeln!(out, "The old one is in {path}.{old}; older backups need it.")?;
        }
        (MasterKeySource::Given(_), Some(file)) => {
            let new = read_master_key(file).map_err(RotateError::from)?;
            let count = rotate::reseal(&app.db, old, new).await?;
            writeln!(out, "{count} secrets are sealed under the new key. Give it to the server now (secrets.master_key).")?;
        }
        (MasterKeySource::Given(_), None) => {
            return Err(CliError::Usage {
                problem: "The configuration gives the master key, so the new one has to come from you.".into(),
                remedy:
                    "Write 64 random hexadecimal digits to a file, name it with --new-key-file, and keep the old key until the \
                         server runs with the new one."
                        .into(),
            });
        }
        (MasterKeySource::DataDir(_), Some(_)) => {
            return Err(CliError::Usage {
                problem: "The server keeps its master key itself, and makes the new one itself.".into(),
                remedy: "Leave --new-key-file out.".into(),
            });
        }
    }
    Ok(())
}

impl From<RotateError> for CliError {
    fn from(err: RotateError) -> Self {
        let problem = with_causes(&err);
        Self::Failed {
            problem: format!("The master key was not changed: {problem}."),
            remedy: "Mend that and run it again; the server starts meanwhile, with the key that its secrets are sealed under."
                .into(),
        }
    }
}
