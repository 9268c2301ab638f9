//! `relay account move-in`: moves an account here from another server, by questions ([`dialog`]) or by arguments alone.

pub(super) mod dialog;
mod mover;

use std::io::Write as _;

use clap::Args;
use zeroize::Zeroizing;

use self::dialog::{Dialog, Given};
pub(super) use self::mover::Mover;
use super::account::Accounts;
use super::terminal::Terminal;
use super::{CliError, ConfigSourceArgs};
use crate::move_in::{Fault, Finish, Finished, Plan, SignIn, Stage, State};

/// Where `--yes` has the passwords from: arguments are seen by everybody on the machine.
const OLD_PASSWORD: &str = "MOVE_IN_PASSWORD";
const NEW_PASSWORD: &str = "MOVE_IN_NEW_PASSWORD";

/// The arguments of `relay account move-in`.
#[derive(Debug, Clone, Args)]
pub struct MoveInArgs {
    /// The handle or DID of the account
    #[arg(value_name = "ACCOUNT")]
    pub account: String,
    /// Ask nothing: do what the arguments say, as far as that goes. The password there is in the variable MOVE_IN_PASSWORD, the one
    /// that it shall have here in MOVE_IN_NEW_PASSWORD [default: the same]
    #[arg(long)]
    pub yes: bool,
    /// The handle that it shall have here [default: its own, if it is a domain of the owner's]
    #[arg(long, value_name = "HANDLE")]
    pub handle: Option<String>,
    /// Its mail address here [default: the one there]
    #[arg(long, value_name = "ADDRESS")]
    pub email: Option<String>,
    /// The code that the old server mailed to sign in with, if it asks for one
    #[arg(long, value_name = "CODE")]
    pub sign_in_code: Option<String>,
    /// The code that the old server mailed to move the account
    #[arg(long, value_name = "CODE", requires = "yes")]
    pub code: Option<String>,
    /// Have the old server mail another code
    #[arg(long, requires = "yes", conflicts_with = "code")]
    pub new_code: bool,
    /// A key of the owner's own, with which the account can be had back even from this server [default: one is made, if questions
    /// are asked]
    #[arg(long, value_name = "DID:KEY")]
    pub recovery_key: Option<String>,
    /// Give the move up: what came here of it is deleted, and on the old server all is as it was
    #[arg(long, conflicts_with = "yes")]
    pub give_up: bool,
    /// Where the configuration comes from.
    #[command(flatten)]
    pub source: ConfigSourceArgs,
}

/// Runs the verb.
pub(super) async fn run(args: &MoveInArgs, env: Vec<(String, String)>) -> Result<(), CliError> {
    let mover = Mover(Accounts::open(&args.source, env.clone()).await?);
    if args.give_up {
        let plan = mover.look(&args.account).await??;
        mover.give_up(&plan.did).await??;
        let here = if plan.under_way.is_some_and(|state| state.was_here) {
            "The account stays here, deactivated, as it was before"
        } else {
            "What came here is deleted"
        };
        writeln!(std::io::stdout(), "The move of {} is given up. {here}. On {} all is as it was.", plan.did, plan.old_server)?;
        return Ok(());
    }
    if args.yes {
        return unattended(&mover, args, &env).await;
    }
    let given = Given {
        account: args.account.clone(),
        handle: args.handle.clone(),
        email: args.email.clone(),
        sign_in_code: args.sign_in_code.clone(),
        recovery_key: args.recovery_key.clone(),
    };
    Dialog { mover: &mover, terminal: &Terminal, given }.run().await.map(drop)
}

async fn unattended(mover: &Mover, args: &MoveInArgs, env: &[(String, String)]) -> Result<(), CliError> {
    let variable = |name: &str| env.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let mut out = std::io::stdout();
    let plan: Plan = mover.look(&args.account).await??;
    let did = plan.did.clone();
    let password = variable(OLD_PASSWORD);
    let sign_in = async || -> Result<State, CliError> {
        let Some(password) = password.clone() else {
            return Err(CliError::Usage {
                problem: format!("The password of the account at {} is needed.", plan.old_server),
                remedy: format!("Put it into the variable {OLD_PASSWORD}."),
            });
        };
        let given = SignIn {
            account: did.to_string(),
            password,
            factor: args.sign_in_code.clone(),
            handle: args.handle.clone(),
            email: args.email.clone(),
            new_password: variable(NEW_PASSWORD),
        };
        Ok(mover.begin(given).await??)
    };
    let state = match &plan.under_way {
        // A new session does no harm, and the old one may have ended.
        Some(state) if password.is_none() => state.clone(),
        Some(_) | None => sign_in().await?,
    };
    let state = if state.stage == Stage::Copy { mover.copy(&did, |_| ()).await?? } else { state };
    for line in dialog::copied(&state) {
        writeln!(out, "{line}")?;
    }
    let is_plc = did.is_plc();
    if state.stage == Stage::Identity && is_plc && args.code.is_none() {
        if !state.code_sent || args.new_code {
            mover.send_code(&did).await??;
        }
        writeln!(out, "{} has mailed a code. Run this again with --code and that to end the move.", state.old_server)?;
        return Ok(());
    }
    if let Some(document) = &state.did_document {
        writeln!(out, "The DID document of {did} has to say this:\n\n{document:#}\n")?;
    }
    let given = Finish { did, code: args.code.clone(), recovery_key: args.recovery_key.clone() };
    let finished: Finished = mover.finish(given).await??;
    for line in dialog::finished(&finished) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

impl From<Fault> for CliError {
    fn from(fault: Fault) -> Self {
        let argument = match &fault {
            Fault::Handle { .. } => Some("Give another one with --handle.".to_owned()),
            Fault::Email { .. } => Some("Give another one with --email.".to_owned()),
            Fault::Password { .. } => Some(format!("Put another one for here into the variable {NEW_PASSWORD}.")),
            Fault::NeedsFactor { .. } => Some("Run this again with --sign-in-code and that.".to_owned()),
            Fault::NeedsCode { .. } => Some("Run this again with --code and that, or with --new-code.".to_owned()),
            Fault::Unknown { .. }
            | Fault::AlreadyHere { .. }
            | Fault::NotUnderWay { .. }
            | Fault::Busy
            | Fault::Unreachable { .. }
            | Fault::RateLimited { .. }
            | Fault::WrongPassword { .. }
            | Fault::WrongFactor { .. }
            | Fault::AppPassword
            | Fault::OtherAccount { .. }
            | Fault::SessionOver { .. }
            | Fault::Refused { .. }
            | Fault::Invite { .. }
            | Fault::TooLarge { .. }
            | Fault::BadRepo { .. }
            | Fault::WrongCode { .. }
            | Fault::Directory { .. }
            | Fault::DidWeb { .. }
            | Fault::TooLate
            | Fault::Stopping
            | Fault::Here { .. } => None,
        };
        let text = fault.to_string();
        let (problem, remedy) = match text.split_once(". ") {
            Some((problem, remedy)) => (format!("{problem}."), remedy),
            None => (text, "What was done before is kept: run it again to go on."),
        };
        Self::Failed { problem, remedy: argument.unwrap_or_else(|| remedy.to_owned()) }
    }
}

/// A secret as a terminal gives it.
type Secret = Zeroizing<String>;
