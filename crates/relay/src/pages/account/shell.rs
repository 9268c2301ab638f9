//! What the account's pages have in common: where one is, what was just done, and asking again who it is.

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use common::{Clock as _, Datetime};
use http::Method;
use http::request::Parts;
use serde::Deserialize;
use url::form_urlencoded;

use super::Person;
use crate::error::XrpcError;
use crate::pages::texts::AccountTexts;
use crate::pages::{Frame, SignedIn, Visitor, see_other};
use crate::state::AppState;
use crate::store::account::{self, Status};

const MINUTE: i64 = 60 * 1000;
/// How long after the password or passkey was given pages that matter are shown without asking again.
const SHOWN_FOR: i64 = 15 * MINUTE;
/// And their forms taken, so that one which was shown can be filled in.
const TAKEN_FOR: i64 = 30 * MINUTE;

/// A part of the account's pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    Overview,
    Handle,
    Email,
    Security,
    AppPasswords,
    Devices,
    Data,
}

impl Section {
    const ALL: [Self; 7] =
        [Self::Overview, Self::Handle, Self::Email, Self::Security, Self::AppPasswords, Self::Devices, Self::Data];

    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Overview => "/account",
            Self::Handle => "/account/handle",
            Self::Email => "/account/email",
            Self::Security => "/account/security",
            Self::AppPasswords => "/account/app-passwords",
            Self::Devices => "/account/devices",
            Self::Data => "/account/data",
        }
    }

    fn title(self, t: &AccountTexts) -> &'static str {
        match self {
            Self::Overview => t.overview,
            Self::Handle => t.handle,
            Self::Email => t.email,
            Self::Security => t.security,
            Self::AppPasswords => t.app_passwords,
            Self::Devices => t.devices,
            Self::Data => t.data,
        }
    }
}

/// A link to a part.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) path: &'static str,
    pub(crate) title: &'static str,
    pub(crate) is_here: bool,
}

/// What was just done, by the word that the address of the page has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Done {
    Handle,
    CodeSent,
    EmailChanged,
    EmailConfirmed,
    Password,
    PasskeyAdded,
    PasskeyRenamed,
    PasskeyRemoved,
    AuthenticatorAdded,
    AuthenticatorRemoved,
    MailCodesOn,
    MailCodesOff,
    AlertsOn,
    AlertsOff,
    AppPasswordRevoked,
    SignedOut,
    Deactivated,
    Activated,
}

impl Done {
    const fn text(self, t: &AccountTexts) -> &'static str {
        match self {
            Self::Handle => t.done_handle,
            Self::CodeSent => t.done_code_sent,
            Self::EmailChanged => t.done_email_changed,
            Self::EmailConfirmed => t.done_email_confirmed,
            Self::Password => t.done_password,
            Self::PasskeyAdded => t.done_passkey_added,
            Self::PasskeyRenamed => t.done_passkey_renamed,
            Self::PasskeyRemoved => t.done_passkey_removed,
            Self::AuthenticatorAdded => t.done_authenticator_added,
            Self::AuthenticatorRemoved => t.done_authenticator_removed,
            Self::MailCodesOn => t.done_mail_codes_on,
            Self::MailCodesOff => t.done_mail_codes_off,
            Self::AlertsOn => t.done_alerts_on,
            Self::AlertsOff => t.done_alerts_off,
            Self::AppPasswordRevoked => t.done_app_password_revoked,
            Self::SignedOut => t.done_signed_out,
            Self::Deactivated => t.done_deactivated,
            Self::Activated => t.done_activated,
        }
    }
}

/// A form of one button.
#[derive(Deserialize)]
pub(crate) struct Nothing {}

/// The parameters of a page that tells what was done.
#[derive(Deserialize)]
pub(crate) struct DoneParams {
    pub(crate) done: Option<Done>,
}

/// The parts of a page that `templates/account_layout.html` uses.
#[derive(Clone, Debug)]
pub(crate) struct Shell {
    pub(crate) t: &'static AccountTexts,
    pub(crate) links: Vec<Link>,
    pub(crate) person: Person,
    pub(crate) is_deactivated: bool,
    /// The day on which the account is deleted, if it is.
    pub(crate) delete_on: Option<String>,
    pub(crate) notice: Option<&'static str>,
    pub(crate) problem: Option<String>,
}

