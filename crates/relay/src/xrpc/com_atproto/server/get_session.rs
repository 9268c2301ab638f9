//! `com.atproto.server.getSession`: tells a client whose session it has.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/server/getSession.json>

use axum::Json;
use axum::extract::State;

use super::AccountView;
use crate::auth::{AnyApp, Auth, Power, Standard};
use crate::error::XrpcError;
use crate::oauth::scope::AccountAttribute;
use crate::state::AppState;

pub(crate) async fn handler(
    State(app): State<AppState>,
    mut auth: Auth<Standard, AnyApp>,
) -> Result<Json<AccountView>, XrpcError> {
    let tells_email = match &auth.power {
        Power::Session(_) => true,
        Power::App(grants) => grants.allows_account(AccountAttribute::Email, false),
    };
    if !tells_email {
        auth.account.email = None;
        auth.account.email_confirmed_at = None;
        auth.account.email_auth_factor = false;
    }
    Ok(Json(AccountView::of(&app, auth.account).await))
}
