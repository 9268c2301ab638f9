//! `relay service`: makes the server a service of the system, which starts with the machine.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::{Args, Subcommand};

use super::{CliError, ConfigSourceArgs};
use crate::backup;
use crate::service::{self, Manager, Plan, Scope, Service, StepError};

/// The arguments of `relay service`.
#[derive(Debug, Clone, Args)]
pub struct ServiceArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: ServiceVerb,
}

/// What to do with the service.
#[derive(Debug, Clone, Subcommand)]
pub enum ServiceVerb {
    /// Make the service and start it: for the machine when run by root, else for the user who runs this
    Install(InstallArgs),
    /// Tell how the service is
    Status,
    /// Show the log of the service
    Logs(LogsArgs),
    /// End the service and take its files away; the data stays
    Uninstall(UninstallArgs),
}

/// The arguments of `relay service install`.
#[derive(Debug, Clone, Args)]
pub struct InstallArgs {
    /// Only print what would be written and run
    #[arg(long)]
    pub dry_run: bool,
    /// Keep the machine from sleeping for as long as the server runs (macOS)
    #[arg(long)]
    pub keep_awake: bool,
    /// Where the configuration comes from.
    #[command(flatten)]
    pub source: ConfigSourceArgs,
}

/// The arguments of `relay service logs`.
#[derive(Debug, Clone, Args)]
pub struct LogsArgs {
    /// Go on with what is being written
    #[arg(long, short)]
    pub follow: bool,
}

/// The arguments of `relay service uninstall`.
#[derive(Debug, Clone, Args)]
pub struct UninstallArgs {
    /// Only print what would be removed and run
    #[arg(long)]
    pub dry_run: bool,
}

/// Runs the verb.
pub(super) fn run(args: &ServiceArgs, env: Vec<(String, String)>) -> Result<(), CliError> {
    let (manager, scope) = (manager()?, scope(&env)?);
    match &args.verb {
        ServiceVerb::Install(args) => {
            let service = described(args, env, manager, scope)?;
            carry_out(&service.install(), args.dry_run)?;
            tell_of_shared_folders(&service)
        }
        ServiceVerb::Uninstall(args) => carry_out(&service::uninstall(manager, &scope), args.dry_run),
        ServiceVerb::Status => show(&service::status(manager, &scope)),
        ServiceVerb::Logs(args) => show(&service::logs(manager, &scope, args.follow)),
    }
}

/// Makes a service of the server that has this configuration, and starts it.
pub(super) fn install(config: PathBuf, env: Vec<(String, String)>) -> Result<(), CliError> {
    let (manager, scope) = (manager()?, scope(&env)?);
    let source = ConfigSourceArgs { config: Some(config), ..ConfigSourceArgs::default() };
    let args = InstallArgs { dry_run: false, keep_awake: manager == Manager::Launchd, source };
    let service = described(&args, env, manager, scope)?;
    carry_out(&service.install(), false)?;
    tell_of_shared_folders(&service)
}

/// Says which folders for backups were left as they are, since other things are in them.
fn tell_of_shared_folders(service: &Service) -> Result<(), CliError> {
    if matches!(service.scope, Scope::User { .. }) {
        return Ok(());
    }
    let mut out = std::io::stdout();
    for folder in service.backup_folders.iter().filter(|folder| !service.own_folders.contains(folder)) {
        let folder = folder.display();
        writeln!(
            out,
            "{folder} has other things in it, so it stays whose it is. Let the user relay write there, or give backups a folder of \
             their own, such as {folder}/relay, in backup.to, and run this again."
        )?;
    }
    Ok(())
}

pub(super) fn manager() -> Result<Manager, CliError> {
    let systemd =
        || std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).any(|dir| dir.join("systemctl").exists());
    if cfg!(target_os = "macos") {
        Ok(Manager::Launchd)
    } else if systemd() {
        Ok(Manager::Systemd)
    } else {
        Err(CliError::Failed {
            problem: "This machine has neither systemd nor launchd.".to_owned(),
            remedy: "Have your system's service manager run `relay serve`; in a container that is its command already."
                .to_owned(),
        })
    }
}

