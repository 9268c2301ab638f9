//! Getting a lexicon from its authority, with a proof that the authority signed it.

use std::sync::Arc;
use std::time::Duration;

use common::lexicon::Document;
use common::{Did, Nsid, RecordKey, cbor, json};
use repo_engine::{Commit, Key, MemoryStore, car, verify_proof};
use url::Url;

use super::LexiconError;
use crate::error::with_causes;
use crate::identity::dns::Dns;
use crate::identity::{DidDocument, Identity};
use crate::store::{Db, StoreError, account, record};

/// The collection of lexicons.
const COLLECTION: &str = "com.atproto.lexicon.schema";
/// Most bytes of an answer: a record of 1 MB at most, and the nodes of the tree on the way to it.
const MAX_BYTES: usize = 2 << 20;
/// How long the whole of it may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// Finds out whose lexicon it is, and gets it from that account's server, or from here.
pub(super) async fn fetch(db: &Db, identity: &Identity, nsid: &Nsid) -> Result<Arc<Document>, LexiconError> {
    let fetched = async {
        let did = authority(identity.dns(), nsid).await?;
        let block = match hosted_here(db, &did, nsid).await? {
            Some(block) => block,
            None => from_host(identity, &did, nsid).await?,
        };
        read(did, nsid, &block)
    };
    tokio::time::timeout(PATIENCE, fetched).await.unwrap_or(Err(LexiconError::Slow))
}

/// Asks DNS for the account that publishes the lexicons of an NSID's authority. There is no looking further up: each level
/// has a record of its own.
async fn authority(dns: &Dns, nsid: &Nsid) -> Result<Did, LexiconError> {
    let name = format!("_lexicon.{}", nsid.authority_domain());
    let texts = match dns.texts(&name, false).await {
        Ok(texts) => texts,
        Err(source) => return Err(LexiconError::Dns { name, source }),
    };
    let mut dids = texts.iter().filter_map(|text| text.trim().strip_prefix("did="));
    match (dids.next(), dids.next()) {
        (None, _) => Err(LexiconError::Authority { name, reason: "none begins with did=".to_owned() }),
        (Some(_), Some(_)) => Err(LexiconError::Authority { name, reason: "there are several".to_owned() }),
        (Some(did), None) => did.parse().map_err(|err| LexiconError::Authority { name, reason: format!("{err}") }),
    }
}

/// Returns the record of a lexicon whose authority has its account here: this server need not ask itself.
async fn hosted_here(db: &Db, did: &Did, nsid: &Nsid) -> Result<Option<Vec<u8>>, LexiconError> {
    let absent = || LexiconError::Absent { did: did.clone(), nsid: nsid.clone() };
    let find = |conn: &rusqlite::Connection| {
        let Some(account) = account::find_by_did(conn, did)?.filter(|account| account.status.is_active()) else {
            return Ok(None);
        };
        Ok::<_, StoreError>(Some(record::find(conn, account.id, &format!("{COLLECTION}/{nsid}"))?))
    };
    match db.read(find).await {
        Ok(None) => Ok(None),
        Ok(Some(Some(record))) if !record.taken_down => Ok(Some(record.block)),
        Ok(Some(_)) => Err(absent()),
        Err(err) => {
            tracing::error!(%did, %nsid, error = &err as &dyn std::error::Error, "a lexicon that is hosted here could not be read");
            Err(LexiconError::Store)
        }
    }
}

/// Gets a record from the server of its account, with its proof.
async fn from_host(identity: &Identity, did: &Did, nsid: &Nsid) -> Result<Vec<u8>, LexiconError> {
    let document = identity.resolve_did(did).await.map_err(LexiconError::Did)?;
    let answer = ask(identity, &document, did, nsid).await?;
    match verify(&answer, &document, did, nsid) {
        // The key, or the server, may have changed since the document was fetched.
        Err(LexiconError::Proof { .. }) => {
            let newer = identity.refresh_did(did).await.map_err(LexiconError::Did)?;
            let answer =
                if newer.pds_endpoint() == document.pds_endpoint() { answer } else { ask(identity, &newer, did, nsid).await? };
            verify(&answer, &newer, did, nsid)
        }
        verified => verified,
    }
}

