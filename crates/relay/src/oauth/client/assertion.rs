//! How an app proves who it is: a token that one of its keys signed (`private_key_jwt`).
//!
//! Spec: <https://www.rfc-editor.org/rfc/rfc7523#section-3>

use std::sync::Arc;

use crypto::jwt::Unverified;
use serde::Deserialize;

use super::super::{ClientAuth, OauthError, OauthForm};
use super::{ClientKey, Keys, Registered};
use crate::state::App;

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// How old an assertion may be, and how far ahead its clock.
const MAX_AGE_SECONDS: i64 = 300;
const MAX_AHEAD_SECONDS: i64 = 30;

#[derive(Deserialize)]
struct Claims {
    iss: Option<String>,
    sub: Option<String>,
    aud: Option<Audience>,
    jti: Option<String>,
    iat: Option<f64>,
    exp: Option<f64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    pub(super) fn contains(&self, accepted: &[String]) -> bool {
        match self {
            Self::One(found) => accepted.contains(found),
            Self::Several(found) => found.iter().any(|found| accepted.contains(found)),
        }
    }
}

/// Checks who sent a request: the app `client`, by the assertion in `form`, if its metadata say that it has keys.
pub(crate) async fn authenticate(app: &App, form: &OauthForm, client: &Registered) -> Result<ClientAuth, OauthError> {
    match &client.keys {
        Keys::None => return Ok(ClientAuth::None),
        Keys::Here(_) | Keys::At(_) => {}
    }
    let assertion = form.optional("client_assertion").ok_or_else(|| {
        let description = "The metadata of the client say private_key_jwt, and the request has no client_assertion";
        OauthError::invalid_client(description)
    })?;
    if form.optional("client_assertion_type") != Some(ASSERTION_TYPE) {
        return Err(OauthError::invalid_client(format!("client_assertion_type is not {ASSERTION_TYPE}")));
    }
    let key = find_signer(app, client, assertion, &refused).await?;
    check_claims(app, assertion, &client.client.id)?;
    Ok(ClientAuth::PrivateKeyJwt { key_thumbprint: key.key.jwk_thumbprint() })
}

fn refused(what: &str) -> OauthError {
    OauthError::invalid_client(format!("client_assertion {what}"))
}

/// Finds the key of an app that signed a token. `refused` makes the error of what is wrong.
pub(super) async fn find_signer(
    app: &App,
    client: &Registered,
    token: &str,
    refused: &(dyn Fn(&str) -> OauthError + Sync),
) -> Result<ClientKey, OauthError> {
    let known: Arc<[ClientKey]> = match &client.keys {
        Keys::None => return Err(refused("cannot be checked: the metadata of the client have no keys")),
        Keys::Here(keys) => keys.as_slice().into(),
        Keys::At(url) => app.oauth.clients.keys_at(url, false).await?,
    };
    let problem = match check_signature(token, &known) {
        Ok(key) => return Ok(key),
        Err(problem) => problem,
    };
    // The app may have new keys since its old ones were fetched.
    let newer: Arc<[ClientKey]> = match &client.keys {
        Keys::At(url) => app.oauth.clients.keys_at(url, true).await?,
        Keys::Here(_) => match &app.oauth.clients.find(&client.client.id, true).await?.keys {
            Keys::Here(keys) => keys.as_slice().into(),
            Keys::None | Keys::At(_) => return Err(refused(&problem)),
        },
        Keys::None => return Err(refused(&problem)),
    };
    if newer == known {
        return Err(refused(&problem));
    }
    check_signature(token, &newer).map_err(|problem| refused(&problem))
}

/// Finds the key that signed a token, or says what is wrong with it.
fn check_signature(token: &str, keys: &[ClientKey]) -> Result<ClientKey, String> {
    let token = Unverified::parse(token).map_err(|err| format!("is malformed: {err}"))?;
    let wanted = token.header().kid.clone();
    let mut is_known = false;
    for key in keys.iter().filter(|key| wanted.is_none() || key.id == wanted) {
        is_known = true;
        if token.clone().verify_with::<serde_json::Value>(&key.key).is_ok() {
            return Ok(key.clone());
        }
    }
    Err(if is_known {
        "is not signed by the key that it names, with ES256 or ES256K".to_owned()
    } else {
        let wanted: String = wanted.unwrap_or_default().chars().take(100).collect();
        format!("names the key \"{wanted}\" (kid), which is not among the keys of the client")
    })
}

/// Checks what an assertion says, whose signature is good.
fn check_claims(app: &App, assertion: &str, client_id: &str) -> Result<(), OauthError> {
    let token = Unverified::parse(assertion).map_err(|err| refused(&format!("is malformed: {err}")))?;
    let claims: Claims = token.claims_before_verification().map_err(|err| refused(&format!("is malformed: {err}")))?;
    if claims.iss.as_deref() != Some(client_id) || claims.sub.as_deref() != Some(client_id) {
        return Err(refused(&format!("is not of this client: iss and sub have to be {client_id}")));
    }
    let issuer = app.config.server.public_url.as_str();
    let accepted =
        ["", "/", "/oauth/token", "/oauth/par", "/oauth/revoke", "/oauth/introspect"].map(|path| format!("{issuer}{path}"));
    if !claims.aud.is_some_and(|aud| aud.contains(&accepted)) {
        return Err(refused(&format!("is not for this server: aud has to be {issuer}")));
    }
    let now = common::Clock::seconds(&*app.clock);
    let iat = claims.iat.ok_or_else(|| refused("has no iat"))? as i64;
    if iat > now + MAX_AHEAD_SECONDS {
        return Err(refused("is from the future (iat); is the clock of the app right?"));
    }
    if iat <= now - MAX_AGE_SECONDS || claims.exp.is_some_and(|exp| exp as i64 <= now - MAX_AHEAD_SECONDS) {
        return Err(refused("is too old (iat, exp); make one for each request"));
    }
    let jti = claims.jti.filter(|jti| !jti.is_empty() && jti.len() <= 512);
    let jti = jti.ok_or_else(|| refused("has no jti, or an empty or very long one"))?;
    if !app.oauth.replays.is_first("client assertion", client_id, &jti, now) {
        return Err(refused("was used already (its jti is known); make one for each request"));
    }
    Ok(())
}
