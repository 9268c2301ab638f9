//! `com.atproto.admin.enableAccountInvites`: an account earns invite codes again.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/admin/enableAccountInvites.json>

use axum::extract::State;

use super::InvitesInput;
use crate::auth::Moderator;
use crate::error::XrpcError;
use crate::extract::XrpcJson;
use crate::state::AppState;

pub(crate) async fn handler(
    State(app): State<AppState>,
    _moderator: Moderator,
    XrpcJson(input): XrpcJson<InvitesInput>,
) -> Result<(), XrpcError> {
    super::set_invites(&app, input, false).await
}
