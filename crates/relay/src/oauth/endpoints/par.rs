//! `POST /oauth/par`: an app says what it will send its user here for.
//!
//! Spec: <https://www.rfc-editor.org/rfc/rfc9126>

use axum::extract::State;
use axum::response::Response;
use common::{AtIdentifier, Clock as _};
use data_encoding::HEXLOWER;
use http::{HeaderMap, Method, StatusCode};
use serde_json::json;

use super::answer;
use crate::oauth::authorize::{REQUEST_SECONDS, REQUEST_URI, check_sets};
use crate::oauth::client::{self, Registered};
use crate::oauth::scope::{self, Permission};
use crate::oauth::{ClientAuth, OauthError, OauthForm, Prompt, Refusal, Request, ResponseMode, dpop};
use crate::state::AppState;
use crate::store::oauth_request::{self, StoredRequest};

/// Requests that wait for their users, in all. The oldest go when there are more.
pub(crate) const MAX_WAITING: usize = 5000;
const MAX_STATE_BYTES: usize = 2048;
const MAX_SCOPE_BYTES: usize = 16 << 10;
const MAX_BYTES: usize = 2048;

pub(crate) async fn handler(State(app): State<AppState>, headers: HeaderMap, form: OauthForm) -> Result<Response, OauthError> {
    let client_id = form.required("client_id")?;
    // First, for an app that needs another nonce sends the same assertion again.
    let proof = dpop::check(&app, &headers, &Method::POST, "/oauth/par", None)?;
    let client = app.oauth.clients.find(client_id, false).await?;
    let auth = client::authenticate(&app, &form, &client).await?;
    let form = match form.optional("request") {
        Some(object) => client::open_request_object(&app, object, &client, &auth).await?,
        None => form,
    };
    let mut request = check(&form, &client, auth)?;
    let said = form.bounded("dpop_jkt", 128)?;
    request.key_thumbprint = match (proof, said) {
        (Some(proof), Some(said)) if proof.key_thumbprint != said => {
            return Err(OauthError::new(Refusal::InvalidDpopProof, "dpop_jkt is not the thumbprint of the DPoP proof's key"));
        }
        (Some(proof), _) => Some(proof.key_thumbprint),
        (None, said) => said.map(str::to_owned),
    };
    check_other_key(&request.auth, request.key_thumbprint.as_deref())?;
    check_sets(&app, &request.scope).await?;
    let id = format!("req-{}", HEXLOWER.encode(&crate::random::bytes::<16>()));
    let request_uri = format!("{REQUEST_URI}{id}");
    let now = app.clock.millis();
    let stored = StoredRequest { id, request, device: None, expires_at: now + REQUEST_SECONDS * 1000 };
    app.db.write::<_, OauthError>(move |tx| Ok(oauth_request::insert(tx, &stored, now, MAX_WAITING)?)).await?;
    Ok(answer(StatusCode::CREATED, &json!({ "request_uri": request_uri, "expires_in": REQUEST_SECONDS })))
}

/// Checks that an app does not use one key for two purposes.
pub(super) fn check_other_key(auth: &ClientAuth, key_thumbprint: Option<&str>) -> Result<(), OauthError> {
    match auth {
        ClientAuth::PrivateKeyJwt { key_thumbprint: own } if key_thumbprint == Some(own) => Err(OauthError::new(
            Refusal::InvalidDpopProof,
            "The key of the DPoP proof has to be another than that of the client_assertion",
        )),
        ClientAuth::PrivateKeyJwt { .. } | ClientAuth::None => Ok(()),
    }
}

