//! `GET` and `POST /account/handle`: another handle, under a domain of this server or under one's own.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use common::Handle;
use http::StatusCode;
use serde::Deserialize;

use super::shell::{Confirmed, Done, Section, Shell, back};
use crate::account::change_handle;
use crate::error::XrpcError;
use crate::identity::fetch::FetchError;
use crate::identity::handle::HandleFault;
use crate::limits::Meter;
use crate::pages::texts::AccountTexts;
use crate::pages::{CsrfForm, Frame, SignedIn};
use crate::state::AppState;

#[derive(Template)]
#[template(path = "account_handle.html")]
struct Page {
    frame: Frame,
    shell: Shell,
    current: String,
    did: String,
    domains: Vec<String>,
    name: String,
    /// The own domain that was typed.
    own: String,
    check: Option<Check>,
}

/// What was found at an own domain.
struct Check {
    record: String,
    dns: Finding,
    https: Finding,
}

impl Check {
    fn is_good(&self) -> bool {
        // As the network decides: a record in the DNS wins.
        self.dns.is_good || (self.https.is_good && !self.dns.is_other)
    }
}

/// What one way of asking found.
struct Finding {
    is_good: bool,
    /// Whether it leads to another account.
    is_other: bool,
    text: String,
}

#[derive(Deserialize)]
pub(crate) struct Params {
    done: Option<Done>,
    domain: Option<String>,
}

pub(crate) async fn show(Confirmed(who): Confirmed, Query(params): Query<Params>) -> Result<Response, XrpcError> {
    let mut page = page(&who, params.done).await?;
    let Some(own) = params.domain else { return who.visitor.page(StatusCode::OK, &page) };
    page.own = bare(&own);
    let t = page.shell.t;
    match page.own.parse::<Handle>() {
        Ok(handle) if !is_hosted(&page.domains, &handle) => {
            page.check = Some(check(&who, &handle).await);
            who.visitor.page(StatusCode::OK, &page)
        }
        Ok(_) => refuse(&who, page, StatusCode::BAD_REQUEST, t.handle_is_hosted.to_owned()),
        Err(_) => refuse(&who, page, StatusCode::BAD_REQUEST, t.handle_invalid.to_owned()),
    }
}

async fn page(who: &SignedIn, done: Option<Done>) -> Result<Page, XrpcError> {
    let (frame, shell) = Shell::of(who, Section::Handle, done).await?;
    let domains = &who.visitor.app.config.identity.handle_domains;
    Ok(Page {
        current: shell.person.name.clone(),
        did: who.account.did.to_string(),
        domains: domains.iter().map(|domain| domain.as_str().to_owned()).collect(),
        name: String::new(),
        own: String::new(),
        check: None,
        frame,
        shell,
    })
}

fn refuse(who: &SignedIn, page: Page, status: StatusCode, problem: String) -> Result<Response, XrpcError> {
    let shell = page.shell.clone().with_problem(problem);
    who.visitor.page(status, &Page { shell, ..page })
}

/// Takes off what people copy along: an address, an at sign.
fn bare(typed: &str) -> String {
    let typed = typed.trim().trim_start_matches('@').to_lowercase();
    let typed = typed.strip_prefix("https://").or_else(|| typed.strip_prefix("http://")).unwrap_or(&typed);
    typed.trim_end_matches('/').chars().take(260).collect()
}

fn is_hosted(domains: &[String], handle: &Handle) -> bool {
    domains.iter().any(|domain| handle.as_str().ends_with(domain.as_str()))
}

async fn check(who: &SignedIn, handle: &Handle) -> Check {
    let did = &who.account.did;
    let t = &who.visitor.frame().t.account;
    let (dns, https) = who.visitor.app.identity.look_for_handle(handle).await;
    let finding = |found: Result<common::Did, HandleFault>| match found {
        Ok(found) if found == *did => Finding { is_good: true, is_other: false, text: t.handle_found.to_owned() },
        Ok(found) => Finding { is_good: false, is_other: true, text: (t.handle_found_other)(found.as_str()) },
        Err(fault) => Finding { is_good: false, is_other: false, text: in_words(&fault, t) },
    };
    Check { record: format!("_atproto.{handle}"), dns: finding(dns), https: finding(https) }
}

