//! Commits: a signed root.
//!
//! Spec: <https://atproto.com/specs/repository#commit-objects>

use bytes::Bytes;
use common::cbor::{self, MapReader, Reader, Writer};
use common::{Cid, Did, Tid};
use crypto::{SignatureError, SigningKey, VerifyingKey};

/// What a new commit says, before it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsignedCommit {
    pub did: Did,
    pub rev: Tid,
    /// The root of the tree.
    pub data: Cid,
}

/// A signed commit, as it was read or made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    pub cid: Cid,
    /// The encoded block.
    pub block: Bytes,
    pub did: Did,
    pub rev: Tid,
    /// The root of the tree.
    pub data: Cid,
    /// The commit before, in repositories of version 2; those of today have null.
    pub prev: Option<Cid>,
    pub version: u8,
    pub signature: [u8; 64],
    /// Whether `prev` was written, as null at least: what is verified must be what was signed.
    has_prev: bool,
}

/// Why a block is not a commit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    #[error("a commit has at most {max} bytes, this has {0}", max = Commit::MAX_BYTES)]
    TooLarge(usize),
    #[error("the block is not DAG-CBOR of the right shape")]
    Cbor(#[from] cbor::Error),
    #[error("the block has not exactly the fields of a commit")]
    Fields,
    #[error("commits of version {0} are not known")]
    Version(i64),
    #[error("`did` is not a DID")]
    Did,
    #[error("`rev` is not a TID")]
    Rev,
    #[error("a signature has 64 bytes, this has {0}")]
    SignatureLength(usize),
}

impl UnsignedCommit {
    /// Signs the commit, as version 3.
    pub fn sign(self, key: &SigningKey) -> Commit {
        let fields = Fields { did: &self.did, rev: self.rev, data: &self.data, prev: None, has_prev: true, version: 3 };
        let signature = key.sign(&fields.encode(None));
        let block = Bytes::from(fields.encode(Some(&signature)));
        Commit {
            cid: Cid::dag_cbor(&block),
            block,
            did: self.did,
            rev: self.rev,
            data: self.data,
            prev: None,
            version: 3,
            signature,
            has_prev: true,
        }
    }
}

impl Commit {
    /// The most bytes that a commit is read from. A DID has at most 2048 characters, and the rest little.
    pub const MAX_BYTES: usize = 4096;

    /// Decodes a block, without checking its signature.
    pub fn decode(block: &[u8]) -> Result<Self, CommitError> {
        if block.len() > Self::MAX_BYTES {
            return Err(CommitError::TooLarge(block.len()));
        }
        let mut reader = Reader::new(block);
        let mut map = reader.map()?;
        field(&mut map, &mut reader, "did")?;
        let did = reader.text()?.parse().map_err(|_| CommitError::Did)?;
        field(&mut map, &mut reader, "rev")?;
        let rev = reader.text()?.parse().map_err(|_| CommitError::Rev)?;
        field(&mut map, &mut reader, "sig")?;
        let signature = reader.bytes()?;
        let signature = signature.try_into().map_err(|_| CommitError::SignatureLength(signature.len()))?;
        field(&mut map, &mut reader, "data")?;
        let data = reader.link()?;
        let mut name = map.key(&mut reader)?;
        let has_prev = name == Some("prev");
        let mut prev = None;
        if has_prev {
            prev = reader.optional_link()?;
            name = map.key(&mut reader)?;
        }
        if name != Some("version") || map.left() != 0 {
            return Err(CommitError::Fields);
        }
        let version = match reader.integer()? {
            2 => 2,
            3 => 3,
            other => return Err(CommitError::Version(other)),
        };
        reader.finish()?;
        let (cid, block) = (Cid::dag_cbor(block), Bytes::copy_from_slice(block));
        Ok(Self { cid, block, did, rev, data, prev, version, signature, has_prev })
    }

