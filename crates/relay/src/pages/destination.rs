//! Where someone goes once they are signed in: a page of the account, or on to an app that sent them here.

use axum::response::Response;
use common::Did;
use url::form_urlencoded;

use super::{FormTarget, local_path};
use crate::oauth::Client;
use crate::oauth::authorize::{self, AuthorizeParams, PendingRequest};
use crate::state::App;

/// The page on which people say yes or no to an app.
pub(super) const AUTHORIZE: &str = "/oauth/authorize";

/// Where to go next.
#[derive(Clone, Debug)]
pub(crate) struct Destination {
    /// A path of a page.
    pub(crate) path: String,
    /// The app that sent someone here.
    pub(crate) app: Option<ShownApp>,
}

/// An app that waits for an answer, as pages show it.
#[derive(Clone, Debug)]
pub(crate) struct ShownApp {
    /// What it calls itself.
    pub(crate) name: String,
    /// The host that its name is found at; `None` for one in development.
    pub(crate) host: Option<String>,
    pub(crate) client_id: String,
    pub(crate) request_uri: String,
    answer_source: String,
}

/// Most characters of a name that are shown.
const MAX_NAME: usize = 60;

impl ShownApp {
    pub(crate) fn of(pending: &PendingRequest) -> Self {
        let (client_id, request_uri) = pending.params();
        Self {
            name: name(&pending.client),
            host: pending.client.host(),
            client_id: client_id.to_owned(),
            request_uri,
            answer_source: pending.answer_source(),
        }
    }

    /// Returns the first letter of the name, in the place of a picture.
    pub(crate) fn initial(&self) -> String {
        self.name
            .chars()
            .find(|char| char.is_alphanumeric())
            .map_or_else(|| "?".to_owned(), |char| char.to_uppercase().collect())
    }

    /// Lets the forms of a page lead on to the app.
    pub(crate) fn allow_answer(&self, mut response: Response) -> Response {
        response.extensions_mut().insert(FormTarget(self.answer_source.clone()));
        response
    }
}

/// Returns the name of an app, without what would play tricks on a page.
fn name(client: &Client) -> String {
    let host = || client.host().unwrap_or_else(|| "localhost".to_owned());
    let plain = |char: &char| {
        !char.is_control()
            && !matches!(char, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    let name: String = client.name.iter().flat_map(|name| name.chars()).filter(plain).take(MAX_NAME).collect();
    if name.trim().is_empty() { host() } else { name.trim().to_owned() }
}

impl Destination {
    /// Reads where a link or form says to go; the account's pages where that is nowhere.
    pub(crate) async fn of(app: &App, next: Option<&str>) -> Self {
        let path = next.and_then(local_path).unwrap_or("/account").to_owned();
        let waiting = match Self::request(&path) {
            Some(params) => authorize::load(app, &params).await.ok(),
            None => None,
        };
        Self { app: waiting.as_ref().map(ShownApp::of), path }
    }

    fn request(path: &str) -> Option<AuthorizeParams> {
        let query = path.strip_prefix(AUTHORIZE)?.strip_prefix('?')?;
        let find = |name: &str| {
            form_urlencoded::parse(query.as_bytes()).find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
        };
        Some(AuthorizeParams { client_id: find("client_id"), request_uri: find("request_uri") })
    }

    /// Returns the address of a page that leads on to there, with `parameters` of its own.
    pub(crate) fn via(&self, page: &str, parameters: &[(&str, &str)]) -> String {
        via(page, parameters, &self.path)
    }

    /// Returns where `did` goes, who has just signed in: an app is told who it is.
    pub(crate) fn for_account(&self, did: &Did) -> String {
        if Self::request(&self.path).is_none() {
            return self.path.clone();
        }
        let (page, query) = self.path.split_once('?').unwrap_or((&self.path, ""));
        let others = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name != "account");
        let mut next = form_urlencoded::Serializer::new(String::new());
        next.extend_pairs(others).append_pair("account", did.as_str());
        format!("{page}?{}", next.finish())
    }

    /// Lets the forms of a page lead on to the app, if there is one.
    pub(crate) fn allow_answer(&self, response: Response) -> Response {
        match &self.app {
            Some(app) => app.allow_answer(response),
            None => response,
        }
    }
}

/// Returns the address of a page that leads on to `next`.
pub(super) fn via(page: &str, parameters: &[(&str, &str)], next: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters).append_pair("next", next);
    format!("{page}?{}", query.finish())
}
