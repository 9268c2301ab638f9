//! `com.atproto.server.activateAccount`: brings the caller's account into the network, once its DID leads here.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/server/activateAccount.json>

use axum::extract::{Request, State};

use crate::account;
use crate::auth::{Auth, Full, ManagesStatus, check_takedown};
use crate::error::XrpcError;
use crate::extract::no_body;
use crate::state::AppState;

pub(crate) async fn handler(
    State(app): State<AppState>,
    auth: Auth<Full, ManagesStatus>,
    request: Request,
) -> Result<(), XrpcError> {
    no_body(request).await?;
    check_takedown(&auth.account)?;
    Ok(account::activate(&app, &auth.account).await?)
}
