//! `GET /terms` and `/privacy`: texts of the operator, out of files.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;

use super::prose::{Block, Prose, Span};
use crate::config::Document;
use crate::error::XrpcError;
use crate::pages::{Frame, Visitor};
use crate::state::AppState;
use crate::web;

#[derive(Template)]
#[template(path = "document.html")]
struct Page {
    frame: Frame,
    title: String,
    /// The language of the text, where it is known.
    language: Option<&'static str>,
    blocks: Vec<Block>,
}

pub(crate) async fn terms(State(app): State<AppState>, visitor: Visitor) -> Result<Response, XrpcError> {
    let title = visitor.language.texts().common.terms;
    show(&visitor, app.config.server.documents.terms.as_ref(), title).await
}

pub(crate) async fn privacy(State(app): State<AppState>, visitor: Visitor) -> Result<Response, XrpcError> {
    let title = visitor.language.texts().common.privacy_policy;
    show(&visitor, app.config.server.documents.privacy_policy.as_ref(), title).await
}

async fn show(visitor: &Visitor, document: Option<&Document>, title: &str) -> Result<Response, XrpcError> {
    let Some(document) = document else { return Ok(web::not_found::handler().await.into_response()) };
    let tag = visitor.language.tag();
    let translation = document.translations.get(tag);
    let Prose { title: own, blocks } = Prose::parse(translation.unwrap_or(&document.text));
    let title = own.unwrap_or_else(|| title.to_owned());
    let page = Page { frame: visitor.frame(), title, language: translation.map(|_| tag), blocks };
    visitor.page(StatusCode::OK, &page)
}
