//! A data folder with very many accounts: how it is filled, and how the server bears it.
//!
//! Filling it over the API would hash a password for each account, so repos are written straight into the database: each has a
//! DID, a signing key, records, a tree and a commit of its own, as an import leaves them, so that all of them can be written to
//! and `relay verify --no-identities` finds nothing wrong. All have the password of the first account.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::time::{Duration, Instant};

use common::{Cid, Tid, cbor, json as data};
use crypto::seal::{self, MasterKey};
use crypto::{Curve, SigningKey};
use data_encoding::{BASE32_NOPAD, HEXLOWER};
use repo_engine::{Builder, Key, UnsignedCommit};
use rusqlite::{Connection, params};
use serde_json::{Value, json};

use crate::scenarios::drive;
use crate::servers::Pds;
use crate::user::{self, PASSWORD, POST, User};
use crate::{Result, ensure};

/// Accounts that sign in, to write.
const WRITERS: usize = 200;
/// Of posts, which repeat from one account to the next.
const TEXTS: usize = 1000;

/// A record that any account may have.
struct Post {
    cid: Cid,
    block: Vec<u8>,
}

/// Fills a data folder, starts the server on it, and measures; returns what was found.
pub(crate) async fn run(program: &Path, data: &Path, accounts: usize, records: usize, limit: Duration) -> Result<Value> {
    let is_filled = data.join("filled").exists();
    if !is_filled {
        // The first start makes the schema and the master key, the first account the hash of the password.
        let mut pds = Pds::relay(program, data).await?;
        pds.prepare(1).await?;
        pds.stop().await;
        let begun = Instant::now();
        fill(data, accounts, records)?;
        std::fs::write(data.join("filled"), "")?;
        eprintln!("{accounts} accounts with {records} records each: filled in {} s", begun.elapsed().as_secs());
    }
    let mut found = serde_json::Map::new();
    let mut tell = |what: &str, value: Value| {
        println!("| {what} | {value} |");
        found.insert(what.to_owned(), value);
    };
    tell("accounts", json!(accounts));
    tell("records of each", json!(records));
    tell("database, MB", json!(std::fs::metadata(data.join("relay.sqlite"))?.len() / 1_000_000));
    let pds = Pds::relay(program, data).await?;
    tell("start to first answer, ms", json!(pds.start.as_millis()));
    pds.settle().await;
    tell("resident memory after start, MiB", json!(pds.rss_mib()));

    let mut client = pds.client();
    let (cpu, begun) = (pds.cpu(), Instant::now());
    let (mut dids, mut cursor) = (Vec::with_capacity(accounts), None::<String>);
    loop {
        let after = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let page = client.get_json(&format!("/xrpc/com.atproto.sync.listRepos?limit=1000{after}")).await?;
        let repos = page["repos"].as_array().ok_or("listRepos answered no repos")?;
        dids.extend(repos.iter().filter_map(|repo| repo["did"].as_str().map(str::to_owned)));
        match page["cursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => break,
        }
    }
    ensure(dids.len() > accounts, || format!("listRepos told {} repos of {accounts} and one", dids.len()))?;
    tell("listRepos of all, s", json!(begun.elapsed().as_secs_f64()));
    tell("listRepos of all, s of CPU", json!(pds.cpu().saturating_sub(cpu).as_secs_f64()));

    // Spread over all: the multiplier has no factor with a round number.
    let random = |n: usize| n.wrapping_mul(7_654_321) % accounts;
    let begun = Instant::now();
    let mut writers = Vec::new();
    for n in 0..WRITERS {
        let body = json!({ "identifier": handle(random(n)), "password": PASSWORD });
        writers.push(User::of(&client.call("com.atproto.server.createSession", None, &body).await?)?);
    }
    tell("createSession, ms each", json!(begun.elapsed().as_secs_f64() * 1e3 / WRITERS as f64));
    let mut rate = async |what: &str, measured: Result<crate::report::Measured>| {
        let measured = measured?;
        tell(what, measured.json());
        Result::Ok(())
    };
    let next = Cell::new(0);
    let read = drive(&pds, 8, limit, "requests", async |client, _| {
        let n = next.replace(next.get() + 1);
        let path = format!("/xrpc/com.atproto.repo.listRecords?repo={}&collection={POST}&limit=10", handle(random(n)));
        let page = client.get_json(&path).await?;
        ensure(page["records"].as_array().map(Vec::len) == Some(records.min(10)), || format!("a page of {page}"))?;
        Ok(1.0)
    });
    rate("listRecords of 10, accounts at random", read.await).await?;
    let read = drive(&pds, 8, limit, "requests", async |client, n| {
        let path = format!(
            "/xrpc/com.atproto.repo.getRecord?repo={}&collection={POST}&rkey={}",
            handle(random(n)),
            rkey(n.wrapping_mul(31) % records)
        );
        client.get_json(&path).await.map(|_| 1.0)
    });
    rate("getRecord, accounts at random", read.await).await?;
    let exported = drive(&pds, 2, limit, "repos", async |client, n| {
        let did = &dids[random(n)];
        client.get(&format!("/xrpc/com.atproto.sync.getRepo?did={did}"), None).await.map(|_| 1.0)
    });
    rate("getRepo, accounts at random", exported.await).await?;
    let last = RefCell::new(None);
    let wrote = drive(&pds, 1, limit, "requests", async |client, n| {
        let user = &writers[n % writers.len()];
        *last.borrow_mut() = Some((user.clone(), user.create_post(client).await?));
        Ok(1.0)
    });
    rate("createRecord, 1 connection, 200 accounts at random", wrote.await).await?;
    let wrote =
        drive(&pds, 32, limit, "requests", async |client, n| writers[n % writers.len()].create_post(client).await.map(|_| 1.0));
    rate("createRecord, 32 connections, 200 accounts at random", wrote.await).await?;
    if let Some((user, written)) = last.into_inner() {
        user.get_post(&mut client, &written).await?;
    }
    tell("resident memory after all, MiB", json!(pds.rss_mib()));
    pds.stop().await;
    Ok(Value::Object(found))
}

