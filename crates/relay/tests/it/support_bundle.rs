//! `relay support-bundle`: that it tells what helps, and nothing that is secret.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;

use data_encoding::{BASE64, HEXLOWER};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::backup::{World, noise, said, upload};
use crate::support::{S3, Served, User, configure, run, s3_settings};

/// What is configured as secret. Each stands nowhere else.
const SECRETS: [&str; 8] = [
    "smtp-pass+word/7731",
    "admin-password-7732",
    "bypass-key-7733",
    "backup passphrase 7734",
    "hook-7735-in-the-path",
    "ntfy-topic-7736",
    "ntfy-token-7737",
    "ping-7738",
];

fn configuration(blobs: &S3, place: &str) -> String {
    let s3 = s3_settings(blobs);
    format!(
        "rate_limit_bypass_key = \"bypass-key-7733\"\n\
         [logging]\nlevel = \"trace\"\nformat = \"json\"\n\
         [secrets]\nadmin_password = \"admin-password-7732\"\n\
         [mail]\nurl = \"smtp://mailer-7739:smtp-pass%2Bword%2F7731@127.0.0.1:9\"\nfrom = \"operator-7740@example.com\"\n\
         [notices]\nmail_to = \"someone-7741@example.org\"\nwebhook_url = \"http://127.0.0.1:9/hook-7735-in-the-path\"\n\
         ntfy_url = \"http://127.0.0.1:9/ntfy-topic-7736\"\nntfy_token = \"ntfy-token-7737\"\n\
         ping_url = \"http://127.0.0.1:9/ping-7738\"\n\
         [blobs]\nstore = \"s3://ours/blobs\"\n{s3}\
         [backup]\nto = [{place:?}, \"s3://ours/backups\"]\npassphrase = \"backup passphrase 7734\"\ndrill = false\n{s3}"
    )
}

fn unpack(path: &str) -> BTreeMap<String, String> {
    let mut zip = zip::ZipArchive::new(fs::File::open(path).unwrap()).unwrap();
    let mut files = BTreeMap::new();
    for at in 0..zip.len() {
        let mut file = zip.by_index(at).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        files.insert(file.name().unwrap().into_owned(), text);
    }
    files
}