    /// Checks the signature.
    pub fn verify(&self, key: &VerifyingKey) -> Result<(), SignatureError> {
        let (prev, has_prev) = (self.prev.as_ref(), self.has_prev);
        let fields = Fields { did: &self.did, rev: self.rev, data: &self.data, prev, has_prev, version: self.version };
        key.verify(&fields.encode(None), &self.signature)
    }
}

struct Fields<'a> {
    did: &'a Did,
    rev: Tid,
    data: &'a Cid,
    prev: Option<&'a Cid>,
    /// Whether the field is there. Early commits of version 3 lack it; its null is signed too.
    has_prev: bool,
    version: u8,
}

impl Fields<'_> {
    fn encode(&self, signature: Option<&[u8; 64]>) -> Vec<u8> {
        let mut writer = Writer::with_capacity(256);
        writer.map(4 + usize::from(self.has_prev) + usize::from(signature.is_some()));
        writer.text("did");
        writer.text(self.did.as_str());
        writer.text("rev");
        writer.text(std::str::from_utf8(&self.rev.as_text()).expect("a TID is ASCII"));
        if let Some(signature) = signature {
            writer.text("sig");
            writer.bytes(signature);
        }
        writer.text("data");
        writer.link(self.data);
        if self.has_prev {
            writer.text("prev");
            writer.optional_link(self.prev);
        }
        writer.text("version");
        writer.unsigned(u64::from(self.version));
        writer.into_vec()
    }
}

fn field<'a>(fields: &mut MapReader<'a>, reader: &mut Reader<'a>, name: &str) -> Result<(), CommitError> {
    if fields.key(reader)? == Some(name) { Ok(()) } else { Err(CommitError::Fields) }
}

#[cfg(test)]
mod tests {
    use crypto::Curve;

    use super::*;

    fn commit() -> (SigningKey, Commit) {
        let key = SigningKey::from_bytes(Curve::K256, &[7; 32]).unwrap();
        let did = "did:plc:ewvi7nxzyoun6zhxrhs64oiz".parse().unwrap();
        let unsigned = UnsignedCommit { did, rev: Tid::from_parts(1_700_000_000_000_000, 3), data: Cid::dag_cbor(b"root") };
        let commit = unsigned.sign(&key);
        (key, commit)
    }

    #[test]
    fn a_commit_is_read_as_it_was_signed() {
        let (key, commit) = commit();
        let read = Commit::decode(&commit.block).unwrap();
        assert_eq!(read, commit);
        assert_eq!((read.version, read.prev), (3, None));
        read.verify(key.verifying_key()).unwrap();
        let value = cbor::decode(&commit.block).unwrap();
        assert_eq!(cbor::encode(&value), commit.block, "the block is canonical");
    }

    #[test]
    fn a_change_of_any_byte_is_noticed() {
        let (key, commit) = commit();
        for at in 0..commit.block.len() {
            let mut bytes = commit.block.to_vec();
            bytes[at] ^= 1;
            let accepted = Commit::decode(&bytes).is_ok_and(|commit| commit.verify(key.verifying_key()).is_ok());
            assert!(!accepted, "byte {at}");
        }
        for len in 0..commit.block.len() {
            assert!(Commit::decode(&commit.block[..len]).is_err());
        }
    }

    #[test]
    fn older_spellings_are_read_and_verified() {
        let (key, commit) = commit();
        let before = Cid::dag_cbor(b"before");
        for (prev, has_prev, version) in [(None, false, 3), (Some(&before), true, 2), (None, true, 2)] {
            let fields = Fields { did: &commit.did, rev: commit.rev, data: &commit.data, prev, has_prev, version };
            let signature = key.sign(&fields.encode(None));
            let read = Commit::decode(&fields.encode(Some(&signature))).unwrap();
            assert_eq!((read.prev, read.version), (prev.copied(), version));
            read.verify(key.verifying_key()).unwrap();
        }
        let fields = Fields { did: &commit.did, rev: commit.rev, data: &commit.data, prev: None, has_prev: true, version: 4 };
        assert_eq!(Commit::decode(&fields.encode(Some(&[0; 64]))), Err(CommitError::Version(4)));
    }
}
