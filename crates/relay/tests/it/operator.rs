//! The operator's verbs, by the real binary, and who has the data folder.

use std::io::Write as _;
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::Arc;

use relay::clock::SystemClock;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Client, Process, TestPds, relay, start_plc};

/// Runs `relay account`, over the data of a `relay dev`.
async fn account(dir: &Path, public_url: &str, plc_url: &str, args: &[&str], input: Option<&str>) -> Output {
    let mut command = relay(dir);
    command.arg("account").args(args).args(["--data-dir"]).arg(dir.join("data"));
    for (setting, value) in [
        ("server.public_url", public_url),
        ("identity.plc_url", plc_url),
        ("identity.handle_domains", ".test"),
        ("network.protect_private_addresses", "false"),
        ("services.appview_url", "none"),
        ("services.report_url", "none"),
        ("services.crawlers", "none"),
    ] {
        command.arg("--set").arg(format!("{setting}={value}"));
    }
    let input = input.map(ToOwned::to_owned);
    let run = move || {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        if let Some(input) = input {
            stdin.write_all(input.as_bytes()).unwrap();
        }
        drop(stdin);
        child.wait_with_output().unwrap()
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[track_caller]
fn good(output: &Output) -> String {
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

async fn sign_in(client: &Client, identifier: &str, password: &str) -> u16 {
    let body = json!({ "identifier": identifier, "password": password });
    client.post("com.atproto.server.createSession", &body).await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_is_refused_the_data_folder() {
    let dir = TempDir::new().unwrap();
    let server = Process::start(dir.path()).await;
    let mut second = relay(dir.path());
    second.args(["serve", "--bind", "127.0.0.1:0", "--public-url", "http://localhost:2583", "--data-dir"]);
    second.arg(server.data_dir());
    second.args(["--set", "network.protect_private_addresses=false"]);
    let output = tokio::task::spawn_blocking(move || second.output().unwrap()).await.unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("another relay process has the data folder") && said.contains("stop that one first"), "{said}");
    // The first one did not notice.
    assert_eq!(sign_in(&server.anonymous(), "alice.test", "alice-password").await, 200);
    assert_eq!(server.stop().await, Some(0));
}

/// `relay account` goes through the socket of a server that runs, and opens the folder of one that does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_are_managed_with_and_without_a_server() {
    let dir = TempDir::new().unwrap();
    let plc = start_plc(&dir.path().join("plc.sqlite"), &Arc::new(SystemClock::default())).await;
    let plc_url = format!("http://localhost:{}", plc.port());
    let mut server = Process::start_with_plc(dir.path(), &plc_url).await;
    let url = format!("http://localhost:{}", server.address().port());
    let run = async |args: &[&str], input: Option<&str>| account(dir.path(), &url, &plc_url, args, input).await;
    for (running, name) in [(true, "carol"), (false, "dave")] {
        if !running {
            server.kill();
        }
        let (handle, email) = (format!("{name}.test"), format!("{name}@example.com"));
        let create = ["create", &*handle, "--email", &*email, "--password-stdin"];
        let said = good(&run(&create, Some("a first password\n")).await);
        assert!(said.starts_with(&format!("{handle}  did:plc:")), "{said}");
        let refused = run(&create, Some("another\n")).await;
        assert!(!refused.status.success());
        assert!(text(&refused.stderr).contains("Handle already taken"), "{}", text(&refused.stderr));

        let list = good(&run(&["list", "--json"], None).await);
        let handles: Vec<String> = list
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["handle"].as_str().unwrap().to_owned())
            .collect();
        assert!(handles.contains(&"alice.test".to_owned()) && handles.contains(&handle), "{list}");

        let said = good(&run(&["reset-password", &handle], None).await);
        let made = said.lines().find_map(|line| line.strip_prefix("password: ")).unwrap().to_owned();
        let missing = run(&["reset-password", "nobody.test"], None).await;
        assert!(!missing.status.success() && !missing.stderr.is_empty());
        let link = good(&run(&["sign-in-link", &handle], None).await);
        assert!(link.starts_with(&format!("{url}/account/sign-in/link?account={handle}#")), "{link}");
        if !running {
            server = server.restart().await;
        }
        let client = server.anonymous();
        assert_eq!(sign_in(&client, &handle, "a first password").await, 401);
        assert_eq!(sign_in(&client, &handle, &made).await, 200);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_data_folder_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;

    let pds = TestPds::start().await;
    pds.create_account("alice").await;
    for (name, mode) in [
        ("", 0o700),
        ("blobs", 0o700),
        ("relay.sqlite", 0o600),
        ("relay.sqlite-wal", 0o600),
        ("master.key", 0o600),
        ("relay.lock", 0o600),
    ] {
        let found = std::fs::metadata(pds.data_dir().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{name} has {found:o}");
    }
}
