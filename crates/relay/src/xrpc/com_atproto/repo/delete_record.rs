//! `com.atproto.repo.deleteRecord`: deletes a record, or makes sure that it is not there.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/repo/deleteRecord.json>

use axum::Json;
use axum::extract::State;
use common::{AtIdentifier, Cid, Nsid, RecordKey};
use repo_engine::Key;
use serde::{Deserialize, Serialize};

use super::CommitOutput;
use crate::auth::RepoAuth;
use crate::error::XrpcError;
use crate::extract::XrpcJson;
use crate::oauth::scope::RepoAction;
use crate::repo::{Swap, Write};
use crate::state::AppState;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Input {
    repo: AtIdentifier,
    collection: Nsid,
    rkey: RecordKey,
    swap_record: Option<Cid>,
    swap_commit: Option<Cid>,
}

#[derive(Serialize)]
pub(crate) struct Output {
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<CommitOutput>,
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    auth: RepoAuth,
    XrpcJson(input): XrpcJson<Input>,
) -> Result<Json<Output>, XrpcError> {
    let grant = auth.grant(&app, &input.repo, [(RepoAction::Delete, &input.collection)]).await?;
    let key = Key::new(&input.collection, &input.rkey);
    let swap = input.swap_record.map_or(Swap::Anything, Swap::Is);
    let commit = app.repos.write(&grant, vec![Write::DeleteIfThere { key, swap }], input.swap_commit).await?;
    Ok(Json(Output { commit: commit.map(Into::into) }))
}
