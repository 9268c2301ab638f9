//! The pages as they are filled in.

use std::sync::PoisonError;

use askama::Template;
use axum::response::{Html, IntoResponse as _, Response};
use http::{HeaderMap, StatusCode};
use indicatif::HumanBytes;

use super::super::answers::{AccountAnswer, Answers, Speaker, Step};
use super::super::dns_rows::{NameState, Names, Row};
use super::super::moving::Moving;
use super::super::reach::{Location, PortState, Reach};
use super::door::{Refused, Session};
use super::steps::Fields;
use super::{App, Web};
use crate::doctor::{Finding, Outcome};
use crate::move_in::Fault;
use crate::pages::account::MIN_PASSWORD_CHARS;
use crate::pages::texts::SetupTexts;
use crate::pages::{Frame, Language, find_cookie};
use crate::qr;

/// The cookie of the browser that was let in.
pub(super) const COOKIE: &str = "relay_setup";

/// Returns the session of the browser that asks.
pub(super) fn session_of(app: &Web, headers: &HeaderMap) -> Option<Session> {
    let cookie = find_cookie(headers, COOKIE)?;
    app.door.lock().unwrap_or_else(PoisonError::into_inner).session(cookie)
}

/// What went wrong with what was sent.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    pub(super) text: String,
    /// What the machine says about it.
    pub(super) detail: Option<String>,
}

/// What every step has around its own content.
pub(super) struct Shell {
    pub(super) steps: Vec<StepLink>,
    pub(super) problem: Option<Problem>,
    pub(super) fields: Fields,
}

/// A step in the list of steps.
pub(super) struct StepLink {
    pub(super) name: &'static str,
    pub(super) current: bool,
    pub(super) done: bool,
    /// The step to go back to, if the person may.
    pub(super) again: Option<&'static str>,
}

impl Shell {
    pub(super) fn new(answers: &Answers, t: &SetupTexts, problem: Option<Problem>, fields: Fields) -> Self {
        let now = answers.step();
        // The recovery key is a part of the account to the person.
        let shown = Step::ALL.into_iter().filter(|step| *step != Step::RecoveryKey);
        let is_now = |step: Step| step == now || (now == Step::RecoveryKey && step == Step::Account);
        let steps = shown.zip(t.step_names).map(|(step, name)| StepLink {
            name,
            current: is_now(step),
            done: step < now && !is_now(step),
            again: answers.may_redo(step).then(|| step.word()),
        });
        Self { steps: steps.collect(), problem, fields }
    }

    fn field(&self, name: &str) -> &str {
        self.fields.get(name)
    }
}

#[derive(Template)]
#[template(path = "setup_begin.html")]
pub(super) struct Begin {
    pub(super) frame: Frame,
    pub(super) token: String,
    pub(super) folder: String,
}

#[derive(Template)]
#[template(path = "setup_refused.html")]
struct RefusedPage {
    frame: Frame,
    text: &'static str,
}

#[derive(Template)]
#[template(path = "setup_name.html")]
pub(super) struct NamePage {
    pub(super) frame: Frame,
    pub(super) shell: Shell,
}

#[derive(Template)]
#[template(path = "setup_dns.html")]
pub(super) struct DnsPage {
    pub(super) frame: Frame,
    pub(super) shell: Shell,
    pub(super) rows: Vec<Row>,
    pub(super) host: State,
    pub(super) handles: State,
    pub(super) asked: String,
    pub(super) right: bool,
}

/// How something is, in words.
pub(super) struct State {
    pub(super) text: String,
    pub(super) good: bool,
}

#[derive(Template)]
#[template(path = "setup_reach.html")]
pub(super) struct ReachPage {
    pub(super) frame: Frame,
    pub(super) shell: Shell,
    pub(super) host: String,
    pub(super) ports: Vec<State>,
    pub(super) location: State,
    /// Whether the router could open its ports.
    pub(super) router_answers: bool,
    /// Whether the server could do it by itself.
    pub(super) free: bool,
    /// Where the proxy has to pass requests on to.
    pub(super) upstream: String,
}

#[derive(Template)]
#[template(path = "setup_https.html")]
pub(super) struct HttpsPage {
    pub(super) frame: Frame,
    pub(super) shell: Shell,
}

#[derive(Template)]
#[template(path = "setup_mail.html")]
pub(super) struct MailPage {
    pub(super) frame: Frame,
    pub(super) shell: Shell,
}

#[derive(Template)]
#[template(path = "setup_account.html")]
pub(super) struct AccountPage {
    pub(super) frame: Frame,
    pub(super) shell: Shell,
    pub(super) domain: String,
    pub(super) min_password: usize,
}

