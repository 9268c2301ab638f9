//! The command line: what `relay` understands, and how its verbs end.
//!
//! Each verb has a file with its arguments. Errors go to standard error with a remedy; the exit code is 2 for mistakes in
//! arguments and configuration, 1 for all other failures.

pub mod account;
pub mod adopt;
pub mod backup;
pub mod code;
pub mod config;
pub mod dev;
pub mod doctor;
mod error;
pub mod health;
pub mod invite;
pub mod move_in;
pub mod rehearse;
pub mod restore;
pub mod rotate;
pub mod serve;
pub mod service;
pub mod setup;
mod source;
pub mod status;
pub mod support_bundle;
mod terminal;
pub mod update;
pub mod update_data;
pub mod verify;

use std::{
    ffi::OsString,
    io::{self, Write as _},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

use crate::telemetry::log;

pub use self::{error::CliError, source::ConfigSourceArgs};

/// An AT Protocol Personal Data Server.
///
/// Without a verb it runs the server, or the set-up where there is none yet.
#[derive(Debug, Parser)]
#[command(name = "relay", version, about, long_about, propagate_version = false)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a server for development: on this machine, with a PLC directory of its own and test accounts
    Dev(dev::DevArgs),
    /// Set a server up, by questions in the terminal, in the browser, or by arguments
    Setup(setup::SetupArgs),
    /// Run the server
    Serve(serve::ServeArgs),
    /// Check, show or document the configuration
    Config(config::ConfigArgs),
    /// Manage the accounts of this server
    Account(account::AccountArgs),
    /// Invite someone: make a link that lets them have an account
    Invite(invite::InviteArgs),
    /// Show the codes that mails carry, for when mail does not arrive
    Code(code::CodeArgs),
    /// Change keys: of an account, of the server, or the master key
    Rotate(rotate::RotateArgs),
    /// Check that everything that is stored is whole and agrees, whether the server runs or not
    Verify(verify::VerifyArgs),
    /// Look whether all that the server stands on is well, and say what to do where it is not
    Doctor(doctor::DoctorArgs),
    /// Make the server a service that starts with the machine
    Service(service::ServiceArgs),
    /// Show how a running server is doing
    Status(status::StatusArgs),
    /// Write a file that tells whoever helps you how the server is doing, without secrets
    SupportBundle(support_bundle::SupportBundleArgs),
    /// Make backups, list them, and restore the newest on trial
    Backup(backup::BackupArgs),
    /// Make a data folder from a backup
    Restore(restore::RestoreArgs),
    /// Take over the data folder of the official PDS, with all its accounts; without --yes, say what would come of it
    Adopt(adopt::AdoptArgs),
    /// Put a new version in the place of this one, and the old one back when the new one is not well
    Update(update::UpdateArgs),
    /// Ask a running server whether it is well; for container health checks
    Health(health::HealthArgs),
    /// Try this version on a copy of the database, for `relay update`
    #[command(hide = true)]
    Rehearse(rehearse::RehearseArgs),
    /// Do a part of `relay update` as the owner of the data folder
    #[command(hide = true)]
    UpdateData(update_data::UpdateDataArgs),
}

/// Reads the arguments. `Err` is the exit code when there is nothing more to do: after `--help`, `--version` or a mistake,
/// which has been printed.
pub fn parse<A: Into<OsString> + Clone>(args: impl IntoIterator<Item = A>) -> Result<Cli, ExitCode> {
    Cli::try_parse_from(args).map_err(|err| {
        // A closed terminal is no reason to fail twice.
        let _ = err.print();
        if err.use_stderr() { ExitCode::from(error::USAGE) } else { ExitCode::SUCCESS }
    })
}

/// Returns the process's environment for [`ConfigSourceArgs::load`]; values that are not Unicode become wrong values, not
/// panics.
pub fn process_env() -> Vec<(String, String)> {
    let text = |text: OsString| text.to_string_lossy().into_owned();
    std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect()
}