async fn ask(identity: &Identity, document: &DidDocument, did: &Did, nsid: &Nsid) -> Result<bytes::Bytes, LexiconError> {
    let lacks = |missing| LexiconError::Document { did: did.clone(), missing };
    let endpoint = document.pds_endpoint().ok_or_else(|| lacks("server"))?;
    let url = format!("{}/xrpc/com.atproto.sync.getRecord", endpoint.trim_end_matches('/'));
    let mut url = Url::parse(&url).map_err(|_| lacks("server with a URL"))?;
    url.query_pairs_mut().extend_pairs([("did", did.as_str()), ("collection", COLLECTION), ("rkey", nsid.as_str())]);
    let reply = identity.clients().guarded.get_bounded(&url, MAX_BYTES).await;
    let reply = reply.map_err(|source| LexiconError::Fetch { did: did.clone(), source })?;
    if reply.status.is_success() {
        return Ok(reply.body);
    }
    // RecordNotFound, RepoNotFound and the like; other answers may be another one in a minute.
    Err(match reply.status.as_u16() {
        400 | 404 => LexiconError::Absent { did: did.clone(), nsid: nsid.clone() },
        status => LexiconError::Status { did: did.clone(), status },
    })
}

/// Returns the record's block out of a CAR with its proof: commit, nodes of the tree, record.
fn verify(answer: &[u8], document: &DidDocument, did: &Did, nsid: &Nsid) -> Result<Vec<u8>, LexiconError> {
    let unproven = |reason: String| LexiconError::Proof { did: did.clone(), reason };
    let key = document.signing_key().ok_or_else(|| LexiconError::Document { did: did.clone(), missing: "signing key" })?;
    // Reading it checks that each block has the hash that it is named by.
    let (roots, blocks) = car::read_all(answer).map_err(|err| unproven(err.to_string()))?;
    let block = |cid| blocks.iter().find(|block| block.cid == cid).map(|block| &block.bytes);
    let commit = roots.first().and_then(|root| block(*root)).ok_or_else(|| unproven("it has no commit".to_owned()))?;
    let commit = Commit::decode(commit).map_err(|err| unproven(err.to_string()))?;
    if commit.did != *did {
        return Err(unproven(format!("its commit is one of {}", commit.did)));
    }
    commit.verify(key).map_err(|err| unproven(err.to_string()))?;
    let (collection, rkey): (Nsid, RecordKey) = (
        COLLECTION.parse().expect("the collection of lexicons is an NSID"),
        nsid.as_str().parse().map_err(|_| LexiconError::Absent { did: did.clone(), nsid: nsid.clone() })?,
    );
    let store = MemoryStore::from_blocks(&blocks);
    match verify_proof(&store, commit.data, &Key::new(&collection, &rkey)) {
        Ok(Some(cid)) => block(cid).map(|bytes| bytes.to_vec()).ok_or_else(|| unproven("the record is missing".to_owned())),
        Ok(None) => Err(LexiconError::Absent { did: did.clone(), nsid: nsid.clone() }),
        Err(err) => Err(unproven(err.to_string())),
    }
}

fn read(did: Did, nsid: &Nsid, block: &[u8]) -> Result<Arc<Document>, LexiconError> {
    let parsed = || -> Result<Document, String> {
        cbor::decode(block).map_err(|err| err.to_string())?;
        let mut text = Vec::with_capacity(block.len() * 2);
        json::write_cbor(block, &mut text).map_err(|err| err.to_string())?;
        let document = Document::parse(&text).map_err(|err| with_causes(&err))?;
        if document.id() == nsid { Ok(document) } else { Err(format!("its id is {}", document.id())) }
    };
    parsed().map(Arc::new).map_err(|reason| LexiconError::Invalid { did, nsid: nsid.clone(), reason })
}

