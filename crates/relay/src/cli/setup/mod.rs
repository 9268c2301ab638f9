//! `relay setup`: from an empty folder to a server that runs, by questions in the terminal ([`questions`]), on pages in the
//! browser ([`crate::setup::web`]), or by arguments alone ([`given`]).

mod browser;
mod given;
mod questions;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::{CliError, ConfigSourceArgs};
use crate::config::{LogFormat, Logging};
use crate::setup::{self, AccountFault, Ending, KeepError, MailFault, Place, Setup, WorkError};

/// The arguments of `relay setup`.
#[derive(Debug, Clone, Default, Args)]
pub struct SetupArgs {
    /// Ask on pages in the browser instead, as `relay` does without arguments
    #[arg(long, conflicts_with = "yes")]
    pub browser: bool,
    /// Where the pages are; port 0 takes a free one [default: 127.0.0.1:2583, in a container 0.0.0.0:2583]
    #[arg(long, value_name = "ADDR", requires = "browser")]
    pub bind: Option<SocketAddr>,
    /// A host name that the pages are opened under, besides addresses and names of the local network; may be repeated
    #[arg(long, value_name = "NAME", requires = "browser")]
    pub host: Vec<String>,
    /// Ask nothing: do what these arguments say, and go on from a set-up that was cut off
    #[arg(long)]
    pub yes: bool,
    /// What the arguments say.
    #[command(flatten)]
    pub given: GivenArgs,
    /// Where the data goes, and settings besides.
    #[command(flatten)]
    pub source: ConfigSourceArgs,
}

/// What `relay setup --yes` is told.
#[derive(Debug, Clone, Default, Args)]
pub struct GivenArgs {
    /// A file with answers: JSON, as setup.json in the data folder has them
    #[arg(long, value_name = "FILE", requires = "yes")]
    pub answers: Option<PathBuf>,
    /// The host name of the server
    #[arg(long, value_name = "NAME", requires = "yes")]
    pub hostname: Option<String>,
    /// A proxy in front speaks TLS [default: this server does, with certificates that it orders]
    #[arg(long, requires = "yes")]
    pub proxy: bool,
    /// Have the router open the ports
    #[arg(long, requires = "yes", conflicts_with = "proxy")]
    pub open_ports: bool,
    /// The handle of the first account, whole or without the name of the server [default: no account]
    #[arg(long, value_name = "HANDLE", requires_all = ["yes", "email"])]
    pub handle: Option<String>,
    /// Its mail address
    #[arg(long, value_name = "ADDRESS", requires = "handle")]
    pub email: Option<String>,
    /// Read its password from standard input [default: make one and print it]
    #[arg(long, requires = "handle")]
    pub password_stdin: bool,
    /// The folder that backups go to [default: no backups]
    #[arg(long, value_name = "DIR", requires = "yes")]
    pub backup_to: Option<PathBuf>,
    /// Make it a service of the system, and start it
    #[arg(long, requires = "yes")]
    pub service: bool,
}

/// How a set-up ended, and where.
#[derive(Debug)]
pub(super) struct Done {
    ending: Option<Ending>,
    place: Place,
    bind: Option<SocketAddr>,
}

/// Whether there is a server already.
pub(super) fn is_configured(source: &ConfigSourceArgs, env: &[(String, String)]) -> bool {
    setup::is_configured(source.file().as_deref(), &env.iter().cloned().collect())
}

/// Runs the verb.
pub(super) async fn run(args: &SetupArgs, env: Vec<(String, String)>) -> Result<Done, CliError> {
    let _log = super::start_log(&Logging { format: LogFormat::Human, level: "warn".to_owned() });
    let place = args.source.place(env.clone()).ok_or_else(|| CliError::Usage {
        problem: "It is not known where the data could be: there is no home folder.".to_owned(),
        remedy: "Name a folder with --data-dir.".to_owned(),
    })?;
    refuse_what_is_there(&place)?;
    let setup = Setup::open(place.clone(), env.clone(), args.source.set_overrides())?;
    let (ending, bind) = if args.browser {
        let (ending, bind) = browser::run(setup, args, env).await?;
        (ending, Some(bind))
    } else if args.yes {
        (given::run(&setup, &args.given, env).await?, None)
    } else {
        let asked = questions::run(&setup, env).await;
        setup.stop().await;
        (asked.map_err(told_when_cut_off)?, None)
    };
    Ok(Done { ending, place, bind })
}

