//! `com.atproto.server.getAccountInviteCodes`: lists the invite codes that the caller may give away.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/server/getAccountInviteCodes.json>

use axum::Json;
use axum::extract::State;
use common::{Datetime, Did};
use serde::Serialize;

use super::datetime;
use crate::account::list_codes;
use crate::auth::{Auth, Full, check_takedown};
use crate::error::XrpcError;
use crate::extract::{FromParams, Params, XrpcQuery};
use crate::state::AppState;
use crate::store::invite;

#[derive(Debug)]
pub(crate) struct Parameters {
    include_used: bool,
    create_available: bool,
}

impl FromParams for Parameters {
    fn from_params(params: &Params) -> Result<Self, String> {
        Ok(Self {
            include_used: params.boolean("includeUsed", true)?,
            create_available: params.boolean("createAvailable", true)?,
        })
    }
}

#[derive(Serialize)]
pub(crate) struct Output {
    codes: Vec<InviteCode>,
}

/// `com.atproto.server.defs#inviteCode`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InviteCode {
    code: String,
    available: u32,
    disabled: bool,
    for_account: String,
    created_by: String,
    created_at: Datetime,
    uses: Vec<InviteCodeUse>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InviteCodeUse {
    used_by: Did,
    used_at: Datetime,
}

impl InviteCode {
    pub(crate) fn new(code: invite::InviteCode, uses: Vec<invite::InviteUse>) -> Self {
        let uses = uses.into_iter().map(|used| InviteCodeUse { used_by: used.used_by, used_at: datetime(used.used_at) });
        Self {
            code: code.code,
            available: code.available_uses,
            disabled: code.disabled,
            for_account: code.for_account,
            created_by: code.created_by,
            created_at: datetime(code.created_at),
            uses: uses.collect(),
        }
    }
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    XrpcQuery(params): XrpcQuery<Parameters>,
    auth: Auth<Full>,
) -> Result<Json<Output>, XrpcError> {
    check_takedown(&auth.account)?;
    let codes = list_codes(&app, &auth.account, params.create_available).await?;
    let codes = codes
        .into_iter()
        .filter(|(code, uses)| !code.disabled && (params.include_used || (code.available_uses as usize) > uses.len()));
    Ok(Json(Output { codes: codes.map(|(code, uses)| InviteCode::new(code, uses)).collect() }))
}
