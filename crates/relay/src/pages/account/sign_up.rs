//! `GET` and `POST /account/sign-up`: a new account.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use common::{Did, Handle};
use http::StatusCode;
use serde::Deserialize;

use super::{MIN_PASSWORD_CHARS, PasswordFault, password_fault};
use crate::account::{self, Claim, CreateError, HandleRuleError, NewAccount};
use crate::error::XrpcError;
use crate::limits::Meter;
use crate::pages::public::join;
use crate::pages::texts::SignUp;
use crate::pages::{CsrfForm, Destination, Frame, Visitor, begin, see_other};
use crate::qr::Svg;
use crate::state::{App, AppState};
use crate::store::session;

#[derive(Template)]
#[template(path = "sign_up.html")]
pub(in crate::pages) struct Page<'a> {
    frame: Frame,
    problem: Option<Problem>,
    invitation: Option<Invitation>,
    input: &'a Input,
    invite_required: bool,
    /// What handles end in here, with the dot.
    domains: Vec<String>,
    min_password: usize,
    to: &'a Destination,
    sign_in: String,
}

/// A link that invites to the server.
#[derive(Clone, Debug)]
pub(in crate::pages) struct Invitation {
    /// The path of the page, which takes the form as well.
    path: String,
    /// For another device.
    link: String,
    qr: Svg,
}

impl Invitation {
    pub(in crate::pages) fn of(app: &App, code: &str) -> Result<Self, XrpcError> {
        let link = join::link(app, code);
        let qr = Svg::of(&link).map_err(|err| XrpcError::internal(err.to_string()))?;
        Ok(Self { path: format!("/join/{code}"), link, qr })
    }
}

/// What a field holds that will not do.
#[derive(Clone, Debug)]
pub(in crate::pages) struct Problem {
    field: Field,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Invite,
    Handle,
    Email,
    Password,
}

impl Page<'_> {
    fn is_at(&self, field: Field) -> bool {
        self.problem.as_ref().is_some_and(|problem| problem.field == field)
    }

    fn bad_invite(&self) -> bool {
        self.is_at(Field::Invite)
    }

    fn bad_handle(&self) -> bool {
        self.is_at(Field::Handle)
    }

    fn bad_email(&self) -> bool {
        self.is_at(Field::Email)
    }

    fn bad_password(&self) -> bool {
        self.is_at(Field::Password)
    }
}

#[derive(Deserialize)]
pub(crate) struct Params {
    next: Option<String>,
    /// From a link that the operator gives out.
    invite: Option<String>,
}

#[derive(Default, Deserialize)]
pub(crate) struct Input {
    #[serde(default)]
    invite: String,
    handle: String,
    #[serde(default)]
    domain: String,
    email: String,
    password: String,
    next: String,
}

impl Input {
    /// The same with the code of an invitation.
    pub(in crate::pages) fn with_invite(self, code: &str) -> Self {
        Self { invite: code.to_owned(), ..self }
    }
}

pub(in crate::pages) fn page<'a>(
    app: &App,
    frame: Frame,
    input: &'a Input,
    to: &'a Destination,
    invitation: Option<Invitation>,
    problem: Option<Problem>,
) -> Page<'a> {
    Page {
        frame,
        problem,
        invitation,
        input,
        invite_required: app.config.accounts.invite_required,
        domains: app.config.identity.handle_domains.iter().map(|domain| domain.as_str().to_owned()).collect(),
        min_password: MIN_PASSWORD_CHARS,
        to,
        sign_in: to.via("/account/sign-in", &[("another", "1")]),
    }
}

pub(crate) async fn show(
    State(app): State<AppState>,
    visitor: Visitor,
    Query(params): Query<Params>,
) -> Result<Response, XrpcError> {
    let to = Destination::of(&app, params.next.as_deref()).await;
    let input = Input { invite: params.invite.unwrap_or_default(), ..Input::default() };
    Ok(to.allow_answer(visitor.page(StatusCode::OK, &page(&app, visitor.frame(), &input, &to, None, None))?))
}

pub(crate) async fn submit(
    State(app): State<AppState>,
    visitor: Visitor,
    meter: Meter,
    CsrfForm(input): CsrfForm<Input>,
) -> Result<Response, XrpcError> {
    meter.count_call("com.atproto.server.createAccount")?;
    let to = Destination::of(&app, Some(&input.next)).await;
    let frame = visitor.frame();
    let problem = match sign_up(&app, &visitor, &input, &frame.t.sign_up).await? {
        Ok(did) => return Ok(see_other(&app, &to.for_account(&did))),
        Err(problem) => problem,
    };
    let page = page(&app, frame.clone(), &input, &to, None, Some(problem));
    Ok(to.allow_answer(visitor.page(StatusCode::BAD_REQUEST, &page)?))
}

