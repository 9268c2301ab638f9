//! Requests that an app has signed as a whole (JAR): what it pushes is a token, whose claims are the parameters.
//!
//! Spec: <https://www.rfc-editor.org/rfc/rfc9101>

use crypto::jwt::Unverified;
use serde_json::{Map, Value};

use super::super::{ClientAuth, OauthError, OauthForm};
use super::Registered;
use super::assertion::{Audience, find_signer};
use crate::state::App;

/// How old a request may be, and how far ahead the clock of its app.
const MAX_AGE_SECONDS: i64 = 60;
const MAX_AHEAD_SECONDS: i64 = 30;
/// Claims about the token, which are no parameters.
const OF_THE_TOKEN: [&str; 6] = ["iss", "aud", "exp", "nbf", "iat", "jti"];

/// Opens a request of the app `client`, and returns the parameters that are in it.
pub(crate) async fn open(app: &App, object: &str, client: &Registered, auth: &ClientAuth) -> Result<OauthForm, OauthError> {
    let signer = find_signer(app, client, object, &refused).await?;
    match auth {
        ClientAuth::PrivateKeyJwt { key_thumbprint } if *key_thumbprint != signer.key.jwk_thumbprint() => {
            return Err(refused("is signed by another key than the client_assertion"));
        }
        ClientAuth::PrivateKeyJwt { .. } | ClientAuth::None => {}
    }
    let token = Unverified::parse(object).map_err(|err| refused(&format!("is malformed: {err}")))?;
    let mut claims: Map<String, Value> =
        token.claims_before_verification().map_err(|err| refused(&format!("is malformed: {err}")))?;
    check(app, &claims, &client.client.id)?;
    claims.retain(|name, _| !OF_THE_TOKEN.contains(&name.as_str()));
    let form = OauthForm::of(claims)?;
    if form.optional("client_id") != Some(client.client.id.as_str()) {
        return Err(refused("has another client_id than the request around it, or none"));
    }
    Ok(form)
}

fn refused(what: &str) -> OauthError {
    OauthError::invalid_request(format!("The \"request\" object {what}"))
}

fn check(app: &App, claims: &Map<String, Value>, client_id: &str) -> Result<(), OauthError> {
    if claims.get("iss").and_then(Value::as_str) != Some(client_id) {
        return Err(refused(&format!("is not of this client: iss has to be {client_id}")));
    }
    let issuer = app.config.server.public_url.as_str();
    let audience = claims.get("aud").and_then(|aud| serde_json::from_value::<Audience>(aud.clone()).ok());
    if !audience.is_some_and(|aud| aud.contains(&[issuer.to_owned()])) {
        return Err(refused(&format!("is not for this server: aud has to be {issuer}")));
    }
    let now = common::Clock::seconds(&*app.clock);
    let time = |name: &str| claims.get(name).and_then(Value::as_f64).map(|time| time as i64);
    let iat = time("iat").ok_or_else(|| refused("has no iat"))?;
    if iat > now + MAX_AHEAD_SECONDS || time("nbf").is_some_and(|nbf| nbf > now + MAX_AHEAD_SECONDS) {
        return Err(refused("is from the future (iat, nbf); is the clock of the app right?"));
    }
    if iat <= now - MAX_AGE_SECONDS || time("exp").is_some_and(|exp| exp <= now - MAX_AHEAD_SECONDS) {
        return Err(refused("is too old (iat, exp); make one for each request"));
    }
    let jti = claims.get("jti").and_then(Value::as_str).filter(|jti| !jti.is_empty() && jti.len() <= 512);
    let jti = jti.ok_or_else(|| refused("has no jti, or an empty or very long one"))?;
    if !app.oauth.replays.is_first("request object", client_id, jti, now) {
        return Err(refused("was used already (its jti is known); make one for each request"));
    }
    Ok(())
}
