//! What an app is told when something goes wrong.
//!
//! Each refusal says in its `error_description` what was wrong and, where that is not plain, what would be right: whoever
//! reads it is writing an app.

use std::borrow::Cow;
use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};

use crate::error::ErrorName;
use crate::store::{StoreError, WriteFailed};

/// The kinds of refusal, as OAuth names them.
///
/// Spec: <https://www.rfc-editor.org/rfc/rfc6749#section-5.2>, <https://www.rfc-editor.org/rfc/rfc9449#section-5>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    InvalidRequest,
    InvalidClient,
    InvalidClientMetadata,
    InvalidRedirectUri,
    InvalidGrant,
    InvalidScope,
    InvalidDpopProof,
    /// Not a mistake: the app gets a nonce with this answer, and asks again with it.
    UseDpopNonce,
    UnsupportedGrantType,
    UnsupportedResponseType,
    UnsupportedResponseMode,
    /// Our fault.
    ServerError,
    TemporarilyUnavailable,
}

impl Refusal {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidClientMetadata => "invalid_client_metadata",
            Self::InvalidRedirectUri => "invalid_redirect_uri",
            Self::InvalidGrant => "invalid_grant",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidDpopProof => "invalid_dpop_proof",
            Self::UseDpopNonce => "use_dpop_nonce",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::UnsupportedResponseMode => "unsupported_response_mode",
            Self::ServerError => "server_error",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
        }
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::InvalidClient => StatusCode::UNAUTHORIZED,
            Self::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
            Self::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::InvalidRequest
            | Self::InvalidClientMetadata
            | Self::InvalidRedirectUri
            | Self::InvalidGrant
            | Self::InvalidScope
            | Self::InvalidDpopProof
            | Self::UseDpopNonce
            | Self::UnsupportedGrantType
            | Self::UnsupportedResponseType
            | Self::UnsupportedResponseMode => StatusCode::BAD_REQUEST,
        }
    }
}

/// An error response of the OAuth endpoints.
#[derive(Debug, thiserror::Error)]
#[error("{}: {description}", refusal.name())]
pub(crate) struct OauthError {
    pub(crate) refusal: Refusal,
    pub(crate) description: Cow<'static, str>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
    too_large: bool,
}

impl OauthError {
    pub(crate) fn new(refusal: Refusal, description: impl Into<Cow<'static, str>>) -> Self {
        Self { refusal, description: description.into(), source: None, too_large: false }
    }

    pub(crate) fn invalid_request(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Refusal::InvalidRequest, description)
    }

    pub(crate) fn invalid_client(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Refusal::InvalidClient, description)
    }

    pub(crate) fn invalid_grant(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Refusal::InvalidGrant, description)
    }

    pub(crate) fn invalid_metadata(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Refusal::InvalidClientMetadata, description)
    }

    pub(crate) fn too_large(description: impl Into<Cow<'static, str>>) -> Self {
        Self { too_large: true, ..Self::invalid_request(description) }
    }

    pub(crate) fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { source: Some(cause.into()), ..Self::new(Refusal::ServerError, "The server failed; its log says why") }
    }
}

impl From<StoreError> for OauthError {
    fn from(err: StoreError) -> Self {
        if err.is_out_of_space() {
            let description = "The server's disk is full or not writable; try again later";
            return Self { source: Some(err.into()), ..Self::new(Refusal::TemporarilyUnavailable, description) };
        }
        Self::internal(err)
    }
}

impl From<WriteFailed> for OauthError {
    fn from(err: WriteFailed) -> Self {
        match err {
            WriteFailed::Overloaded(_) | WriteFailed::Stopped => {
                Self::new(Refusal::TemporarilyUnavailable, "The server is busy; try again in a moment")
            }
            WriteFailed::Transaction(cause) if cause.is_out_of_space() => {
                let description = "The server's disk is full or not writable; try again later";
                Self { source: Some(cause.into()), ..Self::new(Refusal::TemporarilyUnavailable, description) }
            }
            WriteFailed::Transaction(cause) => Self::internal(cause),
        }
    }
}

impl IntoResponse for OauthError {
    fn into_response(self) -> Response {
        if let Some(cause) = &self.source {
            let cause: &(dyn std::error::Error + 'static) = &**cause;
            tracing::error!(error = cause, "an OAuth request failed");
        }
        let body = serde_json::json!({ "error": self.refusal.name(), "error_description": self.description });
        let status = if self.too_large { StatusCode::PAYLOAD_TOO_LARGE } else { self.refusal.status() };
        let headers = [
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ];
        let mut response = (status, headers, body.to_string()).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("2"));
        }
        response.extensions_mut().insert(ErrorName(Arc::from(self.refusal.name())));
        response
    }
}
