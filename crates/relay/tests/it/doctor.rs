//! `relay doctor`, by the real binary, beside a server and without one.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Process, Program, free_port, is_there, on_path, relay};

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
    let ids = [
        "disk.perm",
        "disk.space",
        "server",
        "http.health",
        "http.websocket",
        "http.metadata",
        "http.upload",
        "account.did",
        "plc",
    ];
    for id in ids {
        assert_eq!(outcomes(&seen, id), ["good"], "{id} of {}", String::from_utf8_lossy(&seen.stdout));
    }
    assert_eq!(outcomes(&seen, "backup.age"), ["notice"], "nobody but its developer loses something");
    if cfg!(target_os = "linux") {
        // By /proc, of the server's process; how much there is is the machine's affair.
        for id in ["disk.kind", "files", "memory"] {
            assert_eq!(outcomes(&seen, id).len(), 1, "{id}");
        }
    }

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

/// What most people have who put nginx in front and change nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sees_what_a_proxy_keeps_from_the_server() {
    if !is_there("nginx") {
        return;
    }
    let dir = TempDir::new().unwrap();
    let server = Process::start(dir.path()).await;
    let (port, folder) = (free_port(), dir.path().display());
    let config = format!(
        "daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr notice; events {{}}\n\
         http {{ access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; \
         fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;\n\
         server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://{}; }} }} }}\n",
        server.address()
    );
    std::fs::write(dir.path().join("nginx.conf"), config).unwrap();
    let mut command = Command::new(on_path("nginx").unwrap());
    command.args(["-p", &folder.to_string(), "-e", "stderr", "-c"]).arg(dir.path().join("nginx.conf"));
    let _nginx = Program::start(command, "using the \"").await;
    let at = format!("127.0.0.1:{port}").parse().unwrap();
    while tokio::net::TcpStream::connect(at).await.is_err() {
        tokio::task::yield_now().await;
    }

    // It names another host to the server, and hides that it stands in between: no reason to take strangers for the operator.
    let deep = crate::support::Client::new(format!("http://{at}"), None);
    assert_eq!(deep.send(deep.request("GET", "/xrpc/_health?deep")).await.status, 401);

    let plc = format!("http://{}", server.plc_address());
    let description = server.anonymous().get("com.atproto.server.describeServer", &[]).await.good().json();
    let own = format!("identity.service_did={}", description["did"].as_str().unwrap());
    let seen = doctor(dir.path(), at, &plc, &["--json", "--set", &own]).await;
    for id in ["http.websocket", "http.upload", "http.metadata"] {
        assert_eq!(outcomes(&seen, id), ["error"], "{id} of {}", String::from_utf8_lossy(&seen.stdout));
    }
    let text = String::from_utf8_lossy(&seen.stdout).into_owned();
    assert!(text.contains("The proxy refuses uploads of 95 MiB") && text.contains("proxy_set_header Upgrade"), "{text}");
    assert!(text.contains(&format!("told that this is http://localhost:{}", server.address().port())), "{text}");
}
