//! Forms that only a page of this server can have sent.
//!
//! Each form carries a token that is bound to the browser's cookie. It has a nonce, so that it is different on every page and a
//! compressed page tells nothing about it. The guard has looked at `Origin` and `Sec-Fetch-Site` before ([`super::guard`]).

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts as _, Request};
use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::Sha256;

use super::Visitor;
use super::device::Device;
use crate::error::XrpcError;
use crate::state::{App, AppState};

/// Most bytes of a form.
const FORM_LIMIT: usize = 64 << 10;
const NONCE_BYTES: usize = 16;
/// The header by which scripts of a page send its token.
const HEADER: HeaderName = HeaderName::from_static("x-csrf-token");

/// Makes a token for a form in this browser.
pub(super) fn token(app: &App, device: &Device) -> String {
    let nonce: [u8; NONCE_BYTES] = crate::random::bytes();
    let mut token = nonce.to_vec();
    token.extend_from_slice(&mac(app, device, &nonce).finalize().into_bytes());
    BASE64URL_NOPAD.encode(&token)
}

fn mac(app: &App, device: &Device, nonce: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(app.secrets.jwt_secret()).expect("HMAC takes a key of any length");
    mac.update(b"token of a form\0");
    mac.update(&device.id.0);
    mac.update(device.secret());
    mac.update(nonce);
    mac
}

fn is_good(app: &App, device: &Device, token: &str) -> bool {
    let Ok(token) = BASE64URL_NOPAD.decode(token.as_bytes()) else { return false };
    let Some((nonce, tag)) = token.split_at_checked(NONCE_BYTES) else { return false };
    mac(app, device, nonce).verify_slice(tag).is_ok()
}

fn stale() -> XrpcError {
    XrpcError::forbidden("StalePage", "This page is out of date: go back, load it anew and try again")
}

fn too_large() -> XrpcError {
    XrpcError::new(http::StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLarge", "The form is too large")
}

async fn body(request: Request) -> Result<Bytes, XrpcError> {
    axum::body::to_bytes(request.into_body(), FORM_LIMIT).await.map_err(|_| too_large())
}

fn check_type(headers: &HeaderMap, expected: &str) -> Result<(), XrpcError> {
    let found = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = found.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    Err(XrpcError::invalid_request(format!("This address takes {expected}")))
}

/// Extracts a form whose token is good. With `Vec<(String, String)>` repeated fields are kept.
#[derive(Debug)]
pub(crate) struct CsrfForm<T>(pub(crate) T);

#[derive(Deserialize)]
struct Token {
    csrf: String,
}

impl<T: DeserializeOwned + 'static> FromRequest<AppState> for CsrfForm<T> {
    type Rejection = XrpcError;

    async fn from_request(request: Request, app: &AppState) -> Result<Self, XrpcError> {
        check_type(request.headers(), "application/x-www-form-urlencoded")?;
        let (mut parts, raw) = request.into_parts();
        let visitor = Visitor::from_request_parts(&mut parts, app).await?;
        let body = body(Request::new(raw)).await?;
        let Token { csrf } = parse(&body).await.map_err(|_| stale())?;
        if !is_good(app, &visitor.device, &csrf) {
            return Err(stale());
        }
        parse(&body).await.map(Self)
    }
}

async fn parse<T: DeserializeOwned + 'static>(body: &Bytes) -> Result<T, XrpcError> {
    let request = Request::post("/").header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    let request = request.body(Body::from(body.clone())).expect("the request has nothing but fixed parts");
    let form = axum::Form::<T>::from_request(request, &()).await;
    form.map(|form| form.0).map_err(|err| XrpcError::invalid_request(err.body_text()))
}

/// Extracts JSON that a script of a page sent with the page's token in `X-CSRF-Token`.
#[derive(Debug)]
pub(crate) struct CsrfJson<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<AppState> for CsrfJson<T> {
    type Rejection = XrpcError;

    async fn from_request(request: Request, app: &AppState) -> Result<Self, XrpcError> {
        check_type(request.headers(), "application/json")?;
        let (mut parts, raw) = request.into_parts();
        let visitor = Visitor::from_request_parts(&mut parts, app).await?;
        let token = parts.headers.get(HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !is_good(app, &visitor.device, token) {
            return Err(stale());
        }
        let body = body(Request::new(raw)).await?;
        serde_json::from_slice(&body).map(Self).map_err(|err| XrpcError::invalid_request(format!("Invalid input: {err}")))
    }
}
