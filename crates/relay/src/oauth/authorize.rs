//! The user's part: what an app asks, and the user's yes or no. The pages that ask are in `pages`.
//!
//! # Tricky bits
//!
//! - A request has 5 minutes to be opened in a browser. From then on it is that browser's alone, and lasts for as long as
//!   people take to find their password.
//! - Saying yes or no takes the request away, so that it is answered once.

use common::{Clock as _, Did};
use data_encoding::HEXLOWER;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use url::Url;

use super::scope::{self, Permission};
use super::sets::{self, ResolvedSet, SetError};
use super::{Client, OauthError, Prompt, Refusal, Request, ResponseMode};
use crate::state::App;
use crate::store::account::{self, Status};
use crate::store::oauth_request::StoredRequest;
use crate::store::oauth_session::OauthSession;
use crate::store::{StoreError, WriteFailed, oauth_consent, oauth_request, oauth_session};

/// How long an app has to send its user here.
pub(crate) const REQUEST_SECONDS: i64 = 5 * 60;
/// How long the user may take.
const OPENED_SECONDS: i64 = 60 * 60;
/// How long a code is good for.
pub(super) const CODE_SECONDS: i64 = 5 * 60;
/// Sessions that an account may have.
const MAX_SESSIONS: usize = 500;

/// What the reference to a pushed request begins with.
pub(super) const REQUEST_URI: &str = "urn:ietf:params:oauth:request_uri:";

/// What a browser is sent here with.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct AuthorizeParams {
    pub(crate) client_id: Option<String>,
    pub(crate) request_uri: Option<String>,
}

/// Why a request is not shown or answered. There is no app that could be told: the user is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthorizeError {
    #[error("the link lacks {0}: the app has to push its request first (PAR), and send its user here with request_uri")]
    Missing(&'static str),
    #[error("this sign-in has taken too long, was answered already, or never began; please go back to the app and try again")]
    Unknown,
    #[error("this sign-in was begun by another app than the link says")]
    OtherClient,
    #[error("this sign-in was begun in another browser; please go back to the app and try again")]
    OtherDevice,
    #[error("the app asks for a set of permissions that cannot be looked up: {0}")]
    Set(#[source] SetError),
    #[error("the account is not on this server any more")]
    NoAccount,
    #[error("the account has been taken down")]
    Takendown,
    #[error("nothing of what the app asks can be granted without knowing who the account is")]
    NothingGranted,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Write(#[from] WriteFailed),
}

/// A request that waits for its user.
#[derive(Clone, Debug)]
pub(crate) struct PendingRequest {
    pub(crate) id: String,
    pub(crate) client: Client,
    /// Whether the app proved who it is. The consent to one that did may be remembered.
    pub(crate) is_confidential: bool,
    /// What the app asks.
    pub(crate) scopes: Vec<ScopeItem>,
    pub(crate) prompt: Option<Prompt>,
    /// A handle or DID, whose sign-in the app expects.
    pub(crate) login_hint: Option<String>,
    pub(crate) expires_at: i64,
    /// The browser that opened it.
    pub(crate) device: Option<String>,
    request: Request,
}

impl PendingRequest {
    /// Returns the parameters by which [`load`] finds the request again.
    pub(crate) fn params(&self) -> (&str, String) {
        (&self.client.id, format!("{REQUEST_URI}{}", self.id))
    }

    /// Returns when the browser opened it; to be asked once it is bound ([`bind`]).
    pub(crate) fn opened_at(&self) -> i64 {
        self.expires_at - OPENED_SECONDS * 1000
    }

    /// Returns where the answer goes, as content security policies name it: an origin, or the scheme of an app.
    pub(crate) fn answer_source(&self) -> String {
        match Url::parse(&self.request.redirect_uri) {
            Ok(url) if url.origin().is_tuple() => url.origin().ascii_serialization(),
            Ok(url) => format!("{}:", url.scheme()),
            Err(_) => "'none'".to_owned(),
        }
    }
}

/// A scope that an app asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ScopeItem {
    /// The scope as it was asked, by which it is granted.
    pub(crate) scope: String,
    pub(crate) kind: ScopeKind,
    /// Whether the user may leave it out.
    pub(crate) optional: bool,
}

/// What a scope means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ScopeKind {
    One(Permission),
    /// A set, with what its lexicon says about it and what it stands for.
    Set {
        title: Option<String>,
        detail: Option<String>,
        permissions: Vec<Permission>,
    },
}

/// Where the browser goes next: back to the app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Redirect {
    /// The address, with the answer in it.
    pub(crate) location: String,
}

/// Why the answer to an app is no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denial {
    /// The user said so.
    AccessDenied,
    /// The app wanted nothing shown, and something has to be.
    LoginRequired,
    ConsentRequired,
    AccountSelectionRequired,
}

