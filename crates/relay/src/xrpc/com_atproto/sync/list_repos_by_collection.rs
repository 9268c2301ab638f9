//! `com.atproto.sync.listReposByCollection`: the active accounts that have records in a collection.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/sync/listReposByCollection.json>

use axum::Json;
use axum::extract::State;
use common::{Did, Nsid};
use serde::Serialize;

use super::list_repos::cursor;
use crate::error::XrpcError;
use crate::extract::{FromParams, Params, XrpcQuery};
use crate::state::AppState;
use crate::store::{AccountId, StoreError, account, record};

pub(crate) struct Parameters {
    collection: Nsid,
    limit: usize,
    cursor: Option<AccountId>,
}

impl FromParams for Parameters {
    fn from_params(params: &Params) -> Result<Self, String> {
        Ok(Self {
            collection: params.required("collection")?,
            limit: params.integer("limit", &(1..=2000), 500)?,
            cursor: cursor(params)?,
        })
    }
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
}

/// Accounts looked at in one request; a rare collection then takes several, each with a cursor.
const LOOKED_AT: usize = 20_000;
const AT_A_TIME: usize = 500;

pub(crate) async fn handler(
    State(app): State<AppState>,
    XrpcQuery(params): XrpcQuery<Parameters>,
) -> Result<Json<Output>, XrpcError> {
    let output = app
        .db
        .scan(move |conn| {
            let mut after = params.cursor.unwrap_or(AccountId(0));
            let mut repos = Vec::new();
            let mut looked_at = 0;
            loop {
                let page = account::list(conn, after, AT_A_TIME)?;
                let is_last = page.len() < AT_A_TIME;
                for account in page {
                    after = account.id;
                    looked_at += 1;
                    if account.status.is_active() && record::has_collection(conn, account.id, params.collection.as_str())? {
                        repos.push(Repo { did: account.did });
                    }
                    if repos.len() == params.limit || looked_at == LOOKED_AT {
                        return Ok::<_, StoreError>(Output { cursor: Some(after.0.to_string()), repos });
                    }
                }
                if is_last {
                    return Ok(Output { cursor: None, repos });
                }
            }
        })
        .await?;
    Ok(Json(output))
}
