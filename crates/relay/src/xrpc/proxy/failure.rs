//! Why a call has no answer: our reasons, or those of the service.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;

use super::headers;
use crate::error::XrpcError;

/// Most bytes of an error that are read; the rest is not for people.
pub(super) const MAX_ERROR_BYTES: usize = 64 << 10;
const MAX_NAME_CHARS: usize = 128;
const MAX_MESSAGE_CHARS: usize = 2000;

/// Why a call that should have been passed on has no good answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It did not get there, or not back.
    Ours(XrpcError),
    /// The service said no.
    Theirs(Box<Refusal>),
}

/// An error that a service answered with.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    error: String,
    message: String,
    headers: HeaderMap,
}

impl<E: Into<XrpcError>> From<E> for Failure {
    fn from(err: E) -> Self {
        Self::Ours(err.into())
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Theirs(Box::new(refusal))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::Ours(err) => err.into_response(),
            Self::Theirs(refusal) => {
                let mut response = XrpcError::new(refusal.status, refusal.error, refusal.message).into_response();
                for (name, value) in &refusal.headers {
                    if !response.headers().contains_key(name) {
                        response.headers_mut().insert(name, value.clone());
                    }
                }
                response
            }
        }
    }
}

/// The body of an error of XRPC.
#[derive(Deserialize)]
struct ErrorBody {
    error: String,
    #[serde(default)]
    message: String,
}

impl Refusal {
    /// Reads an error with its body, which need not be of XRPC.
    pub(super) fn read(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let said: Option<ErrorBody> = serde_json::from_slice(body).ok();
        let passed = headers::of_response(headers);
        let headers = passed.into_iter().filter_map(|(name, value)| Some((name?, value)));
        let headers = headers.filter(|(name, _)| *name == header::RETRY_AFTER || *name == headers::REPO_REV).collect();
        let message = said.as_ref().map(|said| said.message.chars().take(MAX_MESSAGE_CHARS).collect::<String>());
        let message = message.filter(|message| !message.is_empty());
        // What went wrong inside of the service is not for its caller to tell from what went wrong inside of this one.
        let status = match status.as_u16() {
            500 | 505.. => StatusCode::BAD_GATEWAY,
            400.. => status,
            _ => StatusCode::BAD_GATEWAY,
        };
        let name = said.map(|said| said.error).filter(|name| is_name(name) && name != "InternalServerError");
        Self {
            status,
            error: name.unwrap_or_else(|| default_name(status).to_owned()),
            message: message.unwrap_or_else(|| format!("The service answered {status} without saying why")),
            headers,
        }
    }

    /// Whether the service knows no such thing.
    pub(crate) fn is_not_found(&self) -> bool {
        self.status == StatusCode::BAD_REQUEST && self.error == "NotFound"
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_NAME_CHARS && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Returns the error name of XRPC for a status.
fn default_name(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "AuthenticationRequired",
        403 => "Forbidden",
        404 => "XRPCNotSupported",
        406 => "NotAcceptable",
        413 => "PayloadTooLarge",
        415 => "UnsupportedMediaType",
        429 => "RateLimitExceeded",
        501 => "MethodNotImplemented",
        503 => "NotEnoughResources",
        504 => "UpstreamTimeout",
        500.. => "UpstreamFailure",
        _ => "InvalidRequest",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(status: u16, body: &str) -> String {
        let refusal = Refusal::read(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.as_bytes());
        format!("{} {} {}", refusal.status.as_u16(), refusal.error, refusal.message)
    }

    #[test]
    fn an_error_of_the_service_is_told_as_it_is() {
        assert_eq!(told(403, r#"{"error":"NotForYou","message":"later","more":1}"#), "403 NotForYou later");
        assert_eq!(
            told(400, r#"{"error":"NotFound"}"#),
            "400 NotFound The service answered 400 Bad Request without saying why"
        );
    }

    #[test]
    fn a_failure_of_the_service_is_not_one_of_this_server() {
        assert_eq!(told(500, r#"{"error":"InternalServerError","message":"oops"}"#), "502 UpstreamFailure oops");
        assert_eq!(told(500, r#"{"error":"Broken","message":"oops"}"#), "502 Broken oops");
        assert_eq!(told(520, "<html>"), "502 UpstreamFailure The service answered 502 Bad Gateway without saying why");
        assert_eq!(told(302, ""), "502 UpstreamFailure The service answered 502 Bad Gateway without saying why");
        assert!(told(503, "").starts_with("503 NotEnoughResources "));
    }

    #[test]
    fn a_body_that_is_no_error_gives_no_name() {
        assert!(told(404, "<html>Not here</html>").starts_with("404 XRPCNotSupported "));
        assert!(told(429, r#"{"error":7}"#).starts_with("429 RateLimitExceeded "));
        assert!(told(400, r#"{"error":"two words\n"}"#).starts_with("400 InvalidRequest "));
        assert!(told(400, &format!(r#"{{"error":"E","message":"{}"}}"#, "x".repeat(9000))).len() < 2100);
    }
}
