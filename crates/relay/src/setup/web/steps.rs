//! Shows the steps and takes what is sent.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::PoisonError;

use axum::Json;
use axum::extract::rejection::FormRejection;
use axum::extract::{ConnectInfo, Form, Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use common::Clock as _;
use http::header::{LOCATION, SET_COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use serde::Deserialize;
use serde_json::json;

use super::super::answers::{Answers, BackupAnswer, HostFault, MailSecurity, Step};
use super::super::finish::{Ending, service_is_possible};
use super::super::work::{AccountFault, MailFault, MailInput, NewPerson, WorkError};
use super::pages::{
    AccountPage, BackupPage, Begin, COOKIE, DnsPage, FinishPage, HttpsPage, KeyPage, LivePage, MailPage, MovePage, NamePage,
    Problem, ReachPage, Shell, StuckPage, TrialPage, frame, page, refused, session_of, speaker_of,
};
use super::{App, Web};
use crate::account::{CreateError, HandleRuleError};
use crate::pages::CallTarget;
use crate::pages::account::PasswordFault;
use crate::pages::language::{COOKIE as LANGUAGE_COOKIE, Language};
use crate::pages::texts::{SignUp, Texts};

/// What a form holds; absent fields are empty.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Fields(BTreeMap<String, String>);

impl Fields {
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// Takes out what is not sent back.
    fn without_secrets(mut self) -> Self {
        self.0.remove("password");
        self.0.remove("new_password");
        self
    }
}

type Sent = Result<Form<Fields>, FormRejection>;

#[derive(Deserialize)]
pub(super) struct Link {
    #[serde(default)]
    token: String,
}

fn see_other(path: &str) -> Response {
    match HeaderValue::try_from(path) {
        Ok(path) => (StatusCode::SEE_OTHER, [(LOCATION, path)]).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn to_step(step: Step) -> Response {
    see_other(&format!("/setup/{}", step.word()))
}

pub(super) async fn to_set_up() -> Response {
    see_other("/setup")
}

pub(super) async fn nothing_there() -> Response {
    (StatusCode::NOT_FOUND, "The server is being set up: open the link that it printed.\n").into_response()
}

/// A container's health check is to leave a set-up alone.
pub(super) async fn health() -> Response {
    Json(json!({ "version": env!("CARGO_PKG_VERSION"), "setup": true })).into_response()
}

/// `GET /setup`: where the link leads. It is not used up by being looked at, for some programs open links on their own.
pub(super) async fn enter(State(app): State<App>, headers: HeaderMap, Query(link): Query<Link>) -> Response {
    if session_of(&app, &headers).is_some() {
        return to_step(app.setup.answers().await.step());
    }
    let looked = app.door.lock().unwrap_or_else(PoisonError::into_inner).look(&link.token, app.setup.clock().millis());
    match looked {
        Ok(()) => {
            let folder = app.setup.place().data_dir.display().to_string();
            let here = format!("/setup?token={}", link.token);
            page(StatusCode::OK, &Begin { frame: frame(&app, &headers, &here), token: link.token, folder })
        }
        Err(why) => refused(&app, &headers, why),
    }
}

/// `POST /setup/begin`: uses the link up.
pub(super) async fn begin(State(app): State<App>, headers: HeaderMap, sent: Sent) -> Response {
    let token = sent.map(|Form(fields)| fields.get("token").to_owned()).unwrap_or_default();
    let opened = app.door.lock().unwrap_or_else(PoisonError::into_inner).open(&token, app.setup.clock().millis());
    match opened {
        Ok(session) => {
            let cookie = format!("{COOKIE}={}; Path=/; HttpOnly; SameSite=Strict", session.cookie());
            let mut response = to_step(app.setup.answers().await.step());
            if let Ok(cookie) = HeaderValue::try_from(cookie) {
                response.headers_mut().append(SET_COOKIE, cookie);
            }
            response
        }
        Err(why) => refused(&app, &headers, why),
    }
}

/// `POST /language`.
pub(super) async fn language(sent: Sent) -> Response {
    let Ok(Form(fields)) = sent else { return see_other("/setup") };
    let back =
        Some(fields.get("back")).filter(|back| *back == "/setup" || back.starts_with("/setup/") || back.starts_with("/setup?"));
    let mut response = see_other(back.unwrap_or("/setup"));
    if let Some(language) = Language::from_tag(fields.get("language")) {
        let cookie = format!("{LANGUAGE_COOKIE}={}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax", language.tag());
        if let Ok(cookie) = HeaderValue::try_from(cookie) {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
    }
    response
}

/// Returns the form if it is one of this browser's pages.
fn own(app: &Web, headers: &HeaderMap, sent: Sent) -> Result<Fields, Box<Response>> {
    let stale = || {
        let t = &Language::of(headers).texts().error;
        Box::new((StatusCode::FORBIDDEN, format!("{}. {}\n", t.stale_title, t.stale_text)).into_response())
    };
    let Ok(Form(fields)) = sent else { return Err(stale()) };
    let good = session_of(app, headers).is_some_and(|session| session.has_csrf(fields.get("csrf")));
    if good { Ok(fields) } else { Err(stale()) }
}

/// `GET /setup/{step}`.
pub(super) async fn show(State(app): State<App>, headers: HeaderMap, Path(step): Path<String>, uri: Uri) -> Response {
    let mut answers = app.setup.answers().await;
    // What hinders to look at that is told by the page.
    if answers.step() == Step::Account && app.setup.take_arrived().await.unwrap_or_default() {
        answers = app.setup.answers().await;
    }
    if Step::from_word(&step) != Some(answers.step()) {
        return to_step(answers.step());
    }
    render(&app, &headers, answers, Fields::default(), None, uri.query() == Some("look")).await
}

/// Shows the step that is next.
async fn render(
    app: &App,
    headers: &HeaderMap,
    answers: Answers,
    fields: Fields,
    problem: Option<Problem>,
    look: bool,
) -> Response {
    let step = answers.step();
    let status = if problem.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let frame = frame(app, headers, &format!("/setup/{}", step.word()));
    let t = frame.t;
    let shell = Shell::new(&answers, &t.setup, problem, fields.without_secrets());
    match step {
        Step::Name => page(status, &NamePage { frame, shell }),
        Step::Dns => match app.setup.look_at_names().await {
            Ok(names) => page(status, &DnsPage::of(frame, shell, names)),
            Err(err) => broken(t, &err),
        },
        Step::Reach => match app.setup.look_at_reach().await {
            Ok(reach) => {
                let host = answers.host.clone().unwrap_or_default();
                let upstream = app.setup.upstream().await;
                page(status, &ReachPage::of(frame, shell, &reach, host, upstream))
            }
            Err(err) => broken(t, &err),
        },
        Step::Https => page(status, &HttpsPage { frame, shell }),
        Step::Mail => page(status, &MailPage { frame, shell }),
        Step::Account => match app.setup.moving().await {
            Ok(None) => page(status, &AccountPage::of(frame, shell, &answers)),
            Ok(Some(view)) => {
                let shown = MovePage::of(frame, shell, view);
                let mut response = page(status, &shown);
                if shown.changes() {
                    response.headers_mut().insert("refresh", HeaderValue::from_static("2"));
                }
                response
            }
            // What cannot be told now, the page of a new account tells, from where the move goes on.
            Err(fault) => {
                let problem = super::moving::problem(&fault, t);
                let fields = Fields::default();
                let shell = Shell::new(&answers, &t.setup, Some(problem), fields);
                page(StatusCode::BAD_GATEWAY, &StuckPage { frame, shell })
            }
        },
        Step::RecoveryKey => page(status, &KeyPage { frame, shell, key: answers.recovery_key.unwrap_or_default() }),
        Step::Backup => match app.setup.backup_key() {
            Ok(key) => {
                let suggested = app.setup.place().suggested_backups().display().to_string();
                page(status, &BackupPage { frame, shell, suggested, key })
            }
            Err(err) => broken(t, &err),
        },
        Step::Finish => {
            let findings = if look { Some(app.setup.look_at_all().await) } else { None };
            match findings.transpose() {
                Ok(findings) => {
                    let service = service_is_possible(app.setup.place());
                    page(status, &FinishPage { frame, shell, findings, service })
                }
                Err(err) => broken(t, &err),
            }
        }
    }
}

/// Tells of a fault that no other answer mends. Whoever set the machine up reads this.
fn broken(t: &Texts, err: &WorkError) -> Response {
    tracing::error!(error = err as &dyn std::error::Error, "a step of the set-up failed");
    (StatusCode::INTERNAL_SERVER_ERROR, format!("{}\n{err}\n", t.setup.failed)).into_response()
}

/// `POST /setup/{step}/again`: back to a step that was done.
pub(super) async fn redo(State(app): State<App>, headers: HeaderMap, Path(step): Path<String>, sent: Sent) -> Response {
    if let Err(response) = own(&app, &headers, sent) {
        return *response;
    }
    if let Some(step) = Step::from_word(&step)
        && let Err(err) = app.setup.redo(step).await
    {
        return broken(Language::of(&headers).texts(), &err.into());
    }
    to_step(app.setup.answers().await.step())
}

/// `POST /setup/{step}`: the answer to a step.
pub(super) async fn take(State(app): State<App>, headers: HeaderMap, Path(step): Path<String>, sent: Sent) -> Response {
    let fields = match own(&app, &headers, sent) {
        Ok(fields) => fields,
        Err(response) => return *response,
    };
    let answers = app.setup.answers().await;
    if Step::from_word(&step) != Some(answers.step()) {
        return to_step(answers.step());
    }
    let t = Language::of(&headers).texts();
    if answers.step() == Step::Finish {
        return finish(&app, &headers, &fields).await;
    }
    // Carried out to its end even when the browser goes away meanwhile.
    let work = {
        let (app, fields) = (app.clone(), fields.clone());
        tokio::spawn(async move { answer(&app, answers.step(), &fields, t).await })
    };
    let problem = match work.await {
        Ok(Ok(())) => return to_step(app.setup.answers().await.step()),
        Ok(Err(problem)) => problem,
        Err(err) => Problem { text: t.setup.failed.to_owned(), detail: Some(err.to_string()) },
    };
    let answers = app.setup.answers().await;
    render(&app, &headers, answers, fields, Some(problem), false).await
}

fn because(text: &str, err: &dyn std::error::Error) -> Problem {
    Problem { text: text.to_owned(), detail: Some(err.to_string()) }
}

async fn answer(app: &App, step: Step, fields: &Fields, t: &'static Texts) -> Result<(), Problem> {
    let (setup, words) = (&app.setup, &t.setup);
    let failed = |err: WorkError| because(words.failed, &err);
    let plain = |text: &str| Problem { text: text.to_owned(), detail: None };
    match step {
        Step::Name => setup.set_host(fields.get("host")).await.map_err(|err| match err {
            WorkError::Host(HostFault::NotAName) => plain(words.name_wrong),
            WorkError::Host(HostFault::NotPublic) => plain(words.name_not_public),
            err => failed(err),
        }),
        Step::Dns => setup.accept_names().await.map_err(failed),
        Step::Reach => setup.set_speaker(speaker_of(fields), fields.get("open_ports") == "on").await.map_err(failed),
        Step::Https => setup.obtain_certificate().await.map_err(|err| because(words.https_failed, &err)),
        Step::Mail if !fields.get("skip").is_empty() => setup.skip_mail().await.map_err(failed),
        Step::Mail => {
            let port = fields.get("port").trim().parse().map_err(|_| plain(words.mail_port_hint))?;
            let text = |name: &str| fields.get(name).trim().to_owned();
            let input = MailInput {
                host: text("server"),
                port,
                security: MailSecurity::of_port(port),
                user: text("user"),
                password: fields.get("password").to_owned(),
                from: text("from"),
                to: text("to"),
            };
            setup.set_mail(&input).await.map_err(|fault| match fault {
                MailFault::Work(err) => failed(err),
                fault @ (MailFault::From | MailFault::NotSent(_)) => because(words.mail_failed, &fault),
            })
        }
        Step::Account if !fields.get("do").is_empty() => {
            super::moving::answer(app, fields).await.map_err(|fault| super::moving::problem(&fault, t))
        }
        Step::Account if !fields.get("skip").is_empty() => setup.skip_account().await.map_err(failed),
        Step::Account => {
            let person = NewPerson {
                name: fields.get("handle").to_owned(),
                email: fields.get("email").trim().to_owned(),
                password: fields.get("password").to_owned(),
            };
            setup.make_account(&person).await.map(drop).map_err(|fault| account_problem(&fault, t))
        }
        Step::RecoveryKey if fields.get("saved") == "on" => setup.recovery_key_is_saved().await.map_err(failed),
        Step::Backup => {
            let answer = match fields.get("skip") {
                "" => BackupAnswer::To(PathBuf::from(fields.get("folder").trim())),
                _ => BackupAnswer::Nowhere,
            };
            setup.set_backup(answer).await.map_err(|err| because(words.backup_failed, &err))
        }
        // Whoever has not kept the key is asked again; and the end is not taken here.
        Step::RecoveryKey | Step::Finish => Ok(()),
    }
}

fn account_problem(fault: &AccountFault, t: &Texts) -> Problem {
    let sign_up: &SignUp = &t.sign_up;
    let plain = |text: &str| Problem { text: text.to_owned(), detail: None };
    match fault {
        AccountFault::Handle => plain(sign_up.handle_characters),
        AccountFault::Password(PasswordFault::TooShort) => plain(sign_up.password_too_short),
        AccountFault::Password(PasswordFault::TooLong) => plain(sign_up.password_too_long),
        AccountFault::Work(err) => because(t.setup.failed, err),
        AccountFault::Create(err) => match &**err {
            CreateError::NoEmail | CreateError::Email(_) => plain(sign_up.email_wrong),
            CreateError::EmailTaken(_) => plain(sign_up.email_taken),
            CreateError::Handle(HandleRuleError::TooShort) => plain(sign_up.handle_too_short),
            CreateError::Handle(HandleRuleError::TooLong) => plain(sign_up.handle_too_long),
            CreateError::Handle(HandleRuleError::Parts | HandleRuleError::Tld) | CreateError::UnsupportedDomain => {
                plain(sign_up.handle_characters)
            }
            CreateError::HandleTaken(_) => plain(sign_up.handle_taken),
            _ => because(t.setup.account_failed, fault),
        },
    }
}

/// Ends the set-up.
async fn finish(app: &App, headers: &HeaderMap, fields: &Fields) -> Response {
    let frame = frame(app, headers, "/setup/finish");
    let answers = app.setup.answers().await;
    let passkey = app.setup.passkey_link().await;
    if let Err(err) = app.setup.complete().await {
        return broken(frame.t, &err);
    }
    let (config, env, install) = (app.setup.place().config(), app.env.clone(), app.install);
    let wanted = fields.get("service") == "on" && service_is_possible(app.setup.place());
    let problem = if wanted {
        let installed = tokio::task::spawn_blocking(move || install(config, env)).await;
        installed.map_err(|err| err.to_string()).and_then(|installed| installed).err()
    } else {
        None
    };
    let service = wanted && problem.is_none();
    app.ending.send_replace(Some(if service { Ending::Service } else { Ending::Here }));
    let live = LivePage::of(frame, &answers, service, problem, passkey);
    let mut response = page(StatusCode::OK, &live);
    response.extensions_mut().insert(CallTarget(live.origin));
    response
}

/// `POST /setup/try`: a local network instead.
pub(super) async fn try_it(
    State(app): State<App>,
    ConnectInfo(_): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    sent: Sent,
) -> Response {
    if let Err(response) = own(&app, &headers, sent) {
        return *response;
    }
    let host = headers.get(http::header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost:2583");
    // The little network calls itself localhost.
    let port = host.rsplit_once(':').map_or("2583", |(_, port)| port);
    app.ending.send_replace(Some(Ending::Trial));
    let frame = frame(&app, &headers, "/setup");
    page(StatusCode::OK, &TrialPage { frame, url: format!("http://localhost:{port}/account") })
}

#[derive(Deserialize)]
pub(super) struct Wanted {
    handle: String,
}

/// Says while one types whether a handle is free.
pub(super) async fn handle_availability(State(app): State<App>, Query(wanted): Query<Wanted>) -> Response {
    let Ok(handle) = wanted.handle.parse() else { return StatusCode::BAD_REQUEST.into_response() };
    let Ok(server) = app.setup.app().await else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
    match crate::account::availability(&server, &handle).await {
        Ok(availability) => {
            let free = match availability {
                crate::account::Availability::Free => {
                    return Json(json!({ "handle": handle, "result": { "$type": "com.atproto.temp.checkHandleAvailability#resultAvailable" } }))
                        .into_response();
                }
                crate::account::Availability::Taken(free) => free,
            };
            let suggestions: Vec<_> = free.iter().map(|handle| json!({ "handle": handle, "method": "number" })).collect();
            let result =
                json!({ "$type": "com.atproto.temp.checkHandleAvailability#resultUnavailable", "suggestions": suggestions });
            Json(json!({ "handle": handle, "result": result })).into_response()
        }
        Err(err) => err.into_response(),
    }
}
