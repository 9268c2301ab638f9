//! A data folder like that of the official PDS, made by hand: its tables, and what it leaves where.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use common::{Cid, Clock as _, Datetime, Did, Tid, Value, cbor, json};
use crypto::{Curve, SigningKey};
use data_encoding::{BASE32_NOPAD, HEXLOWER};
use relay::clock::SystemClock;
use repo_engine::{Builder, Key, UnsignedCommit};
use rusqlite::{Connection, params};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

/// The folder, as it lies when its server is stopped.
pub(crate) struct OfficialFolder(TempDir);

/// An account in it.
#[derive(Clone, Debug)]
pub(crate) struct OldAccount {
    pub(crate) did: Did,
    pub(crate) handle: String,
    pub(crate) password: String,
    /// Where its own files are.
    pub(crate) dir: PathBuf,
    /// The file of the one blob that it has, to which a record refers.
    pub(crate) blob: PathBuf,
    pub(crate) blob_cid: Cid,
    pub(crate) paths: Vec<String>,
    pub(crate) head: Cid,
}

const ACCOUNT_TABLES: &str = "
    CREATE TABLE kysely_migration (name TEXT PRIMARY KEY, timestamp TEXT);
    INSERT INTO kysely_migration VALUES ('001', ''), ('002', ''), ('003', ''), ('004', ''), ('005', ''), ('006', ''), ('007', '');
    CREATE TABLE actor (did TEXT PRIMARY KEY, handle TEXT, createdAt TEXT NOT NULL, takedownRef TEXT, deactivatedAt TEXT,
      deleteAfter TEXT);
    CREATE TABLE account (did TEXT PRIMARY KEY, email TEXT NOT NULL, passwordScrypt TEXT NOT NULL, emailConfirmedAt TEXT,
      invitesDisabled INTEGER NOT NULL DEFAULT 0);
    CREATE TABLE app_password (did TEXT NOT NULL, name TEXT NOT NULL, passwordScrypt TEXT NOT NULL, createdAt TEXT NOT NULL,
      privileged INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (did, name));
    CREATE TABLE invite_code (code TEXT PRIMARY KEY, availableUses INTEGER NOT NULL, disabled INTEGER DEFAULT 0,
      forAccount TEXT NOT NULL, createdBy TEXT NOT NULL, createdAt TEXT NOT NULL);
    CREATE TABLE invite_code_use (code TEXT NOT NULL, usedBy TEXT NOT NULL, usedAt TEXT NOT NULL, PRIMARY KEY (code, usedBy));
    CREATE TABLE refresh_token (id TEXT PRIMARY KEY, did TEXT NOT NULL, expiresAt TEXT NOT NULL, nextId TEXT,
      appPasswordName TEXT);
    CREATE TABLE token (id INTEGER PRIMARY KEY AUTOINCREMENT, did TEXT NOT NULL, tokenId TEXT NOT NULL, createdAt TEXT NOT NULL,
      updatedAt TEXT NOT NULL, expiresAt TEXT NOT NULL, clientId TEXT NOT NULL, clientAuth TEXT NOT NULL, deviceId TEXT,
      parameters TEXT NOT NULL, details TEXT, code TEXT, currentRefreshToken TEXT, scope TEXT);
    CREATE TABLE authorized_client (did TEXT NOT NULL, clientId TEXT NOT NULL, createdAt TEXT NOT NULL,
      updatedAt TEXT NOT NULL, data TEXT NOT NULL, PRIMARY KEY (did, clientId));";

const SEQUENCER_TABLES: &str = "
    CREATE TABLE kysely_migration (name TEXT PRIMARY KEY, timestamp TEXT);
    INSERT INTO kysely_migration VALUES ('001', '');
    CREATE TABLE repo_seq (seq INTEGER PRIMARY KEY AUTOINCREMENT, did TEXT NOT NULL, eventType TEXT NOT NULL,
      event BLOB NOT NULL, invalidated INTEGER NOT NULL DEFAULT 0, sequencedAt TEXT NOT NULL);";

const ACTOR_TABLES: &str = "
    CREATE TABLE kysely_migration (name TEXT PRIMARY KEY, timestamp TEXT);
    INSERT INTO kysely_migration VALUES ('001', '');
    CREATE TABLE repo_root (did TEXT PRIMARY KEY, cid TEXT NOT NULL, rev TEXT NOT NULL, indexedAt TEXT NOT NULL);
    CREATE TABLE repo_block (cid TEXT PRIMARY KEY, repoRev TEXT NOT NULL, size INTEGER NOT NULL, content BLOB NOT NULL);
    CREATE TABLE record (uri TEXT PRIMARY KEY, cid TEXT NOT NULL, collection TEXT NOT NULL, rkey TEXT NOT NULL,
      repoRev TEXT NOT NULL, indexedAt TEXT NOT NULL, takedownRef TEXT);
    CREATE TABLE blob (cid TEXT PRIMARY KEY, mimeType TEXT NOT NULL, size INTEGER NOT NULL, tempKey TEXT, width INTEGER,
      height INTEGER, createdAt TEXT NOT NULL, takedownRef TEXT);
    CREATE TABLE account_pref (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, valueJson TEXT NOT NULL);";

