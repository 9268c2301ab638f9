//! `com.atproto.admin.getAccountInfo`: what is known of an account.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/admin/getAccountInfo.json>

use axum::Json;
use axum::extract::State;
use common::Did;

use super::{AccountView, account_not_found};
use crate::auth::Moderator;
use crate::error::XrpcError;
use crate::extract::{FromParams, Params, XrpcQuery};
use crate::state::AppState;

pub(crate) struct Parameters {
    did: Did,
}

impl FromParams for Parameters {
    fn from_params(params: &Params) -> Result<Self, String> {
        Ok(Self { did: params.required("did")? })
    }
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    _moderator: Moderator,
    XrpcQuery(params): XrpcQuery<Parameters>,
) -> Result<Json<AccountView>, XrpcError> {
    let view = app.db.read(|conn| AccountView::find(conn, &params.did)).await?;
    view.map(Json).ok_or_else(|| account_not_found(&params.did))
}
