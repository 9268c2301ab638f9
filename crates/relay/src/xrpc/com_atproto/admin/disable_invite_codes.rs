//! `com.atproto.admin.disableInviteCodes`: makes codes useless: these, and all that these accounts may give away.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/admin/disableInviteCodes.json>

use axum::extract::State;
use serde::Deserialize;

use crate::auth::Moderator;
use crate::error::XrpcError;
use crate::extract::XrpcJson;
use crate::state::AppState;
use crate::store::invite::{self, ADMIN};

#[derive(Deserialize)]
pub(crate) struct Input {
    #[serde(default)]
    codes: Vec<String>,
    #[serde(default)]
    accounts: Vec<String>,
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    _moderator: Moderator,
    XrpcJson(input): XrpcJson<Input>,
) -> Result<(), XrpcError> {
    if input.accounts.iter().any(|account| account == ADMIN) {
        return Err(XrpcError::invalid_request("cannot disable admin invite codes"));
    }
    app.db
        .write(move |tx| {
            for code in &input.codes {
                invite::disable(tx, code)?;
            }
            for account in &input.accounts {
                invite::disable_for_account(tx, account)?;
            }
            Ok(())
        })
        .await
}
