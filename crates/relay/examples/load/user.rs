//! An account, what it writes, and the checks of what it is told.

use std::sync::atomic::{AtomicU64, Ordering};

use common::{Cid, Datetime, cbor, json};
use data_encoding::BASE64URL_NOPAD;
use repo_engine::{MemoryStore, Node, Walk, car};
use serde_json::{Value, json as object};

use crate::client::Client;
use crate::{Result, ensure};

pub(crate) const PASSWORD: &str = "correct horse battery staple";
pub(crate) const POST: &str = "app.bsky.feed.post";

/// An account of a server.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) did: String,
    pub(crate) handle: String,
    pub(crate) auth: String,
}

/// A record that was written: its key, and its CID as text.
pub(crate) type Written = (String, String);

/// Returns a number that no other call returns, and that differs between runs.
pub(crate) fn unique() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    micros() ^ (NEXT.fetch_add(1, Ordering::Relaxed) << 44)
}

#[expect(clippy::disallowed_methods, reason = "a measurement has no clock but the system's")]
pub(crate) fn micros() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.as_micros() as u64)
}

/// Returns a post like those that people write.
pub(crate) fn post() -> Value {
    let text = format!(
        "post {:016x}: the quick brown fox jumps over the lazy dog, while rain falls on my little server at home",
        unique()
    );
    let time = Datetime::from_millis((micros() / 1000) as i64);
    object!({ "$type": POST, "text": text, "createdAt": time.as_str(), "langs": ["en"] })
}

/// Returns the CID that a record has by its own content.
fn cid_of(record: &Value) -> Result<String> {
    let value = json::parse(record.to_string().as_bytes())?;
    Ok(Cid::dag_cbor(&cbor::encode(&value)).to_string())
}

pub(crate) fn text<'v>(value: &'v Value, field: &str) -> Result<&'v str> {
    value[field].as_str().ok_or_else(|| format!("an answer has no {field}: {value}").into())
}

impl User {
    pub(crate) async fn create(client: &mut Client) -> Result<Self> {
        let handle = format!("u{:x}.test", unique() & 0xff_ffff_ffff);
        let email = format!("{handle}@example.com");
        let body = object!({ "handle": handle, "email": email, "password": PASSWORD });
        let made = client.call("com.atproto.server.createAccount", None, &body).await?;
        Self::of(&made)
    }

    pub(crate) fn of(session: &Value) -> Result<Self> {
        let auth = format!("Bearer {}", text(session, "accessJwt")?);
        Ok(Self { did: text(session, "did")?.into(), handle: text(session, "handle")?.into(), auth })
    }

    /// Writes one post; checks that it is called what it is.
    pub(crate) async fn create_post(&self, client: &mut Client) -> Result<Written> {
        let record = post();
        let body = object!({ "repo": self.did, "collection": POST, "record": record });
        let answer = client.call("com.atproto.repo.createRecord", Some(&self.auth), &body).await?;
        let (uri, cid) = (text(&answer, "uri")?, text(&answer, "cid")?);
        let rkey =
            uri.strip_prefix(&format!("at://{}/{POST}/", self.did)).ok_or_else(|| format!("an unexpected uri: {uri}"))?;
        let own = cid_of(&record)?;
        ensure(cid == own, || format!("createRecord answered {cid}, the record is {own}"))?;
        Ok((rkey.to_owned(), own))
    }

    /// Writes many posts in one commit.
    pub(crate) async fn create_posts(&self, client: &mut Client, count: usize) -> Result<Vec<Written>> {
        let records: Vec<Value> = (0..count).map(|_| post()).collect();
        let write = |record| object!({ "$type": "com.atproto.repo.applyWrites#create", "collection": POST, "value": record });
        let body = object!({ "repo": self.did, "writes": records.iter().map(write).collect::<Vec<_>>() });
        let answer = client.call("com.atproto.repo.applyWrites", Some(&self.auth), &body).await?;
        let results = answer["results"].as_array().ok_or("applyWrites answered no results")?;
        ensure(results.len() == count, || format!("{} results for {count} writes", results.len()))?;
        let mut written = Vec::with_capacity(count);
        for (result, record) in results.iter().zip(&records) {
            let (cid, own) = (text(result, "cid")?, cid_of(record)?);
            ensure(cid == own, || format!("applyWrites answered {cid}, the record is {own}"))?;
            written.push((text(result, "uri")?.rsplit('/').next().unwrap_or_default().to_owned(), own));
        }
        Ok(written)
    }

