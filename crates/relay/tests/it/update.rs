//! `relay update` by the real binary, from a real web server, with releases that nix/sign-release.sh makes with the real minisign. The
//! new versions are programs around the real one: a good one, and some that fail each in its way. What runs the server is a
//! stand-in for systemctl.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode, Uri, header};
use relay::clock::SystemClock;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::support::{Client, configure, free_port, is_there, on_path, relay, start_plc};

const REAL: &str = env!("CARGO_BIN_EXE_relay");

/// A web server for a folder, which notes what it is asked.
#[derive(Clone, Default)]
struct Web {
    folder: PathBuf,
    /// Path and `Range` of each request.
    asked: Arc<Mutex<Vec<(String, String)>>>,
    /// Answers to a path stop after so many bytes, once.
    breaks: Arc<Mutex<HashMap<String, usize>>>,
}

impl Web {
    async fn start(folder: &Path) -> (Self, String) {
        let web = Self { folder: folder.to_owned(), ..Self::default() };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(listener, Router::new().fallback(serve).with_state(web.clone())).into_future());
        (web, format!("http://{address}"))
    }
}

async fn serve(State(web): State<Web>, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().to_owned();
    let range = headers.get(header::RANGE).map(|range| range.to_str().unwrap().to_owned()).unwrap_or_default();
    web.asked.lock().unwrap().push((path.clone(), range.clone()));
    // As hosts of releases do.
    if let Some(rest) = path.strip_prefix("/latest") {
        return (StatusCode::FOUND, [(header::LOCATION, format!("/files{rest}"))]).into_response();
    }
    let name = path.strip_prefix("/files/").unwrap_or("-");
    let Ok(mut bytes) = fs::read(web.folder.join(name)) else { return StatusCode::NOT_FOUND.into_response() };
    if let Some(length) = web.breaks.lock().unwrap().remove(name) {
        let rest = bytes.split_off(length);
        let parts = [Ok(bytes), Err(std::io::Error::other("the line is cut")), Ok(rest)];
        return Body::from_stream(futures_util::stream::iter(parts)).into_response();
    }
    match range.strip_prefix("bytes=").and_then(|range| range.strip_suffix('-')) {
        Some(start) => (StatusCode::PARTIAL_CONTENT, bytes.split_off(start.parse().unwrap())).into_response(),
        None => bytes.into_response(),
    }
}

/// A server that is a service, and releases for it.
struct Host {
    dir: TempDir,
    port: u16,
    web: Web,
    url: String,
}

/// What a release does when it is called, by the verb; everything else the real program does.
const GOOD: &str = "";

impl Host {
    async fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let path = |name: &str| dir.path().join(name);
        for folder in ["bin", "tools", "releases"] {
            fs::create_dir(path(folder)).unwrap();
        }
        let port = free_port();
        let plc = start_plc(&path("plc.sqlite"), &Arc::new(SystemClock::default())).await;
        let (web, url) = Web::start(&path("releases")).await;
        let more = format!("\n[update]\nsource = \"{url}/latest/index.json\"\n");
        configure(dir.path(), port, &format!("http://{plc}"), &more);
        // Some file systems do not link across folders.
        fs::hard_link(REAL, path("bin/relay")).or_else(|_| fs::copy(REAL, path("bin/relay")).map(drop)).unwrap();
        let root = dir.path().display();
        script(
            &path("tools/systemctl"),
            &format!(
                "cd {root}; [ \"$1\" != --user ] || shift\n\
                 case \"$*\" in\n\
                 show*) kill -0 $(cat pid) 2>/dev/null && echo ActiveState=active || echo ActiveState=inactive; echo \"ExecStart={{ path={root}/bin/relay ; argv[]={root}/bin/relay serve ; }}\" ;;\n\
                 stop*) [ ! -e refuses ] || exit 1; kill -TERM $(cat pid) 2>/dev/null; while kill -0 $(cat pid) 2>/dev/null; do sleep 0.02; done ;;\n\
                 kill*) kill -9 $(cat pid) ;;\n\
                 *start*) kill -0 $(cat pid 2>/dev/null) 2>/dev/null && exit; echo start >>calls; nohup bin/relay serve --config relay.toml >>log 2>&1 </dev/null & echo $! >pid ;;\n\
                 esac"
            ),
        );
        let host = Self { dir, port, web, url };
        assert!(host.minisign(&["-G", "-W", "-p", "key.pub", "-s", "key.sec"]).status.success());
        host.systemctl("start");
        host.is_up().await;
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn minisign(&self, args: &[&str]) -> Output {
        let program = on_path("minisign").unwrap();
        Command::new(program).args(args).current_dir(self.dir.path()).stdin(Stdio::null()).output().unwrap()
    }