impl Shell {
    /// Returns the frame and shell of a page.
    pub(crate) async fn of(who: &SignedIn, section: Section, done: Option<Done>) -> Result<(Frame, Self), XrpcError> {
        let SignedIn { account, visitor, .. } = who;
        let frame = visitor.frame();
        let t = &frame.t.account;
        let delete_at = visitor.app.db.read(|conn| account::delete_at(conn, account.id)).await?;
        let links = Section::ALL.map(|link| Link { path: link.path(), title: link.title(t), is_here: link == section });
        let shell = Self {
            t,
            links: links.to_vec(),
            person: Person::of(account),
            is_deactivated: account.status == Status::Deactivated,
            delete_on: delete_at.map(day),
            notice: done.map(|done| done.text(t)),
            problem: None,
        };
        Ok((frame, shell))
    }

    /// Says what is wrong.
    pub(crate) fn with_problem(self, problem: impl Into<String>) -> Self {
        Self { problem: Some(problem.into()), notice: None, ..self }
    }

    /// Returns the title of the page.
    pub(crate) fn title(&self) -> &'static str {
        self.links.iter().find(|link| link.is_here).map_or("", |link| link.title)
    }
}

/// Someone who is signed in and has given their password or passkey lately. Others are asked to.
#[derive(Clone, Debug)]
pub(crate) struct Confirmed(pub(crate) SignedIn);

/// Leads to where people give their password again.
#[derive(Debug)]
pub(crate) enum NotConfirmed {
    Rejected(Response),
    Ask(Box<Visitor>, String),
}

impl IntoResponse for NotConfirmed {
    fn into_response(self) -> Response {
        match self {
            Self::Rejected(response) => response,
            Self::Ask(visitor, next) => {
                let query: String = form_urlencoded::Serializer::new(String::new()).append_pair("next", &next).finish();
                see_other(&visitor.app, &format!("/account/confirm?{query}"))
            }
        }
    }
}

impl FromRequestParts<AppState> for Confirmed {
    type Rejection = NotConfirmed;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, NotConfirmed> {
        let who = SignedIn::from_request_parts(parts, app).await.map_err(|err| NotConfirmed::Rejected(err.into_response()))?;
        let is_get = parts.method == Method::GET || parts.method == Method::HEAD;
        let lasts = if is_get { SHOWN_FOR } else { TAKEN_FOR };
        if app.clock.millis() < who.session.confirmed_at + lasts {
            return Ok(Self(who));
        }
        // A form is shown anew, rather than sent without its owner seeing it.
        let here = who.visitor.here.split('?').next().unwrap_or("/account");
        let next = if is_get { who.visitor.here.clone() } else { page_of(here).to_owned() };
        Err(NotConfirmed::Ask(Box::new(who.visitor), next))
    }
}

/// Returns the page that the form which goes to `path` stands on.
fn page_of(path: &str) -> &'static str {
    match path.strip_prefix("/account/").and_then(|rest| rest.split('/').next()) {
        Some("handle") => "/account/handle",
        Some("email") => "/account/email",
        Some("password") => "/account/password",
        Some("authenticator") => "/account/authenticator",
        Some("passkeys" | "backup-codes" | "mail-codes" | "alerts") => "/account/security",
        Some("app-passwords") => "/account/app-passwords",
        Some("archive" | "deactivate" | "activate" | "delete") => "/account/data",
        Some(_) | None => "/account",
    }
}

/// Leads back to a page that says what was done.
pub(crate) fn back(visitor: &Visitor, path: &str, done: &str) -> Response {
    see_other(&visitor.app, &format!("{path}?done={done}"))
}

/// Writes a moment for people.
pub(crate) fn moment(millis: i64) -> String {
    let text = Datetime::from_millis(millis).as_str().replace('T', " ");
    format!("{} UTC", text.chars().take(16).collect::<String>())
}

/// Writes the day of a moment.
pub(crate) fn day(millis: i64) -> String {
    Datetime::from_millis(millis).as_str().chars().take(10).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_for_people() {
        assert_eq!(moment(1_767_225_600_000), "2026-01-01 00:00 UTC");
        assert_eq!(day(1_767_225_600_000), "2026-01-01");
    }

    #[test]
    fn a_form_that_comes_late_leads_to_its_page() {
        assert_eq!(page_of("/account/passkeys/remove"), "/account/security");
        assert_eq!(page_of("/account/handle"), "/account/handle");
        assert_eq!(page_of("/account/archive"), "/account/data");
    }
}
