//! `com.atproto.repo.applyWrites`: several changes in one commit.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/repo/applyWrites.json>

use axum::Json;
use axum::extract::State;
use common::{AtIdentifier, AtUri, Cid, Map, Nsid, RecordKey};
use repo_engine::Key;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::{CommitOutput, ValidationStatus, check_record, record_uri, schemas_for};
use crate::auth::{RepoAuth, RepoGrant};
use crate::background;
use crate::error::XrpcError;
use crate::extract::RecordJson;
use crate::lexicon::Schemas;
use crate::limits::{self, Meter};
use crate::oauth::scope::RepoAction;
use crate::repo::Write;
use crate::state::AppState;

/// Most changes in one commit: what an event of the firehose may list.
const MAX_WRITES: usize = 200;

/// Checks of many records that run at a time: each takes a core while it runs.
static CHECKS: Semaphore = Semaphore::const_new(4);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Input {
    repo: AtIdentifier,
    validate: Option<bool>,
    writes: Vec<InputWrite>,
    swap_commit: Option<Cid>,
}

#[derive(Deserialize)]
#[serde(tag = "$type")]
enum InputWrite {
    #[serde(rename = "com.atproto.repo.applyWrites#create")]
    Create { collection: Nsid, rkey: Option<RecordKey>, value: Map },
    #[serde(rename = "com.atproto.repo.applyWrites#update")]
    Update { collection: Nsid, rkey: RecordKey, value: Map },
    #[serde(rename = "com.atproto.repo.applyWrites#delete")]
    Delete { collection: Nsid, rkey: RecordKey },
}

impl InputWrite {
    /// The collection of the record that is written.
    fn written(&self) -> Option<&Nsid> {
        match self {
            Self::Create { collection, .. } | Self::Update { collection, .. } => Some(collection),
            Self::Delete { .. } => None,
        }
    }

    /// What the write does, and where.
    fn action(&self) -> (RepoAction, &Nsid) {
        match self {
            Self::Create { collection, .. } => (RepoAction::Create, collection),
            Self::Update { collection, .. } => (RepoAction::Update, collection),
            Self::Delete { collection, .. } => (RepoAction::Delete, collection),
        }
    }

    /// What the write costs of the account's limit.
    fn points(&self) -> u32 {
        match self {
            Self::Create { .. } => limits::CREATE_POINTS,
            Self::Update { .. } => limits::UPDATE_POINTS,
            Self::Delete { .. } => limits::DELETE_POINTS,
        }
    }
}

#[derive(Serialize)]
pub(crate) struct Output {
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<CommitOutput>,
    results: Vec<OutputResult>,
}

#[derive(Serialize)]
#[serde(tag = "$type", rename_all_fields = "camelCase")]
enum OutputResult {
    #[serde(rename = "com.atproto.repo.applyWrites#createResult")]
    Create {
        uri: AtUri,
        cid: Cid,
        #[serde(skip_serializing_if = "Option::is_none")]
        validation_status: Option<ValidationStatus>,
    },
    #[serde(rename = "com.atproto.repo.applyWrites#updateResult")]
    Update {
        uri: AtUri,
        cid: Cid,
        #[serde(skip_serializing_if = "Option::is_none")]
        validation_status: Option<ValidationStatus>,
    },
    #[serde(rename = "com.atproto.repo.applyWrites#deleteResult")]
    Delete {},
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    auth: RepoAuth,
    meter: Meter,
    RecordJson(input): RecordJson<Input>,
) -> Result<Json<Output>, XrpcError> {
    if input.writes.len() > MAX_WRITES {
        return Err(XrpcError::invalid_request(format!("Too many writes. Max: {MAX_WRITES}")));
    }
    let grant = auth.grant(&app, &input.repo, input.writes.iter().map(InputWrite::action)).await?;
    meter.count_writes(grant.account(), input.writes.iter().map(InputWrite::points).sum())?;
    let schemas = schemas_for(&app, input.validate, input.writes.iter().filter_map(InputWrite::written)).await;
    let swap_commit = input.swap_commit;
    let (writes, results) = if background::is_much(input.writes.len()) {
        let _turn = CHECKS.acquire().await.expect("it is never closed");
        let (app, grant) = (app.clone(), grant.clone());
        background::background(move || check(&app, &grant, input, &schemas)).await?
    } else {
        check(&app, &grant, input, &schemas)?
    };
    let commit = app.repos.write(&grant, writes, swap_commit).await?;
    Ok(Json(Output { commit: commit.map(Into::into), results }))
}

/// Checks and encodes the records.
fn check(
    app: &AppState,
    grant: &RepoGrant,
    input: Input,
    schemas: &Schemas,
) -> Result<(Vec<Write>, Vec<OutputResult>), XrpcError> {
    let mut writes = Vec::with_capacity(input.writes.len());
    let mut results = Vec::with_capacity(input.writes.len());
    for write in input.writes {
        match write {
            InputWrite::Create { collection, rkey, value } => {
                let rkey = rkey.unwrap_or_else(|| app.repos.next_tid().into());
                let checked = check_record(schemas, &collection, &rkey, value, input.validate)?;
                let uri = record_uri(grant.did(), &checked.key)?;
                results.push(OutputResult::Create { uri, cid: checked.record.cid, validation_status: checked.status });
                writes.push(Write::Create { key: checked.key, record: checked.record });
            }
            InputWrite::Update { collection, rkey, value } => {
                let checked = check_record(schemas, &collection, &rkey, value, input.validate)?;
                let uri = record_uri(grant.did(), &checked.key)?;
                results.push(OutputResult::Update { uri, cid: checked.record.cid, validation_status: checked.status });
                writes.push(Write::Update { key: checked.key, record: checked.record });
            }
            InputWrite::Delete { collection, rkey } => {
                results.push(OutputResult::Delete {});
                writes.push(Write::Delete { key: Key::new(&collection, &rkey) });
            }
        }
    }
    Ok((writes, results))
}
