//! `GET` and `POST /oauth/authorize`: an app asks to be let in, and the person says yes or no.
//!
//! Who has to sign in is led to the sign-in pages and comes back with `account`, which says who of those in this browser
//! answers. What a request asks to be shown (`prompt`) is heeded; where nothing has to be shown, nothing is.

mod choose;
mod consent;
mod refused;
mod words;

use axum::extract::{Query, State};
use axum::response::Response;
use common::{Clock as _, Did};
use serde::Deserialize;

use super::destination::{AUTHORIZE, via};
use super::{CsrfForm, Visitor, see_other, signed_in_accounts};
use crate::error::XrpcError;
use crate::oauth::authorize::{self, AuthorizeError, AuthorizeParams, Denial, PendingRequest, Redirect};
use crate::oauth::{Prompt, grants};
use crate::state::{App, AppState};
use crate::store::account::Account;
use crate::store::web_session::WebSession;

/// After this time an app is let in only by who signs in anew: a browser that was left open is not its owner.
const SIGNED_IN_WITHIN_MILLIS: i64 = 7 * 24 * 3600 * 1000;

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Params {
    client_id: Option<String>,
    request_uri: Option<String>,
    /// Who answers: the DID of an account that is signed in.
    account: Option<String>,
    /// Whether someone else shall answer.
    switch: Option<String>,
}

/// Who is signed in in the browser.
type Present = Vec<(Account, WebSession)>;

/// What to show next.
enum Next {
    /// Nothing: the app gets its answer.
    Answer(Redirect),
    SignIn {
        hint: String,
    },
    SignUp,
    Choose(Present),
    Consent(Box<Account>),
}

pub(crate) async fn show(
    State(app): State<AppState>,
    visitor: Visitor,
    Query(params): Query<Params>,
) -> Result<Response, XrpcError> {
    let loaded = open(&app, &visitor, params.client_id, params.request_uri).await;
    let pending = match loaded {
        Ok(pending) => pending,
        Err(err) => return refused::page(&visitor, err),
    };
    let present = signed_in_accounts(&app, &visitor.device).await?;
    let here = address(&pending);
    if params.switch.is_some() && !present.is_empty() {
        return choose::page(&visitor, &pending, &present);
    }
    match next(&app, &visitor, &pending, present, params.account.as_deref()).await {
        Ok(Next::Answer(Redirect { location })) => Ok(see_other(&app, &location)),
        Ok(Next::SignIn { hint }) => Ok(see_other(&app, &via("/account/sign-in", &[("another", "1"), ("hint", &hint)], &here))),
        Ok(Next::SignUp) => Ok(see_other(&app, &via("/account/sign-up", &[], &here))),
        Ok(Next::Choose(present)) => choose::page(&visitor, &pending, &present),
        Ok(Next::Consent(account)) => consent::page(&visitor, &pending, &account),
        Err(err) => refused::page(&visitor, err),
    }
}

/// Finds the request, and makes it this browser's.
async fn open(
    app: &App,
    visitor: &Visitor,
    client_id: Option<String>,
    request_uri: Option<String>,
) -> Result<PendingRequest, AuthorizeError> {
    let mut pending = authorize::load(app, &AuthorizeParams { client_id, request_uri }).await?;
    authorize::bind(app, &mut pending, &visitor.device.id.to_string()).await?;
    Ok(pending)
}

/// Returns the address of a request's page.
fn address(pending: &PendingRequest) -> String {
    let (client_id, request_uri) = pending.params();
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("client_id", client_id).append_pair("request_uri", &request_uri);
    format!("{AUTHORIZE}?{}", query.finish())
}

/// Returns the same for one of those who are signed in.
fn address_for(pending: &PendingRequest, did: &Did) -> String {
    let account: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("account", did.as_str()).finish();
    format!("{}&{account}", address(pending))
}

