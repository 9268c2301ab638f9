//! `GET /account`: who is signed in.

use askama::Template;
use axum::response::Response;
use http::StatusCode;

use super::Person;
use crate::error::XrpcError;
use crate::pages::{Frame, SignedIn, signed_in_accounts};

#[derive(Template)]
#[template(path = "account.html")]
struct Page {
    frame: Frame,
    name: String,
    did: String,
    others: Vec<Person>,
}

pub(crate) async fn handler(SignedIn { account, visitor, .. }: SignedIn) -> Result<Response, XrpcError> {
    let accounts = signed_in_accounts(&visitor.app, &visitor.device).await?;
    let others = accounts.iter().filter(|(other, _)| other.id != account.id).map(|(other, _)| Person::of(other)).collect();
    let Person { name, did } = Person::of(&account);
    visitor.page(StatusCode::OK, &Page { frame: visitor.frame(), name, did, others })
}
