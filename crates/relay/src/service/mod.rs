//! `relay service`: the server as a service of the system, under systemd or launchd.
//!
//! [`Plan`]s are made without touching anything, so that their files and commands can be shown, and tested, before they are
//! carried out.

mod launchd;
mod plan;
mod state;
mod systemd;

use std::net::SocketAddr;
use std::path::PathBuf;

pub(crate) use plan::{Plan, Step, StepError, ask};
pub(crate) use state::{Installed, find};

/// What runs services here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manager {
    Systemd,
    Launchd,
}

/// Whose service it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The machine's; it runs as a user of its own, who has to be made if this is not so yet.
    System { user_exists: bool },
    /// That of the person who installs it, with their home folder.
    User { home: PathBuf },
}

/// What the service is to run.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) manager: Manager,
    pub(crate) scope: Scope,
    pub(crate) program: PathBuf,
    /// Where the program is copied from first, when the service could not reach it where it is.
    pub(crate) copy_from: Option<PathBuf>,
    pub(crate) config: PathBuf,
    pub(crate) data_dir: PathBuf,
    /// Folders that backups go to.
    pub(crate) backup_folders: Vec<PathBuf>,
    /// Those of them that hold nothing else, or are not there yet: they become the property of the service.
    pub(crate) own_folders: Vec<PathBuf>,
    pub(crate) bind: Vec<SocketAddr>,
    /// Whether the machine stays awake for it; macOS only.
    pub(crate) keep_awake: bool,
}

/// Name of the service, of its user and of its files.
const NAME: &str = "relay";

impl Service {
    /// Returns what makes the service, and starts it now and whenever the machine starts.
    pub(crate) fn install(&self) -> Plan {
        match self.manager {
            Manager::Systemd => systemd::install(self),
            Manager::Launchd => launchd::install(self),
        }
    }
}

/// Returns what ends the service and takes its files away; the data stays.
pub(crate) fn uninstall(manager: Manager, scope: &Scope) -> Plan {
    match manager {
        Manager::Systemd => systemd::uninstall(scope),
        Manager::Launchd => launchd::uninstall(scope),
    }
}

/// Returns the command that tells which program the service runs and whether it does; it fails, or names none, when there is no
/// service.
pub(crate) fn describe(manager: Manager, scope: &Scope) -> Vec<String> {
    match manager {
        Manager::Systemd => systemd::control(scope, &["show", NAME, "--property=ExecStart,ActiveState"]),
        Manager::Launchd => launchd::status(scope),
    }
}

/// Whether the service runs, by the answer to [`describe`].
pub(crate) fn is_running(described: &str) -> bool {
    ["ActiveState=active", "state = running"].iter().any(|words| described.lines().any(|line| line.trim() == *words))
}

/// Returns what ends the service's process, and waits until it has ended; the machine's next start brings it back.
pub(crate) fn stop(manager: Manager, scope: &Scope) -> Vec<String> {
    match manager {
        Manager::Systemd => systemd::control(scope, &["stop", NAME]),
        Manager::Launchd => launchd::stop(scope),
    }
}

/// Returns what ends the service's process at once, for one that does not end when it is asked.
pub(crate) fn kill(manager: Manager, scope: &Scope) -> Vec<String> {
    match manager {
        Manager::Systemd => systemd::control(scope, &["kill", "--signal=KILL", NAME]),
        Manager::Launchd => launchd::kill(scope),
    }
}

/// Returns what starts the service's process, and does not wait until it is up.
pub(crate) fn start(manager: Manager, scope: &Scope) -> Plan {
    match manager {
        Manager::Systemd => vec![
            // One that failed too often is not started again before this.
            Step::Try(systemd::control(scope, &["reset-failed", NAME])),
            Step::Run(systemd::control(scope, &["--no-block", "start", NAME])),
        ],
        Manager::Launchd => vec![Step::Run(launchd::start(scope))],
    }
}

/// Returns the command that tells how the service is.
pub(crate) fn status(manager: Manager, scope: &Scope) -> Vec<String> {
    match manager {
        Manager::Systemd => systemd::control(scope, &["status", "--no-pager", NAME]),
        Manager::Launchd => launchd::status(scope),
    }
}

/// Returns the command that shows the service's log, as it grows with `follow`.
pub(crate) fn logs(manager: Manager, scope: &Scope, follow: bool) -> Vec<String> {
    match manager {
        Manager::Systemd => systemd::logs(scope, follow),
        Manager::Launchd => launchd::logs(scope, follow),
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[cfg(test)]
mod tests;
