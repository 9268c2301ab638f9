//! What an app asks, for a person to say yes or no to.

use askama::Template;
use axum::response::Response;
use http::StatusCode;

use super::address;
use super::words::{Group, groups};
use crate::error::XrpcError;
use crate::oauth::authorize::PendingRequest;
use crate::pages::account::Person;
use crate::pages::{Frame, ShownApp, Visitor};
use crate::store::account::Account;

#[derive(Template)]
#[template(path = "consent.html")]
struct Page {
    frame: Frame,
    app: ShownApp,
    person: Person,
    title: String,
    groups: Vec<Group>,
    /// Whether something can be left out.
    untick: bool,
    /// Whom to trust.
    trust: String,
    /// The scopes as the app wrote them.
    scopes: String,
    /// What the app links to, and what that is.
    links: Vec<(String, &'static str)>,
    /// To answer as someone else.
    other: String,
}

pub(super) fn page(visitor: &Visitor, pending: &PendingRequest, account: &Account) -> Result<Response, XrpcError> {
    let (frame, app) = (visitor.frame(), ShownApp::of(pending));
    let t = &frame.t.authorize;
    let groups = groups(t, &pending.scopes);
    let client = &pending.client;
    let links = [(&client.policy_uri, t.app_policy), (&client.tos_uri, t.app_terms)];
    let links = links.into_iter().filter_map(|(uri, text)| Some((web_address(uri.as_deref()?)?, text))).collect();
    let page = Page {
        title: (t.title)(&app.name),
        untick: groups.iter().flat_map(|group| &group.lines).any(|line| line.scope.is_some()),
        trust: app.host.as_deref().map_or_else(|| t.trust_development.to_owned(), t.trust),
        scopes: pending.scopes.iter().map(|item| item.scope.as_str()).collect::<Vec<_>>().join(" "),
        links,
        other: format!("{}&switch=1", address(pending)),
        person: Person::of(account),
        groups,
        frame: frame.clone(),
        app,
    };
    Ok(page.app.allow_answer(visitor.page(StatusCode::OK, &page)?))
}

/// Returns an address that a page may link to.
fn web_address(text: &str) -> Option<String> {
    let url = url::Url::parse(text).ok()?;
    matches!(url.scheme(), "https" | "http").then(|| url.into())
}
