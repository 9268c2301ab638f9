//! `GET /account/welcome`: how to use a new account in an app.

use askama::Template;
use axum::response::Response;
use http::StatusCode;

use super::Person;
use crate::error::XrpcError;
use crate::pages::{Frame, SignedIn};

#[derive(Template)]
#[template(path = "welcome.html")]
struct Page {
    frame: Frame,
    handle: String,
    /// Where the app is, and what it is called.
    app_url: String,
    app_name: String,
    /// What the app asks for as the account's provider.
    server: String,
}

pub(crate) async fn handler(who: SignedIn) -> Result<Response, XrpcError> {
    let server = &who.visitor.app.config.server;
    let page = Page {
        frame: who.visitor.frame(),
        handle: Person::of(&who.account).name,
        app_url: server.app_url.to_string(),
        app_name: server.app_url.host_str().unwrap_or_default().to_owned(),
        server: server.public_url.as_str().to_owned(),
    };
    who.visitor.page(StatusCode::OK, &page)
}
