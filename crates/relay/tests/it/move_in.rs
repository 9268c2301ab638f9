//! `relay account move-in`: an account comes here from another server, by no other program.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::support::{Client, PlcFault, TestPds, User, read_export};
use crate::verify::{findings, furnished, operate};

/// Runs the verb without questions, and returns whether it succeeded, and what it said.
async fn move_in(to: &TestPds, account: &str, password: &str, args: &[&str]) -> (bool, String) {
    let args: Vec<&str> = ["account", "move-in", account].into_iter().chain(args.iter().copied()).collect();
    let mut command = operate(to, &args);
    if !password.is_empty() {
        command.env("MOVE_IN_PASSWORD", password);
    }
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), said)
}

/// Runs the verb, which must succeed.
pub(crate) async fn good(to: &TestPds, account: &str, password: &str, args: &[&str]) -> String {
    let (success, said) = move_in(to, account, password, args).await;
    assert!(success, "{said}");
    said
}

/// Runs the verb, which must fail.
pub(crate) async fn bad(to: &TestPds, account: &str, password: &str, args: &[&str]) -> String {
    let (success, said) = move_in(to, account, password, args).await;
    assert!(!success, "{said}");
    said
}

pub(crate) async fn data_of(pds: &TestPds, did: &str) -> Value {
    let plc = Client::new(pds.plc_url(), None);
    plc.send(plc.request("GET", &format!("/{did}/data"))).await.good().json()
}

async fn server_of(pds: &TestPds, did: &str) -> String {
    data_of(pds, did).await["services"]["atproto_pds"]["endpoint"].as_str().unwrap().to_owned()
}

pub(crate) fn public_url(pds: &TestPds) -> String {
    format!("http://localhost:{}", pds.address().port())
}