impl Denial {
    const fn name(self) -> &'static str {
        match self {
            Self::AccessDenied => "access_denied",
            Self::LoginRequired => "login_required",
            Self::ConsentRequired => "consent_required",
            Self::AccountSelectionRequired => "account_selection_required",
        }
    }

    const fn description(self) -> &'static str {
        match self {
            Self::AccessDenied => "The user did not agree",
            Self::LoginRequired => "The user is not signed in, and prompt=none forbids asking",
            Self::ConsentRequired => "The user has to agree, and prompt=none forbids asking",
            Self::AccountSelectionRequired => "The user has to choose an account, and prompt=none forbids asking",
        }
    }
}

/// Finds the request that a browser was sent here with.
pub(crate) async fn load(app: &App, params: &AuthorizeParams) -> Result<PendingRequest, AuthorizeError> {
    let client_id = params.client_id.as_deref().ok_or(AuthorizeError::Missing("client_id"))?;
    let request_uri = params.request_uri.as_deref().ok_or(AuthorizeError::Missing("request_uri"))?;
    let id = request_uri.strip_prefix(REQUEST_URI).ok_or(AuthorizeError::Unknown)?;
    let stored = app.db.read(|conn| oauth_request::find(conn, id)).await?;
    let stored = stored.filter(|stored| stored.expires_at > app.clock.millis()).ok_or(AuthorizeError::Unknown)?;
    if stored.request.client.id != client_id {
        return Err(AuthorizeError::OtherClient);
    }
    pending(app, stored).await
}

/// Gives a request to the browser `device`, which alone may go on with it. To be called each time that it is shown.
pub(crate) async fn bind(app: &App, pending: &mut PendingRequest, device: &str) -> Result<(), AuthorizeError> {
    match &pending.device {
        Some(known) if known == device => return Ok(()),
        Some(_) => return Err(AuthorizeError::OtherDevice),
        None => {}
    }
    let (id, new) = (pending.id.clone(), device.to_owned());
    let expires_at = app.clock.millis() + OPENED_SECONDS * 1000;
    app.db
        .write::<_, AuthorizeError>(move |tx| {
            let stored = oauth_request::find(tx, &id)?.ok_or(AuthorizeError::Unknown)?;
            match stored.device {
                Some(known) if known != new => Err(AuthorizeError::OtherDevice),
                Some(_) | None => Ok(oauth_request::bind(tx, &id, &new, expires_at)?),
            }
        })
        .await?;
    pending.device = Some(device.to_owned());
    pending.expires_at = expires_at;
    Ok(())
}

/// Grants an app what the user agreed to: those of the scopes that were asked, by name, and [`scope::ATPROTO`] always.
pub(crate) async fn approve(
    app: &App,
    pending: &PendingRequest,
    did: &Did,
    device: &str,
    granted: &[String],
) -> Result<Redirect, AuthorizeError> {
    if pending.device.as_deref().is_some_and(|known| known != device) {
        return Err(AuthorizeError::OtherDevice);
    }
    let is_granted = |item: &&ScopeItem| !item.optional || granted.contains(&item.scope);
    let items: Vec<&ScopeItem> = pending.scopes.iter().filter(is_granted).collect();
    if items.iter().all(|item| item.scope != scope::ATPROTO) {
        return Err(AuthorizeError::NothingGranted);
    }
    let scope = items.iter().map(|item| item.scope.as_str()).collect::<Vec<_>>().join(" ");
    let expanded_scope = expanded(items.iter().copied());
    let code = format!("cod-{}", HEXLOWER.encode(&crate::random::bytes::<32>()));
    let now = app.clock.millis();
    let (did, request_id) = (did.clone(), pending.id.clone());
    // Anyone may call themselves as an app does that has no keys.
    let remembers = pending.is_confidential;
    let id = HEXLOWER.encode(&crate::random::bytes::<16>());
    let (code_digest, device, request) = (digest(&code), Some(device.to_owned()), pending.request.clone());
    app.db
        .write::<_, AuthorizeError>(move |tx| {
            take(tx, &request_id, now)?;
            let account = account::find_by_did(tx, &did)?.ok_or(AuthorizeError::NoAccount)?;
            match account.status {
                Status::Takendown | Status::Suspended => return Err(AuthorizeError::Takendown),
                Status::Active | Status::Deactivated => {}
            }
            if remembers {
                oauth_consent::set(tx, account.id, &request.client.id, &scope, now)?;
            }
            let session = OauthSession {
                id,
                account: account.id,
                request,
                scope,
                expanded_scope,
                device,
                code_digest,
                key_thumbprint: None,
                refresh_count: 0,
                refreshed_at: now,
                created_at: now,
                expires_at: now + CODE_SECONDS * 1000,
            };
            Ok(oauth_session::insert(tx, &session, now, MAX_SESSIONS)?)
        })
        .await?;
    tracing::info!(client = pending.client.id, "an app was let in");
    Ok(redirect(app, &pending.request, &[("code", &code)]))
}

