//! `com.atproto.server.requestAccountDelete`: mails a code that allows to delete the account.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/server/requestAccountDelete.json>

use axum::extract::{Request, State};

use crate::account::mail_code;
use crate::auth::{Auth, Full, check_takedown};
use crate::error::XrpcError;
use crate::extract::no_body;
use crate::state::AppState;
use crate::store::email_token::Purpose;

pub(crate) async fn handler(State(app): State<AppState>, auth: Auth<Full>, request: Request) -> Result<(), XrpcError> {
    no_body(request).await?;
    check_takedown(&auth.account)?;
    Ok(mail_code(&app, &auth.account, Purpose::DeleteAccount).await?)
}
