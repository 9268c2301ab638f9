//! Who moderates: the operator, or the moderation service that the operator configured.

use axum::extract::FromRequestParts;
use http::request::Parts;

use super::{Admin, Credentials, credentials, service};
use crate::error::XrpcError;
use crate::state::AppState;

/// A caller that may judge accounts and what they hold: an [`Admin`], or the configured moderation service with a token for
/// the method that it calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moderator(());

impl FromRequestParts<AppState> for Moderator {
    type Rejection = XrpcError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, XrpcError> {
        if let (Credentials::Bearer(token), Some(moderation)) = (credentials(&parts.headers)?, &app.config.services.moderation)
        {
            service::verify_from(app, token, method(parts), &moderation.did).await?;
            return Ok(Self(()));
        }
        Admin::from_request_parts(parts, app).await.map(|_| Self(()))
    }
}

/// Returns the NSID of the method that is called, which is its path.
fn method(parts: &Parts) -> &str {
    parts.uri.path().trim_start_matches("/xrpc/").trim_end_matches('/')
}
