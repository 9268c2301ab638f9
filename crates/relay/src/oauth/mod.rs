//! Apps that act for users: the OAuth authorization server, and what it protects.
//!
//! An app pushes what it asks (a [`Request`]) and sends its user here with a reference to that. The pages sign the user in and
//! ask for consent ([`authorize`]), which makes a session of the app, known by a code at first. The app redeems the code for
//! tokens that are bound to its key ([`dpop`]), and gets new ones for as long as the session lasts. What a session may do is told
//! by its scopes ([`scope`]); an access token names its session, which is looked up at each call, so that what is revoked is over.
//!
//! Who an app is, is what it publishes ([`client`]). The endpoints that apps call are in [`endpoints`].
//!
//! Spec: <https://atproto.com/specs/oauth>

pub(crate) mod authorize;
pub(crate) mod client;
pub(crate) mod dpop;
pub(crate) mod endpoints;
mod error;
mod form;
pub(crate) mod grants;
mod request;
pub(crate) mod scope;
mod sets;
mod state;
pub(crate) mod token;

pub(crate) use error::{OauthError, Refusal};
pub(crate) use form::OauthForm;
pub(crate) use request::{Client, ClientAuth, Prompt, Request, ResponseMode};
pub(crate) use state::Oauth;

use axum::extract::Request as HttpRequest;
use axum::response::Response;
use common::Clock as _;
use http::HeaderValue;
use http::header::AUTHORIZATION;

use crate::error::XrpcError;
use crate::state::{App, AppState};
use crate::store::{AccountId, BatchTx, StoreError, oauth_consent, oauth_session};

/// Gives apps that prove their key the nonce for the next time, with every answer.
pub(crate) async fn give_nonce(app: &App, request: HttpRequest, next: impl AsyncFnOnce(HttpRequest) -> Response) -> Response {
    let path = request.uri().path();
    let is_endpoint = path.starts_with("/oauth/") && !crate::pages::is_page(path);
    let scheme = request.headers().get(AUTHORIZATION).and_then(|value| value.as_bytes().get(..5));
    let wants_nonce = is_endpoint || scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"dpop "));
    let mut response = next(request).await;
    if wants_nonce && let Ok(nonce) = HeaderValue::try_from(app.oauth.nonces.current(app.clock.seconds())) {
        response.headers_mut().insert(dpop::NONCE_HEADER, nonce);
    }
    response
}

/// Sessions that are forgotten in one transaction.
const SWEEP_BATCH: usize = 500;

/// Forgets sessions that are over, and returns how many that were.
pub(crate) async fn sweep(app: AppState) -> Result<usize, XrpcError> {
    let mut swept = 0;
    loop {
        let now = app.clock.millis();
        let found = app.db.write::<_, XrpcError>(move |tx| Ok(oauth_session::delete_expired(tx, now, SWEEP_BATCH)?)).await?;
        swept += found;
        if found < SWEEP_BATCH || app.stop.is_cancelled() {
            return Ok(swept);
        }
    }
}

/// Signs all apps of an account out, and forgets that they were let in.
pub(crate) fn end_sessions(tx: &BatchTx<'_>, account: AccountId) -> Result<(), StoreError> {
    oauth_session::delete_all(tx, account)?;
    oauth_consent::delete_all(tx, account)
}
