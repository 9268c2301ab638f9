//! Which of the accounts that are signed in answers an app.

use askama::Template;
use axum::response::Response;
use http::StatusCode;

use super::{address, address_for};
use crate::error::XrpcError;
use crate::oauth::authorize::PendingRequest;
use crate::pages::account::Person;
use crate::pages::destination::via;
use crate::pages::{Frame, ShownApp, Visitor};
use crate::store::account::Account;
use crate::store::web_session::WebSession;

#[derive(Template)]
#[template(path = "choose_account.html")]
struct Page {
    frame: Frame,
    app: ShownApp,
    accounts: Vec<Choice>,
    /// To sign in to an account that is not there yet.
    other: String,
}

struct Choice {
    person: Person,
    href: String,
}

pub(super) fn page(
    visitor: &Visitor,
    pending: &PendingRequest,
    present: &[(Account, WebSession)],
) -> Result<Response, XrpcError> {
    let choice =
        |(account, _): &(Account, WebSession)| Choice { person: Person::of(account), href: address_for(pending, &account.did) };
    let page = Page {
        frame: visitor.frame(),
        app: ShownApp::of(pending),
        accounts: present.iter().map(choice).collect(),
        other: via("/account/sign-in", &[("another", "1")], &address(pending)),
    };
    Ok(page.app.allow_answer(visitor.page(StatusCode::OK, &page)?))
}