/// Tells an app no.
pub(crate) async fn deny(app: &App, pending: &PendingRequest, denial: Denial) -> Result<Redirect, AuthorizeError> {
    let (id, now) = (pending.id.clone(), app.clock.millis());
    app.db.write::<_, AuthorizeError>(move |tx| take(tx, &id, now)).await?;
    Ok(redirect(app, &pending.request, &[("error", denial.name()), ("error_description", denial.description())]))
}

/// Checks that the sets among `scopes` can be looked up.
pub(super) async fn check_sets(app: &App, scopes: &str) -> Result<(), OauthError> {
    let refused = |err: SetError| OauthError::new(Refusal::InvalidScope, err.to_string());
    items(app, scopes).await.map(drop).map_err(refused)
}

/// Returns what a session may do by what its sets say now, or by what they said before if they cannot be looked up.
pub(super) async fn expand_again(app: &App, session: &OauthSession) -> String {
    match items(app, &session.scope).await {
        Ok(items) => expanded(items.iter()),
        Err(err) => {
            tracing::debug!(%err, "a set of permissions is taken as it was");
            session.expanded_scope.clone()
        }
    }
}

/// Reads scopes and looks up the sets among them.
async fn items(app: &App, scopes: &str) -> Result<Vec<ScopeItem>, SetError> {
    let (mut items, mut sets) = (Vec::new(), 0);
    for (scope, permission) in scope::parse_known(scopes) {
        let optional = permission != Permission::Atproto;
        let kind = match permission {
            Permission::Include { set, audience } => {
                sets += 1;
                if sets > sets::MAX_SETS {
                    return Err(SetError::TooMany);
                }
                let ResolvedSet { title, detail, permissions } = sets::resolve(app, &set, audience.as_deref()).await?;
                ScopeKind::Set { title, detail, permissions }
            }
            other => ScopeKind::One(other),
        };
        items.push(ScopeItem { scope, kind, optional });
    }
    Ok(items)
}

/// Returns the scopes with sets spelled out, as sessions have them.
fn expanded<'a>(items: impl Iterator<Item = &'a ScopeItem>) -> String {
    let mut scopes: Vec<String> = Vec::new();
    for item in items {
        match &item.kind {
            ScopeKind::One(_) => scopes.push(item.scope.clone()),
            ScopeKind::Set { permissions, .. } => scopes.extend(permissions.iter().map(ToString::to_string)),
        }
    }
    let mut seen = std::collections::HashSet::new();
    scopes.retain(|scope| seen.insert(scope.clone()));
    scopes.join(" ")
}

/// Returns what a code is known by.
pub(super) fn digest(code: &str) -> [u8; 32] {
    Sha256::digest(code.as_bytes()).into()
}

fn take(conn: &rusqlite::Connection, id: &str, now: i64) -> Result<(), AuthorizeError> {
    match oauth_request::take(conn, id)? {
        Some(expires_at) if expires_at > now => Ok(()),
        Some(_) | None => Err(AuthorizeError::Unknown),
    }
}

async fn pending(app: &App, stored: StoredRequest) -> Result<PendingRequest, AuthorizeError> {
    let request = stored.request;
    let scopes = items(app, &request.scope).await.map_err(AuthorizeError::Set)?;
    Ok(PendingRequest {
        id: stored.id,
        client: request.client.clone(),
        is_confidential: request.auth.is_confidential(),
        scopes,
        prompt: request.prompt,
        login_hint: request.login_hint.clone(),
        expires_at: stored.expires_at,
        device: stored.device,
        request,
    })
}

/// Puts an answer into the address of the app, with the issuer, so that the app knows whose answer it is.
fn redirect(app: &App, request: &Request, answer: &[(&str, &str)]) -> Redirect {
    let mut url = Url::parse(&request.redirect_uri).expect("the address was parsed when the request was checked");
    let issuer = app.config.server.public_url.as_str();
    let state = request.state.as_deref().map(|state| ("state", state));
    let parameters = [("iss", issuer)].into_iter().chain(state).chain(answer.iter().copied());
    match request.response_mode {
        ResponseMode::Query => {
            url.query_pairs_mut().extend_pairs(parameters);
        }
        ResponseMode::Fragment => {
            let fragment = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
            url.set_fragment(Some(&fragment));
        }
    }
    Redirect { location: url.into() }
}
