//! `com.atproto.sync.listRepos`: every repo that is hosted here, in the order in which they were made.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/sync/listRepos.json>

use axum::Json;
use axum::extract::State;
use common::{Cid, Did, Tid};
use serde::Serialize;

use crate::error::XrpcError;
use crate::extract::{FromParams, Params, XrpcQuery};
use crate::state::AppState;
use crate::store::{AccountId, account};

pub(crate) struct Parameters {
    limit: usize,
    cursor: Option<AccountId>,
}

impl FromParams for Parameters {
    fn from_params(params: &Params) -> Result<Self, String> {
        Ok(Self { limit: params.integer("limit", &(1..=1000), 500)?, cursor: cursor(params)? })
    }
}

/// Reads a cursor, which is the number of the last account.
pub(crate) fn cursor(params: &Params) -> Result<Option<AccountId>, String> {
    let cursor: Option<String> = params.optional("cursor")?;
    cursor.map(|cursor| cursor.parse().map(AccountId).map_err(|_| "Malformed cursor".to_owned())).transpose()
}

#[derive(Serialize)]
pub(crate) struct Output {
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    repos: Vec<Repo>,
}

#[derive(Serialize)]
struct Repo {
    did: Did,
    head: Cid,
    rev: Tid,
    active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    XrpcQuery(params): XrpcQuery<Parameters>,
) -> Result<Json<Output>, XrpcError> {
    let after = params.cursor.unwrap_or(AccountId(0));
    let rows = app.db.read(|conn| account::list_with_heads(conn, after, params.limit)).await.map_err(XrpcError::from)?;
    let cursor = (rows.len() == params.limit).then(|| rows.last().map(|(account, ..)| account.id.0.to_string())).flatten();
    let repos = rows
        .into_iter()
        .map(|(account, head, rev)| Repo {
            did: account.did,
            head,
            rev,
            active: account.status.is_active(),
            status: account.status.as_str(),
        })
        .collect();
    Ok(Json(Output { cursor, repos }))
}