    /// Writes posts, 200 in each commit.
    pub(crate) async fn fill(&self, client: &mut Client, count: usize) -> Result<Vec<Written>> {
        let mut written = Vec::new();
        while written.len() < count {
            written.extend(self.create_posts(client, (count - written.len()).min(200)).await?);
        }
        Ok(written)
    }

    /// Reads one post; checks that it is the one.
    pub(crate) async fn get_post(&self, client: &mut Client, (rkey, cid): &Written) -> Result<()> {
        let path = format!("/xrpc/com.atproto.repo.getRecord?repo={}&collection={POST}&rkey={rkey}", self.did);
        let answer = client.get_json(&path).await?;
        ensure(text(&answer, "cid")? == cid, || format!("getRecord answered {}, written was {cid}", answer["cid"]))?;
        ensure(cid_of(&answer["value"])? == *cid, || format!("getRecord's value is not what {cid} names"))
    }

    /// Returns a page of posts, newest first, and how many they are; checks their order.
    pub(crate) async fn list(
        &self,
        client: &mut Client,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<(usize, Option<String>)> {
        let cursor = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let path = format!("/xrpc/com.atproto.repo.listRecords?repo={}&collection={POST}&limit={limit}{cursor}", self.did);
        let answer = client.get_json(&path).await?;
        let records = answer["records"].as_array().ok_or("listRecords answered no records")?;
        let uris: Vec<&str> = records.iter().filter_map(|record| record["uri"].as_str()).collect();
        ensure(uris.windows(2).all(|pair| pair[0] > pair[1]), || "listRecords is not in order".into())?;
        Ok((uris.len(), answer["cursor"].as_str().map(str::to_owned)))
    }

    /// Returns the repo as a CAR.
    pub(crate) async fn export(&self, client: &mut Client) -> Result<bytes::Bytes> {
        client.get(&format!("/xrpc/com.atproto.sync.getRepo?did={}", self.did), None).await
    }
}

/// Checks a whole CAR: every hash, the tree, and that it has these posts and all of their blocks.
pub(crate) fn check_export(archive: &[u8], did: &str, written: &[Written]) -> Result<()> {
    let (roots, blocks) = car::read_all(archive)?;
    let root = blocks.iter().find(|block| Some(&block.cid) == roots.first()).ok_or("the CAR lacks its root")?;
    let commit = repo_engine::Commit::decode(&root.bytes)?;
    ensure(commit.did.as_str() == did, || format!("the CAR is of {}", commit.did))?;
    let mut store = MemoryStore::default();
    let mut all = std::collections::HashSet::new();
    for block in &blocks {
        all.insert(block.cid);
        if Node::decode(&block.bytes).is_ok() {
            store.insert_block(&block.bytes)?;
        }
    }
    let mut expected: Vec<(String, &str)> =
        written.iter().map(|(rkey, cid)| (format!("{POST}/{rkey}"), cid.as_str())).collect();
    expected.sort_unstable();
    let mut walk = Walk::new(&store, commit.data);
    let mut count = 0;
    while let Some((key, cid)) = walk.record()? {
        ensure(all.contains(&cid), || format!("the CAR lacks the record at {key}"))?;
        let found = expected.get(count).is_some_and(|(path, own)| path == key && *own == cid.to_string());
        ensure(found, || format!("record {count} of the CAR is {key} {cid}, expected is {:?}", expected.get(count)))?;
        count += 1;
    }
    ensure(count == expected.len(), || format!("the CAR has {count} records, written were {}", expected.len()))
}

/// Returns a token by which `did` asks a server for one method.
pub(crate) fn service_token(key: &crypto::SigningKey, did: &str, audience: &str, method: &str) -> String {
    let expires = micros() / 1_000_000 + 60;
    let header = object!({ "typ": "JWT", "alg": "ES256K" });
    let claims = object!({
        "iss": did, "aud": audience, "lxm": method, "exp": expires, "iat": expires - 60, "jti": format!("{:x}", unique()),
    });
    let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let signed = format!("{}.{}", part(&header), part(&claims));
    let signature = BASE64URL_NOPAD.encode(&key.sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}