/// Runs `relay config`.
pub fn main_config(args: &config::ConfigArgs) -> ExitCode {
    finish(config::run(args, process_env(), &mut io::stdout().lock()))
}

/// Runs `relay health`.
pub fn main_health(args: &health::HealthArgs) -> ExitCode {
    if args.deep {
        return finish(in_runtime(health::deep(args, process_env())));
    }
    finish(health::run(args, process_env(), &mut io::stdout().lock()))
}

/// Runs `relay dev`.
pub fn main_dev(args: &dev::DevArgs) -> ExitCode {
    finish(in_runtime(dev::run(args)))
}

/// Runs `relay serve`.
pub fn main_serve(args: &serve::ServeArgs) -> ExitCode {
    finish(args.load(process_env()).and_then(|loaded| in_runtime(serve::run(loaded))))
}

/// Runs `relay setup`.
pub fn main_setup(args: &setup::SetupArgs) -> ExitCode {
    finish(in_runtime(setup::run(args, process_env())).and_then(setup::go_on))
}

/// Runs `relay` without a verb: the server, or the set-up where there is none yet.
pub fn main_default() -> ExitCode {
    // As if the verb had been there, with what variables say.
    let (serve, setup) = (["relay", "serve"], ["relay", "setup", "--browser"]);
    match (Cli::try_parse_from(serve).map(|cli| cli.command), Cli::try_parse_from(setup).map(|cli| cli.command)) {
        (Ok(Some(Command::Serve(args))), _) if setup::is_configured(&args.source, &process_env()) => main_serve(&args),
        (_, Ok(Some(Command::Setup(args)))) => main_setup(&args),
        _ => unreachable!("the verbs are there"),
    }
}

/// Runs `relay account`.
pub fn main_account(args: &account::AccountArgs) -> ExitCode {
    finish(in_runtime(account::run(args, process_env())))
}

/// Runs `relay invite`.
pub fn main_invite(args: &invite::InviteArgs) -> ExitCode {
    finish(in_runtime(invite::run(args, process_env())))
}

/// Runs `relay code`.
pub fn main_code(args: &code::CodeArgs) -> ExitCode {
    finish(in_runtime(code::run(args, process_env())))
}

/// Runs `relay rotate`.
pub fn main_rotate(args: &rotate::RotateArgs) -> ExitCode {
    finish(in_runtime(rotate::run(args, process_env())))
}

/// Runs `relay service`.
pub fn main_service(args: &service::ServiceArgs) -> ExitCode {
    finish(service::run(args, process_env()))
}

/// Runs `relay support-bundle`.
pub fn main_support_bundle(args: &support_bundle::SupportBundleArgs) -> ExitCode {
    finish(in_runtime(support_bundle::run(args, process_env())))
}

/// Runs `relay backup`.
pub fn main_backup(args: &backup::BackupArgs) -> ExitCode {
    finish(in_runtime(backup::run(args, process_env())))
}

/// Runs `relay restore`.
pub fn main_restore(args: &restore::RestoreArgs) -> ExitCode {
    finish(in_runtime(restore::run(args, &process_env())))
}

/// Runs `relay adopt`.
pub fn main_adopt(args: &adopt::AdoptArgs) -> ExitCode {
    finish_looking(in_runtime(adopt::run(args, process_env())))
}

/// Runs `relay doctor`.
pub fn main_doctor(args: &doctor::DoctorArgs) -> ExitCode {
    finish_looking(in_runtime(doctor::run(args, process_env())))
}

/// Runs `relay verify`.
pub fn main_verify(args: &verify::VerifyArgs) -> ExitCode {
    finish_looking(in_runtime(verify::run(args, process_env())))
}

/// Ends a verb that looks for what is wrong: what it found is its exit code.
fn finish_looking(result: Result<verify::Outcome, CliError>) -> ExitCode {
    match result {
        Ok(outcome) => ExitCode::from(outcome.exit_code()),
        Err(err) => finish(Err(err)),
    }
}

