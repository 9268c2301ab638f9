//! What a client is told when something goes wrong.
//!
//! An [`XrpcError`] has two messages: one for the client, in the lexicon's words, and a cause for the log. It is logged once,
//! where it becomes a response. Clients never see SQL, paths or tokens.

use std::borrow::Cow;
use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};

use crate::store::{StoreError, WriteFailed};

/// An error response of XRPC.
///
/// Spec: <https://atproto.com/specs/xrpc#error-responses>
#[derive(Debug)]
pub struct XrpcError {
    status: StatusCode,
    error: Cow<'static, str>,
    message: Cow<'static, str>,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
    retry_after_seconds: Option<u32>,
    /// Whether the error is told by a challenge for apps as well, which is where they look.
    is_for_app: bool,
}

impl XrpcError {
    pub(crate) fn new(status: StatusCode, error: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, error: error.into(), message: message.into(), cause: None, retry_after_seconds: None, is_for_app: false }
    }

    /// 400 with an error name of the lexicon.
    pub(crate) fn bad_request(error: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error, message)
    }

    /// 400 `InvalidRequest`.
    pub(crate) fn invalid_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::bad_request("InvalidRequest", message)
    }

    /// 401 with an error name.
    pub(crate) fn unauthorized(error: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, error, message)
    }

    /// 401 with an error name of OAuth, told to an app that proves its key.
    pub(crate) fn unauthorized_app(error: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { is_for_app: true, ..Self::unauthorized(error, message) }
    }

    /// 403 with an error name.
    pub(crate) fn forbidden(error: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, error, message)
    }

    /// 500: our fault, whose cause goes to the log alone.
    pub(crate) fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self {
            cause: Some(cause.into()),
            ..Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", "Internal Server Error")
        }
    }

    /// 502: a server that we asked failed.
    pub(crate) fn upstream(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "UpstreamFailure", message)
    }

    /// 503: not now; the client shall try again after `seconds`.
    pub(crate) fn unavailable(message: impl Into<Cow<'static, str>>, seconds: u32) -> Self {
        Self { retry_after_seconds: Some(seconds), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "NotEnoughResources", message) }
    }

    /// 429: the client asks too much; it shall try again after `seconds`.
    pub(crate) fn too_many_requests(seconds: u32) -> Self {
        let error = Self::new(StatusCode::TOO_MANY_REQUESTS, "RateLimitExceeded", "Rate Limit Exceeded");
        Self { retry_after_seconds: Some(seconds), ..error }
    }

    pub(crate) fn with_cause(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the error name.
    pub(crate) fn name(&self) -> &str {
        &self.error
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Returns what a log line of work without a client says: the name, the message and the causes.
    pub(crate) fn describe(&self) -> String {
        let cause = self.cause.as_deref().map(|cause| format!(": {}", with_causes(cause))).unwrap_or_default();
        format!("{}: {}{cause}", self.error, self.message)
    }
}

/// Writes an error with its causes in one line.
pub(crate) fn with_causes(err: &dyn std::error::Error) -> String {
    let mut text = err.to_string();
    let mut cause = err.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

impl From<StoreError> for XrpcError {
    fn from(err: StoreError) -> Self {
        if err.is_out_of_space() {
            return Self::unavailable("The server's disk is full or not writable; try again later", 30).with_cause(err);
        }
        if err.is_locked() {
            return Self::unavailable(LOCKED, 5).with_cause(err);
        }
        if err.is_out_of_files() {
            return Self::unavailable("The server is busy; try again in a moment", 5).with_cause(err);
        }
        Self::internal(err)
    }
}

/// Said while another process holds the database.
const LOCKED: &str = "The server's database is locked by another program; try again in a moment";

impl From<rusqlite::Error> for XrpcError {
    fn from(err: rusqlite::Error) -> Self {
        StoreError::from(err).into()
    }
}

impl From<WriteFailed> for XrpcError {
    fn from(err: WriteFailed) -> Self {
        match err {
            WriteFailed::Overloaded(err) => Self::unavailable("The server is busy; try again in a moment", 1).with_cause(err),
            WriteFailed::Transaction(cause) if cause.is_out_of_space() => {
                Self::unavailable("The server's disk is full or not writable; try again later", 30).with_cause(cause)
            }
            WriteFailed::Transaction(cause) if cause.is_locked() => Self::unavailable(LOCKED, 5).with_cause(cause),
            WriteFailed::Transaction(cause) => Self::internal(cause),
            WriteFailed::Stopped => Self::unavailable("The server is shutting down; try again in a moment", 5),
        }
    }
}

impl IntoResponse for XrpcError {
    fn into_response(self) -> Response {
        if let Some(cause) = &self.cause {
            let cause: &(dyn std::error::Error + 'static) = &**cause;
            if self.status.is_server_error() {
                tracing::error!(status = self.status.as_u16(), error = cause, "request failed");
            } else {
                tracing::debug!(status = self.status.as_u16(), error = cause, "request refused");
            }
        }
        let mut body = Vec::with_capacity(64 + self.message.len());
        body.extend_from_slice(b"{\"error\":");
        common::json::write_string(&self.error, &mut body);
        body.extend_from_slice(b",\"message\":");
        common::json::write_string(&self.message, &mut body);
        body.push(b'}');
        let mut response = (self.status, [(CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response();
        if let Some(seconds) = self.retry_after_seconds {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = if self.is_for_app { app_challenge(&self.error, &self.message) } else { None };
            let challenge = challenge.unwrap_or(HeaderValue::from_static("Bearer"));
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response.extensions_mut().insert(ErrorName(Arc::from(&*self.error)));
        response
    }
}

/// Tells an app what is wrong.
///
/// Spec: <https://www.rfc-editor.org/rfc/rfc9449#section-7.1>
fn app_challenge(error: &str, message: &str) -> Option<HeaderValue> {
    let message = message.replace(['"', '\\'], "'");
    HeaderValue::try_from(format!(r#"DPoP algs="ES256 ES256K", error="{error}", error_description="{message}""#)).ok()
}

/// The error name of a response, for the request log.
#[derive(Clone, Debug)]
pub(crate) struct ErrorName(pub(crate) Arc<str>);