/// Makes the account, and signs the browser in to it.
pub(in crate::pages) async fn sign_up(
    app: &AppState,
    visitor: &Visitor,
    input: &Input,
    t: &SignUp,
) -> Result<Result<Did, Problem>, XrpcError> {
    let wrong = |field: Field, text: &str| Ok(Err(Problem { field, text: text.to_owned() }));
    let Some(handle) = handle(app, input) else { return wrong(Field::Handle, t.handle_characters) };
    match password_fault(&input.password) {
        Some(PasswordFault::TooShort) => return wrong(Field::Password, t.password_too_short),
        Some(PasswordFault::TooLong) => return wrong(Field::Password, t.password_too_long),
        None => {}
    }
    let new = NewAccount {
        claim: Claim::New { recovery_key: None },
        handle: handle.clone(),
        email: Some(input.email.trim().to_owned()),
        password: Some(input.password.clone()),
        invite_code: Some(input.invite.clone()),
        by_operator: false,
    };
    let created = match account::create(app, new).await {
        Ok(created) => created,
        Err(err) => return problem_of(app, err, &handle, t).await.map(Err),
    };
    let did = created.did.clone();
    let id = app
        .db
        .write::<_, XrpcError>(move |tx| {
            let account = crate::store::account::find_by_did(tx, &did)?;
            let account = account.ok_or_else(|| XrpcError::invalid_request("The account is gone"))?;
            // The session that an app would have got who makes an account; a browser has its own.
            session::delete_all(tx, account.id)?;
            Ok(account.id)
        })
        .await?;
    begin(visitor, id, true, None).await?;
    Ok(Ok(created.did))
}

/// Puts the handle together. People write it with its domain, or with an @, as they see handles.
fn handle(app: &App, input: &Input) -> Option<Handle> {
    let name = input.handle.trim().trim_start_matches('@').to_lowercase();
    let domains = &app.config.identity.handle_domains;
    if domains.iter().any(|domain| domain.strip(&name).is_some()) {
        return name.parse().ok();
    }
    // Of the form's domains, or the first.
    let domain = domains.iter().find(|domain| domain.as_str() == input.domain).or(domains.first())?;
    if name.contains('.') {
        return None;
    }
    format!("{name}{}", domain.as_str()).parse().ok()
}

/// Tells what to change; errors that are not the person's pass.
async fn problem_of(app: &App, err: CreateError, handle: &Handle, t: &SignUp) -> Result<Problem, XrpcError> {
    let (field, text) = match err {
        CreateError::NoEmail | CreateError::Email(_) => (Field::Email, t.email_wrong.to_owned()),
        CreateError::EmailTaken(_) => (Field::Email, t.email_taken.to_owned()),
        CreateError::Password => (Field::Password, t.password_too_long.to_owned()),
        CreateError::NoInvite => (Field::Invite, t.invite_missing.to_owned()),
        CreateError::Invite => (Field::Invite, t.invite_wrong.to_owned()),
        CreateError::Handle(HandleRuleError::TooShort) => (Field::Handle, t.handle_too_short.to_owned()),
        CreateError::Handle(HandleRuleError::TooLong) => (Field::Handle, t.handle_too_long.to_owned()),
        CreateError::Handle(HandleRuleError::Parts | HandleRuleError::Tld) | CreateError::UnsupportedDomain => {
            (Field::Handle, t.handle_characters.to_owned())
        }
        CreateError::Handle(HandleRuleError::Reserved) | CreateError::HandleTaken(_) => {
            let free = match account::availability(app, handle).await? {
                account::Availability::Taken(free) => free,
                account::Availability::Free => Vec::new(),
            };
            let free = free.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let text = if free.is_empty() { t.handle_taken.to_owned() } else { (t.handle_taken_try)(&free) };
            (Field::Handle, text)
        }
        err @ (CreateError::ExternalHandle(_)
        | CreateError::DidTaken
        | CreateError::Plc(_)
        | CreateError::Hash(_)
        | CreateError::Secret(_)
        | CreateError::Session(_)
        | CreateError::Store(_)
        | CreateError::Write(_)) => return Err(err.into()),
    };
    Ok(Problem { field, text })
}
