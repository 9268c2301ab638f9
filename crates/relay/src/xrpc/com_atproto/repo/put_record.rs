//! `com.atproto.repo.putRecord`: creates or updates a record; writing what is there changes nothing.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/repo/putRecord.json>

use axum::Json;
use axum::extract::State;
use common::blob_ref::find_legacy_blob;
use common::{AtIdentifier, Cid, Map, Nsid, RecordKey, Value};
use serde::Deserialize;

use super::{RecordOutput, absent_or_null, check_record, record_uri, schemas_for};
use crate::auth::RepoAuth;
use crate::error::XrpcError;
use crate::extract::RecordJson;
use crate::oauth::scope::RepoAction;
use crate::repo::{Swap, Write};
use crate::state::AppState;
use crate::store::{AccountId, blob};

/// The collection of profiles, whose record is rewritten with each edit.
const PROFILE: &str = "app.bsky.actor.profile";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Input {
    repo: AtIdentifier,
    collection: Nsid,
    rkey: RecordKey,
    validate: Option<bool>,
    record: Map,
    /// Null asks that there be no record.
    #[serde(default, deserialize_with = "absent_or_null")]
    #[expect(clippy::option_option, reason = "absent and null mean different things")]
    swap_record: Option<Option<Cid>>,
    swap_commit: Option<Cid>,
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    auth: RepoAuth,
    RecordJson(input): RecordJson<Input>,
) -> Result<Json<RecordOutput>, XrpcError> {
    // Which of the two it is shows only when it is done.
    let writes = [RepoAction::Create, RepoAction::Update].map(|action| (action, &input.collection));
    let grant = auth.grant(&app, &input.repo, writes).await?;
    let mut record = input.record;
    if input.collection.as_str() == PROFILE {
        upgrade_pictures(&app, grant.account(), &mut record).await?;
    }
    let schemas = schemas_for(&app, input.validate, [&input.collection]).await;
    let checked = check_record(&schemas, &input.collection, &input.rkey, record, input.validate)?;
    let (uri, cid) = (record_uri(grant.did(), &checked.key)?, checked.record.cid);
    let swap = match input.swap_record {
        None => Swap::Anything,
        Some(None) => Swap::Absent,
        Some(Some(cid)) => Swap::Is(cid),
    };
    let write = Write::Put { key: checked.key, record: checked.record, swap };
    let commit = app.repos.write(&grant, vec![write], input.swap_commit).await?;
    Ok(Json(RecordOutput { uri, cid, commit: commit.map(Into::into), validation_status: checked.status }))
}

/// Brings the pictures of a profile from the form of 2022, a map of `cid` and `mimeType`, into that of today, with what is
/// stored of the blobs: apps send a profile back as they found it, with one field changed.
async fn upgrade_pictures(app: &AppState, account: AccountId, profile: &mut Map) -> Result<(), XrpcError> {
    for field in ["avatar", "banner"] {
        let Some(legacy) = profile.get(field).and_then(find_legacy) else { continue };
        let blob = app.db.read(|conn| blob::find(conn, account, &legacy)).await.map_err(XrpcError::from)?;
        let Some(blob) = blob else { continue };
        let size = i64::try_from(blob.size).map_err(XrpcError::internal)?;
        let upgraded = [
            ("$type", Value::from("blob")),
            ("ref", Value::Link(blob.cid)),
            ("mimeType", Value::from(blob.mime_type.as_str())),
            ("size", Value::Integer(size)),
        ];
        profile.insert(field, Value::Map(upgraded.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()));
    }
    Ok(())
}

/// Returns the CID that a picture names in the form of 2022.
fn find_legacy(picture: &Value) -> Option<Cid> {
    // A path that is empty is the picture itself.
    let is_legacy = find_legacy_blob(picture).is_some_and(|path| path.is_empty());
    if is_legacy { picture.get("cid")?.as_str()?.parse().ok() } else { None }
}