/// A terminal that closes is no fault of the output.
fn told_when_cut_off(err: CliError) -> CliError {
    match err {
        CliError::Output(err) if err.kind() == std::io::ErrorKind::UnexpectedEof => CliError::Usage {
            problem: "The answers end here.".to_owned(),
            remedy: "Those that were given are kept: run it again to go on. `relay setup --yes` asks nothing.".to_owned(),
        },
        err => err,
    }
}

/// A server that is there is not set up again.
fn refuse_what_is_there(place: &Place) -> Result<(), CliError> {
    let config = place.config();
    if config.exists() {
        return Err(CliError::Usage {
            problem: format!("A server is set up here already: {}.", config.display()),
            remedy:
                "`relay` runs it. To change it, edit that file and run `relay config check`; for another server, name another \
                     folder with --data-dir."
                    .to_owned(),
        });
    }
    if place.data_dir.join("relay.sqlite").exists() && !place.is_begun() {
        return Err(CliError::Usage {
            problem: format!("{} holds the data of a server, but there is no configuration.", place.data_dir.display()),
            remedy: "Name its configuration with --config or RELAY_CONFIG, or its address with RELAY_SERVER_PUBLIC_URL. For \
                     another server, name another folder with --data-dir."
                .to_owned(),
        });
    }
    Ok(())
}

/// Goes over to the server. It is a new program in this process, so nothing of the set-up is left.
#[expect(clippy::needless_pass_by_value, reason = "the set-up is over")]
pub(super) fn go_on(done: Done) -> Result<(), CliError> {
    let mut command = std::process::Command::new(std::env::current_exe()?);
    match done.ending {
        None | Some(Ending::Service) => return Ok(()),
        Some(Ending::Here) => {
            command.arg("serve").arg("--config").arg(done.place.config());
        }
        Some(Ending::Trial) => {
            command.arg("dev").arg("--data-dir").arg(done.place.data_dir.join("trial"));
            // Nobody has to know its address, and another one may be running.
            command.args(["--plc-bind", "127.0.0.1:0"]);
            if let Some(bind) = done.bind {
                command.arg("--bind").arg(bind.to_string());
            }
        }
    }
    replace(command)
}

#[cfg(unix)]
fn replace(mut command: std::process::Command) -> Result<(), CliError> {
    use std::os::unix::process::CommandExt as _;
    Err(command.exec().into())
}

#[cfg(not(unix))]
fn replace(mut command: std::process::Command) -> Result<(), CliError> {
    command.status()?;
    Ok(())
}

impl From<KeepError> for CliError {
    fn from(err: KeepError) -> Self {
        let remedy = match &err {
            KeepError::Write { .. } => {
                "Make space on the disk, or name a folder of your own with --data-dir. What was answered before is kept."
            }
            KeepError::Read { .. } => "Mend the file, or remove it to begin anew.",
        };
        Self::Failed { problem: format!("{err}."), remedy: remedy.to_owned() }
    }
}

impl From<WorkError> for CliError {
    fn from(err: WorkError) -> Self {
        match err {
            WorkError::Keep(err) => err.into(),
            WorkError::Config(errors) => Self::Config { errors, hints: Vec::new() },
            err @ (WorkError::Host(_) | WorkError::Live(_) | WorkError::Backup { .. }) => Self::Failed {
                problem: format!("{}.", sentence(&err.to_string())),
                remedy: "Mend the cause and run this again: it goes on from here.".to_owned(),
            },
        }
    }
}

impl From<AccountFault> for CliError {
    fn from(err: AccountFault) -> Self {
        match err {
            AccountFault::Work(err) => err.into(),
            err @ (AccountFault::Handle | AccountFault::Password(_) | AccountFault::Create(_)) => Self::Failed {
                problem: format!("There is no account: {}.", err.to_string().trim_end_matches('.')),
                remedy: "Run this again: it goes on from here.".to_owned(),
            },
        }
    }
}

/// What is told of a mail server that will not do.
fn mail_problem(fault: &MailFault) -> String {
    format!("{}.", sentence(&fault.to_string()))
}

/// Makes a sentence of an error's text, but for its full stop.
fn sentence(text: &str) -> String {
    let text = text.trim_end_matches('.');
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