fn handle(n: usize) -> String {
    format!("many{n}.test")
}

/// A minute between one record and the next, until not long ago.
fn rkey(n: usize) -> Tid {
    Tid::from_parts(1_750_000_000_000_000 + n as u64 * 60_000_000, 1)
}

fn fill(data: &Path, accounts: usize, records: usize) -> Result<()> {
    let master = std::fs::read_to_string(data.join("master.key"))?;
    let master = HEXLOWER.decode(master.trim().as_bytes()).map_err(|err| format!("master.key: {err}"))?;
    let master = MasterKey::from_bytes(master.try_into().map_err(|_| "master.key has another length")?);
    let mut db = Connection::open(data.join("relay.sqlite"))?;
    db.pragma_update(None, "synchronous", "OFF")?;
    db.pragma_update(None, "cache_size", -200_000)?;
    let hash: String = db.query_row("SELECT password_hash FROM account ORDER BY id LIMIT 1", [], |row| row.get(0))?;
    let mut posts = Vec::with_capacity(TEXTS);
    for _ in 0..TEXTS {
        let block = cbor::encode(&data::parse(user::post().to_string().as_bytes())?);
        posts.push(Post { cid: Cid::dag_cbor(&block), block });
    }
    let keys: Vec<Key> = (0..records).map(|n| format!("{POST}/{}", rkey(n)).parse()).collect::<std::result::Result<_, _>>()?;
    for start in (0..accounts).step_by(1000) {
        let tx = db.transaction()?;
        for n in start..(start + 1000).min(accounts) {
            account(&tx, n, &hash, &master, &keys, &posts)?;
        }
        tx.commit()?;
        if start % 20_000 == 0 {
            eprintln!("{start} accounts");
        }
    }
    // Closing copies the log back.
    db.close().map_err(|(_, err)| err.into())
}

fn account(db: &Connection, n: usize, hash: &str, master: &MasterKey, keys: &[Key], posts: &[Post]) -> Result<()> {
    let mut secret = [2; 32];
    secret[..8].copy_from_slice(&user::unique().to_be_bytes());
    secret[8..16].copy_from_slice(&(n as u64).to_be_bytes());
    let key = SigningKey::from_bytes(Curve::K256, &secret)?;
    let name = BASE32_NOPAD.encode(Cid::raw(&secret).digest()).to_lowercase();
    let did: common::Did = format!("did:plc:{}", &name[..24]).parse()?;
    let mut salt = *Cid::raw(name.as_bytes()).digest();
    salt[0] ^= 1;
    let sealed = seal::seal(master, &format!("account signing key of {did}"), &*key.to_bytes(), salt);
    let handle = handle(n);
    let now = (user::micros() / 1000) as i64;
    // As the server draws one.
    db.prepare_cached("INSERT INTO unused_repo (account) VALUES (0)")?.execute([])?;
    let repo = db.last_insert_rowid();
    db.prepare_cached("DELETE FROM unused_repo")?.execute([])?;
    db.prepare_cached(
        "INSERT INTO account (did, handle, email, email_confirmed_at, password_hash, signing_key, created_at, repo)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?4, ?7)",
    )?
    .execute(params![did.as_str(), handle, format!("{handle}@example.com"), now, hash, sealed, repo])?;
    let id = db.last_insert_rowid();
    let rev = Tid::from_parts(user::micros(), 5);
    let rev_value = rev.as_u64() as i64;
    let mut nodes = Vec::new();
    let mut builder = Builder::new(|cid, _, block| {
        nodes.push((cid, block));
        Ok::<(), std::convert::Infallible>(())
    });
    let mut insert = db.prepare_cached("INSERT INTO record (repo, path, cid, rev, block) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for (at, key) in keys.iter().enumerate() {
        let post = &posts[(n * 7 + at) % posts.len()];
        ensure(builder.push(key, post.cid)?, || "keys are not in order".into())?;
        insert.execute(params![repo, key.as_str(), post.cid.digest(), rev_value, post.block])?;
    }
    let root = builder.finish()?;
    let commit = UnsignedCommit { did, rev, data: root }.sign(&key);
    nodes.sort_unstable_by(|a, b| a.0.digest().cmp(b.0.digest()));
    let mut insert = db.prepare_cached("INSERT INTO node (repo, cid, rev, block) VALUES (?1, ?2, ?3, ?4)")?;
    for (cid, block) in &nodes {
        insert.execute(params![repo, cid.digest(), rev_value, block])?;
    }
    db.prepare_cached(
        "INSERT INTO repo (account, head, rev, data, commit_block, fresh_nodes) VALUES (?1, ?2, ?3, ?4, ?5, x'')",
    )?
    .execute(params![id, commit.cid.digest(), rev_value, root.digest(), commit.block.as_ref()])?;
    Ok(())
}