#[derive(Template)]
#[template(path = "setup_move.html")]
pub(super) struct MovePage {
    pub(super) frame: Frame,
    pub(super) shell: Shell,
    pub(super) view: Moving,
    /// The account, as the person knows it.
    name: String,
    old_server: String,
    /// The handle that it could have here.
    proposed: String,
    /// What a did:web has to say.
    document: Option<String>,
}

/// A move about which nothing can be told at this moment.
#[derive(Template)]
#[template(path = "setup_move_stuck.html")]
pub(super) struct StuckPage {
    pub(super) frame: Frame,
    pub(super) shell: Shell,
}

#[derive(Template)]
#[template(path = "setup_key.html")]
pub(super) struct KeyPage {
    pub(super) frame: Frame,
    pub(super) shell: Shell,
    pub(super) key: String,
}

#[derive(Template)]
#[template(path = "setup_backup.html")]
pub(super) struct BackupPage {
    pub(super) frame: Frame,
    pub(super) shell: Shell,
    pub(super) suggested: String,
    pub(super) key: String,
}

#[derive(Template)]
#[template(path = "setup_finish.html")]
pub(super) struct FinishPage {
    pub(super) frame: Frame,
    pub(super) shell: Shell,
    /// What the doctor found; `None` before it looked.
    pub(super) findings: Option<Vec<Finding>>,
    pub(super) service: bool,
}

impl FinishPage {
    fn bad(&self) -> Vec<&Finding> {
        let bad = |finding: &&Finding| matches!(finding.outcome, Outcome::Notice | Outcome::Warning | Outcome::Error);
        self.findings.iter().flatten().filter(bad).collect()
    }

    fn is_well(&self) -> bool {
        self.bad().iter().all(|finding| finding.outcome == Outcome::Notice)
    }
}

#[derive(Template)]
#[template(path = "setup_live.html")]
pub(super) struct LivePage {
    pub(super) frame: Frame,
    pub(super) host: String,
    /// Where the server answers.
    pub(super) origin: String,
    pub(super) passkey: Option<PasskeyOffer>,
    pub(super) handle: Option<String>,
    pub(super) service: bool,
    pub(super) problem: Option<String>,
}

/// The way to a passkey of the server.
pub(super) struct PasskeyOffer {
    pub(super) link: String,
    pub(super) qr: Option<qr::Svg>,
}

#[derive(Template)]
#[template(path = "setup_trial.html")]
pub(super) struct TrialPage {
    pub(super) frame: Frame,
    pub(super) url: String,
}

pub(super) fn frame(app: &Web, headers: &HeaderMap, here: &str) -> Frame {
    let csrf = session_of(app, headers).map(|session| session.csrf()).unwrap_or_default();
    Frame::of_set_up(Language::of(headers), csrf, here.to_owned())
}