/// Says why nothing was found, and what may be the matter.
fn in_words(fault: &HandleFault, t: &AccountTexts) -> String {
    match fault {
        HandleFault::Slow | HandleFault::Fetch(FetchError::Timeout { .. }) => t.found_slow.to_owned(),
        HandleFault::Tld(tld) => (t.found_tld)(tld),
        HandleFault::NoRecord(name) => (t.found_no_record)(name),
        HandleFault::OtherRecord(name) => (t.found_other_record)(name),
        HandleFault::SeveralRecords(name) => (t.found_several_records)(name),
        HandleFault::Dns(failure) => (t.found_dns_failed)(&failure.to_string()),
        HandleFault::Status { status, .. } => (t.found_status)(status.as_str()),
        HandleFault::NotADid { place, .. } => (t.found_no_did)(place),
        HandleFault::Fetch(FetchError::UnknownHost { host, .. }) => (t.found_no_host)(host),
        HandleFault::Fetch(FetchError::PrivateAddress { host }) => (t.found_private)(host),
        HandleFault::Fetch(FetchError::Redirect { .. }) => t.found_redirect.to_owned(),
        HandleFault::Fetch(FetchError::Connect { cause, .. } | FetchError::Interrupted { cause, .. }) => {
            (t.found_no_connection)(cause)
        }
        HandleFault::Fetch(
            err @ (FetchError::BadUrl { .. }
            | FetchError::NotHttps { .. }
            | FetchError::TooLarge { .. }
            | FetchError::HtmlPage { .. }),
        ) => (t.found_no_connection)(&err.to_string()),
    }
}

#[derive(Deserialize)]
pub(crate) struct Input {
    /// The part before a domain of this server.
    name: Option<String>,
    domain: Option<String>,
    /// A whole handle under an own domain.
    own: Option<String>,
}

pub(crate) async fn submit(
    State(app): State<AppState>,
    Confirmed(who): Confirmed,
    meter: Meter,
    CsrfForm(input): CsrfForm<Input>,
) -> Result<Response, XrpcError> {
    let mut page = page(&who, None).await?;
    let t = page.shell.t;
    let wanted = if let Some(own) = &input.own {
        page.own = bare(own);
        page.own.clone()
    } else {
        let domain = input.domain.as_deref().filter(|domain| page.domains.iter().any(|known| known == domain));
        let domain = domain.or(page.domains.first().map(String::as_str)).unwrap_or_default().to_owned();
        page.name = bare(input.name.as_deref().unwrap_or_default());
        page.name = page.name.strip_suffix(&domain).unwrap_or(&page.name).to_owned();
        format!("{}{domain}", page.name)
    };
    let Ok(handle) = wanted.parse::<Handle>() else {
        return refuse(&who, page, StatusCode::BAD_REQUEST, t.handle_invalid.to_owned());
    };
    meter.count_account_call("com.atproto.identity.updateHandle", who.account.id)?;
    match change_handle(&app, &who.account, handle.clone(), false).await {
        Ok(()) => Ok(back(&who.visitor, "/account/handle", "handle")),
        Err(err) if err.status().is_server_error() => Err(err),
        Err(err) => {
            if input.own.is_some() {
                page.check = Some(check(&who, &handle).await);
            }
            let problem = match err.name() {
                "HandleNotAvailable" => t.handle_taken.to_owned(),
                "InvalidHandle" if input.own.is_some() => t.handle_invalid.to_owned(),
                "InvalidHandle" => t.handle_rules.to_owned(),
                _ => (t.handle_failed)(err.message()),
            };
            refuse(&who, page, StatusCode::BAD_REQUEST, problem)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{HandleFault, bare, in_words};
    use crate::pages::Language;

    #[test]
    fn what_was_found_is_said_in_the_language_of_the_page() {
        let fault = HandleFault::NoRecord("_atproto.example.com".to_owned());
        let [english, german] =
            [Language::English, Language::German].map(|language| in_words(&fault, &language.texts().account));
        assert_eq!(english, "There is no TXT record at _atproto.example.com.");
        assert_eq!(german, "Unter _atproto.example.com gibt es keinen TXT-Eintrag.");
    }

    #[test]
    fn what_people_copy_along_is_taken_off() {
        for typed in ["example.com", " @Example.com ", "https://example.com/", "http://example.com"] {
            assert_eq!(bare(typed), "example.com", "{typed}");
        }
    }
}
