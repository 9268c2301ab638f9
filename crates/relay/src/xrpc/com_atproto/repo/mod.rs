//! `com.atproto.repo.*`: records, one at a time and in batches.

pub(crate) mod apply_writes;
pub(crate) mod create_record;
pub(crate) mod delete_record;
pub(crate) mod describe_repo;
pub(crate) mod get_record;
pub(crate) mod import_repo;
pub(crate) mod list_missing_blobs;
pub(crate) mod list_records;
pub(crate) mod put_record;
pub(crate) mod upload_blob;

use common::blob_ref::{blob_refs, find_legacy_blob};
use common::lexicon::Outcome;
use common::{AtIdentifier, AtUri, Cid, Codec, Map, Nsid, RecordKey, Value, cbor};
use repo_engine::Key;
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::XrpcError;
use crate::lexicon::Schemas;
use crate::repo::{CommitMeta, Record, WriteError};
use crate::state::AppState;
use crate::store::account::{self, Account};
use crate::store::blob;

/// `com.atproto.repo.defs#commitMeta`.
#[derive(Debug, Serialize)]
pub(crate) struct CommitOutput {
    cid: Cid,
    rev: common::Tid,
}

impl From<CommitMeta> for CommitOutput {
    fn from(commit: CommitMeta) -> Self {
        Self { cid: commit.cid, rev: commit.rev }
    }
}

/// Whether a record was checked against its schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ValidationStatus {
    Valid,
    Unknown,
}

/// What createRecord and putRecord answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RecordOutput {
    uri: AtUri,
    cid: Cid,
    /// Absent when there was nothing to write.
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<CommitOutput>,
    #[serde(skip_serializing_if = "Option::is_none")]
    validation_status: Option<ValidationStatus>,
}

/// A record that may be written, and what is known of its validity; `None` when that was not asked.
pub(crate) struct Checked {
    pub(crate) key: Key,
    pub(crate) record: Record,
    pub(crate) status: Option<ValidationStatus>,
}

/// Checks a record that is to be written, and encodes it.
///
/// `validate` is the caller's wish: `true` insists on a known schema, `false` skips schemas, absent checks where one is known.
/// [`schemas_for`] gives the schemas.
pub(crate) fn check_record(
    schemas: &Schemas,
    collection: &Nsid,
    rkey: &RecordKey,
    record: Map,
    validate: Option<bool>,
) -> Result<Checked, XrpcError> {
    let mut record = record;
    match record.get("$type").and_then(Value::as_str) {
        None => drop(record.insert("$type", collection.as_str().into())),
        Some(found) if found == collection.as_str() => {}
        Some(found) => {
            return Err(XrpcError::invalid_request(format!("Invalid $type: expected {collection}, got {found}")));
        }
    }
    let record = Value::Map(record);
    let status = if validate == Some(false) {
        None
    } else {
        let outcome = schemas.validate(collection, rkey.as_str(), &record);
        match outcome.map_err(|err| XrpcError::invalid_request(err.to_string()))? {
            Outcome::Valid => Some(ValidationStatus::Valid),
            Outcome::Unknown if validate == Some(true) => {
                return Err(XrpcError::invalid_request(format!("Unknown lexicon type: {collection}")));
            }
            Outcome::Unknown => Some(ValidationStatus::Unknown),
        }
    };
    if let Some(path) = find_legacy_blob(&record) {
        return Err(XrpcError::invalid_request(format!("Legacy blobs are not allowed ({path})")));
    }
    let mut blobs: Vec<blob::Reference> = Vec::new();
    for found in blob_refs(&record) {
        if found.cid.codec() != Codec::Raw {
            return Err(WriteError::BlobNotFound(found.cid).into());
        }
        let reference = blob::Reference { cid: found.cid, mime_type: found.mime_type, size: found.size };
        if !blobs.contains(&reference) {
            blobs.push(reference);
        }
    }
    let key = Key::new(collection, rkey);
    let block = cbor::encode(&record);
    Ok(Checked { key, record: Record { cid: Cid::dag_cbor(&block), block: block.into(), blobs }, status })
}

/// Returns what records of these collections are checked against; where nobody wants that, nothing is looked up.
pub(crate) async fn schemas_for(
    app: &AppState,
    validate: Option<bool>,
    collections: impl IntoIterator<Item = &Nsid>,
) -> Schemas {
    if validate == Some(false) { Schemas::default() } else { app.lexicons.schemas(collections).await }
}

/// Finds a local account by DID or handle.
pub(crate) async fn find_account(app: &AppState, repo: &AtIdentifier) -> Result<Option<Account>, XrpcError> {
    app.db
        .read(|conn| match repo {
            AtIdentifier::Did(did) => account::find_by_did(conn, did),
            AtIdentifier::Handle(handle) => account::find_by_handle(conn, handle),
        })
        .await
        .map_err(XrpcError::from)
}

/// Returns the URI of a record by its path in a repo.
pub(crate) fn uri_of(did: &common::Did, path: &str) -> String {
    format!("at://{did}/{path}")
}

/// Returns the URI of a record.
pub(crate) fn record_uri(did: &common::Did, key: &Key) -> Result<AtUri, XrpcError> {
    uri_of(did, key).parse().map_err(|err: common::syntax::AtUriError| XrpcError::internal(err))
}

/// Tells an absent field from one that is null.
#[expect(clippy::option_option, reason = "absent and null mean different things")]
pub(crate) fn absent_or_null<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

impl From<WriteError> for XrpcError {
    fn from(err: WriteError) -> Self {
        match err {
            WriteError::CommitSwap { .. } | WriteError::RecordSwap { .. } => Self::bad_request("InvalidSwap", err.to_string()),
            WriteError::RecordExists(_) | WriteError::RecordNotFound(_) | WriteError::TooBig => {
                Self::invalid_request(err.to_string())
            }
            WriteError::BlobNotFound(_) => Self::bad_request("BlobNotFound", err.to_string()),
            WriteError::BlobMimeType { .. } => Self::bad_request("InvalidMimeType", err.to_string()),
            WriteError::BlobSize { .. } => Self::bad_request("InvalidSize", err.to_string()),
            WriteError::RepoNotFound => Self::bad_request("RepoNotFound", err.to_string()),
            WriteError::Inactive(status) => crate::auth::not_active(status),
            WriteError::Superseded => Self::unavailable("The write was not stored; try again in a moment", 1).with_cause(err),
            WriteError::Tree(_) | WriteError::Key(_) => Self::internal(err),
            WriteError::Store(err) => err.into(),
            WriteError::Write(err) => err.into(),
        }
    }
}