pub(super) fn scope(env: &[(String, String)]) -> Result<Scope, CliError> {
    if output("id", &["-u"])?.trim() == "0" {
        return Ok(Scope::System {
            user_exists: Command::new("id").arg("relay").output().is_ok_and(|known| known.status.success()),
        });
    }
    let home = env.iter().find(|(name, _)| name == "HOME").map(|(_, home)| PathBuf::from(home));
    let home = home.filter(|home| home.is_absolute()).ok_or_else(|| CliError::Failed {
        problem: "It is not known where your home folder is.".to_owned(),
        remedy: "Set the variable HOME, or run this as root for a service of the machine.".to_owned(),
    })?;
    Ok(Scope::User { home })
}

fn output(program: &str, args: &[&str]) -> Result<String, CliError> {
    let output = Command::new(program).args(args).output().map_err(|source| CliError::Failed {
        problem: format!("`{program}` cannot be run: {source}."),
        remedy: "Check the variable PATH.".to_owned(),
    })?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn described(args: &InstallArgs, env: Vec<(String, String)>, manager: Manager, scope: Scope) -> Result<Service, CliError> {
    let config = args.source.file().ok_or_else(|| CliError::Usage {
        problem: "A service needs a configuration file, and there is none.".to_owned(),
        remedy: "Write /etc/relay/relay.toml with a public_url in the section [server], or name another file with --config."
            .to_owned(),
    })?;
    let absolute = |path: &Path| {
        std::path::absolute(path).map_err(|err| CliError::Failed {
            problem: format!("{} has no absolute path: {err}.", path.display()),
            remedy: "Name the file by its whole path.".to_owned(),
        })
    };
    let loaded = args.source.load(env)?.config;
    let program = std::env::current_exe().map_err(|err| CliError::Failed {
        problem: format!("It is not known where this program is: {err}."),
        remedy: "Run it by its whole path.".to_owned(),
    })?;
    // The unit keeps the service out of these folders.
    let hidden = ["/home", "/root", "/tmp", "/run/user"].iter().any(|folder| program.starts_with(folder));
    let copied = matches!(scope, Scope::System { .. }) && manager == Manager::Systemd && hidden;
    let backup_folders: Vec<PathBuf> = loaded.backup.folders().map(Path::to_owned).collect();
    let service = Service {
        manager,
        scope,
        copy_from: copied.then(|| program.clone()),
        program: if copied { PathBuf::from("/usr/local/bin/relay") } else { program },
        config: absolute(&config)?,
        data_dir: absolute(&loaded.data.dir)?,
        own_folders: backup_folders.iter().filter(|folder| backup::has_nothing_else(folder)).cloned().collect(),
        backup_folders,
        bind: loaded.addresses(),
        keep_awake: args.keep_awake,
    };
    // Neither a unit's line nor a job can hold every path.
    let paths = [&service.program, &service.config, &service.data_dir];
    for path in paths.into_iter().chain(&service.backup_folders) {
        let odd = |c: char| c.is_whitespace() || c.is_control() || "%$\\\"';".contains(c);
        if manager == Manager::Systemd && path.to_str().is_none_or(|path| path.contains(odd)) {
            return Err(CliError::Failed {
                problem: format!("{} has a character that a unit of systemd cannot hold as it is.", path.display()),
                remedy: "Choose a path of letters, digits, dashes and dots.".to_owned(),
            });
        }
    }
    Ok(service)
}

fn carry_out(plan: &Plan, dry_run: bool) -> Result<(), CliError> {
    let mut out = std::io::stdout();
    for step in plan {
        writeln!(out, "{step}")?;
        if dry_run {
            if let service::Step::Write { text, .. } = step {
                writeln!(out, "\n{text}")?;
            }
        } else {
            step.carry_out().map_err(failed)?;
        }
    }
    if !dry_run {
        writeln!(out, "Done. `relay service status` tells how it is.")?;
    }
    Ok(())
}

fn show(command: &[String]) -> Result<(), CliError> {
    service::Step::Run(command.to_vec()).carry_out().map_err(failed)
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn failed(err: StepError) -> CliError {
    CliError::Failed {
        problem: format!("{err}."),
        remedy: "What was done before it stays. Mend the cause and run this again; `--dry-run` shows all steps.".to_owned(),
    }
}
