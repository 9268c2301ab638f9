//! Whether the server is a service here, and whether it runs and starts with the machine.

use std::path::Path;

use super::plan::{Step, ask};
use super::{Manager, NAME, Plan, Scope, describe, is_running, launchd, systemd};

/// A service that is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Installed {
    pub(crate) manager: Manager,
    pub(crate) scope: Scope,
    /// Whether its process is there, or about to be.
    pub(crate) runs: bool,
    /// Whether it starts with the machine.
    pub(crate) enabled: bool,
}

impl Installed {
    /// Returns what lets it start with the machine.
    pub(crate) fn enable(&self) -> Plan {
        match self.manager {
            Manager::Systemd => vec![Step::Run(systemd::control(&self.scope, &["enable", NAME]))],
            // A job in its folder starts with the machine.
            Manager::Launchd => Vec::new(),
        }
    }
}

/// Asks for the service that has this data folder; `None` where there is none, or the operator has locked it.
pub(crate) fn find(manager: Manager, scope: Scope, data_dir: &Path) -> Option<Installed> {
    match manager {
        Manager::Systemd => {
            let properties = "--property=LoadState,UnitFileState,ActiveState,ExecStart";
            let said = ask(&systemd::control(&scope, &["show", NAME, properties])).ok()?;
            read_systemd(&said, data_dir).map(|(runs, enabled)| Installed { manager, scope, runs, enabled })
        }
        Manager::Launchd => {
            let job = std::fs::read_to_string(launchd::job_path(&scope)).ok()?;
            if !job.contains(&format!("<string>{}</string>", launchd::escape(&data_dir.display().to_string()))) {
                return None;
            }
            let runs = ask(&describe(manager, &scope)).is_ok_and(|said| is_running(&said));
            Some(Installed { manager, scope, runs, enabled: true })
        }
    }
}

/// Reads whether the unit runs and is enabled from what `systemctl show` says; `None` when it is not there, is masked, or is
/// that of another data folder.
fn read_systemd(said: &str, data_dir: &Path) -> Option<(bool, bool)> {
    let value = |name: &str| said.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let words: Vec<&str> = value("ExecStart")?.split_whitespace().collect();
    let is_ours = words.windows(2).any(|pair| pair[0] == "--data-dir" && Path::new(pair[1]) == data_dir);
    if value("LoadState") != Some("loaded") || !is_ours {
        return None;
    }
    let runs = !matches!(value("ActiveState"), Some("inactive" | "failed" | "deactivating"));
    Some((runs, value("UnitFileState") != Some("disabled")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_known_by_its_data_folder() {
        let said = |load: &str, file: &str, active: &str| {
            format!(
                "ExecStart={{ path=/usr/local/bin/relay ; argv[]=/usr/local/bin/relay serve --config /etc/relay/relay.toml \
                 --data-dir /var/lib/relay ; ignore_errors=no }}\nLoadState={load}\nActiveState={active}\nUnitFileState={file}\n"
            )
        };
        let read = |said: &str| read_systemd(said, Path::new("/var/lib/relay"));
        assert_eq!(read(&said("loaded", "enabled", "active")), Some((true, true)));
        assert_eq!(read(&said("loaded", "disabled", "activating")), Some((true, false)));
        assert_eq!(read(&said("loaded", "enabled", "failed")), Some((false, true)));
        assert_eq!(read(&said("masked", "masked", "inactive")), None, "somebody wants it so");
        assert_eq!(read(&said("loaded", "static", "inactive")), Some((false, true)), "another unit starts it");
        assert_eq!(read_systemd(&said("loaded", "enabled", "active"), Path::new("/srv/other")), None);
        assert_eq!(read("ExecStart=\nLoadState=not-found\n"), None);
        assert_eq!(read(""), None);
    }
}