    fn systemctl(&self, verb: &str) {
        assert!(Command::new(self.path("tools/systemctl")).arg(verb).status().unwrap().success());
    }

    async fn is_up(&self) {
        loop {
            let reply = self.anonymous().try_get("/xrpc/_health").await;
            if reply.is_ok_and(|reply| reply.status == 200) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    fn anonymous(&self) -> Client {
        Client::new(format!("http://127.0.0.1:{}", self.port), None)
    }

    /// Publishes a version which does what `verbs`, the cases of a shell, say.
    fn release(&self, version: &str, verbs: &str) {
        drop(fs::remove_dir_all(self.path("releases")));
        fs::create_dir(self.path("releases")).unwrap();
        let target = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
        let text = format!(
            "cd {}; case $1 in\n{verbs}\n--version) echo relay {version} ;;\n*) exec {REAL} \"$@\" ;;\nesac; exit\n# {}",
            self.dir.path().display(),
            // As large as a program, or nearly.
            "x".repeat(2 << 20)
        );
        script(&self.path(&format!("releases/relay-{version}-{target}")), &text);
        let sign = concat!(env!("CARGO_MANIFEST_DIR"), "/../../nix/sign-release.sh");
        let output = Command::new(sign).arg(version).arg(self.path("key.sec")).arg(self.path("releases")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Runs `relay update` with the host's tools.
    async fn update(&self, args: &[&str]) -> Output {
        let path = std::env::join_paths(
            std::iter::once(self.path("tools")).chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
        );
        let mut command = Command::new(self.path("bin/relay"));
        command.current_dir(self.dir.path()).env_remove("RELAY_CONFIG").env("PATH", path.unwrap()).stdin(Stdio::null());
        command.args(["update", "--config", "relay.toml", "--in-container"]);
        // What runs once a release is in its place is a program around the real one.
        command.arg("--program").arg(self.path("bin/relay"));
        if !args.contains(&"--undo") {
            command.args(["--patience", "8s"]);
            if !args.contains(&"--watch") {
                command.args(["--watch", "2s"]);
            }
            if !args.contains(&"--key") {
                command.args(["--key", "key.pub"]);
            }
        }
        command.args(args);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    async fn account(&self) -> Client {
        let body = json!({ "handle": "alice.test", "email": "alice@example.com", "password": "alice-password" });
        let account = self.anonymous().post("com.atproto.server.createAccount", &body).await.good().json();
        fs::write(self.path("did"), account["did"].as_str().unwrap()).unwrap();
        self.anonymous().with_token(account["accessJwt"].as_str().unwrap())
    }

    fn post_of(&self, text: &str) -> serde_json::Value {
        let repo = fs::read_to_string(self.path("did")).unwrap();
        let record = json!({ "$type": "app.bsky.feed.post", "text": text, "createdAt": "2026-01-01T00:00:00Z" });
        json!({ "repo": repo, "collection": "app.bsky.feed.post", "record": record })
    }

    async fn posts(&self) -> Vec<String> {
        let repo = fs::read_to_string(self.path("did")).unwrap();
        let query = [("repo", repo.as_str()), ("collection", "app.bsky.feed.post"), ("limit", "100")];
        let list = self.anonymous().get("com.atproto.repo.listRecords", &query).await.good().json();
        let texts =
            list["records"].as_array().unwrap().iter().map(|record| record["value"]["text"].as_str().unwrap().to_owned());
        let mut texts: Vec<String> = texts.collect();
        texts.sort();
        texts
    }

    /// Whether the program in its place is the first one, and no update has left anything half done.
    fn is_as_before(&self) -> bool {
        for name in ["bin/.relay-update", "data/update/probation", "data/update/trial"] {
            assert!(!self.path(name).exists(), "{name}");
        }
        fs::metadata(self.path("bin/relay")).unwrap().len() == fs::metadata(REAL).unwrap().len()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = Command::new(self.path("tools/systemctl")).arg("stop").status();
    }
}

fn script(path: &Path, text: &str) {
    fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn tools_are_there() -> bool {
    is_there("minisign")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_version_takes_over_and_can_be_undone() {
    if !tools_are_there() {
        return;
    }
    let host = Host::start().await;
    let alice = host.account().await;
    alice.post("com.atproto.repo.createRecord", &host.post_of("before")).await.good();
    host.release("0.2.0", GOOD);

    let checked = host.update(&["--check"]).await;
    assert_eq!(checked.status.code(), Some(3), "{}", said(&checked));
    assert!(said(&checked).contains("Version 0.2.0 is there; this is 0.1.0."), "{}", said(&checked));
    assert!(host.is_as_before());
    let key = fs::read_to_string(host.path("key.pub")).unwrap();
    let key = format!("update.public_key={}", key.lines().last().unwrap());
    let mut doctor = relay(host.dir.path());
    doctor.args(["doctor", "--json", "--config", "relay.toml", "--set", &key]);
    let seen = tokio::task::spawn_blocking(move || doctor.output().unwrap()).await.unwrap();
    let seen: Vec<serde_json::Value> = serde_json::from_slice(&seen.stdout).unwrap();
    let version = seen.iter().find(|finding| finding["id"] == "version").unwrap();
    assert_eq!(
        (&version["outcome"], &version["sentence"]),
        (&json!("notice"), &json!("Version 0.2.0 is there; this is 0.1.0."))
    );

    // The line is cut in the middle of the program, and the next attempt goes on from there.
    let mut files = fs::read_dir(host.path("releases")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let program = files.find(|name| name.starts_with("relay-") && !name.ends_with(".minisig")).unwrap();
    host.web.breaks.lock().unwrap().insert(program.clone(), 1 << 20);
    let cut = host.update(&[]).await;
    assert_eq!(cut.status.code(), Some(1), "{}", said(&cut));
    assert!(said(&cut).contains("broke off"), "{}", said(&cut));
    host.web.asked.lock().unwrap().clear();

    let updated = host.update(&[]).await;
    assert!(updated.status.success(), "{}", said(&updated));
    assert!(said(&updated).contains("Version 0.2.0 runs and is well."), "{}", said(&updated));
    let asked = host.web.asked.lock().unwrap().clone();
    let from = asked.iter().find(|(path, _)| *path == format!("/files/{program}")).map(|(_, range)| range.as_str()).unwrap();
    assert!(from.starts_with("bytes=") && from != "bytes=0-", "it goes on where it was: {asked:?}");
    assert!(!host.is_as_before());
    alice.post("com.atproto.repo.createRecord", &host.post_of("after")).await.good();
    assert_eq!(host.posts().await, ["after", "before"]);

    // What both versions can read stays as it is.
    let undone = host.update(&["--undo"]).await;
    assert!(undone.status.success() && said(&undone).contains("Version 0.1.0 is back."), "{}", said(&undone));
    assert!(host.is_as_before());
    assert_eq!(host.posts().await, ["after", "before"]);
    assert!(said(&host.update(&["--undo"]).await).contains("There is no update to undo."));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_that_fail_are_replaced_by_the_one_before() {
    if !tools_are_there() {
        return;
    }
    let host = Host::start().await;
    let alice = host.account().await;
    let mut expected = Vec::new();
    // One that changes the form of the database and then fails: the header says version 2 of the schema from then on.
    let changes = "rehearse) echo '{\"schemaBefore\":1,\"schemaAfter\":2}' ;;\n\
                   serve) printf '\\000\\000\\000\\002' | dd of=data/relay.sqlite bs=1 seek=60 conv=notrunc 2>/dev/null; exec REAL \"$@\" ;;";
    let dies_later = "serve) REAL \"$@\" & pid=$!; echo $pid >pid; sleep 1.5; kill -9 $pid; exit 101 ;;";
    for (name, verbs, reason) in [
        ("panics at once", "serve) echo \"thread 'main' panicked\" >&2; exit 101 ;;", "it does not answer within 8 s"),
        ("hangs", "serve) exec sleep 1000 ;;", "it does not answer within 8 s"),
        ("dies while it is watched", dies_later, "it no longer answers"),
        (
            "changes the data and fails",
            changes,
            "it does not answer within 8 s. Version 0.1.0 is back, with the data as it was",
        ),
    ] {
        let post = format!("before the version that {name}");
        alice.post("com.atproto.repo.createRecord", &host.post_of(&post)).await.good();
        expected.push(post);
        expected.sort();
        host.release("0.2.0", &verbs.replace("REAL", REAL));
        let output = host.update(&[]).await;
        assert_eq!(output.status.code(), Some(1), "{name}: {}", said(&output));
        assert!(said(&output).contains(reason), "{name}: {}", said(&output));
        assert!(said(&output).contains("and it is well.\n    Nothing is lost."), "{name}: {}", said(&output));
        assert!(host.is_as_before(), "{name}");
        assert_eq!(host.posts().await, expected, "{name}");
    }
    alice.post("com.atproto.repo.createRecord", &host.post_of("zuletzt")).await.good();
}

/// A server that hung and did not end when it was told was left to its service manager, which had been told to stop it: the update
/// gave up after 100 s, and later there was no server at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_does_not_end_is_killed_and_a_server_runs_after_it() {
    if !tools_are_there() {
        return;
    }
    let host = Host::start().await;
    let alice = host.account().await;
    alice.post("com.atproto.repo.createRecord", &host.post_of("before")).await.good();
    host.release("0.2.0", GOOD);
    // The manager fails to stop it: then nothing is changed, and it goes on.
    fs::write(host.path("refuses"), "").unwrap();
    let output = host.update(&[]).await;
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("The server was told to go on."), "{}", said(&output));
    assert!(host.is_as_before());
    assert_eq!(host.posts().await, ["before"]);
    fs::remove_file(host.path("refuses")).unwrap();

    // It hangs, as on a disk that does not answer.
    let process = fs::read_to_string(host.path("pid")).unwrap();
    assert!(Command::new("kill").args(["-STOP", process.trim()]).status().unwrap().success());
    let output = host.update(&["--stop-within", "1s"]).await;
    assert!(output.status.success(), "{}", said(&output));
    let told = "The server does not end within 1 s, so it is killed. What it acknowledged is stored.";
    assert!(said(&output).contains(told), "{}", said(&output));
    assert!(said(&output).contains("Version 0.2.0 runs and is well."), "{}", said(&output));
    assert_eq!(host.posts().await, ["before"]);
    alice.post("com.atproto.repo.createRecord", &host.post_of("after")).await.good();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_used_is_not_even_started() {
    if !tools_are_there() {
        return;
    }
    let host = Host::start().await;
    let starts = || fs::read_to_string(host.path("calls")).unwrap().lines().count();
    let refuses = async |args: &[&str], words: &str| {
        let output = host.update(args).await;
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains(words), "{}", said(&output));
        assert!(host.is_as_before());
        assert_eq!(starts(), 1, "the server went on");
    };
    host.release("0.2.0", "rehearse) echo 'table account has no column mood' >&2; exit 1 ;;");
    refuses(&[], "The new program cannot take over the data: table account has no column mood").await;
    host.release("0.2.0", "--version) echo relay 0.1.9 ;;");
    refuses(&[], "it says that it is \"relay 0.1.9\", and not version 0.2.0.").await;
    refuses(&["--data-dir", "elsewhere"], "The service runs over another data folder than ").await;
    host.release("0.0.9", GOOD);
    refuses(&[], "Release 0.0.9 is older than this program, 0.1.0.").await;

    // Somebody changed the program, or the index, or signed with another key.
    host.release("0.2.0", GOOD);
    let index = fs::read_to_string(host.path("releases/index.json")).unwrap();
    fs::write(host.path("releases/index.json"), index.replace("0.2.0", "0.3.0")).unwrap();
    refuses(&[], "The index of releases is not signed by the key RW").await;
    fs::write(host.path("releases/index.json"), &index).unwrap();
    let program = format!("releases/relay-0.2.0-{}-{}", std::env::consts::ARCH, std::env::consts::OS);
    let text = fs::read_to_string(host.path(&program)).unwrap();
    fs::write(host.path(&program), text.replace("relay 0.2.0", "relay 9.2.0")).unwrap();
    refuses(&[], "its hash is not that of the index").await;
    fs::write(host.path(&program), format!("{text}# and more")).unwrap();
    refuses(&[], "it is larger than the index says").await;
    fs::write(host.path(&program), &text).unwrap();
    assert!(host.minisign(&["-G", "-W", "-p", "other.pub", "-s", "other.sec"]).status.success());
    refuses(&["--key", "other.pub"], "The index of releases is not signed by the key RW").await;
    refuses(&["--source", &format!("{}/nowhere/index.json", host.url)], "status 404").await;
    let missing = host.path("nothing.json");
    refuses(&["--source", missing.to_str().unwrap()], "nothing.json: No such file").await;
    // From a folder it works as well, and a wish to go back is granted.
    host.release("0.0.9", GOOD);
    let index = host.path("releases/index.json");
    let output = host.update(&["--allow-downgrade", "--source", index.to_str().unwrap()]).await;
    assert!(output.status.success(), "{}", said(&output));
}

/// A write that is acknowledged while the data may still go back would be lost with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_wait_while_the_data_may_go_back() {
    if !tools_are_there() {
        return;
    }
    let host = Host::start().await;
    let alice = host.account().await;
    let changed = "rehearse) echo '{\"schemaBefore\":1,\"schemaAfter\":2}' ;;";
    host.release("0.2.0", changed);
    let updating = host.update(&["--watch", "4s"]);
    let asking = async {
        // Once the server has been seen on probation, a read is served.
        loop {
            if host.path("data/update/probation").exists()
                && let Ok(reply) = alice.try_post("com.atproto.repo.createRecord", &host.post_of("early")).await
                && reply.status == 503
            {
                assert_eq!(reply.headers["retry-after"], "10", "{}", reply.text());
                assert!(reply.text().contains("being updated"), "{}", reply.text());
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        host.posts().await
    };
    tokio::pin!(updating);
    let posts = tokio::select! {
        posts = asking => posts,
        output = &mut updating => panic!("no write was refused: {}", said(&output)),
    };
    let output = updating.await;
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("until then it takes no writes"), "{}", said(&output));
    assert_eq!(posts, Vec::<String>::new());
    alice.post("com.atproto.repo.createRecord", &host.post_of("late")).await.good();
    assert_eq!(host.posts().await, ["late"]);
    let refused = host.update(&["--undo"]).await;
    assert!(said(&refused).contains("With --with-data the data goes back as well"), "{}", said(&refused));
    let undone = host.update(&["--undo", "--with-data"]).await;
    assert!(undone.status.success(), "{}", said(&undone));
    assert_eq!(host.posts().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_no_service_is_told_what_to_do() {
    if !tools_are_there() {
        return;
    }
    let host = Host::start().await;
    host.release("0.2.0", GOOD);
    script(&host.path("tools/systemctl"), "[ \"$1\" != --user ] || shift; case $1 in show) echo ExecStart= ;; esac");
    let output = host.update(&[]).await;
    assert!(said(&output).contains("Stop it, run this again, and start it after that."), "{}", said(&output));
    let pid = fs::read_to_string(host.path("pid")).unwrap();
    assert!(Command::new("kill").args(["-TERM", pid.trim()]).status().unwrap().success());
    while Path::new("/proc").join(pid.trim()).exists() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let output = host.update(&[]).await;
    assert!(output.status.success() && said(&output).contains("No server ran, so it was not watched"), "{}", said(&output));
    let version = Command::new(host.path("bin/relay")).arg("--version").output().unwrap();
    assert_eq!(version.stdout, b"relay 0.2.0\n");
    let undone = host.update(&["--undo"]).await;
    assert!(undone.status.success() && host.is_as_before(), "{}", said(&undone));
}

/// Root does not work in a folder where the server's user could put links in its way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_data_is_touched_as_its_owner_only() {
    const NOBODY: u32 = 65534;
    let root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    let readable = Command::new("setpriv").args(["--reuid=65534", "--clear-groups", REAL, "--version"]).output();
    if !tools_are_there() || !root || !readable.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIP: only root acts in the name of others");
        return;
    }
    let host = Host::start().await;
    host.account().await;
    host.systemctl("stop");
    script(&host.path("tools/systemctl"), "[ \"$1\" != --user ] || shift; case $1 in show) echo ExecStart= ;; esac");
    fs::set_permissions(host.dir.path(), fs::Permissions::from_mode(0o711)).unwrap();
    assert!(Command::new("chown").args(["-R", "65534:65534"]).arg(host.path("data")).status().unwrap().success());
    let owner = |name: &str| std::os::unix::fs::MetadataExt::uid(&fs::metadata(host.path(name)).unwrap());

    host.release("0.2.0", "rehearse) id -u >who 2>/dev/null; id -u; echo '{\"schemaBefore\":1,\"schemaAfter\":2}' ;;");
    fs::write(host.path("who"), "").unwrap();
    fs::set_permissions(host.path("who"), fs::Permissions::from_mode(0o666)).unwrap();
    let output = host.update(&[]).await;
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(
        fs::read_to_string(host.path("who")).unwrap(),
        format!("{NOBODY}\n"),
        "the new program sees the copy as its owner"
    );
    assert_eq!((owner("data/update/before/relay.sqlite"), owner("bin/.relay-before")), (NOBODY, 0));
    // A link in the way leads nowhere that the owner may not go.
    fs::create_dir(host.path("precious")).unwrap();
    fs::write(host.path("precious/file"), "kept").unwrap();
    std::os::unix::fs::symlink(host.path("precious"), host.path("data/update/failed")).unwrap();
    let refused = host.update(&["--undo", "--with-data"]).await;
    assert!(fs::read_dir(host.path("precious")).unwrap().count() == 1, "{}", said(&refused));
    drop(fs::remove_file(host.path("data/update/failed")));
    let undone = host.update(&["--undo", "--with-data"]).await;
    assert!(undone.status.success() || refused.status.success(), "{}{}", said(&refused), said(&undone));
    assert!(host.is_as_before());
    assert_eq!(owner("data/relay.sqlite"), NOBODY);
}