/// A server whose log tells everything has secrets of every kind, and none is in the bundle; all that helps is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bundle_tells_what_helps_and_no_secret() {
    let (world, s3) = (World::new().await, S3::start().await);
    let place = world.place().display().to_string();
    configure(world.dir.path(), world.port, &world.plc, &configuration(&s3, &place));
    let server = Served::start(world.dir.path(), world.port).await;
    let alice = User::register(&server.anonymous(), "alice").await;
    upload(&alice, noise(1, 1000)).await;
    let app_password = alice.post("com.atproto.server.createAppPassword", &json!({ "name": "phone" })).await.good().json();
    let admin = server.anonymous();
    let admin = |path: &str| admin.request("POST", path).basic_auth("admin", Some("admin-password-7732"));
    let invite =
        server.anonymous().send(admin("/xrpc/com.atproto.server.createInviteCode").json(&json!({ "useCount": 1 }))).await;
    let invite = invite.good().json()["code"].as_str().unwrap().to_owned();
    // Wrong ones, of which a log may want to tell.
    let body = json!({ "identifier": "carol-7742@example.net", "password": "wrong-password-7743" });
    assert_eq!(server.anonymous().post("com.atproto.server.createSession", &body).await.status, 401);
    let anyone = server.anonymous();
    for path in ["/seeded/dave-7744@example.net".to_owned(), format!("/seeded/{}", alice.access)] {
        anyone.send(anyone.request("GET", &path)).await;
    }
    alice.post("com.atproto.server.requestEmailConfirmation", &json!({})).await;
    let codes = server.verb(&["code", "show", "alice.test", "--json"]).await;
    let codes = String::from_utf8_lossy(&codes.stdout).into_owned();
    let code = codes.lines().find_map(|line| serde_json::from_str::<Value>(line).ok()?["code"].as_str().map(str::to_owned));
    let key = fs::read_to_string(world.at("data/master.key")).unwrap().trim().to_owned();
    let conn = Connection::open(world.at("data/relay.sqlite")).unwrap();
    let sealed: Vec<u8> = conn.query_row("SELECT signing_key FROM account", [], |row| row.get(0)).unwrap();

    let output = server.verb(&["support-bundle", "--out", "bundle.zip"]).await;
    assert!(output.status.success(), "{output:?}");
    let files = unpack(&world.at("bundle.zip"));
    assert_eq!(fs::metadata(world.at("bundle.zip")).unwrap().permissions().mode() & 0o777, 0o600);
    for (name, is_there) in [
        ("README.txt", "Read it before you hand it on"),
        ("versions.txt", env!("CARGO_PKG_VERSION")),
        ("relay.toml", "s3://ours/blobs"),
        ("status.txt", "write queue"),
        ("status.json", "\"prune events\""),
        ("metrics.txt", "relay_accounts{status=\"active\"} 1"),
        ("backups.json", "s3://ours/backups"),
        ("doctor.json", "\"id\""),
        ("database.txt", "account: 1\n"),
        ("database.txt", "CREATE TABLE account"),
        ("verify.json", "\"findings\""),
        ("log.txt", "the server is up"),
        ("log.txt", "createRecord"),
    ] {
        assert!(files[name].contains(is_there), "{is_there} is not in {name}: {}", files[name]);
    }
    assert!(!files.values().any(|text| text.contains("could not be gathered")), "{files:?}");

    let mut secrets: Vec<String> = SECRETS.map(str::to_owned).to_vec();
    for word in
        ["mailer-7739", "operator-7740", "someone-7741", "carol-7742", "dave-7744", "wrong-password-7743", "alice@example.com"]
    {
        secrets.push(word.to_owned());
    }
    secrets.extend([crate::support::SECRET_KEY, crate::support::ACCESS_KEY].map(str::to_owned));
    secrets.extend([alice.password.clone(), alice.access.clone(), alice.refresh.clone(), key, invite]);
    secrets.push(app_password["password"].as_str().unwrap().to_owned());
    secrets.push(HEXLOWER.encode(&sealed));
    secrets.extend(code);
    for secret in &secrets {
        let encoded = [secret.clone(), BASE64.encode(secret.as_bytes()), HEXLOWER.encode(secret.as_bytes())];
        for (name, text) in &files {
            for spelling in &encoded {
                assert!(!text.contains(spelling.as_str()), "{secret} is in {name}");
            }
        }
    }
    // It can fail: there are things to remove.
    assert!(files["relay.toml"].contains("[removed]"), "{}", files["relay.toml"]);
    assert!(files["log.txt"].contains("/seeded/[removed]"), "the path of a request is in the log");

    let again = said(&server.verb(&["support-bundle", "--out", "bundle.zip", "--no-verify"]).await);
    assert!(again.contains("one that is there is not replaced"), "{again}");
    server.stop().await;
    // When nothing runs, the rest is there all the same.
    let dir = world.dir.path();
    assert!(run(dir, &["support-bundle", "--config", "relay.toml", "--out", "off.zip", "--no-verify"]).await.status.success());
    let files = unpack(&world.at("off.zip"));
    assert!(files["status.txt"].contains("could not be gathered") && files["database.txt"].contains("account: 1\n"));
    // And when the configuration is what is broken.
    fs::write(dir.join("broken.toml"), "[secrets]\nadmin_password = \"admin-password-7732\"\nnonsense = 1\n").unwrap();
    assert!(run(dir, &["support-bundle", "--config", "broken.toml", "--out", "broken.zip"]).await.status.success());
    let files = unpack(&world.at("broken.zip"));
    assert!(files["relay.toml"].contains("nonsense") && !files["relay.toml"].contains("7732"), "{files:?}");
}
