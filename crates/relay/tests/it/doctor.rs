//! `relay doctor`, by the real binary, beside a server and without one.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Process, relay};

/// Runs `relay doctor` over the data of a `relay dev`.
async fn doctor(dir: &Path, server: SocketAddr, plc: &str, args: &[&str]) -> Output {
    let mut command = relay(dir);
    let (url, bind) = (format!("http://localhost:{}", server.port()), server.to_string());
    command.arg("doctor").args(args).arg("--data-dir").arg(dir.join("data"));
    for (setting, value) in [
        ("server.public_url", url.as_str()),
        ("server.bind", &bind),
        ("identity.plc_url", plc),
        ("identity.handle_domains", ".test"),
        ("network.protect_private_addresses", "false"),
        ("services.appview_url", "none"),
        ("services.report_url", "none"),
        ("services.crawlers", "none"),
    ] {
        command.arg("--set").arg(format!("{setting}={value}"));
    }
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

/// Returns the outcomes of a check.
fn outcomes(output: &Output, id: &str) -> Vec<String> {
    let findings: Vec<Value> = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|err| panic!("{err}: {}", String::from_utf8_lossy(&output.stderr)));
    let of_check = findings.iter().filter(|finding| finding["id"] == id);
    of_check.map(|finding| finding["outcome"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn looks_at_a_server_that_runs_and_at_one_that_does_not() {
    let dir = TempDir::new().unwrap();
    let server = Process::start(dir.path()).await;
    let (address, plc) = (server.address(), format!("http://{}", server.plc_address()));

    let seen = doctor(dir.path(), address, &plc, &["--json"]).await;
    for id in ["disk.perm", "disk.space", "server", "http.health", "http.websocket", "account.did", "plc"] {
        assert_eq!(outcomes(&seen, id), ["good"], "{id} of {}", String::from_utf8_lossy(&seen.stdout));
    }
    assert_eq!(seen.status.code(), Some(0));

    let key = dir.path().join("data/master.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let open = doctor(dir.path(), address, &plc, &[]).await;
    let text = String::from_utf8_lossy(&open.stdout);
    assert!(text.contains("ERROR    disk.perm") && text.contains("master.key (mode 0644)"), "{text}");
    assert_eq!(open.status.code(), Some(4));
    let mended = doctor(dir.path(), address, &plc, &["--json", "--fix"]).await;
    assert_eq!(outcomes(&mended, "disk.perm"), ["good"]);
    assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600);

    server.stop().await;
    let stopped = doctor(dir.path(), address, &plc, &["--json"]).await;
    assert_eq!(outcomes(&stopped, "server"), ["error"]);
    assert_eq!(outcomes(&stopped, "plc"), ["error"], "it ended with the server");
    assert_eq!(stopped.status.code(), Some(4));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_who_has_the_address_and_makes_no_data_folder() {
    let dir = TempDir::new().unwrap();
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let seen = doctor(dir.path(), other.local_addr().unwrap(), "http://127.0.0.1:1", &[]).await;
    let text = String::from_utf8_lossy(&seen.stdout);
    let mine = format!("(process {})", std::process::id());
    assert!(!cfg!(target_os = "linux") || text.contains(&mine), "{text}");
    assert!(text.contains("ERROR    server"), "{text}");
    assert!(!dir.path().join("data").exists());
}
