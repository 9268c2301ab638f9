//! `com.atproto.server.createInviteCodes`: makes invite codes, for several accounts to give away.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/server/createInviteCodes.json>

use axum::Json;
use axum::extract::State;
use common::Did;
use serde::{Deserialize, Serialize};

use crate::account::create_codes;
use crate::auth::Admin;
use crate::error::XrpcError;
use crate::extract::XrpcJson;
use crate::state::AppState;
use crate::store::invite::ADMIN;

/// Codes that one call makes at most, over all accounts.
const MAX_CODES: usize = 10_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Input {
    #[serde(default = "one")]
    code_count: usize,
    use_count: u32,
    for_accounts: Option<Vec<Did>>,
}

fn one() -> usize {
    1
}

#[derive(Serialize)]
pub(crate) struct Output {
    codes: Vec<AccountCodes>,
}

#[derive(Serialize)]
struct AccountCodes {
    account: String,
    codes: Vec<String>,
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    _admin: Admin,
    XrpcJson(input): XrpcJson<Input>,
) -> Result<Json<Output>, XrpcError> {
    let accounts = input.for_accounts.filter(|accounts| !accounts.is_empty());
    let owners = accounts.map_or_else(|| vec![owner(None)], |dids| dids.into_iter().map(|did| owner(Some(did))).collect());
    if input.code_count.saturating_mul(owners.len()) > MAX_CODES {
        return Err(XrpcError::invalid_request(format!("One call makes at most {MAX_CODES} codes")));
    }
    let made = create_codes(&app, owners, input.code_count, input.use_count).await?;
    let codes = made.into_iter().map(|(account, codes)| AccountCodes { account, codes });
    Ok(Json(Output { codes: codes.collect() }))
}

/// Names who may give a code away.
pub(super) fn owner(account: Option<Did>) -> String {
    account.map_or_else(|| ADMIN.to_owned(), |did| did.to_string())
}