#[cfg(test)]
mod tests {
    use common::{Cid, Tid};
    use crypto::{Curve, SigningKey};
    use repo_engine::{Tree, UnsignedCommit};
    use serde_json::json;

    use super::*;

    const AUTHOR: &str = "did:plc:ewvi7nxzyoun6zhxrhs64oiz";
    const OTHER: &str = "did:plc:z72i7hdynmk6r22z27h6tvur";

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(Curve::K256, &[seed; 32]).unwrap()
    }

    fn document() -> DidDocument {
        let multikey = key(1).verifying_key().to_multikey();
        let method = json!({ "id": "#atproto", "type": "Multikey", "publicKeyMultibase": multikey });
        let did: Did = AUTHOR.parse().unwrap();
        DidDocument::from_json(&did, json!({ "id": did, "verificationMethod": [method] })).unwrap()
    }

    /// An answer of a host: the repo of `did`, signed by `signer`, with `text` at `path`; without the record's block if so said.
    fn answer(did: &str, signer: &SigningKey, path: &str, with_record: bool) -> Vec<u8> {
        let text = br#"{"lexicon":1,"id":"com.example.note","defs":{"main":{"type":"token"}}}"#;
        let block = cbor::encode(&json::parse(text).unwrap());
        let record = Cid::dag_cbor(&block);
        let (collection, rkey) = path.split_once('/').unwrap();
        let at = Key::new(&collection.parse().unwrap(), &rkey.parse().unwrap());
        let (store, root) = MemoryStore::with_empty_tree();
        let mut tree = Tree::open(&store, root);
        tree.put(&at, record).unwrap();
        let change = tree.finish().unwrap();
        let rev = Tid::from_parts(1_700_000_000_000_000, 3);
        let commit = UnsignedCommit { did: did.parse().unwrap(), rev, data: change.root }.sign(signer);
        let mut out = car::header(&commit.cid);
        car::write_block(&mut out, &commit.cid, &commit.block);
        for node in &change.created {
            car::write_block(&mut out, &node.cid, &node.bytes);
        }
        if with_record {
            car::write_block(&mut out, &record, &block);
        }
        out
    }

    fn check(answer: &[u8]) -> Result<Arc<Document>, String> {
        let (did, nsid) = (AUTHOR.parse().unwrap(), "com.example.note".parse().unwrap());
        let block = verify(answer, &document(), &did, &nsid).map_err(|err| err.to_string())?;
        read(did, &nsid, &block).map_err(|err| err.to_string())
    }

    #[test]
    fn a_lexicon_is_taken_on_its_authors_signature_alone() {
        let path = "com.atproto.lexicon.schema/com.example.note";
        let good = answer(AUTHOR, &key(1), path, true);
        assert_eq!(check(&good).unwrap().id().as_str(), "com.example.note");

        let refusal = |answer: &[u8]| check(answer).unwrap_err();
        assert!(refusal(&answer(AUTHOR, &key(2), path, true)).contains("proves nothing"));
        assert!(refusal(&answer(OTHER, &key(1), path, true)).contains("its commit is one of"));
        assert!(refusal(&answer(AUTHOR, &key(1), path, false)).contains("the record is missing"));
        assert!(refusal(&good[..good.len() - 1]).contains("proves nothing"));
        let mut changed = good.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert!(refusal(&changed).contains("proves nothing"));
        assert!(refusal(b"").contains("proves nothing"));
    }

    #[test]
    fn a_proof_that_there_is_none_is_believed() {
        let elsewhere = answer(AUTHOR, &key(1), "com.atproto.lexicon.schema/com.example.other", true);
        assert_eq!(check(&elsewhere).unwrap_err(), format!("{AUTHOR} publishes no lexicon com.example.note"));
    }
}
