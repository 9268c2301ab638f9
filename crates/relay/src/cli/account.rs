//! `relay account`: manages the accounts of this server, whether it runs or not.

use std::io::{BufRead as _, Write as _};
use std::sync::Arc;

use clap::{Args, Subcommand};
use http::Method;

use super::move_in::{self, MoveInArgs};
use super::{CliError, ConfigSourceArgs};
use crate::account::operator::{
    self, AccountSummary, CreateAccount, Created, MakeSignInLink, RemoveFactors, ResetPassword, SignInLink,
};
use crate::control::{ControlClient, ControlError};
use crate::data_dir::DataDirError;
use crate::error::XrpcError;
use crate::state::{AppState, StartError};

/// The arguments of `relay account`.
#[derive(Debug, Clone, Args)]
pub struct AccountArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: AccountVerb,
}

/// What to do with accounts.
#[derive(Debug, Clone, Subcommand)]
pub enum AccountVerb {
    /// Create an account
    Create(CreateArgs),
    /// Move an account here from another server
    MoveIn(MoveInArgs),
    /// List the accounts
    List(ListArgs),
    /// Give an account a new password, which is printed unless it is given
    ResetPassword(ResetPasswordArgs),
    /// Take passkeys, authenticator, backup codes and mail codes from an account whose owner has lost them
    RemoveFactors(RemoveFactorsArgs),
    /// Print a link that signs the owner of an account in once, within a quarter of an hour, to add a passkey
    SignInLink(SignInLinkArgs),
}

/// The arguments of `relay account create`.
#[derive(Debug, Clone, Args)]
pub struct CreateArgs {
    /// The handle, such as alice.pds.example.com
    #[arg(value_name = "HANDLE")]
    pub handle: String,
    /// The e-mail address
    #[arg(long, value_name = "ADDRESS")]
    pub email: String,
    /// Read the password from standard input [default: make one and print it]
    #[arg(long)]
    pub password_stdin: bool,
    /// Where the configuration comes from.
    #[command(flatten)]
    pub source: ConfigSourceArgs,
}

/// The arguments of `relay account list`.
#[derive(Debug, Clone, Args)]
pub struct ListArgs {
    /// Print one JSON object per line
    #[arg(long)]
    pub json: bool,
    /// Where the configuration comes from.
    #[command(flatten)]
    pub source: ConfigSourceArgs,
}

/// The arguments of `relay account reset-password`.
#[derive(Debug, Clone, Args)]
pub struct ResetPasswordArgs {
    /// The handle or DID of the account
    #[arg(value_name = "ACCOUNT")]
    pub account: String,
    /// Read the password from standard input [default: make one and print it]
    #[arg(long)]
    pub password_stdin: bool,
    /// Where the configuration comes from.
    #[command(flatten)]
    pub source: ConfigSourceArgs,
}

/// The arguments of `relay account remove-factors`.
#[derive(Debug, Clone, Args)]
pub struct RemoveFactorsArgs {
    /// The handle or DID of the account
    #[arg(value_name = "ACCOUNT")]
    pub account: String,
    /// Where the configuration comes from.
    #[command(flatten)]
    pub source: ConfigSourceArgs,
}

/// The arguments of `relay account sign-in-link`.
#[derive(Debug, Clone, Args)]
pub struct SignInLinkArgs {
    /// The handle or DID of the account
    #[arg(value_name = "ACCOUNT")]
    pub account: String,
    /// Where the configuration comes from.
    #[command(flatten)]
    pub source: ConfigSourceArgs,
}

/// Where the accounts are.
pub(super) enum Accounts {
    /// In a data folder that no server has.
    Here(Box<AppState>),
    /// With a server that runs.
    There(ControlClient),
}

