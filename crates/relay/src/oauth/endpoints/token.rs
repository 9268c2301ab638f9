//! `POST /oauth/token`: an app gets tokens, for a code or for the refresh token of before.
//!
//! # Tricky bits
//!
//! - A code or refresh token that comes twice ends its session, for two parties may have it. But an app that asks twice at once,
//!   or whose answer got lost, comes with the token of before soon after it was replaced; it gets the same tokens again.
//! - Whoever comes with a token, but without its key or as another app, has stolen it: that ends the session as well.
//! - What was decided about a session is stored before the caller is told, also when the answer is no.

use axum::extract::State;
use axum::response::Response;
use common::Clock as _;
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use http::{HeaderMap, Method, StatusCode};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::answer;
use super::par::check_other_key;
use crate::oauth::token::{ACCESS_SECONDS, AccessClaims, Confirmation, REFRESH_PREFIX, RefreshToken};
use crate::oauth::{ClientAuth, OauthError, OauthForm, Refusal, authorize, client, dpop};
use crate::state::{App, AppState};
use crate::store::BatchTx;
use crate::store::account::{self, Account, Status};
use crate::store::oauth_session::{self, OauthSession};

/// How long after it was replaced a refresh token is taken for one that its own app sends again.
const RACE_MILLIS: i64 = 2 * 60 * 1000;

pub(crate) async fn handler(State(app): State<AppState>, headers: HeaderMap, form: OauthForm) -> Result<Response, OauthError> {
    match form.required("grant_type")? {
        "authorization_code" => redeem(&app, &headers, &form).await,
        "refresh_token" => refresh(&app, &headers, &form).await,
        _ => Err(OauthError::new(Refusal::UnsupportedGrantType, "grant_type has to be authorization_code or refresh_token")),
    }
}

/// Who calls: the app, and the key that its tokens are bound to.
struct Sender {
    client_id: String,
    auth: ClientAuth,
    key_thumbprint: String,
}

/// Finds out who calls. `known` is the session that they come for.
async fn sender(app: &App, headers: &HeaderMap, form: &OauthForm, known: Option<&OauthSession>) -> Result<Sender, OauthError> {
    let client_id = form.required("client_id")?;
    // First, for an app that needs another nonce sends the same assertion again.
    let proof = dpop::check(app, headers, &Method::POST, "/oauth/token", None)?.ok_or_else(|| {
        OauthError::new(Refusal::InvalidDpopProof, "The request has no DPoP header: tokens of this server are bound to a key")
    })?;
    // Of an app without keys there is nothing to check, so its users stay signed in while its metadata cannot be had.
    let is_public =
        known.is_some_and(|session| !session.request.auth.is_confidential() && session.request.client.id == client_id);
    let auth = if is_public {
        ClientAuth::None
    } else {
        let registered = app.oauth.clients.find(client_id, false).await?;
        client::authenticate(app, form, &registered).await?
    };
    check_other_key(&auth, Some(&proof.key_thumbprint))?;
    Ok(Sender { client_id: client_id.to_owned(), auth, key_thumbprint: proof.key_thumbprint })
}

async fn redeem(app: &App, headers: &HeaderMap, form: &OauthForm) -> Result<Response, OauthError> {
    let code_digest = authorize::digest(form.required("code")?);
    let known = app.db.read(|conn| oauth_session::find_by_code(conn, &code_digest)).await?;
    let sender = sender(app, headers, form, known.as_ref()).await?;
    let verifier = form.required("code_verifier")?;
    if !(43..=128).contains(&verifier.len()) {
        return Err(OauthError::invalid_request("code_verifier has to have 43 to 128 characters"));
    }
    let challenge = BASE64URL_NOPAD.encode(&Sha256::digest(verifier.as_bytes()));
    let redirect_uri = form.required("redirect_uri")?.to_owned();
    let now = app.clock.millis();
    let granted = app
        .db
        .write::<_, OauthError>(move |tx| {
            let Some(mut session) = oauth_session::find_by_code(tx, &code_digest)? else {
                return Ok(Err(OauthError::invalid_grant("The code is not known: it was never given out, or has ended")));
            };
            let end = |tx: &BatchTx<'_>, why: &'static str| {
                oauth_session::delete(tx, &session.id)?;
                Ok(Err(OauthError::invalid_grant(why)))
            };
            if session.key_thumbprint.is_some() {
                return end(tx, "The code was used already; the session that it began has been ended");
            }
            if session.expires_at <= now {
                return end(tx, "The code has expired");
            }
            if session.request.client.id != sender.client_id || session.request.auth != sender.auth {
                return end(tx, "The code was given to another client, or to the same by another key");
            }
            if session.request.redirect_uri != redirect_uri {
                return end(tx, "redirect_uri is not the one of the authorization request");
            }
            if !bool::from(session.request.code_challenge.as_bytes().ct_eq(challenge.as_bytes())) {
                return end(tx, "code_verifier does not fit the code_challenge");
            }
            if session.request.key_thumbprint.as_ref().is_some_and(|bound| *bound != sender.key_thumbprint) {
                return end(tx, "The DPoP proof is by another key than the authorization request said");
            }
            let account = match owner(tx, &session)? {
                Ok(account) => account,
                Err(why) => return end(tx, why),
            };
            session.key_thumbprint = Some(sender.key_thumbprint);
            session.refreshed_at = now;
            session.expires_at = session.request.auth.session_end(session.created_at, now);
            oauth_session::renew(tx, &session)?;
            Ok(Ok((session, account)))
        })
        .await?;
    let (session, account) = granted?;
    tracing::info!(did = %account.did, client = session.request.client.id, "an app signed in");
    tokens(app, &session, &account)
}