/// Records of each account, but for the one with the blob.
const RECORDS: usize = 40;

impl OfficialFolder {
    /// Makes the folder of a server at localhost that calls itself `service_did`.
    pub(crate) fn new(service_did: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, tables) in [("account.sqlite", ACCOUNT_TABLES), ("sequencer.sqlite", SEQUENCER_TABLES)] {
            make(&folder.dir().join(name), tables);
        }
        std::fs::create_dir_all(folder.dir().join("actors")).unwrap();
        std::fs::create_dir_all(folder.dir().join("blocks")).unwrap();
        let rotation = HEXLOWER.encode(&[9; 32]);
        let env = format!(
            "PDS_HOSTNAME=localhost\nPDS_SERVICE_DID={service_did}\nPDS_SERVICE_HANDLE_DOMAINS=.test\nPDS_DATA_DIRECTORY=/pds\n\
             PDS_BLOBSTORE_DISK_LOCATION=/pds/blocks\nPDS_JWT_SECRET=of-the-old-server\n\
             PDS_PLC_ROTATION_KEY_K256_PRIVATE_KEY_HEX={rotation}\n"
        );
        std::fs::write(folder.dir().join("pds.env"), env).unwrap();
        folder
    }

    pub(crate) fn dir(&self) -> &Path {
        self.0.path()
    }

    /// Opens the database of accounts.
    pub(crate) fn accounts(&self) -> Connection {
        Connection::open(self.dir().join("account.sqlite")).unwrap()
    }

    /// Opens the database of events.
    pub(crate) fn sequencer(&self) -> Connection {
        Connection::open(self.dir().join("sequencer.sqlite")).unwrap()
    }

    /// Adds an account with records and a blob.
    pub(crate) fn account(&self, name: &str) -> OldAccount {
        let hash = Sha256::digest(name);
        let did: Did = format!("did:plc:{}", BASE32_NOPAD.encode(&hash[..15]).to_lowercase()).parse().unwrap();
        let dir = self.dir().join("actors").join(&HEXLOWER.encode(&Sha256::digest(did.as_str()))[..2]).join(did.as_str());
        std::fs::create_dir_all(&dir).unwrap();
        let key = SigningKey::from_bytes(Curve::K256, &hash.into()).unwrap();
        std::fs::write(dir.join("key"), *key.to_bytes()).unwrap();

        let content = format!("the blob of {name}").into_bytes();
        let blob_cid = Cid::raw(&content);
        let blob = self.dir().join("blocks").join(did.as_str()).join(blob_cid.to_string());
        std::fs::create_dir_all(blob.parent().unwrap()).unwrap();
        std::fs::write(&blob, &content).unwrap();

        let conn = make(&dir.join("store.sqlite"), ACTOR_TABLES);
        let (paths, head) = repo(&conn, &did, &key, &blob_cid, content.len());
        let (handle, password) = (format!("{name}.test"), format!("password of {name}"));
        let sql = "INSERT INTO blob (cid, mimeType, size, createdAt) VALUES (?1, 'image/png', ?2, ?3)";
        conn.execute(sql, params![blob_cid.to_string(), content.len() as i64, now()]).unwrap();
        let preference = r#"{"$type":"app.bsky.actor.defs#adultContentPref","enabled":true}"#;
        let sql = "INSERT INTO account_pref (name, valueJson) VALUES ('app.bsky.actor.defs#adultContentPref', ?1)";
        conn.execute(sql, [preference]).unwrap();

        let accounts = self.accounts();
        let sql = "INSERT INTO actor (did, handle, createdAt) VALUES (?1, ?2, ?3)";
        accounts.execute(sql, params![did.as_str(), handle, now()]).unwrap();
        // The form is the same; what an app password is hashed with fits as well.
        let hash = crypto::password::official_app_password_hash(did.as_str(), &password);
        let sql = "INSERT INTO account (did, email, passwordScrypt) VALUES (?1, ?2, ?3)";
        accounts.execute(sql, params![did.as_str(), format!("{name}@example.com"), hash]).unwrap();
        self.event(&did, "account", &format!(r#"{{"did":"{did}","active":true}}"#));
        OldAccount { did, handle, password, dir, blob, blob_cid, paths, head }
    }

    /// Adds an event.
    pub(crate) fn event(&self, did: &Did, kind: &str, body: &str) {
        let body = cbor::encode(&json::parse(body.as_bytes()).unwrap());
        let sql = "INSERT INTO repo_seq (did, eventType, event, sequencedAt) VALUES (?1, ?2, ?3, ?4)";
        self.sequencer().execute(sql, params![did.as_str(), kind, body, now()]).unwrap();
    }

    /// Tells names, contents and times of all that is there.
    pub(crate) fn fingerprint(&self) -> String {
        let mut text = String::new();
        let mut folders = vec![self.dir().to_owned()];
        while let Some(folder) = folders.pop() {
            let mut entries: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
            entries.sort();
            for path in entries {
                let metadata = path.metadata().unwrap();
                writeln!(text, "{} {:?}", path.display(), metadata.modified().unwrap()).unwrap();
                if metadata.is_dir() {
                    folders.push(path);
                } else {
                    text.push_str(&HEXLOWER.encode(&Sha256::digest(std::fs::read(path).unwrap())));
                }
            }
        }
        text
    }
}

impl OldAccount {
    /// Opens the account's own database.
    pub(crate) fn store(&self) -> Connection {
        Connection::open(self.dir.join("store.sqlite")).unwrap()
    }
}

fn now() -> String {
    Datetime::from_millis(SystemClock::default().millis()).as_str().to_owned()
}

fn make(path: &Path, tables: &str) -> Connection {
    let conn = Connection::open(path).unwrap();
    conn.pragma_update(None, "journal_mode", "WAL").unwrap();
    conn.execute_batch(tables).unwrap();
    conn
}

/// Makes a repo of records, and returns their paths and the head.
fn repo(conn: &Connection, did: &Did, key: &SigningKey, blob: &Cid, blob_bytes: usize) -> (Vec<String>, Cid) {
    let tx = conn.unchecked_transaction().unwrap();
    let rev = Tid::next_after(None, 1_760_000_000_000_000, 3);
    let block = |cid: &Cid, bytes: &[u8]| {
        let sql = "INSERT OR IGNORE INTO repo_block (cid, repoRev, size, content) VALUES (?1, ?2, ?3, ?4)";
        tx.execute(sql, params![cid.to_string(), rev.to_string(), bytes.len() as i64, bytes]).unwrap();
    };
    let mut records: Vec<(String, Value)> = (0..RECORDS)
        .map(|n| {
            let text =
                format!(r#"{{"$type":"app.bsky.feed.post","text":"{n} of {did}","createdAt":"2026-01-01T00:00:00.000Z"}}"#);
            (format!("app.bsky.feed.post/3l{n:011}"), json::parse(text.as_bytes()).unwrap())
        })
        .collect();
    let named = format!(
        r#"{{"$type":"app.bsky.actor.profile","avatar":{{"$type":"blob","ref":{{"$link":"{blob}"}},"mimeType":"image/png",
        "size":{blob_bytes}}}}}"#
    );
    records.push(("app.bsky.actor.profile/self".to_owned(), json::parse(named.as_bytes()).unwrap()));
    records.sort_by(|a, b| a.0.cmp(&b.0));
    let nodes = RefCell::new(Vec::new());
    let mut builder = Builder::new(|cid, _, bytes: Vec<u8>| {
        nodes.borrow_mut().push((cid, bytes));
        Ok::<_, std::convert::Infallible>(())
    });
    for (path, value) in &records {
        let bytes = cbor::encode(value);
        let cid = Cid::dag_cbor(&bytes);
        block(&cid, &bytes);
        let key = Key::parse(path).unwrap();
        builder.push(&key, cid).unwrap();
        let sql = "INSERT INTO record (uri, cid, collection, rkey, repoRev, indexedAt) VALUES (?1, ?2, ?3, ?4, ?5, '')";
        let uri = format!("at://{did}/{path}");
        tx.execute(sql, params![uri, cid.to_string(), key.collection(), key.rkey(), rev.to_string()]).unwrap();
    }
    let Ok(data) = builder.finish();
    for (cid, bytes) in nodes.into_inner() {
        block(&cid, &bytes);
    }
    let commit = UnsignedCommit { did: did.clone(), rev, data }.sign(key);
    block(&commit.cid, &commit.block);
    let sql = "INSERT INTO repo_root (did, cid, rev, indexedAt) VALUES (?1, ?2, ?3, '')";
    tx.execute(sql, params![did.as_str(), commit.cid.to_string(), rev.to_string()]).unwrap();
    tx.commit().unwrap();
    (records.into_iter().map(|(path, _)| path).collect(), commit.cid)
}
