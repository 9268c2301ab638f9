//! systemd(1): the unit and the commands.

use std::path::PathBuf;

use super::plan::{Plan, Step};
use super::{NAME, Scope, Service, words};

/// What keeps a service of the system from everything but its work; a user's own service has no right to ask for it.
const SANDBOX: &str = "\
LockPersonality=yes
MemoryDenyWriteExecute=yes
NoNewPrivileges=yes
PrivateDevices=yes
PrivateTmp=yes
ProcSubset=pid
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProtectSystem=strict
RemoveIPC=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallErrorNumber=EPERM
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
";

fn unit_path(scope: &Scope) -> PathBuf {
    match scope {
        Scope::System { .. } => PathBuf::from("/etc/systemd/system/relay.service"),
        Scope::User { home } => home.join(".config/systemd/user/relay.service"),
    }
}

/// Returns a call of systemctl.
pub(super) fn control(scope: &Scope, args: &[&str]) -> Vec<String> {
    let mut command = words(match scope {
        Scope::System { .. } => &["systemctl"],
        Scope::User { .. } => &["systemctl", "--user"],
    });
    command.extend(words(args));
    command
}

pub(super) fn logs(scope: &Scope, follow: bool) -> Vec<String> {
    let mut command = words(&["journalctl", "--lines=200"]);
    command.extend(words(match scope {
        Scope::System { .. } => &["--unit", NAME],
        Scope::User { .. } => &["--user-unit", NAME],
    }));
    command.extend(words(if follow { &["--follow"] } else { &["--no-pager"] }));
    command
}

pub(super) fn install(service: &Service) -> Plan {
    let mut plan = Vec::new();
    let data_dir = service.data_dir.display().to_string();
    if let Some(from) = &service.copy_from {
        let (from, to) = (from.display().to_string(), service.program.display().to_string());
        plan.push(Step::Run(words(&["install", "-m", "0755", &from, &to])));
    }
    match &service.scope {
        Scope::System { user_exists } => {
            if !user_exists {
                let user = ["useradd", "--system", "--home-dir", data_dir.as_str(), "--shell", "/usr/sbin/nologin", NAME];
                plan.push(Step::Run(words(&user)));
            }
            // With what is in them: root may have run the set-up, or the server.
            for folder in std::iter::once(&service.data_dir).chain(&service.own_folders) {
                let folder = folder.display().to_string();
                plan.push(Step::Run(words(&["install", "-d", "-m", "0700", "-o", NAME, "-g", NAME, &folder])));
                plan.push(Step::Run(words(&["chown", "-R", &format!("{NAME}:{NAME}"), &folder])));
            }
        }
        // Without it a user's services end with their last session.
        Scope::User { .. } => plan.push(Step::Try(words(&["loginctl", "enable-linger"]))),
    }
    plan.push(Step::Write { path: unit_path(&service.scope), text: unit(service) });
    plan.push(Step::Run(control(&service.scope, &["daemon-reload"])));
    plan.push(Step::Run(control(&service.scope, &["enable", NAME])));
    // One that runs already is to take the new unit.
    plan.push(Step::Run(control(&service.scope, &["restart", NAME])));
    plan
}

pub(super) fn uninstall(scope: &Scope) -> Plan {
    vec![
        Step::Try(control(scope, &["disable", "--now", NAME])),
        Step::Remove(unit_path(scope)),
        Step::Run(control(scope, &["daemon-reload"])),
    ]
}

/// Returns the text of the unit, systemd.service(5).
pub(super) fn unit(service: &Service) -> String {
    let privileged = service.bind.iter().any(|address| address.port() < 1024);
    let data_dir = service.data_dir.display();
    let (user, sandbox, target) = match &service.scope {
        Scope::System { .. } => {
            // The capability to bind means nothing in a user namespace.
            let rights = if privileged {
                "AmbientCapabilities=CAP_NET_BIND_SERVICE\nCapabilityBoundingSet=CAP_NET_BIND_SERVICE\n"
            } else {
                "CapabilityBoundingSet=\nPrivateUsers=yes\n"
            };
            let user = format!("User={NAME}\nGroup={NAME}\n");
            // With a dash: a disk that is not there is no reason not to start.
            let folders: Vec<String> = service.backup_folders.iter().map(|path| format!("-{}", path.display())).collect();
            let backups = if folders.is_empty() { String::new() } else { format!("ReadWritePaths={}\n", folders.join(" ")) };
            (user, format!("ReadWritePaths={data_dir}\n{backups}{rights}{SANDBOX}"), "multi-user.target")
        }
        Scope::User { .. } => (String::new(), "NoNewPrivileges=yes\n".to_owned(), "default.target"),
    };
    format!(
        "[Unit]\n\
         Description=AT Protocol Personal Data Server\n\
         Wants=network-online.target\n\
         After=network-online.target\n\
         \n\
         [Service]\n\
         Type=notify\n\
         NotifyAccess=main\n\
         # The server says that its database answers; when it no longer does, it is started again.\n\
         WatchdogSec=60s\n\
         ExecStart={program} serve --config {config} --data-dir {data_dir}\n\
         Restart=on-failure\n\
         RestartSec=2s\n\
         TimeoutStopSec=90s\n\
         LimitNOFILE=65536\n\
         {user}\
         WorkingDirectory={data_dir}\n\
         UMask=0077\n\
         {sandbox}\
         \n\
         [Install]\n\
         WantedBy={target}\n",
        program = service.program.display(),
        config = service.config.display(),
    )
}
