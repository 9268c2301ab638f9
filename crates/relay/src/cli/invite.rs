//! `relay invite`: makes a link that lets someone have an account.

use std::io::{IsTerminal as _, Write as _};

use clap::Args;
use http::Method;

use super::account::Accounts;
use super::{CliError, ConfigSourceArgs};
use crate::account::operator::{self, CreateInvite, Invite};
use crate::qr;

/// The arguments of `relay invite`.
#[derive(Debug, Clone, Args)]
pub struct InviteArgs {
    /// How many accounts the link makes
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub uses: u32,
    /// Print JSON, without a QR code
    #[arg(long)]
    pub json: bool,
    /// Where the configuration comes from.
    #[command(flatten)]
    pub source: ConfigSourceArgs,
}

/// Runs the verb.
pub(super) async fn run(args: &InviteArgs, env: Vec<(String, String)>) -> Result<(), CliError> {
    let input = CreateInvite { uses: args.uses };
    let invite: Invite = match Accounts::open(&args.source, env).await? {
        Accounts::Here(app) => operator::create_invite(&app, input).await?,
        Accounts::There(server) => server.call(Method::POST, "/invites", Some(&input)).await?,
    };
    let mut out = std::io::stdout();
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&invite).map_err(std::io::Error::from)?)?;
        return Ok(());
    }
    writeln!(out, "{}", invite.link)?;
    // What is piped on is the link alone.
    if out.is_terminal() {
        if let Ok(code) = qr::in_terminal(&invite.link) {
            writeln!(out, "\n{code}")?;
        }
        let accounts = if invite.uses == 1 { "one account".to_owned() } else { format!("{} accounts", invite.uses) };
        writeln!(out, "Whoever opens this link can make {accounts} on the server.")?;
        if !invite.required {
            writeln!(out, "So can everyone else: accounts.invite_required is off.")?;
        }
    }
    Ok(())
}