/// Answers with a page.
pub(super) fn page(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(err) => {
            tracing::error!(error = &err as &dyn std::error::Error, "a page of the set-up could not be made");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Answers whoever was not let in.
pub(super) fn refused(app: &App, headers: &HeaderMap, why: Refused) -> Response {
    let frame = frame(app, headers, "/setup");
    let t = &frame.t.setup;
    let text = match why {
        Refused::NoLink => t.no_link,
        Refused::Wrong => t.wrong_link,
        Refused::Expired => t.expired_link,
        Refused::Used => t.used_link,
        Refused::TooMany => t.too_many,
    };
    page(StatusCode::FORBIDDEN, &RefusedPage { text, frame: frame.clone() })
}

/// Tells how a name is.
pub(super) fn state_of(state: &NameState, t: &SetupTexts) -> State {
    let list = |addresses: &[std::net::IpAddr]| addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let text = match state {
        NameState::Right(found) => (t.dns_right)(&list(found)),
        NameState::Elsewhere { found, expected } => (t.dns_elsewhere)(&list(found), &list(expected)),
        NameState::Private(address) => (t.dns_private)(&address.to_string()),
        NameState::Missing => t.dns_missing.to_owned(),
        NameState::Spreading => t.dns_spreading.to_owned(),
        NameState::Unknown(reason) => (t.dns_unknown)(reason),
    };
    State { text, good: state.is_right() }
}

impl DnsPage {
    pub(super) fn of(frame: Frame, shell: Shell, names: Names) -> Self {
        let t = &frame.t.setup;
        let (host, handles) = (state_of(&names.host, t), state_of(&names.handles, t));
        let asked = if names.asked.is_empty() { String::new() } else { (t.dns_asked)(&names.asked.join(", ")) };
        let right = names.are_right();
        Self { frame, shell, rows: names.rows, host, handles, asked, right }
    }
}

impl ReachPage {
    pub(super) fn of(frame: Frame, shell: Shell, reach: &Reach, host: String, upstream: String) -> Self {
        let t = &frame.t.setup;
        let port = |(address, state): &(std::net::SocketAddr, PortState)| {
            let port = address.port().to_string();
            let text = match state {
                PortState::Free => (t.port_free)(&port),
                PortState::Taken(by) => (t.port_taken)(&port, by.as_deref().unwrap_or(t.another_program)),
                PortState::Refused(reason) => (t.port_refused)(&port, reason),
            };
            State { text, good: *state == PortState::Free }
        };
        let (text, good) = match reach.location {
            Location::Public(address) => ((t.public_address)(&address.to_string()), true),
            Location::BehindRouter(address) => ((t.behind_router)(&address.to_string()), false),
            Location::CarrierGrade(address) => ((t.carrier_grade)(&address.to_string()), false),
            Location::Offline => (t.offline.to_owned(), false),
        };
        Self {
            ports: reach.ports.iter().map(port).collect(),
            location: State { text, good },
            router_answers: reach.router_answers && matches!(reach.location, Location::BehindRouter(_)),
            free: reach.ports_are_free(),
            frame,
            shell,
            host,
            upstream,
        }
    }
}

impl LivePage {
    pub(super) fn of(
        frame: Frame,
        answers: &Answers,
        service: bool,
        problem: Option<String>,
        passkey_link: Option<String>,
    ) -> Self {
        let handle = match &answers.account {
            Some(AccountAnswer::Made { handle, .. }) => Some(handle.to_string()),
            Some(AccountAnswer::Later) | None => None,
        };
        let host = answers.host.clone().unwrap_or_default();
        let offer = |link: String| PasskeyOffer { qr: qr::Svg::of(&link).ok(), link };
        let passkey = passkey_link.map(offer);
        Self { frame, origin: format!("https://{host}"), host, passkey, handle, service, problem }
    }
}

impl AccountPage {
    pub(super) fn of(frame: Frame, shell: Shell, answers: &Answers) -> Self {
        let domain = format!(".{}", answers.host.as_deref().unwrap_or_default());
        Self { frame, shell, domain, min_password: MIN_PASSWORD_CHARS }
    }
}

impl MovePage {
    pub(super) fn of(frame: Frame, shell: Shell, view: Moving) -> Self {
        let (did, handle, old_server) = match &view {
            Moving::SignIn(plan) | Moving::Factor(plan) => (&plan.did, &plan.old_handle, plan.old_server.clone()),
            Moving::Copying(state, _) | Moving::Stopped(state, _) | Moving::Identity(state, _) | Moving::End(state) => {
                (&state.did, &state.old_handle, state.old_server.clone())
            }
        };
        let name = handle.as_ref().map_or_else(|| did.to_string(), ToString::to_string);
        let (mut proposed, mut document) = (String::new(), None);
        match &view {
            Moving::SignIn(plan) => proposed = plan.new_handle.as_ref().map(ToString::to_string).unwrap_or_default(),
            Moving::Identity(state, _) => document = state.did_document.as_ref().map(|document| format!("{document:#}")),
            Moving::Factor(_) | Moving::Copying(..) | Moving::Stopped(..) | Moving::End(_) => {}
        }
        Self { frame, shell, view, name, old_server, proposed, document }
    }

    /// Whether the page changes by itself.
    pub(super) const fn changes(&self) -> bool {
        matches!(self.view, Moving::Copying(..))
    }

    fn may_give_up(&self) -> bool {
        match &self.view {
            Moving::SignIn(_) | Moving::Factor(_) | Moving::Stopped(..) | Moving::Identity(..) => true,
            Moving::Copying(..) | Moving::End(_) => false,
        }
    }

    /// Whether anything came here.
    fn has_begun(&self) -> bool {
        match &self.view {
            Moving::SignIn(_) => false,
            Moving::Factor(plan) => plan.under_way.is_some(),
            Moving::Copying(..) | Moving::Stopped(..) | Moving::Identity(..) | Moving::End(_) => true,
        }
    }

    /// Why the copying stopped, in the person's words.
    fn stopped_by(&self, fault: &Fault) -> &'static str {
        super::moving::words(fault, self.frame.t)
    }

    fn blobs_here(&self) -> String {
        match &self.view {
            Moving::Identity(state, _) => state.blobs.saturating_sub(state.missing_blobs).to_string(),
            Moving::SignIn(_) | Moving::Factor(_) | Moving::Copying(..) | Moving::Stopped(..) | Moving::End(_) => String::new(),
        }
    }

    fn repo_size(&self) -> String {
        match &self.view {
            Moving::Copying(_, progress) => HumanBytes(progress.repo_bytes).to_string(),
            Moving::SignIn(_) | Moving::Factor(_) | Moving::Stopped(..) | Moving::Identity(..) | Moving::End(_) => {
                String::new()
            }
        }
    }
}

/// Reads who speaks TLS from a form.
pub(super) fn speaker_of(fields: &Fields) -> Speaker {
    if fields.get("tls") == "proxy" { Speaker::Proxy } else { Speaker::Server }
}