/// Runs the verb.
pub(super) async fn run(args: &AccountArgs, env: Vec<(String, String)>) -> Result<(), CliError> {
    let mut out = std::io::stdout();
    match &args.verb {
        AccountVerb::Create(args) => {
            let (password, made) = password(args.password_stdin)?;
            let input = CreateAccount { handle: args.handle.clone(), email: args.email.clone(), password: password.clone() };
            let created: Created = match Accounts::open(&args.source, env).await? {
                Accounts::Here(app) => operator::create(&app, input).await?,
                Accounts::There(server) => server.call(Method::POST, "/accounts", Some(&input)).await?,
            };
            writeln!(out, "{}  {}", created.handle, created.did)?;
            if made {
                writeln!(out, "password: {password}")?;
            }
        }
        AccountVerb::MoveIn(args) => Box::pin(move_in::run(args, env)).await?,
        AccountVerb::List(args) => {
            let accounts: Vec<AccountSummary> = match Accounts::open(&args.source, env).await? {
                Accounts::Here(app) => operator::list(&app).await?,
                Accounts::There(server) => server.call(Method::GET, "/accounts", None::<&()>).await?,
            };
            for account in accounts {
                if args.json {
                    let line = serde_json::to_string(&account).map_err(std::io::Error::from)?;
                    writeln!(out, "{line}")?;
                } else {
                    let email = account.email.as_deref().unwrap_or("-");
                    writeln!(out, "{}  {}  {}  {email}", account.did, account.handle, account.status)?;
                }
            }
        }
        AccountVerb::RemoveFactors(args) => {
            let input = RemoveFactors { account: args.account.clone() };
            match Accounts::open(&args.source, env).await? {
                Accounts::Here(app) => operator::remove_factors(&app, input).await?,
                Accounts::There(server) => server.call(Method::POST, "/accounts/remove-factors", Some(&input)).await?,
            }
            writeln!(out, "{} signs in by its password alone now, and its sessions ended.", args.account)?;
        }
        AccountVerb::SignInLink(args) => {
            let input = MakeSignInLink { account: args.account.clone() };
            let link: SignInLink = match Accounts::open(&args.source, env).await? {
                Accounts::Here(app) => operator::make_sign_in_link(&app, input).await?,
                Accounts::There(server) => server.call(Method::POST, "/accounts/sign-in-link", Some(&input)).await?,
            };
            writeln!(out, "{}", link.link)?;
        }
        AccountVerb::ResetPassword(args) => {
            let (password, made) = password(args.password_stdin)?;
            let input = ResetPassword { account: args.account.clone(), password: password.clone() };
            match Accounts::open(&args.source, env).await? {
                Accounts::Here(app) => operator::reset_password(&app, input).await?,
                Accounts::There(server) => server.call(Method::POST, "/accounts/reset-password", Some(&input)).await?,
            }
            writeln!(out, "{} has a new password, and its sessions ended.", args.account)?;
            if made {
                writeln!(out, "password: {password}")?;
            }
        }
    }
    Ok(())
}

impl Accounts {
    pub(super) async fn open(source: &ConfigSourceArgs, env: Vec<(String, String)>) -> Result<Self, CliError> {
        let config = source.load(env)?.config;
        let data_dir = config.data.dir.clone();
        match AppState::open(config, Arc::default()).await {
            Ok(app) => Ok(Self::Here(Box::new(app))),
            Err(StartError::DataDir(DataDirError::InUse { .. })) => Ok(Self::There(ControlClient::new(&data_dir))),
            Err(err) => Err(err.into()),
        }
    }
}

/// Returns the password to set, and whether it was made here.
fn password(from_stdin: bool) -> Result<(String, bool), CliError> {
    if !from_stdin {
        return Ok((crypto::random_text::app_password(crate::random::bytes()), true));
    }
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(CliError::Usage {
            problem: "The password on standard input is empty.".into(),
            remedy: "Write it as one line, or leave --password-stdin out to have one made.".into(),
        });
    }
    Ok((password.to_owned(), false))
}

impl From<XrpcError> for CliError {
    fn from(err: XrpcError) -> Self {
        if err.status().is_server_error() {
            let remedy = "The log of the server may say more.".to_owned();
            return Self::Failed { problem: err.describe(), remedy };
        }
        Self::Usage { problem: format!("{}.", err.message().trim_end_matches('.')), remedy: "Nothing was changed.".into() }
    }
}

impl From<ControlError> for CliError {
    fn from(err: ControlError) -> Self {
        let remedy = match &err {
            ControlError::Unreachable { .. } => {
                "A relay process has the data folder, but does not answer; restart it, or stop it first."
            }
            ControlError::Refused(_) => "Nothing was changed.",
            ControlError::Answer(_) => "Use the relay binary that the server was started with.",
        };
        Self::Failed { problem: format!("{err}."), remedy: remedy.into() }
    }
}
