//! `relay code`: tells the codes that mails carry, for when mail does not arrive.

use std::io::Write as _;

use clap::{Args, Subcommand};
use http::Method;

use super::account::Accounts;
use super::{CliError, ConfigSourceArgs};
use crate::account::ShownCode;
use crate::account::operator::{self, ShowCodes};

/// The arguments of `relay code`.
#[derive(Debug, Clone, Args)]
pub struct CodeArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: CodeVerb,
}

/// What to do with codes.
#[derive(Debug, Clone, Subcommand)]
pub enum CodeVerb {
    /// Show the codes that an account was sent, or would have been, and that are good still
    Show(ShowArgs),
}

/// The arguments of `relay code show`.
#[derive(Debug, Clone, Args)]
pub struct ShowArgs {
    /// The handle, DID or e-mail address of the account
    #[arg(value_name = "ACCOUNT")]
    pub account: String,
    /// Print one JSON object per line
    #[arg(long)]
    pub json: bool,
    /// Where the configuration comes from.
    #[command(flatten)]
    pub source: ConfigSourceArgs,
}

/// Runs the verb.
pub(super) async fn run(args: &CodeArgs, env: Vec<(String, String)>) -> Result<(), CliError> {
    let CodeVerb::Show(args) = &args.verb;
    let input = ShowCodes { account: args.account.clone() };
    let codes: Vec<ShownCode> = match Accounts::open(&args.source, env).await? {
        Accounts::Here(app) => operator::show_codes(&app, input).await?,
        Accounts::There(server) => server.call(Method::POST, "/codes", Some(&input)).await?,
    };
    let mut out = std::io::stdout();
    for code in &codes {
        if args.json {
            writeln!(out, "{}", serde_json::to_string(code).map_err(std::io::Error::from)?)?;
        } else {
            writeln!(out, "{}  {}  good until {}", code.code, code.purpose.as_str(), code.good_until.as_str())?;
        }
    }
    if codes.is_empty() && !args.json {
        writeln!(out, "{} has no code that is good. Codes last 15 minutes; ask for one in the app.", args.account)?;
    }
    Ok(())
}
