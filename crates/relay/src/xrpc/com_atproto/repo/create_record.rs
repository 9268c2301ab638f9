//! `com.atproto.repo.createRecord`: creates a record under a new key.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/repo/createRecord.json>

use axum::Json;
use axum::extract::State;
use common::{AtIdentifier, Cid, Map, Nsid, RecordKey};
use serde::Deserialize;

use super::{RecordOutput, check_record, record_uri, schemas_for};
use crate::auth::RepoAuth;
use crate::error::XrpcError;
use crate::extract::RecordJson;
use crate::oauth::scope::RepoAction;
use crate::repo::Write;
use crate::state::AppState;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Input {
    repo: AtIdentifier,
    collection: Nsid,
    rkey: Option<RecordKey>,
    validate: Option<bool>,
    record: Map,
    swap_commit: Option<Cid>,
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    auth: RepoAuth,
    RecordJson(input): RecordJson<Input>,
) -> Result<Json<RecordOutput>, XrpcError> {
    let grant = auth.grant(&app, &input.repo, [(RepoAction::Create, &input.collection)]).await?;
    let rkey = input.rkey.unwrap_or_else(|| app.repos.next_tid().into());
    let schemas = schemas_for(&app, input.validate, [&input.collection]).await;
    let checked = check_record(&schemas, &input.collection, &rkey, input.record, input.validate)?;
    let (uri, cid) = (record_uri(grant.did(), &checked.key)?, checked.record.cid);
    let (key, record) = (checked.key, checked.record);
    // Whoever wants no validation gets no cleaning up either, as on the official server.
    let write = if input.validate == Some(false) { Write::Create { key, record } } else { Write::CreateUnique { key, record } };
    let commit = app.repos.write(&grant, vec![write], input.swap_commit).await?;
    Ok(Json(RecordOutput { uri, cid, commit: commit.map(Into::into), validation_status: checked.status }))
}