/// Decides what a request has to show, to whom.
async fn next(
    app: &App,
    visitor: &Visitor,
    pending: &PendingRequest,
    present: Present,
    chosen: Option<&str>,
) -> Result<Next, AuthorizeError> {
    let silent = pending.prompt == Some(Prompt::None);
    let deny = async |denial| Ok::<_, AuthorizeError>(Next::Answer(authorize::deny(app, pending, denial).await?));
    if pending.prompt == Some(Prompt::Create) && chosen.is_none() {
        return Ok(Next::SignUp);
    }
    let hint = pending.login_hint.clone().unwrap_or_default();
    let candidate = match chosen {
        Some(chosen) => present.iter().find(|(account, _)| account.did.as_str() == chosen),
        None if pending.prompt == Some(Prompt::SelectAccount) && !present.is_empty() => return Ok(Next::Choose(present)),
        None if !hint.is_empty() => present.iter().find(|(account, _)| is_meant(account, &hint)),
        None if present.len() > 1 && silent => return deny(Denial::AccountSelectionRequired).await,
        None if present.len() > 1 => return Ok(Next::Choose(present)),
        None => present.first(),
    };
    let Some((account, session)) = candidate else {
        return if silent { deny(Denial::LoginRequired).await } else { Ok(Next::SignIn { hint }) };
    };
    if !is_fresh(app, pending, session) {
        let hint = account.handle.as_ref().map_or_else(|| account.did.to_string(), ToString::to_string);
        return if silent { deny(Denial::LoginRequired).await } else { Ok(Next::SignIn { hint }) };
    }
    if needs_consent(app, pending, account).await? {
        return if silent { deny(Denial::ConsentRequired).await } else { Ok(Next::Consent(Box::new(account.clone()))) };
    }
    let all: Vec<String> = pending.scopes.iter().map(|item| item.scope.clone()).collect();
    let device = visitor.device.id.to_string();
    Ok(Next::Answer(authorize::approve(app, pending, &account.did, &device, &all).await?))
}

fn is_meant(account: &Account, hint: &str) -> bool {
    let hint = hint.trim_start_matches('@');
    account.did.as_str() == hint || account.handle.as_ref().is_some_and(|handle| handle.as_str().eq_ignore_ascii_case(hint))
}

/// Whether someone signed in lately enough for this request.
fn is_fresh(app: &App, pending: &PendingRequest, session: &WebSession) -> bool {
    let oldest = match pending.prompt {
        Some(Prompt::Login) => pending.opened_at(),
        Some(Prompt::None | Prompt::Consent | Prompt::SelectAccount | Prompt::Create) | None => {
            app.clock.millis() - SIGNED_IN_WITHIN_MILLIS
        }
    };
    session.signed_in_at >= oldest
}

/// Whether the account has to agree. To an app that does not prove who it is, each time: anyone may call themselves so.
async fn needs_consent(app: &App, pending: &PendingRequest, account: &Account) -> Result<bool, AuthorizeError> {
    if pending.prompt == Some(Prompt::Consent) || !pending.is_confidential {
        return Ok(true);
    }
    let scopes: Vec<String> = pending.scopes.iter().map(|item| item.scope.clone()).collect();
    Ok(!grants::remembered_consent(app, &account.did, &pending.client.id, &scopes).await?)
}

/// What the form of a request said.
#[derive(Debug, Default)]
struct Decision {
    client_id: Option<String>,
    request_uri: Option<String>,
    account: Option<String>,
    scopes: Vec<String>,
    allowed: bool,
}

impl Decision {
    fn of(fields: Vec<(String, String)>) -> Self {
        let mut decision = Self::default();
        for (name, value) in fields {
            match &*name {
                "client_id" => decision.client_id = Some(value),
                "request_uri" => decision.request_uri = Some(value),
                "account" => decision.account = Some(value),
                "scope" => decision.scopes.push(value),
                "decision" => decision.allowed = value == "allow",
                _ => {}
            }
        }
        decision
    }
}

pub(crate) async fn decide(
    State(app): State<AppState>,
    visitor: Visitor,
    CsrfForm(fields): CsrfForm<Vec<(String, String)>>,
) -> Result<Response, XrpcError> {
    let decision = Decision::of(fields);
    let pending = match open(&app, &visitor, decision.client_id, decision.request_uri).await {
        Ok(pending) => pending,
        Err(err) => return refused::page(&visitor, err),
    };
    let answer = if decision.allowed {
        // What was so when the page was shown has to be so still: who signed out meanwhile, or whose password is asked for
        // now, begins anew.
        let present = signed_in_accounts(&app, &visitor.device).await?;
        let account = present.iter().find(|(account, session)| {
            Some(account.did.as_str()) == decision.account.as_deref() && is_fresh(&app, &pending, session)
        });
        let Some((account, _)) = account else { return Ok(see_other(&app, &address(&pending))) };
        let device = visitor.device.id.to_string();
        authorize::approve(&app, &pending, &account.did, &device, &decision.scopes).await
    } else {
        authorize::deny(&app, &pending, Denial::AccessDenied).await
    };
    match answer {
        Ok(Redirect { location }) => Ok(see_other(&app, &location)),
        Err(err) => refused::page(&visitor, err),
    }
}
