//! `relay doctor --fix`, by the real binary: what it mends, and what it says of it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use relay::clock::SystemClock;
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Crawler, Dns, Served, configure, free_port, relay, start_plc};

/// The program under test.
const REAL: &str = env!("CARGO_BIN_EXE_relay");

/// Runs the doctor with the configuration in `dir`, and with what is in `<dir>/tools` before the system's own programs.
async fn doctor(dir: &Path, args: &[&str]) -> Output {
    let mut command = relay(dir);
    command.args(["doctor", "--config", "relay.toml"]).args(args);
    let system = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(dir.join("tools")).chain(std::env::split_paths(&system))).unwrap();
    command.env("PATH", path);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Ends the process whose number is in the file.
struct Ended(PathBuf);

impl Drop for Ended {
    fn drop(&mut self) {
        let pid = fs::read_to_string(&self.0).unwrap_or_default();
        drop(Command::new("kill").args(["-KILL", pid.trim()]).status());
    }
}

/// Somebody stopped the service for a moment, and the machine was started anew meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn starts_a_service_that_is_stopped_and_lets_it_start_with_the_machine() {
    let dir = TempDir::new().unwrap();
    let plc = start_plc(&dir.path().join("plc.sqlite"), &Arc::new(SystemClock::default())).await;
    configure(dir.path(), free_port(), &format!("http://{plc}"), "");
    let (tools, root) = (dir.path().join("tools"), dir.path().display());
    fs::create_dir(&tools).unwrap();
    let script = format!(
        "#!/bin/sh\ncd {root}; [ \"$1\" != --user ] || shift\n\
         case \"$*\" in\n\
         show*) echo LoadState=loaded; [ -e enabled ] && echo UnitFileState=enabled || echo UnitFileState=disabled\n\
         kill -0 $(cat pid) 2>/dev/null && echo ActiveState=active || echo ActiveState=inactive\n\
         echo \"ExecStart={{ path=relay ; argv[]=relay serve --config {root}/relay.toml --data-dir {root}/data ; }}\" ;;\n\
         is-enabled*) exit 1 ;;\n\
         enable*) touch enabled ;;\n\
         *start*) nohup {REAL} serve --config relay.toml >>log 2>&1 </dev/null & echo $! >pid ;;\n\
         esac\n"
    );
    fs::write(tools.join("systemctl"), script).unwrap();
    fs::set_permissions(tools.join("systemctl"), fs::Permissions::from_mode(0o755)).unwrap();
    let _server = Ended(dir.path().join("pid"));

    let seen = said(&doctor(dir.path(), &[]).await);
    assert!(seen.contains("ERROR    server            The server does not run: its service is stopped."), "{seen}");
    assert!(!dir.path().join("pid").exists(), "a look changes nothing");
    let mended = said(&doctor(dir.path(), &["--fix"]).await);
    assert!(mended.contains("Mended: The service starts with the machine now.\n"), "{mended}");
    assert!(mended.contains("Mended: The service was started, and the server answers.\n"), "{mended}");
    assert!(mended.contains("ok       server            The server runs.\n"), "{mended}");
    assert!(mended.contains("ok       service           The server is a service"), "{mended}");
    let again = said(&doctor(dir.path(), &["--fix"]).await);
    assert!(again.starts_with("There is nothing that --fix mends.\n"), "{again}");
}

/// A password for the mail server, written by an editor that knows nothing of secrets.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closes_a_secret_that_everybody_can_read() {
    let dir = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    let more =
        "[mail]\nhost = \"127.0.0.1\"\nport = 1\nuser = \"pds\"\npassword_file = \"password\"\nfrom = \"a@example.com\"\n";
    configure(dir.path(), free_port(), "http://127.0.0.1:1", more);
    let password = dir.path().join("password");
    fs::write(&password, "correct horse battery staple").unwrap();
    fs::create_dir(dir.path().join("data")).unwrap();
    for (path, mode) in [(password.clone(), 0o644), (dir.path().join("data"), 0o755)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let seen = doctor(dir.path(), &["--json", "--fix"]).await;
    let told = String::from_utf8_lossy(&seen.stderr).into_owned();
    assert!(told.contains("password has mode 0640 now, and had 0644."), "{told}");
    assert!(told.contains("data has mode 0700 now, and had 0755."), "{told}");
    let findings: Vec<Value> = serde_json::from_slice(&seen.stdout).expect("what scripts read is as ever");
    assert!(findings.iter().all(|finding| finding["id"] != "secrets.perm"), "{findings:?}");
    assert_eq!(password.metadata().unwrap().permissions().mode() & 0o777, 0o640);
}

/// A Relay that lost this server, and a backup that was left out while the machine slept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tells_crawlers_again_and_makes_a_backup_that_is_late() {
    const REQUEST: &str = "com.atproto.sync.requestCrawl";
    let dir = TempDir::new().unwrap();
    let crawler = Crawler::start().await;
    let dns = Dns::start().await;
    let plc = start_plc(&dir.path().join("plc.sqlite"), &Arc::new(SystemClock::default())).await;
    let port = free_port();
    let more = format!(
        "[backup]\nto = \"{}\"\npassphrase = \"correct horse battery staple\"\ndrill = false\n",
        dir.path().join("backups").display()
    );
    configure(dir.path(), port, &format!("http://{plc}"), &more);
    // Relays are told of servers with a name only; nobody here knows this one.
    let file = dir.path().join("relay.toml");
    let text = fs::read_to_string(&file).unwrap();
    let text = text.replace(&format!("http://localhost:{port}"), "https://pds.example.com");
    let text = text.replace("crawlers = \"none\"", &format!("crawlers = \"http://{}\"", crawler.address));
    let text = text.replace("[network]\n", &format!("[network]\ndns_servers = \"{}\"\n", dns.address));
    fs::write(&file, text).unwrap();
    let server = Served::start(dir.path(), port).await;
    crawler.asked(REQUEST, 1).await;
    while server.verb_json(&["status"]).await["milestones"]["backup"].is_null() {}
    let late = json!({ "at": 1_700_000_000_000_i64, "lastSuccessAt": 1_700_000_000_000_i64, "sentence": "It was made.", "remedy": null });
    let conn = Connection::open(dir.path().join("data/relay.sqlite")).unwrap();
    let sql = "UPDATE meta SET value = ?1 WHERE key = 'last backup'";
    assert_eq!(conn.execute(sql, [late.to_string().into_bytes()]).unwrap(), 1);
    // What it said when it was asked last.
    conn.execute("INSERT INTO crawler (host, asked_at, outcome) VALUES ('127.0.0.1', 0, 'unknown')", []).unwrap();
    drop(conn);
    crawler.set_status(json!({ "hostname": "pds.example.com", "status": "active" }));

    let seen = said(&doctor(dir.path(), &[]).await);
    assert!(seen.contains("WARNING  crawler.reading   127.0.0.1 does not know this server yet."), "{seen}");
    assert!(seen.contains("WARNING  backup.age"), "{seen}");
    let mended = said(&doctor(dir.path(), &["--fix"]).await);
    assert!(mended.contains("Mended: 127.0.0.1 was told that there is something to fetch here.\n"), "{mended}");
    assert!(mended.contains("Mended: A backup was made.\n"), "{mended}");
    assert!(mended.contains("ok       backup.age        The last backup is 0 hours old."), "{mended}");
    assert!(mended.contains("ok       crawler.reading   127.0.0.1 knows this server"), "{mended}");
    assert_eq!(crawler.asked(REQUEST, 2).await, ["pds.example.com"; 2]);
}
