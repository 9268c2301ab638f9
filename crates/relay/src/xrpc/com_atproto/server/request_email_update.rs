//! `com.atproto.server.requestEmailUpdate`: mails a code that allows to change the address, if that takes one.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/server/requestEmailUpdate.json>

use axum::Json;
use axum::extract::{Request, State};
use serde::Serialize;

use crate::account::mail_code;
use crate::auth::{Auth, Full, check_takedown};
use crate::error::XrpcError;
use crate::extract::no_body;
use crate::state::AppState;
use crate::store::email_token::Purpose;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Output {
    token_required: bool,
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    auth: Auth<Full>,
    request: Request,
) -> Result<Json<Output>, XrpcError> {
    no_body(request).await?;
    check_takedown(&auth.account)?;
    let token_required = auth.account.email_confirmed_at.is_some();
    if token_required {
        mail_code(&app, &auth.account, Purpose::UpdateEmail).await?;
    }
    Ok(Json(Output { token_required }))
}
