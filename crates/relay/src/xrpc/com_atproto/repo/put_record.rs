//! `com.atproto.repo.putRecord`: creates or updates a record; writing what is there changes nothing.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/repo/putRecord.json>

use axum::Json;
use axum::extract::State;
use common::{AtIdentifier, Cid, Map, Nsid, RecordKey};
use serde::Deserialize;

use super::{RecordOutput, absent_or_null, check_record, record_uri, schemas_for};
use crate::auth::RepoAuth;
use crate::error::XrpcError;
use crate::extract::RecordJson;
use crate::oauth::scope::RepoAction;
use crate::repo::{Swap, Write};
use crate::state::AppState;

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
    let schemas = schemas_for(&app, input.validate, [&input.collection]).await;
    let checked = check_record(&schemas, &input.collection, &input.rkey, input.record, input.validate)?;
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