/// Checks what an app asks.
fn check(form: &OauthForm, client: &Registered, auth: ClientAuth) -> Result<Request, OauthError> {
    for name in ["request", "request_uri", "id_token_hint", "nonce", "claims"] {
        if form.optional(name).is_some() {
            return Err(OauthError::invalid_request(format!("The parameter {name} is not supported")));
        }
    }
    if form.required("response_type")? != "code" {
        return Err(OauthError::new(Refusal::UnsupportedResponseType, "response_type has to be code"));
    }
    let response_mode = match form.optional("response_mode") {
        None | Some("query") => ResponseMode::Query,
        Some("fragment") => ResponseMode::Fragment,
        Some(_) => return Err(OauthError::new(Refusal::UnsupportedResponseMode, "response_mode has to be query or fragment")),
    };
    let redirect_uri = match (form.bounded("redirect_uri", MAX_BYTES)?, client.redirect_uris.as_slice()) {
        (Some(asked), _) if client.may_redirect_to(asked) => asked.to_owned(),
        (Some(asked), _) => {
            let description = format!("redirect_uri {asked} is not among those of the client");
            return Err(OauthError::new(Refusal::InvalidRedirectUri, description));
        }
        (None, [only]) => only.clone(),
        (None, _) => {
            return Err(OauthError::invalid_request("The parameter redirect_uri is missing, and the client has several"));
        }
    };
    let code_challenge = form.required("code_challenge")?;
    if form.optional("code_challenge_method") != Some("S256") {
        return Err(OauthError::invalid_request("code_challenge_method has to be S256"));
    }
    if data_encoding::BASE64URL_NOPAD.decode(code_challenge.as_bytes()).map_or(true, |hash| hash.len() != 32) {
        return Err(OauthError::invalid_request("code_challenge is not a SHA-256 hash in base64url without padding"));
    }
    Ok(Request {
        client: client.client.clone(),
        auth,
        redirect_uri,
        scope: check_scope(form, client)?,
        state: form.bounded("state", MAX_STATE_BYTES)?.map(str::to_owned),
        code_challenge: code_challenge.to_owned(),
        response_mode,
        prompt: read_prompt(form)?,
        login_hint: form.bounded("login_hint", MAX_BYTES)?.and_then(read_login_hint),
        key_thumbprint: None,
    })
}

fn check_scope(form: &OauthForm, client: &Registered) -> Result<String, OauthError> {
    let refused = |what: String| Err(OauthError::new(Refusal::InvalidScope, what));
    let Some(asked) = form.bounded("scope", MAX_SCOPE_BYTES)? else {
        return refused("The parameter scope is missing; it has to contain atproto".to_owned());
    };
    if asked.split(' ').any(|scope| scope == "openid") {
        return refused(
            "The scope openid is not supported: this is OAuth for AT Protocol, and sub tells who signed in".to_owned(),
        );
    }
    let known = scope::parse_known(asked);
    if known.iter().all(|(_, permission)| *permission != Permission::Atproto) {
        return refused("scope has to contain atproto".to_owned());
    }
    // Those that are not known are left out silently: what they would allow, nothing here allows.
    for (scope, _) in &known {
        if !client.scopes.contains(scope) {
            return refused(format!("The scope {scope} is not among those that the client's metadata list"));
        }
    }
    Ok(known.into_iter().map(|(scope, _)| scope).collect::<Vec<_>>().join(" "))
}

fn read_prompt(form: &OauthForm) -> Result<Option<Prompt>, OauthError> {
    Ok(Some(match form.optional("prompt") {
        None => return Ok(None),
        Some("none") => Prompt::None,
        Some("login") => Prompt::Login,
        Some("consent") => Prompt::Consent,
        Some("select_account") => Prompt::SelectAccount,
        Some("create") => Prompt::Create,
        Some(_) => {
            return Err(OauthError::invalid_request("prompt has to be one of none, login, consent, select_account and create"));
        }
    }))
}

/// Reads a handle or DID. Anything else is of no help, and does no harm.
fn read_login_hint(text: &str) -> Option<String> {
    let text = text.trim().trim_start_matches('@');
    let text = if text.starts_with("did:") { text.to_owned() } else { text.to_ascii_lowercase() };
    text.parse::<AtIdentifier>().ok().map(|_| text)
}
