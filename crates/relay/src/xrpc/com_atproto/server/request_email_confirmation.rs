//! `com.atproto.server.requestEmailConfirmation`: mails a code that confirms the address of the account.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/server/requestEmailConfirmation.json>

use axum::extract::{Request, State};

use crate::account::mail_code;
use crate::auth::{Auth, ManagesEmail, Standard, check_takedown};
use crate::error::XrpcError;
use crate::extract::no_body;
use crate::state::AppState;
use crate::store::email_token::Purpose;

pub(crate) async fn handler(
    State(app): State<AppState>,
    auth: Auth<Standard, ManagesEmail>,
    request: Request,
) -> Result<(), XrpcError> {
    no_body(request).await?;
    check_takedown(&auth.account)?;
    Ok(mail_code(&app, &auth.account, Purpose::ConfirmEmail).await?)
}
