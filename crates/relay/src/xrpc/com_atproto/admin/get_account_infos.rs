//! `com.atproto.admin.getAccountInfos`: what is known of several accounts; those that are not here are left out.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/admin/getAccountInfos.json>

use axum::Json;
use axum::extract::State;
use common::Did;
use serde::Serialize;

use super::AccountView;
use crate::auth::Moderator;
use crate::error::XrpcError;
use crate::extract::{FromParams, Params, XrpcQuery};
use crate::state::AppState;
use crate::store::StoreError;

/// Most accounts in one call. The lexicon names no bound; a URL of this many takes about 20 kB.
const MAX_DIDS: usize = 500;

pub(crate) struct Parameters {
    dids: Vec<Did>,
}

impl FromParams for Parameters {
    fn from_params(params: &Params) -> Result<Self, String> {
        Ok(Self { dids: params.list("dids", MAX_DIDS)? })
    }
}

#[derive(Serialize)]
pub(crate) struct Output {
    infos: Vec<AccountView>,
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    _moderator: Moderator,
    XrpcQuery(params): XrpcQuery<Parameters>,
) -> Result<Json<Output>, XrpcError> {
    let infos = app.db.scan(move |conn| {
        let found = params.dids.iter().map(|did| AccountView::find(conn, did));
        found.filter_map(Result::transpose).collect::<Result<Vec<_>, StoreError>>()
    });
    Ok(Json(Output { infos: infos.await? }))
}
