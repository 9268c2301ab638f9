//! `POST /account/sign-in/code`: the second factor, after the password.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;

use super::sign_in::finish;
use crate::error::XrpcError;
use crate::limits::Meter;
use crate::pages::{CsrfForm, Destination, Frame, Visitor, see_other, step};
use crate::second_factor::{self, FactorError, Method, WrongFactor};
use crate::state::AppState;
use crate::store::account::Account;

#[derive(Template)]
#[template(path = "sign_in_code.html")]
struct Page<'a> {
    frame: Frame,
    problem: Option<&'a str>,
    /// What to type, in a sentence.
    lead: &'a str,
    backup_codes: bool,
    /// What the button says that sends a code by mail.
    send_mail: Option<&'static str>,
    step: &'a str,
    to: &'a Destination,
    /// To begin anew.
    back: String,
}

fn page<'a>(visitor: &Visitor, methods: &[Method], step: &'a str, to: &'a Destination) -> Page<'a> {
    let frame = visitor.frame();
    let t = &frame.t.sign_in_code;
    let has = |method: Method| methods.contains(&method);
    Page {
        problem: None,
        lead: if has(Method::Totp) { t.totp } else { t.mail },
        backup_codes: has(Method::BackupCode),
        send_mail: has(Method::MailCode).then_some(if has(Method::Totp) { t.send_mail } else { t.send_again }),
        step,
        to,
        back: to.via("/account/sign-in", &[("another", "1")]),
        frame,
    }
}

/// Asks for the second factor of an account whose password was right.
pub(super) async fn ask(
    visitor: &Visitor,
    account: &Account,
    password_hash: &str,
    remember: bool,
    methods: &[Method],
    to: &Destination,
) -> Result<Response, XrpcError> {
    // Who has an app asks for the mail when the app is not at hand.
    if !methods.contains(&Method::Totp) && methods.contains(&Method::MailCode) {
        second_factor::send_code(&visitor.app, account).await?;
    }
    let step = step::seal(&visitor.app, &visitor.device, account.id, password_hash, remember);
    Ok(to.allow_answer(visitor.page(StatusCode::OK, &page(visitor, methods, &step, to))?))
}

#[derive(Deserialize)]
pub(crate) struct Input {
    #[serde(default)]
    code: String,
    step: String,
    next: String,
    /// Whether a code shall be mailed, instead of checked.
    mail: Option<String>,
}

pub(crate) async fn submit(
    State(app): State<AppState>,
    visitor: Visitor,
    meter: Meter,
    CsrfForm(input): CsrfForm<Input>,
) -> Result<Response, XrpcError> {
    let to = Destination::of(&app, Some(&input.next)).await;
    let again = to.via("/account/sign-in", &[("another", "1")]);
    let visitor = visitor.seen_at(again.clone());
    let Some(step) = step::open(&app, &visitor.device, &input.step).await? else { return Ok(see_other(&app, &again)) };
    let did = &step.account.did;
    let methods = second_factor::required(&app, did).await?;
    let frame = visitor.frame();
    let t = &frame.t.sign_in_code;
    let counted = meter.count_login(did.as_str());
    if input.mail.is_some() && methods.contains(&Method::MailCode) && counted.is_ok() {
        second_factor::send_code(&app, &step.account).await?;
        let page = Page { lead: t.mail, ..page(&visitor, &methods, &input.step, &to) };
        return Ok(to.allow_answer(visitor.page(StatusCode::OK, &page)?));
    }
    let (status, problem) = match (counted, second_factor::check(&app, did, &input.code)) {
        (Err(_), _) => (StatusCode::TOO_MANY_REQUESTS, frame.t.sign_in.too_many),
        (Ok(()), check) => match check.await {
            Ok(_) => match finish(&visitor, &step.account, step.remember, Some(step.password_hash), &to).await? {
                Ok(response) => return Ok(response),
                Err(refusal) => refusal.in_words(&frame.t.sign_in),
            },
            Err(FactorError::Wrong(WrongFactor::Code(_))) => (StatusCode::UNAUTHORIZED, t.wrong),
            Err(FactorError::Wrong(WrongFactor::TooMany { .. })) => (StatusCode::TOO_MANY_REQUESTS, t.too_many),
            Err(err) => return Err(err.into()),
        },
    };
    let page = Page { problem: Some(problem), ..page(&visitor, &methods, &input.step, &to) };
    Ok(to.allow_answer(visitor.page(status, &page)?))
}
