//! The ways by which a notice leaves.

use http::Method;
use serde_json::json;
use url::Url;

use super::Notice;
use crate::config::Secret;
use crate::identity::fetch::FetchError;
use crate::mail::{Letter, MailError};
use crate::state::AppState;

/// Most bytes of an answer that are read.
pub(super) const MAX_ANSWER_BYTES: usize = 64 << 10;

/// Where notices go.
#[derive(Clone, Debug)]
pub(super) enum Channel {
    /// A mail address.
    Mail(String),
    /// A topic of ntfy.sh, or of a server like it.
    Ntfy { url: Url, token: Option<Secret> },
    /// A URL that gets JSON.
    Webhook(Url),
}

/// Why a notice was not delivered.
#[derive(Debug, thiserror::Error)]
pub(super) enum DeliverError {
    #[error("{0}")]
    Mail(#[from] MailError),
    /// The URL, which holds secrets, is left out.
    #[error("no answer: {}", kind(.0))]
    Fetch(FetchError),
    #[error("the answer has status {0}")]
    Status(u16),
}

impl From<FetchError> for DeliverError {
    fn from(err: FetchError) -> Self {
        Self::Fetch(err)
    }
}

/// Says what went wrong without the URL.
pub(super) fn kind(err: &FetchError) -> &'static str {
    match err {
        FetchError::BadUrl { .. } | FetchError::NotHttps { .. } => "the URL is not one that can be opened",
        FetchError::PrivateAddress { .. } => "the address is private",
        FetchError::UnknownHost { .. } => "the host is not known",
        FetchError::Timeout { .. } => "no answer in time",
        FetchError::Connect { .. } => "no connection",
        FetchError::Interrupted { .. } => "the exchange broke off",
        FetchError::Redirect { .. } => "a redirect, which is not followed",
        FetchError::TooLarge { .. } => "the answer is too large",
        FetchError::HtmlPage { .. } => "a page for people",
    }
}

impl Channel {
    /// Returns the channels of the configuration.
    pub(super) fn configured(app: &AppState) -> Vec<Self> {
        let notices = &app.config.notices;
        let mail = notices.mail_to.as_ref().map(|to| Self::Mail(to.bare().to_owned()));
        let ntfy = notices.ntfy_url.clone().map(|url| Self::Ntfy { url, token: notices.ntfy_token.clone() });
        let webhook = notices.webhook_url.clone().map(Self::Webhook);
        [mail, ntfy, webhook].into_iter().flatten().collect()
    }

    /// Returns the name that what was told is remembered by.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Mail(_) => "mail",
            Self::Ntfy { .. } => "ntfy",
            Self::Webhook(_) => "webhook",
        }
    }

    /// Delivers a notice.
    pub(super) async fn deliver(&self, app: &AppState, notice: &Notice) -> Result<(), DeliverError> {
        let host = app.config.server.public_url.host();
        let title = if notice.is_failing() { format!("{host}: not well") } else { format!("{host}: well again") };
        let mut text = notice.headline();
        if let Some(remedy) = notice.remedy() {
            text.push_str("\n\n");
            text.push_str(remedy);
        }
        let client = &app.identity.clients().trusted;
        match self {
            Self::Mail(to) => {
                let subject = format!("{title}: {}", notice.topic());
                app.mail.send(app.mail.place()?, to, &Letter::plain(&subject, &text)).await?;
                Ok(())
            }
            Self::Ntfy { url, token } => {
                let (priority, tags) = if notice.is_failing() { ("high", "warning") } else { ("default", "white_check_mark") };
                let mut request = client
                    .request(Method::POST, url)?
                    .header("title", title)
                    .header("priority", priority)
                    .header("tags", tags)
                    .body(text);
                if let Some(token) = token {
                    request = request.bearer_auth(token.expose());
                }
                accepted(client.exchange(request, MAX_ANSWER_BYTES).await?.status)
            }
            Self::Webhook(url) => {
                let (state, since, problem, remedy) = match notice {
                    Notice::Failing(problem) => {
                        let since = common::Datetime::from_millis(problem.since_millis).as_str().to_owned();
                        ("failing", Some(since), Some(&problem.problem), Some(&problem.remedy))
                    }
                    Notice::Well { .. } => ("well", None, None, None),
                };
                let body = json!({
                    "server": app.config.server.public_url.as_str(),
                    "topic": notice.topic(),
                    "state": state,
                    "since": since,
                    "problem": problem,
                    "remedy": remedy,
                    // The whole as one text, by the name that chat services take.
                    "text": format!("{title}\n{text}"),
                });
                accepted(client.post_json(url, &body, MAX_ANSWER_BYTES).await?.status)
            }
        }
    }
}

pub(super) fn accepted(status: http::StatusCode) -> Result<(), DeliverError> {
    if status.is_success() { Ok(()) } else { Err(DeliverError::Status(status.as_u16())) }
}