async fn refresh(app: &App, headers: &HeaderMap, form: &OauthForm) -> Result<Response, OauthError> {
    let unknown =
        || OauthError::invalid_grant("The refresh token is not known: it is of another server, or its session has ended");
    let text = form.required("refresh_token")?;
    let token = match app.oauth.tokens.read_refresh(text) {
        Some(token) => token,
        None => adopted(app, text).await?.ok_or_else(unknown)?,
    };
    let known = app.db.read(|conn| oauth_session::find(conn, &token.session)).await?.ok_or_else(unknown)?;
    let sender = sender(app, headers, form, Some(&known)).await?;
    let expanded_scope = authorize::expand_again(app, &known).await;
    let now = app.clock.millis();
    let renewed = app
        .db
        .write::<_, OauthError>(move |tx| {
            let Some(mut session) = oauth_session::find(tx, &token.session)? else {
                return Ok(Err(OauthError::invalid_grant("The session has ended")));
            };
            let end = |tx: &BatchTx<'_>, why: &'static str| {
                oauth_session::delete(tx, &session.id)?;
                tracing::info!(client = session.request.client.id, why, "the session of an app was ended");
                Ok(Err(OauthError::invalid_grant(why)))
            };
            if session.expires_at <= now {
                return end(tx, "The session has expired");
            }
            if session.request.client.id != sender.client_id || session.request.auth != sender.auth {
                return end(
                    tx,
                    "The refresh token was given to another client, or to the same by another key; the session has been ended",
                );
            }
            if session.key_thumbprint.as_deref() != Some(&sender.key_thumbprint) {
                return end(
                    tx,
                    "The refresh token is bound to another key than that of the DPoP proof; the session has been ended",
                );
            }
            let account = match owner(tx, &session)? {
                Ok(account) => account,
                Err(why) => return end(tx, why),
            };
            if token.count == session.refresh_count {
                session.refresh_count += 1;
                session.refreshed_at = now;
                session.expanded_scope = expanded_scope;
                session.expires_at = session.request.auth.session_end(session.created_at, now);
                oauth_session::renew(tx, &session)?;
                return Ok(Ok((session, account)));
            }
            if token.count == session.refresh_count - 1 && now - session.refreshed_at <= RACE_MILLIS {
                return Ok(Ok((session, account)));
            }
            end(tx, "The refresh token was replaced already: two parties have it, so the session has been ended")
        })
        .await?;
    let (session, account) = renewed?;
    tokens(app, &session, &account)
}

/// Finds the session of a refresh token that the server gave whose accounts were adopted; it is the first of that session here.
async fn adopted(app: &App, text: &str) -> Result<Option<RefreshToken>, OauthError> {
    // A code is none.
    if !text.starts_with(REFRESH_PREFIX) {
        return Ok(None);
    }
    let digest = authorize::digest(text);
    let session = app.db.read(|conn| oauth_session::find_by_code(conn, &digest)).await?;
    Ok(session.map(|session| RefreshToken { session: session.id, count: 0 }))
}

/// Returns the account of a session, or why it may not be used.
fn owner(tx: &BatchTx<'_>, session: &OauthSession) -> Result<Result<Account, &'static str>, OauthError> {
    let Some(account) = account::find(tx, session.account)? else { return Ok(Err("The account is gone")) };
    Ok(match account.status {
        Status::Takendown | Status::Suspended => Err("The account has been taken down"),
        Status::Active | Status::Deactivated => Ok(account),
    })
}

fn tokens(app: &App, session: &OauthSession, account: &Account) -> Result<Response, OauthError> {
    let now = app.clock.seconds();
    let jkt = session.key_thumbprint.clone().unwrap_or_default();
    let claims = AccessClaims {
        iss: app.config.server.public_url.to_string(),
        aud: app.config.identity.service_did.to_string(),
        sub: account.did.clone(),
        client_id: session.request.client.id.clone(),
        sid: session.id.clone(),
        jti: format!("tok-{}", HEXLOWER.encode(&crate::random::bytes::<16>())),
        iat: now,
        exp: now + ACCESS_SECONDS,
        cnf: Confirmation { jkt },
    };
    let mut body = json!({
        "access_token": app.oauth.tokens.issue_access(&claims).map_err(OauthError::internal)?,
        "token_type": "DPoP",
        "expires_in": ACCESS_SECONDS,
        "scope": session.expanded_scope,
        "sub": account.did,
    });
    if session.request.client.may_refresh {
        let token = RefreshToken { session: session.id.clone(), count: session.refresh_count };
        body["refresh_token"] = app.oauth.tokens.issue_refresh(&token).into();
    }
    Ok(answer(StatusCode::OK, &body))
}
