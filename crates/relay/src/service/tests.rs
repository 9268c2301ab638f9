//! The files as they are in docs/INSTALL.md, and the commands.

use super::*;

fn service(manager: Manager, scope: Scope) -> Service {
    let (config, data_dir) = match manager {
        Manager::Systemd => ("/etc/relay/relay.toml", "/var/lib/relay"),
        Manager::Launchd => ("/usr/local/etc/relay/relay.toml", "/usr/local/var/relay"),
    };
    Service {
        manager,
        scope,
        program: "/usr/local/bin/relay".into(),
        copy_from: None,
        config: config.into(),
        data_dir: data_dir.into(),
        backup_folders: Vec::new(),
        own_folders: Vec::new(),
        bind: vec!["127.0.0.1:2583".parse().unwrap()],
        keep_awake: false,
    }
}

fn shown(plan: &Plan) -> Vec<String> {
    plan.iter().map(ToString::to_string).collect()
}

/// Returns the block of that language in docs/INSTALL.md.
fn documented(language: &str) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/INSTALL.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, rest) = text.split_once(&format!("\n```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

const SYSTEM: Scope = Scope::System { user_exists: false };

#[test]
fn the_documentation_shows_the_files_that_are_written() {
    assert_eq!(documented("ini"), systemd::unit(&service(Manager::Systemd, SYSTEM)));
    assert_eq!(documented("xml"), launchd::job(&service(Manager::Launchd, SYSTEM)));
}

#[test]
fn a_service_of_the_system_under_systemd() {
    let service = service(Manager::Systemd, SYSTEM);
    assert_eq!(
        shown(&service.install()),
        [
            "useradd --system --home-dir /var/lib/relay --shell /usr/sbin/nologin relay",
            "install -d -m 0700 -o relay -g relay /var/lib/relay",
            "chown -R relay:relay /var/lib/relay",
            "write /etc/systemd/system/relay.service",
            "systemctl daemon-reload",
            "systemctl enable relay",
            "systemctl restart relay",
        ]
    );
    let again = Service { scope: Scope::System { user_exists: true }, ..service };
    assert!(!shown(&again.install()).iter().any(|step| step.starts_with("useradd")), "the user is there");
    assert_eq!(
        shown(&uninstall(Manager::Systemd, &SYSTEM)),
        ["systemctl disable --now relay", "remove /etc/systemd/system/relay.service", "systemctl daemon-reload"]
    );
    assert_eq!(logs(Manager::Systemd, &SYSTEM, true).join(" "), "journalctl --lines=200 --unit relay --follow");
}

#[test]
fn a_program_in_a_home_folder_is_copied_to_where_the_service_may_look() {
    let service = Service { copy_from: Some("/root/relay".into()), ..service(Manager::Systemd, SYSTEM) };
    assert_eq!(shown(&service.install())[0], "install -m 0755 /root/relay /usr/local/bin/relay");
}

#[test]
fn a_folder_of_backups_can_be_written_to() {
    let (shared, own) = ("/mnt/disk", "/srv/copies/pds");
    let backup_folders = vec![shared.into(), own.into()];
    let service = Service { backup_folders, own_folders: vec![own.into()], ..service(Manager::Systemd, SYSTEM) };
    let unit = systemd::unit(&service);
    assert!(unit.contains("\nReadWritePaths=/var/lib/relay\nReadWritePaths=-/mnt/disk -/srv/copies/pds\n"), "{unit}");
    let steps = shown(&service.install());
    assert!(steps.contains(&format!("install -d -m 0700 -o relay -g relay {own}")), "{steps:?}");
    assert!(steps.contains(&format!("chown -R relay:relay {own}")), "{steps:?}");
    assert!(!steps.iter().any(|step| step.contains(shared)), "what others have there stays theirs: {steps:?}");
}

#[test]
fn low_ports_need_a_capability_and_no_more() {
    let mut service = service(Manager::Systemd, SYSTEM);
    assert!(!systemd::unit(&service).contains("CAP_NET_BIND_SERVICE"));
    service.bind = vec!["0.0.0.0:443".parse().unwrap()];
    let unit = systemd::unit(&service);
    assert!(
        unit.contains("\nAmbientCapabilities=CAP_NET_BIND_SERVICE\nCapabilityBoundingSet=CAP_NET_BIND_SERVICE\n"),
        "{unit}"
    );
    assert!(!unit.contains("PrivateUsers"), "{unit}");
}

#[test]
fn a_service_of_a_person() {
    let scope = Scope::User { home: "/home/ann".into() };
    let service = service(Manager::Systemd, scope.clone());
    assert_eq!(
        shown(&service.install()),
        [
            "loginctl enable-linger",
            "write /home/ann/.config/systemd/user/relay.service",
            "systemctl --user daemon-reload",
            "systemctl --user enable relay",
            "systemctl --user restart relay",
        ]
    );
    let unit = systemd::unit(&service);
    assert!(!unit.contains("User=") && unit.ends_with("WantedBy=default.target\n"), "{unit}");

    let scope = Scope::User { home: "/Users/ann".into() };
    let job =
        Service { keep_awake: true, data_dir: "/Users/ann/A & B".into(), ..self::service(Manager::Launchd, scope.clone()) };
    let text = launchd::job(&job);
    assert!(text.contains("<string>/usr/bin/caffeinate</string>\n      <string>-is</string>\n"), "{text}");
    assert!(text.contains("<string>/Users/ann/A &amp; B</string>") && !text.contains("UserName"), "{text}");
    assert_eq!(
        shown(&job.install()),
        [
            "sh -c launchctl bootout gui/$(id -u)/org.ezpds.relay",
            "write /Users/ann/Library/LaunchAgents/org.ezpds.relay.plist",
            "sh -c launchctl bootstrap gui/$(id -u) '/Users/ann/Library/LaunchAgents/org.ezpds.relay.plist'",
        ]
    );
    assert_eq!(logs(Manager::Launchd, &scope, false).join(" "), "tail -n 200 /Users/ann/Library/Logs/relay.log");
}

#[test]
fn steps_do_what_they_say() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b/relay.service");
    Step::Write { path: path.clone(), text: "text".into() }.carry_out().unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "text");
    Step::Remove(path.clone()).carry_out().unwrap();
    Step::Remove(path.clone()).carry_out().unwrap();
    assert!(!path.exists());
    assert!(matches!(Step::Run(words(&["false"])).carry_out(), Err(StepError::Failed { .. })));
    assert!(matches!(Step::Run(words(&["/no/such/program"])).carry_out(), Err(StepError::Start { .. })));
    Step::Try(words(&["false"])).carry_out().unwrap();
}