/// Checks that all that the account had there is here, that it may write here and not there, and that the network is told.
pub(crate) async fn assert_arrived(from: &TestPds, to: &TestPds, old: &User, password: &str, records: usize) {
    let new = User::sign_in_with(&to.anonymous(), &old.did, password).await;
    let (_, here) = read_export(&new.export().await);
    assert_eq!(here.len(), records);
    let missing = new.get("com.atproto.repo.listMissingBlobs", &[]).await.good().json();
    assert_eq!(missing["blobs"], json!([]));
    let status = new.get("com.atproto.server.checkAccountStatus", &[]).await.good().json();
    assert_eq!((&status["activated"], &status["validDid"]), (&json!(true), &json!(true)));
    assert_eq!(server_of(from, &old.did).await, public_url(to));
    new.create_post("from the new place").await;
    let there = from.anonymous().get("com.atproto.sync.getRepoStatus", &[("did", &old.did)]).await.good().json();
    assert_eq!((&there["active"], &there["status"]), (&json!(false), &json!("deactivated")));
    assert_eq!(findings(to, &[]).await, (Some(0), Vec::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_moves_in_with_all_that_it_has() {
    let (from, alice, bob) = furnished().await;
    let to = from.start_beside().await;
    let preferences = json!([{ "$type": "app.bsky.actor.defs#adultContentPref", "enabled": true },
        { "$type": "app.bsky.actor.defs#personalDetailsPref", "birthDate": "1980-01-01T00:00:00Z" }]);
    alice.post("app.bsky.actor.putPreferences", &json!({ "preferences": preferences })).await.good();
    let before = data_of(&from, &alice.did).await;
    let mut follower = to.follow(None).await;

    let said = good(&to, &alice.did, "alice-password", &["--yes"]).await;
    assert!(said.contains("3 of 3 blobs") && said.contains("has mailed a code"), "{said}");
    assert_eq!(data_of(&from, &alice.did).await, before, "nothing has changed yet");
    // What is written in between comes along, and so does its blob.
    let blob = alice.post_bytes("com.atproto.repo.uploadBlob", "text/plain", b"late".to_vec()).await.good().json();
    alice
        .create_record("com.example.note", json!({ "$type": "com.example.note", "text": "late", "file": blob["blob"] }))
        .await
        .good();
    let (_, records) = read_export(&alice.export().await);
    let code = from.code("alice").await;
    // No second code is mailed, and none of the passwords is asked for again.
    let mails = from.mails("alice").await.len();
    good(&to, &alice.did, "", &["--yes"]).await;
    assert_eq!(from.mails("alice").await.len(), mails);
    let said = good(&to, &alice.did, "", &["--yes", "--code", &code]).await;
    assert!(said.contains(&format!("@alice.test ({}) is here.", alice.did)), "{said}");

    let events = follower.until(|frame| frame.kind == "#sync").await;
    let kinds: Vec<&str> = events.iter().map(|frame| &*frame.kind).collect();
    assert_eq!(kinds, ["#identity", "#account", "#identity", "#sync"]);
    assert_arrived(&from, &to, &alice, "alice-password", records.len()).await;
    let new = User::sign_in_with(&to.anonymous(), &alice.did, "alice-password").await;
    let got = new.get("app.bsky.actor.getPreferences", &[]).await.good().json();
    for preference in preferences.as_array().unwrap() {
        assert!(got["preferences"].as_array().unwrap().contains(preference), "{got}");
    }
    let keys = data_of(&from, &alice.did).await["rotationKeys"].clone();
    assert_ne!(keys, before["rotationKeys"]);
    assert_eq!(keys.as_array().unwrap().len(), 1, "the old server's key is gone");
    // The others there are as they were, and the account that moved is no stranger's to take.
    bob.create_post("still here").await;
    assert!(bad(&to, &alice.did, "alice-password", &["--yes"]).await.contains("is here already"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_told_and_changes_nothing() {
    let (from, alice, bob) = furnished().await;
    let to = from.start_beside().await;
    let before = data_of(&from, &alice.did).await;
    let said = bad(&to, "nobody.test", "x", &["--yes"]).await;
    assert!(said.contains("no account nobody.test in the network"), "{said}");
    let said = bad(&to, &alice.did, "", &["--yes"]).await;
    assert!(said.contains("MOVE_IN_PASSWORD"), "{said}");
    let said = bad(&to, &alice.did, "wrong", &["--yes"]).await;
    assert!(said.contains("does not know this password"), "{said}");
    let app_password = alice.post("com.atproto.server.createAppPassword", &json!({ "name": "phone" })).await.good().json();
    let said = bad(&to, &alice.did, app_password["password"].as_str().unwrap(), &["--yes"]).await;
    assert!(said.contains("This is an app password"), "{said}");
    let said = bad(&to, &alice.did, "alice-password", &["--yes", "--handle", "not a handle"]).await;
    assert!(said.contains("The handle will not do"), "{said}");
    assert_eq!(to.anonymous().get("com.atproto.sync.listRepos", &[]).await.good().json()["repos"], json!([]));

    good(&to, &alice.did, "alice-password", &["--yes", "--email", "other@example.com"]).await;
    let said = bad(&to, &alice.did, "", &["--yes", "--code", "AAAAA-BBBBB"]).await;
    assert!(said.contains("does not take this code"), "{said}");
    assert_eq!(data_of(&from, &alice.did).await, before);
    alice.create_post("still there").await;
    // Given up, all is as if it had not been, and may begin anew.
    good(&to, &alice.did, "", &["--give-up"]).await;
    assert!(bad(&to, &alice.did, "", &["--give-up"]).await.contains("No move of"));
    assert_eq!(findings(&to, &[]).await, (Some(0), Vec::new()));
    good(&to, &alice.did, "alice-password", &["--yes"]).await;
    let code = from.code("alice").await;
    good(&to, &alice.did, "", &["--yes", "--code", &code]).await;
    bob.create_post("nothing to do with it").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_to_sign_in_with_is_asked_for() {
    let mut from = TestPds::start().await;
    let to = from.start_beside().await;
    let alice = from.create_account("alice").await;
    alice.post_nothing("com.atproto.server.requestEmailConfirmation").await.good();
    let code = from.code("alice").await;
    let confirm = json!({ "email": "alice@example.com", "token": code });
    alice.post("com.atproto.server.confirmEmail", &confirm).await.good();
    let factor = json!({ "email": "alice@example.com", "emailAuthFactor": true });
    alice.post("com.atproto.server.updateEmail", &factor).await.good();
    let said = bad(&to, &alice.did, "alice-password", &["--yes"]).await;
    assert!(said.contains("has mailed you a code to sign in with"), "{said}");
    let said = bad(&to, &alice.did, "alice-password", &["--yes", "--sign-in-code", "AAAAA-BBBBB"]).await;
    assert!(said.contains("does not take this code to sign in with"), "{said}");
    let code = from.code("alice").await;
    let said = good(&to, &alice.did, "alice-password", &["--yes", "--sign-in-code", &code]).await;
    assert!(said.contains("has mailed a code"), "{said}");
    from.suspend().await;
    let said = bad(&to, &alice.did, "", &["--yes", "--new-code"]).await;
    assert!(said.contains("localhost cannot be reached") && said.contains("go on when it is back"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blob_that_the_old_server_lost_holds_nothing_up() {
    let (from, alice, _) = furnished().await;
    let to = from.start_beside().await;
    let listed = alice.get("com.atproto.sync.listBlobs", &[("did", &alice.did)]).await.good().json();
    let cid = listed["cids"][1].as_str().unwrap().to_owned();
    std::fs::remove_file(from.data_dir().join(blob_path(&cid))).unwrap();
    let said = good(&to, &alice.did, "alice-password", &["--yes"]).await;
    assert!(said.contains("2 of 3 blobs") && said.contains(&cid), "{said}");
    let code = from.code("alice").await;
    good(&to, &alice.did, "", &["--yes", "--code", &code]).await;
    assert_eq!(server_of(&from, &alice.did).await, public_url(&to));
}

/// A key of the owner's own came along, since nobody but them could put it back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotation_keys_of_the_owner_stay() {
    let from = TestPds::start().await;
    let to = from.start_beside().await;
    let key = |seed: u8| crypto::SigningKey::from_bytes(crypto::Curve::K256, &[seed; 32]).unwrap().verifying_key().to_did_key();
    let body =
        json!({ "handle": "alice.test", "email": "alice@example.com", "password": "alice-password", "recoveryKey": key(3) });
    from.anonymous().post("com.atproto.server.createAccount", &body).await.good();
    let alice = User::sign_in(&from.anonymous(), "alice").await;
    good(&to, &alice.did, "alice-password", &["--yes"]).await;
    let code = from.code("alice").await;
    good(&to, &alice.did, "", &["--yes", "--code", &code, "--recovery-key", &key(4)]).await;
    let keys = data_of(&from, &alice.did).await["rotationKeys"].clone();
    assert_eq!((&keys[0], &keys[1], keys.as_array().unwrap().len()), (&json!(key(4)), &json!(key(3)), 3), "{keys}");
}

/// The verb in a terminal, as far as a pipe is one.
struct Dialog {
    child: Child,
    answers: ChildStdin,
    said: BufReader<ChildStdout>,
}

impl Dialog {
    fn begin(to: &TestPds, account: &str) -> Self {
        let mut child =
            operate(to, &["account", "move-in", account]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (answers, said) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, answers, said }
    }

    /// Reads until a question, which has no line of its own.
    fn until(&mut self, question: &str) -> String {
        let mut said = Vec::new();
        while !String::from_utf8_lossy(&said).ends_with(question) {
            let read = self.said.fill_buf().unwrap().first().copied();
            let byte = read.unwrap_or_else(|| panic!("no {question:?} in {}", String::from_utf8_lossy(&said)));
            self.said.consume(1);
            said.push(byte);
        }
        String::from_utf8(said).unwrap()
    }

    fn answer(&mut self, question: &str, answer: &str) -> String {
        let said = self.until(question);
        writeln!(self.answers, "{answer}").unwrap();
        said
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn end(mut self) -> (bool, String) {
        drop(self.answers);
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut self.said, &mut rest).unwrap();
        (self.child.wait().unwrap().success(), rest)
    }
}

/// One blob never comes: the old server hangs with it, and the others are here when the process dies.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_that_is_killed_among_its_blobs_goes_on_with_the_others() {
    let (from, alice, _) = furnished().await;
    let mut to = from.start_beside().await;
    to.suspend().await;
    let (_, records) = read_export(&alice.export().await);
    let listed = alice.get("com.atproto.sync.listBlobs", &[("did", &alice.did)]).await.good().json();
    let mut blobs: Vec<PathBuf> =
        listed["cids"].as_array().unwrap().iter().map(|cid| blob_path(cid.as_str().unwrap())).collect();
    let held = from.data_dir().join(blobs.remove(1));
    let content = std::fs::read(&held).unwrap();
    std::fs::remove_file(&held).unwrap();
    assert!(Command::new("mkfifo").arg(&held).status().unwrap().success());
    tokio::task::block_in_place(|| {
        let mut dialog = Dialog::begin(&to, &alice.did);
        dialog.answer("Begin? (yes/no) [yes]: ", "yes");
        dialog.answer("Its handle here [alice.test]: ", "");
        dialog.answer("not an app password): ", "alice-password");
        dialog.answer("Enter: the same): ", "");
        while !blobs.iter().all(|blob| to.data_dir().join(blob).exists()) {
            assert!(dialog.child.try_wait().unwrap().is_none());
            std::thread::yield_now();
        }
        dialog.kill();
    });
    // The old server is let go of, and has the blob again.
    drop(std::fs::OpenOptions::new().write(true).open(&held).unwrap());
    std::fs::remove_file(&held).unwrap();
    std::fs::write(&held, content).unwrap();
    to.resume().await;
    let said = good(&to, &alice.did, "", &["--yes"]).await;
    assert!(said.contains("3 of 3 blobs"), "{said}");
    let code = from.code("alice").await;
    good(&to, &alice.did, "", &["--yes", "--code", &code]).await;
    assert_arrived(&from, &to, &alice, "alice-password", records.len()).await;
}

/// Where a blob is in a data folder.
fn blob_path(cid: &str) -> PathBuf {
    let digest = data_encoding::HEXLOWER.encode(cid.parse::<common::Cid>().unwrap().digest());
    Path::new("blobs").join(&digest[..2]).join(&digest[2..])
}

/// The process is killed at each question, with the server of the data folder stopped, so that it does the work itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_that_is_killed_goes_on_where_it_was() {
    let (from, alice, _) = furnished().await;
    let mut to = from.start_beside().await;
    to.suspend().await;
    let (_, records) = read_export(&alice.export().await);
    let did = alice.did.clone();
    tokio::task::block_in_place(|| {
        let mut dialog = Dialog::begin(&to, &did);
        let said = dialog.until("Begin? (yes/no) [yes]: ");
        assert!(said.contains("Nothing changes until you type the code"), "{said}");
        dialog.kill();

        let mut dialog = Dialog::begin(&to, &did);
        dialog.answer("Begin? (yes/no) [yes]: ", "yes");
        dialog.answer("Its handle here [alice.test]: ", "");
        dialog.answer("not an app password): ", "wrong");
        dialog.answer("Enter: the same): ", "a password here");
        let said = dialog.answer("not an app password): ", "alice-password");
        assert!(said.contains("does not know this password"), "{said}");
        dialog.answer("Enter: the same): ", "a password here");
        dialog.until("Go on? (yes/no) [yes]: ");
        dialog.kill();

        // Neither handle nor passwords are asked for again, and what is here is not copied again.
        let mut dialog = Dialog::begin(&to, &did);
        let said = dialog.answer("Go on? (yes/no) [yes]: ", "");
        assert!(said.contains("goes on") && said.contains("3 of 3 blobs"), "{said}");
        let said = dialog.until("to show that you have it: ");
        assert!(said.contains("recovery key"), "{said}");
        dialog.kill();

        let mut dialog = Dialog::begin(&to, &did);
        dialog.answer("Go on? (yes/no) [yes]: ", "");
        let said = dialog.until("to show that you have it: ");
        let key = said.lines().rev().find(|line| line.starts_with("    ")).unwrap().trim().to_owned();
        writeln!(dialog.answers, "{}", &key[key.len() - 4..]).unwrap();
        dialog.answer("for another one: ", "AAAAA-BBBBB");
        let said = dialog.until("for another one: ");
        assert!(said.contains("does not take this code"), "{said}");
        dialog.kill();
    });
    let before = data_of(&from, &did).await;
    assert_eq!(server_of(&from, &did).await, public_url(&from));
    // The directory takes the operation, and the process dies before it hears of that.
    from.plc_faults().set(PlcFault::Hang);
    let (code, submitted) = (from.code("alice").await, from.plc_faults().submitted().len());
    let dialog = tokio::task::block_in_place(|| {
        let mut dialog = Dialog::begin(&to, &did);
        dialog.answer("Go on? (yes/no) [yes]: ", "");
        let said = dialog.until("to show that you have it: ");
        let key = said.lines().rev().find(|line| line.starts_with("    ")).unwrap().trim().to_owned();
        writeln!(dialog.answers, "{}", &key[key.len() - 4..]).unwrap();
        dialog.answer("for another one: ", &code);
        dialog
    });
    from.plc_faults().submitted_after(submitted).await;
    dialog.kill();
    from.plc_faults().set(PlcFault::None);
    assert_ne!(data_of(&from, &did).await, before);
    let (success, said) = tokio::task::block_in_place(|| Dialog::begin(&to, &did).end());
    assert!(success && said.contains("is here."), "{said}");
    to.resume().await;
    assert_eq!(from.plc_faults().submitted().len(), submitted + 1, "the operation is not handed in again");
    assert_arrived(&from, &to, &alice, "a password here", records.len()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_ended_and_a_directory_that_is_away_are_waited_for() {
    let (from, alice, _) = furnished().await;
    let to = from.start_beside().await;
    good(&to, &alice.did, "alice-password", &["--yes"]).await;
    let code = from.code("alice").await;
    from.plc_faults().set(PlcFault::GoAway);
    let said = bad(&to, &alice.did, "", &["--yes", "--code", &code]).await;
    assert!(said.contains("The PLC directory cannot be reached") && said.contains("go on when it is back"), "{said}");
    from.plc_faults().set(PlcFault::None);
    // The tokens of access have ended, and are renewed by themselves.
    from.clock().shift_micros(3 * 3600 * 1_000_000);
    good(&to, &alice.did, "", &["--yes", "--new-code"]).await;
    // All of the sessions have ended.
    let reset = json!({ "email": "alice@example.com" });
    from.anonymous().post("com.atproto.server.requestPasswordReset", &reset).await.good();
    let reset = json!({ "token": from.code("alice").await, "password": "another password" });
    from.anonymous().post("com.atproto.server.resetPassword", &reset).await.good();
    from.clock().shift_micros(3 * 3600 * 1_000_000);
    let said = bad(&to, &alice.did, "", &["--yes", "--new-code"]).await;
    assert!(said.contains("Sign in there again"), "{said}");
    good(&to, &alice.did, "another password", &["--yes", "--new-code"]).await;
    let code = from.code("alice").await;
    good(&to, &alice.did, "", &["--yes", "--code", &code]).await;
    assert_eq!(server_of(&from, &alice.did).await, public_url(&to));
}