/// Runs `relay update`.
pub fn main_update(args: &update::UpdateArgs) -> ExitCode {
    finish_looking(in_runtime(update::run(args, process_env())))
}

/// Runs `relay update-data`.
pub fn main_update_data(args: &update_data::UpdateDataArgs) -> ExitCode {
    finish(update_data::run(args))
}

/// Runs `relay rehearse`.
pub fn main_rehearse(args: &rehearse::RehearseArgs) -> ExitCode {
    finish(rehearse::run(args, &mut io::stdout().lock()))
}

/// Runs `relay status`.
pub fn main_status(args: &status::StatusArgs) -> ExitCode {
    finish(in_runtime(status::run(args, process_env())))
}

fn in_runtime<T>(verb: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    /// How long a thread that waits for the disk may have nothing to do. Each keeps memory of its own at hand.
    const REST: std::time::Duration = std::time::Duration::from_secs(1);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_keep_alive(REST).build()?;
    let result = runtime.block_on(verb);
    // Blocking work that nobody waits for any more, such as a look-up of a name, does not hold the process up.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    result
}

/// Starts the log of a server, on standard error. What is returned writes the last lines when it is dropped.
fn start_log(logging: &crate::config::Logging) -> log::Writing {
    let writing = log::write();
    let lines = tracing_subscriber::fmt().with_env_filter(logging.filter()).with_writer(log::lines);
    // A second start in one process, as in tests, keeps the first log.
    drop(if logging.is_json() { lines.json().flatten_event(true).try_init() } else { lines.try_init() });
    writing
}

/// What a server tells of itself while it runs: its log, and its traces in a program that was built for them.
struct Told {
    _log: log::Writing,
    #[cfg(feature = "otel")]
    traces: Option<crate::telemetry::traces::Traces>,
}

impl Told {
    /// Starts it, where the configuration says.
    #[cfg(not(feature = "otel"))]
    #[expect(clippy::unnecessary_wraps, reason = "traces can fail to start")]
    fn start(config: &crate::config::Config) -> Result<Self, CliError> {
        Ok(Self { _log: start_log(&config.logging) })
    }

    /// Starts it, where the configuration says.
    #[cfg(feature = "otel")]
    fn start(config: &crate::config::Config) -> Result<Self, CliError> {
        use tracing_subscriber::layer::SubscriberExt as _;
        use tracing_subscriber::util::SubscriberInitExt as _;
        use tracing_subscriber::{Layer as _, registry};

        use crate::telemetry::{spans, traces};
        let (layer, traces) = traces::start(config)
            .map_err(|err| CliError::Failed {
                problem: format!("Traces cannot be sent: {err}."),
                remedy: "Look at network.extra_root_certificates, or remove telemetry.otlp_endpoint.".into(),
            })?
            .unzip();
        let Some(layer) = layer else { return Ok(Self { _log: start_log(&config.logging), traces: None }) };
        let writing = log::write();
        let lines = tracing_subscriber::fmt::layer().with_writer(log::lines);
        let lines = if config.logging.is_json() { lines.json().flatten_event(true).boxed() } else { lines.boxed() };
        // Spans are for traces; a line says by itself what it is about.
        let no_spans = format!("{}=off", spans::TARGET).parse().expect("it is a directive");
        let lines = lines.with_filter(config.logging.filter().add_directive(no_spans));
        drop(registry().with(lines).with(layer).try_init());
        Ok(Self { _log: writing, traces })
    }

    /// Sends the traces that are left, and writes the last lines.
    #[cfg_attr(not(feature = "otel"), expect(clippy::unused_async, reason = "traces take time to send"))]
    async fn end(self) {
        #[cfg(feature = "otel")]
        if let Some(traces) = self.traces {
            traces.stop().await;
        }
    }
}

/// Completes when the operator or the service manager asks the process to end.
async fn asked_to_stop() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            },
            Err(_) => drop(tokio::signal::ctrl_c().await),
        }
    }
    #[cfg(not(unix))]
    drop(tokio::signal::ctrl_c().await);
}

