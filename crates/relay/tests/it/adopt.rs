//! `relay adopt`, on folders made by hand: what is wrong with them, and runs that end early or come twice. That the folder of a
//! real official PDS is taken over, is in tests/clients/js/adopt.test.mjs.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::support::{App, OfficialFolder, OldAccount, TestPds, Tokens, key, relay};
use crate::verify::operate;

const SERVICE_DID: &str = "did:web:localhost";

/// An old folder, and the place for the new one.
struct Bench {
    old: OfficialFolder,
    work: TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { old: OfficialFolder::new(SERVICE_DID), work: tempfile::tempdir().unwrap() }
    }

    fn target(&self) -> PathBuf {
        self.work.path().join("data")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = relay(self.work.path());
        command.arg("adopt").arg(self.old.dir()).arg("--data-dir").arg(self.target()).arg("--no-identities").args(args);
        command
    }

    async fn run(&self, args: &[&str]) -> Output {
        let mut command = self.command(args);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    /// Runs it, and returns its exit code and report.
    async fn report(&self, args: &[&str]) -> (Option<i32>, Value) {
        let output = self.run(&[args, &["--json"]].concat()).await;
        let report = serde_json::from_slice(&output.stdout);
        (output.status.code(), report.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr))))
    }

    /// Runs it, which must fail, and returns what it says of that.
    async fn refusal(&self, args: &[&str]) -> String {
        let output = self.run(args).await;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(matches!(output.status.code(), Some(1 | 2)), "{text}");
        text.replace(&self.old.dir().canonicalize().unwrap().display().to_string(), "OLD")
    }

    fn database(&self) -> Connection {
        Connection::open(self.target().join("relay.sqlite")).unwrap()
    }

    fn count(&self, table: &str) -> i64 {
        self.database().query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    }
}

/// Breaks something of an account.
type Damage = fn(&OldAccount);

fn sentences(report: &Value) -> Vec<String> {
    let problems = report["report"]["problems"].as_array().unwrap();
    let line =
        |problem: &Value| format!("{}: {}", problem["severity"].as_str().unwrap(), problem["sentence"].as_str().unwrap());
    problems.iter().map(line).collect()
}

