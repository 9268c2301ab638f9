//! `GET /_dev/mail`: the mailbox of `relay dev`, as a page or, with `?format=json`, for tests; `?to=` shows one address.

use axum::Json;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use serde::{Deserialize, Serialize};

use crate::mail::{Html, OutboxMail};
use crate::state::AppState;

#[derive(Deserialize)]
pub(crate) struct Input {
    format: Option<String>,
    to: Option<String>,
}

#[derive(Serialize)]
struct Output {
    /// The newest first.
    mails: Vec<OutboxMail>,
}

pub(crate) async fn handler(State(app): State<AppState>, Query(input): Query<Input>) -> Response {
    let Some(outbox) = app.mail.outbox() else { return super::not_found::handler().await.into_response() };
    // So that who asked for a mail finds it here, although some are written after the answer.
    app.mail.idle().await;
    let mails = outbox.list(input.to.as_deref());
    let no_store = [(CACHE_CONTROL, "no-store")];
    if input.format.as_deref() == Some("json") {
        return (no_store, Json(Output { mails })).into_response();
    }
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'"),
    ];
    (no_store, headers, page(&mails)).into_response()
}

fn page(mails: &[OutboxMail]) -> String {
    let mut out = Html::default();
    out.markup("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Mailbox</title><style>")
        .markup("body{font-family:sans-serif;max-width:50em;margin:2em auto;padding:0 1em}")
        .markup("article{border-top:1px solid #ccc;padding:1em 0}pre{white-space:pre-wrap}")
        .markup("</style></head><body><h1>Mailbox</h1>\n");
    if mails.is_empty() {
        out.markup("<p>No mail was sent.</p>\n");
    }
    for mail in mails {
        out.markup("<article><h2>").text(&mail.subject).markup("</h2><p>to ").text(&mail.to).markup(", ");
        out.text(mail.sent_at.as_str()).markup("</p><pre>").text(&mail.text).markup("</pre></article>\n");
    }
    out.markup("</body></html>\n");
    out.into_string()
}