/// Ends a verb: prints its error to standard error and returns the exit code.
pub fn finish(result: Result<(), CliError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever closed the pipe (`relay config docs | head`) has seen enough.
        Err(CliError::Output(err)) if err.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(err) => {
            // With standard error closed there is nobody left to tell.
            let _ = writeln!(io::stderr().lock(), "{err}");
            ExitCode::from(err.exit_code())
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn verbs_are_understood() {
        for line in [
            "relay dev --data-dir /tmp/x --bind 127.0.0.1:0 --plc-bind 127.0.0.1:0 --json-ready --no-accounts",
            "relay dev --plc-url http://localhost:2582",
            "relay serve --config relay.toml --data-dir /d --public-url https://a.example --bind [::]:80 --bind [::]:81",
            "relay serve --set limits.import=1GiB --set mail.from=a@b.c",
            "relay",
            "relay setup",
            "relay setup --browser --bind 127.0.0.1:3000 --host nas.example.com",
            "relay setup --yes --hostname pds.example.com --proxy --handle alice --email a@b.c --password-stdin --service",
            "relay setup --yes --answers answers.json --data-dir /d --backup-to /mnt/disk",
            "relay config check",
            "relay config show --config relay.toml",
            "relay config docs",
            "relay account create alice.test --email alice@example.com --password-stdin",
            "relay account move-in alice.bsky.social",
            "relay account move-in did:plc:ewvi7nxzyoun6zhxrhs64oiz --yes --code ABCDE-FGHIJ --recovery-key did:key:z --data-dir /d",
            "relay account move-in alice.bsky.social --give-up",
            "relay account list --json",
            "relay account reset-password alice.test",
            "relay account remove-factors alice.test",
            "relay code show alice@example.com --json",
            "relay verify --account alice.test --json --no-blobs --no-identities",
            "relay rotate signing-key alice.test",
            "relay rotate rotation-key",
            "relay rotate master-key --new-key-file new.key",
            "relay verify --repair --blobs-from /backup/blobs --blobs-from https://pds.example.com",
            "relay verify --budget 30s --quick",
            "relay doctor --json --fix --config relay.toml",
            "relay service install --dry-run --keep-awake --config relay.toml",
            "relay service logs -f",
            "relay support-bundle --out /tmp/bundle.zip --no-verify",
            "relay backup now",
            "relay backup list s3://bucket/pds --s3-endpoint https://s3.example.com --json",
            "relay restore /mnt/backup --into /d --at 2026-05-01T12:00:00Z --passphrase-file /p --move-to https://b.example",
            "relay adopt /pds",
            "relay adopt /pds --yes --env-file /pds/pds.env --blobs /blobs --data-dir /d --write-config relay.toml --json",
            "relay health --url http://127.0.0.1:2583",
            "relay health --deep --data-dir /d",
            "relay status --json",
            "relay update --check --source /mnt/relay/index.json --key minisign.pub",
            "relay update --watch 10s --patience 30s --without-backup --in-container --allow-downgrade",
            "relay update --undo --with-data",
            "relay rehearse /tmp/copy",
            "relay update-data put-back /d",
            "relay status --watch --data-dir /d",
        ] {
            assert!(parse(line.split(' ')).is_ok(), "{line}");
        }
        for line in [
            "relay frobnicate",
            "relay setup --yes --browser",
            "relay setup --hostname a.example",
            "relay serve --set limits.import",
            "relay update --with-data",
            "relay account move-in alice.bsky.social --code ABCDE-FGHIJ",
            "relay dev --plc-url http://x --plc-bind 127.0.0.1:1",
        ] {
            assert_eq!(format!("{:?}", parse(line.split(' ')).unwrap_err()), format!("{:?}", ExitCode::from(2)), "{line}");
        }
        assert_eq!(format!("{:?}", parse(["relay", "--version"]).unwrap_err()), format!("{:?}", ExitCode::SUCCESS));
    }
}