fn findings(report: &Value) -> Vec<&str> {
    report["verification"]["findings"].as_array().unwrap().iter().map(|finding| finding["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn all_is_taken_over_and_a_second_run_changes_nothing() {
    let bench = Bench::new();
    let alice = bench.old.account("alice");
    let bob = bench.old.account("bob");
    bench.old.accounts().execute("UPDATE actor SET takedownRef = 'x' WHERE did = ?1", [bob.did.as_str()]).unwrap();
    let before = bench.old.fingerprint();
    let (code, looked) = bench.report(&[]).await;
    assert_eq!((code, sentences(&looked)), (Some(0), Vec::new()));
    assert!(!bench.target().exists());
    let (code, taken) = bench.report(&["--yes"]).await;
    assert_eq!((code, sentences(&taken), findings(&taken)), (Some(0), Vec::new(), Vec::new()));
    for field in ["accounts", "records", "repoBytes", "blobs", "blobBytes", "events", "lastSeq"] {
        assert_eq!(looked["report"][field], taken["report"][field], "{field}");
    }
    assert_eq!(taken["report"]["records"], 2 * alice.paths.len());
    let head: Vec<u8> = bench.database().query_row("SELECT head FROM repo WHERE account = 1", [], |row| row.get(0)).unwrap();
    assert_eq!(head, alice.head.digest());

    let (code, again) = bench.report(&["--yes"]).await;
    assert_eq!((code, &again["report"]["records"], bench.count("account")), (Some(0), &json!(0), 2));
    assert_eq!(bench.old.fingerprint(), before);

    // What its owner deleted here meanwhile stays so.
    bench.database().execute_batch("PRAGMA foreign_keys = ON; DELETE FROM account WHERE id = 2").unwrap();
    bench.report(&["--yes"]).await;
    assert_eq!(bench.count("account"), 1);
}

#[tokio::test]
async fn folders_that_are_not_understood_are_refused() {
    let bench = Bench::new();
    let alice = bench.old.account("alice");
    let env = std::fs::read_to_string(bench.old.dir().join("pds.env")).unwrap();
    let accounts = bench.old.dir().join("account.sqlite");

    bench.old.accounts().execute("INSERT INTO kysely_migration VALUES ('008', '')", []).unwrap();
    insta::assert_snapshot!(bench.refusal(&["--yes"]).await, @r#"
    The adoption stopped: OLD/account.sqlite has the migration "008", and this program knows those up to 007.
        Use a newer version of relay, which knows it. Nothing was changed.
    "#);
    bench.old.accounts().execute("DELETE FROM kysely_migration WHERE name > '002'", []).unwrap();
    insta::assert_snapshot!(bench.refusal(&["--yes"]).await, @r#"
    The adoption stopped: OLD/account.sqlite lacks the migration 003: the old server is from before 2024-08.
        Let a recent version of the official PDS start once, which brings its databases up to date; stop it and run this again.
    "#);
    bench.old.accounts().execute("DROP TABLE kysely_migration", []).unwrap();
    insta::assert_snapshot!(bench.refusal(&[]).await, @r#"
    The adoption stopped: OLD/account.sqlite is not a database of the official PDS.
        Mend that and run it again. Nothing was changed.
    "#);
    std::fs::write(&accounts, "no database").unwrap();
    insta::assert_snapshot!(bench.refusal(&[]).await, @r#"
    The adoption stopped: OLD/account.sqlite is not a database of the official PDS.
        Mend that and run it again. Nothing was changed.
    "#);
    std::fs::remove_file(&accounts).unwrap();
    insta::assert_snapshot!(bench.refusal(&[]).await, @r#"
    The adoption stopped: there is no account.sqlite in OLD.
        Name the folder that PDS_DATA_DIRECTORY named; the usual one is /pds.
    "#);

    let bench = Bench::new();
    std::fs::write(bench.old.dir().join("pds.env"), env.replace("PDS_PLC_ROTATION", "X")).unwrap();
    insta::assert_snapshot!(bench.refusal(&["--yes"]).await, @r#"
    The rotation key of the old server is not among its settings (PDS_PLC_ROTATION_KEY_K256_PRIVATE_KEY_HEX).
        Name the file with its settings with --env-file. Or go on with --without-rotation-key: handles and keys of its accounts can then only be changed by owners who have a rotation key of their own.
    "#);
    std::fs::write(bench.old.dir().join("pds.env"), format!("{env}\nsome secret")).unwrap();
    insta::assert_snapshot!(bench.refusal(&["--yes"]).await, @r#"
    The adoption stopped: OLD/pds.env:9: it is not NAME=value.
        Mend that and run it again. Nothing was changed.
    "#);
    std::fs::write(bench.old.dir().join("pds.env"), &env).unwrap();
    insta::assert_snapshot!(bench.refusal(&["--yes", "--set", "server.public_url=https://b.example"]).await, @r#"
    The server is b.example here, and was localhost: DIDs and sessions are bound to the name (server.public_url).
        Let the configuration say what the old server's settings said. A change of the name comes later, by itself.
    "#);
    std::fs::remove_file(bench.old.dir().join("sequencer.sqlite")).unwrap();
    insta::assert_snapshot!(bench.refusal(&["--yes"]).await, @r#"
    The adoption stopped: OLD/sequencer.sqlite is missing; set PDS_SEQUENCER_DB_LOCATION in the old server's settings to where it is.
        Mend that and run it again. Nothing was changed.
    "#);
    assert!(!bench.target().exists());
    assert!(alice.did.is_plc());
}

#[tokio::test]
async fn the_new_folder_is_a_new_one() {
    let bench = Bench::new();
    bench.old.account("alice");
    let inside = bench.old.dir().join("new").display().to_string();
    let mut command = relay(bench.work.path());
    command.arg("adopt").arg(bench.old.dir()).args(["--data-dir", &inside, "--yes", "--no-identities"]);
    let said = String::from_utf8(command.output().unwrap().stderr).unwrap();
    assert!(said.contains("is in the old server's folder"), "{said}");
    assert!(!Path::new(&inside).exists());

    let mut pds = TestPds::start().await;
    pds.create_account("carol").await;
    pds.suspend().await;
    let old = OfficialFolder::new(&format!("did:web:localhost%3A{}", pds.address().port()));
    let output = operate(&pds, &["adopt", &old.dir().display().to_string(), "--yes"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("the data folder has accounts of its own"), "{said}");
}

#[tokio::test]
async fn a_server_that_has_the_folder_is_noticed() {
    let bench = Bench::new();
    bench.old.account("alice");
    let accounts = bench.old.accounts();
    let count: i64 = accounts.query_row("SELECT count(*) FROM actor", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 1);
    let said = bench.refusal(&["--yes"]).await;
    assert!(said.contains(&format!("OLD/account.sqlite is in use by process {}", std::process::id())), "{said}");
    // Looked at it can be, with what is not in the database file yet.
    accounts.execute("UPDATE actor SET handle = 'a b'", []).unwrap();
    let (code, report) = bench.report(&[]).await;
    assert_eq!((code, &report["report"]["accounts"]), (Some(3), &json!(1)));
    insta::assert_snapshot!(sentences(&report).join("\n"), @r#"
    notice: The old server runs. What it writes from now on is not counted here; stop it before you take over.
    warning: Its handle "a b" is none; it has to choose another one.
    "#);
    accounts.execute("UPDATE actor SET handle = 'alice.test'", []).unwrap();
    drop(accounts);
    assert_eq!(bench.report(&["--yes"]).await.0, Some(0));
    // It was started once more, and wrote.
    bench.old.account("bob");
    let said = bench.refusal(&["--yes"]).await;
    assert!(said.contains("the old server ran since the adoption was begun"), "{said}");
}

/// A server that was killed leaves what it wrote last in a log beside the database.
#[tokio::test]
async fn what_is_in_a_log_that_was_left_is_taken_over() {
    let bench = Bench::new();
    let alice = bench.old.account("alice");
    let accounts = bench.old.accounts();
    let store = alice.store();
    accounts.execute("UPDATE actor SET handle = 'alice-two.test'", []).unwrap();
    store.execute("INSERT INTO account_pref (name, valueJson) VALUES ('app.bsky.x', '{}')", []).unwrap();
    // As they lie at this moment.
    let copy = Bench { old: OfficialFolder::new(SERVICE_DID), work: tempfile::tempdir().unwrap() };
    let copied = Command::new("cp").arg("-a").arg(format!("{}/.", bench.old.dir().display())).arg(copy.old.dir()).status();
    assert!(copied.unwrap().success());
    assert!(copy.old.dir().join("account.sqlite-wal").metadata().unwrap().len() > 0);
    drop((accounts, store));
    let before = copy.old.fingerprint();
    let (code, report) = copy.report(&["--yes"]).await;
    assert_eq!((code, sentences(&report)), (Some(0), Vec::new()));
    let handle: String = copy.database().query_row("SELECT handle FROM account", [], |row| row.get(0)).unwrap();
    assert_eq!((handle.as_str(), copy.count("preference")), ("alice-two.test", 2));
    assert_eq!(copy.old.fingerprint(), before);
}

#[tokio::test]
async fn what_is_broken_is_set_aside_and_the_rest_comes() {
    let bench = Bench::new();
    let breaks: [(&str, Damage); 8] = [
        ("a", |_| {}),
        ("b", |old| {
            let sql = "UPDATE repo_block SET content = zeroblob(size) WHERE cid = (SELECT cid FROM record LIMIT 1)";
            old.store().execute(sql, []).unwrap();
        }),
        ("c", |old| {
            old.store().execute("DELETE FROM repo_block WHERE cid = (SELECT cid FROM record LIMIT 1)", []).unwrap();
        }),
        ("d", |old| std::fs::write(old.dir.join("key"), [1; 32]).unwrap()),
        ("e", |old| {
            old.store().execute("DELETE FROM record WHERE rkey = 'self'", []).unwrap();
        }),
        ("f", |old| std::fs::remove_file(old.dir.join("store.sqlite")).unwrap()),
        ("g", |old| std::fs::remove_file(old.dir.join("key")).unwrap()),
        ("h", |old| {
            let sql =
                "INSERT INTO record SELECT uri || 'x', cid, collection, rkey || 'x', repoRev, indexedAt, NULL FROM record";
            old.store().execute(sql, []).unwrap();
        }),
    ];
    let mut accounts = Vec::new();
    for (name, damage) in breaks {
        let old = bench.old.account(name);
        damage(&old);
        accounts.push(old);
    }
    let (code, looked) = bench.report(&[]).await;
    assert_eq!(code, Some(4));
    let (code, taken) = bench.report(&["--yes"]).await;
    assert_eq!(code, Some(4));
    assert_eq!(sentences(&looked), sentences(&taken));
    // Nothing of what was set aside is left, not even blobs.
    assert_eq!((findings(&taken), bench.count("account"), bench.count("blob")), (Vec::new(), 1, 1));
    let said: Vec<String> = sentences(&taken)
        .into_iter()
        .map(|line| accounts.iter().fold(line, |line, old| line.replace(old.did.as_str(), "DID")))
        .collect();
    let dir = bench.old.dir().canonicalize().unwrap().display().to_string();
    insta::assert_snapshot!(said.join("\n").replace(&dir, "OLD"), @r#"
    error: The account is set aside: the block bafyreiaadqefigro2ikesosc4elmq56lrwtklc5j5emimp4ctpbiqgdgqu is damaged.
    error: The account is set aside: the block bafyreidujfpgnm5stz7rakbbsfe6nn66diznsrnwtsei5zcdvrye4siboq is missing.
    error: The account is set aside: its commit is not signed with the account's key.
    error: The account is set aside: the tree has app.bsky.actor.profile/self as bafyreiadzj2dsotf4iqf32tn7pfmb5jhww2m5amknpji4iavjsyptwdfuq, the list of records does not.
    error: The account is set aside: its database OLD/actors/15/DID/store.sqlite is missing.
    error: The account is set aside: its signing key cannot be read: No such file or directory (os error 2).
    error: The account is set aside: the list of records has 82 records, the tree has 41.
    "#);

    // It was mended: a key from a backup.
    std::fs::write(accounts[3].dir.join("key"), Sha256::digest("d")).unwrap();
    let (code, again) = bench.report(&["--yes"]).await;
    assert_eq!((code, &again["report"]["accounts"], bench.count("account")), (Some(4), &json!(1), 2));
    assert_eq!(sentences(&again).len(), 6);
}

#[tokio::test]
async fn blobs_that_are_missing_or_damaged_are_told() {
    let bench = Bench::new();
    let [whole, missing, longer, damaged] = ["a", "b", "c", "d"].map(|name| bench.old.account(name));
    std::fs::remove_file(&missing.blob).unwrap();
    std::fs::write(&longer.blob, "something longer than it was").unwrap();
    std::fs::write(&damaged.blob, "The blob of d").unwrap();
    let (code, looked) = bench.report(&[]).await;
    assert_eq!((code, sentences(&looked).len()), (Some(3), 2));
    let (code, taken) = bench.report(&["--yes"]).await;
    let mut said = sentences(&taken).join("\n");
    for (old, name) in [(&missing, "B"), (&longer, "C"), (&damaged, "D")] {
        said = said.replace(&old.blob_cid.to_string(), name);
    }
    insta::assert_snapshot!(said, @r#"
    warning: The blob B is not carried over: its file is missing.
    warning: The blob C is not carried over: its file has 28 bytes, and should have 13.
    warning: The blob D is not carried over: its file is damaged: it has another hash.
    "#);
    assert_eq!((bench.count("account"), bench.count("blob")), (4, 1));
    // Their accounts are whole but for that, and nothing is left of what was copied.
    assert_eq!(findings(&taken), ["blob-absent"; 3]);
    assert!(code == Some(3) || code == Some(4));
    assert!(whole.blob.exists());
}

/// Killed in the middle, it goes on where it was; until then no server starts on half of the accounts.
#[tokio::test]
async fn a_run_that_was_killed_goes_on() {
    const ACCOUNTS: i64 = 80;
    let bench = Bench::new();
    for n in 0..ACCOUNTS {
        bench.old.account(&format!("user{n}"));
    }
    let mut killed = 0;
    while killed < 3 {
        let mut child = bench.command(&["--yes"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let goal = 6 * (killed + 1);
        loop {
            let here = Connection::open_with_flags(bench.target().join("relay.sqlite"), OpenFlags::SQLITE_OPEN_READ_ONLY)
                .and_then(|conn| conn.query_row("SELECT count(*) FROM account", [], |row| row.get::<_, i64>(0)));
            if here.is_ok_and(|here| here >= goal) {
                break;
            }
            assert!(child.try_wait().unwrap().is_none(), "it ended before it was killed");
            tokio::task::yield_now().await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        killed += 1;
        let here = bench.count("account");
        assert!((goal..ACCOUNTS).contains(&here), "{here}");
        assert_eq!(bench.count("repo"), here);
        let served = relay(bench.work.path())
            .args(["serve", "--set", "server.public_url=http://localhost:1", "--bind", "127.0.0.1:0", "--data-dir"])
            .arg(bench.target())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&served.stderr).into_owned();
        assert!(said.contains("Run `relay adopt` again"), "{said}");
    }
    let (code, report) = bench.report(&["--yes"]).await;
    assert_eq!((code, findings(&report)), (Some(0), Vec::new()));
    assert_eq!(report["report"]["accounts"], ACCOUNTS);
    assert_eq!(["account", "blob", "event"].map(|table| bench.count(table)), [ACCOUNTS; 3]);
    assert!(report["report"]["alreadyHere"].as_u64().unwrap() >= 18);
}

/// An app comes with the refresh token of the old server, and stays signed in; one that was stolen ends the session.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_of_apps_go_on() {
    let mut pds = TestPds::start().await;
    let old = OfficialFolder::new(&format!("did:web:localhost%3A{}", pds.address().port()));
    let alice = old.account("alice");
    let scope = "atproto transition:generic";
    let app = App::loopback(&pds, scope);
    let thumbprint = key(7).verifying_key().jwk_thumbprint();
    // So that it does not end in some year.
    let now = "2999-01-01T00:00:00.000Z";
    for (id, refresh) in [("one", "ref-11"), ("two", "ref-22")] {
        let parameters = json!({ "scope": scope, "dpop_jkt": thumbprint, "redirect_uri": app.redirect_uri });
        let sql = "INSERT INTO token (did, tokenId, createdAt, updatedAt, expiresAt, clientId, clientAuth, parameters,
             currentRefreshToken, scope) VALUES (?1, ?2, ?3, ?3, ?3, ?4, '{\"method\":\"none\"}', ?5, ?6, ?7)";
        let values = rusqlite::params![alice.did.as_str(), id, now, app.client_id, parameters.to_string(), refresh, scope];
        old.accounts().execute(sql, values).unwrap();
    }
    pds.suspend().await;
    let output = operate(&pds, &["adopt", &old.dir().display().to_string(), "--yes", "--no-identities"]).output().unwrap();
    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    pds.resume().await;

    let tokens = Tokens::of(&app.refresh(&pds, "ref-11").await.good().json());
    assert_eq!(tokens.sub, alice.did.as_str());
    assert_eq!(app.get(&tokens, "com.atproto.server.getSession").await.good().json()["handle"], alice.handle);
    let next = Tokens::of(&app.refresh(&pds, &tokens.refresh).await.good().json());
    app.get(&next, "com.atproto.server.getSession").await.good();
    // It was replaced twice by now.
    assert_eq!(app.refresh(&pds, "ref-11").await.summary(), "400 invalid_grant");
    assert_eq!(app.get(&next, "com.atproto.server.getSession").await.summary(), "401 invalid_token");

    let thief = App::loopback(&pds, scope).with_key(key(9));
    assert_eq!(thief.refresh(&pds, "ref-22").await.summary(), "400 invalid_grant");
    assert_eq!(app.refresh(&pds, "ref-22").await.summary(), "400 invalid_grant");

    let body = json!({ "identifier": alice.handle, "password": alice.password });
    for _ in 0..2 {
        pds.anonymous().post("com.atproto.server.createSession", &body).await.good();
    }
}
