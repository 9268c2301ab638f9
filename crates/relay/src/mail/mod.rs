//! Mail to the people who have accounts: codes, and what moderators write.
//!
//! Mail goes through the server of the configuration. Without one nothing fails: codes are made all the same, and the operator
//! finds them with `relay code show`. Under `relay dev` mail goes to a mailbox in memory that a page shows.
//!
//! # Tricky bits
//!
//! - Mail servers quote the recipient in what they answer. Errors have the address taken out, since they go to the log.
//! - What may not tell whether an address is known is done in the background ([`Mailer::in_background`]), from the look-up on:
//!   the answer is there before anything was looked up.

mod alerts;
mod codes;
mod html;
mod letter;
mod outbox;
mod smtp;

use std::sync::Arc;
use std::time::Duration;

use common::Clock;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::error::XrpcError;

pub(crate) use alerts::{farewell_letter, sign_in_letter};
pub(crate) use codes::code_letter;
pub(crate) use html::Html;
pub(crate) use letter::Letter;
pub(crate) use outbox::{Outbox, OutboxMail};
use smtp::SmtpRoute;

/// Mails that may be on their way at once, with those that are still to be written.
const PLACES: usize = 64;
/// How long the mail server may take for one mail, with connecting.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sends mail.
#[derive(Debug)]
pub(crate) struct Mailer {
    ordinary: Route,
    moderation: Route,
    places: Arc<Semaphore>,
    background: TaskTracker,
    clock: Arc<dyn Clock>,
}

/// Where mail goes.
#[derive(Debug)]
enum Route {
    Smtp(Box<SmtpRoute>),
    /// To the mailbox of `relay dev`.
    Outbox(Arc<Outbox>),
    /// Nowhere, since no mail server is configured.
    Nowhere,
}

/// What became of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// The mail server has it.
    Sent,
    /// No mail server is configured.
    NoServer,
}

/// The right to send one mail, or to do something in the background that may end in one.
#[derive(Debug)]
pub(crate) struct MailPlace(#[expect(dead_code, reason = "held until it is dropped")] OwnedSemaphorePermit);

/// Why a mail was not sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MailError {
    #[error("too many mails are on their way")]
    Busy,
    #[error("the address is not one that mail can be sent to")]
    Address(#[source] lettre::address::AddressError),
    #[error("the mail could not be composed")]
    Compose(#[source] lettre::error::Error),
    #[error("the mail server did not take the mail: {reason}")]
    Refused { reason: String },
    #[error("the mail server did not answer within {} s", PATIENCE.as_secs())]
    Timeout,
}

impl From<MailError> for XrpcError {
    fn from(err: MailError) -> Self {
        match err {
            MailError::Busy => Self::unavailable("The server is sending many mails; try again in a moment", 10),
            MailError::Address(_) => Self::invalid_request("The account's e-mail address is not one that mail can be sent to"),
            MailError::Compose(_) => Self::internal(err),
            MailError::Refused { .. } | MailError::Timeout => {
                Self::upstream("The mail could not be sent; try again later, or ask who runs this server").with_cause(err)
            }
        }
    }
}

impl Mailer {
    /// Sets mail up as the configuration says.
    ///
    /// # Errors
    ///
    /// In a sentence, when a sender or certificate of the configuration is of no use.
    pub(crate) fn open(config: &Config, clock: Arc<dyn Clock>) -> Result<Self, String> {
        let outbox = config.mail.outbox.then(Arc::<Outbox>::default);
        let route = |configured: Option<&crate::config::MailRoute>| {
            Ok::<_, String>(match (configured, &outbox) {
                (Some(route), _) => Route::Smtp(Box::new(SmtpRoute::open(route, config)?)),
                (None, Some(outbox)) => Route::Outbox(Arc::clone(outbox)),
                (None, None) => Route::Nowhere,
            })
        };
        let background = TaskTracker::new();
        // Tasks still come; being closed is what lets `idle` end when there are none.
        background.close();
        Ok(Self {
            ordinary: route(config.mail.ordinary.as_ref())?,
            moderation: route(config.mail.moderation.as_ref())?,
            places: Arc::new(Semaphore::new(PLACES)),
            background,
            clock,
        })
    }

    /// Connects to the mail server and logs in, without sending anything; returns its name and why that failed. `None` without
    /// a mail server.
    pub(crate) async fn test(&self) -> Option<(String, Result<(), String>)> {
        match &self.ordinary {
            Route::Smtp(route) => Some(route.test().await),
            Route::Outbox(_) | Route::Nowhere => None,
        }
    }

    /// Takes a place.
    ///
    /// # Errors
    ///
    /// [`MailError::Busy`] when all are taken.
    pub(crate) fn place(&self) -> Result<MailPlace, MailError> {
        Arc::clone(&self.places).try_acquire_owned().map(MailPlace).map_err(|_| MailError::Busy)
    }

    /// Sends a letter of the server.
    pub(crate) async fn send(&self, place: MailPlace, to: &str, letter: &Letter) -> Result<Delivery, MailError> {
        let delivery = self.send_by(&self.ordinary, to, letter).await;
        drop(place);
        delivery
    }

    /// Sends what a moderator wrote, from the moderators' address.
    pub(crate) async fn send_as_moderator(&self, to: &str, subject: &str, text: &str) -> Result<Delivery, MailError> {
        let place = self.place()?;
        let delivery = self.send_by(&self.moderation, to, &Letter::plain(subject, text)).await;
        drop(place);
        delivery
    }

    async fn send_by(&self, route: &Route, to: &str, letter: &Letter) -> Result<Delivery, MailError> {
        let now_millis = self.clock.millis();
        match route {
            Route::Smtp(route) => match tokio::time::timeout(PATIENCE, route.send(to, letter, now_millis)).await {
                Ok(sent) => sent.map(|()| Delivery::Sent),
                Err(_) => Err(MailError::Timeout),
            },
            Route::Outbox(outbox) => {
                outbox.put(to, letter, now_millis);
                Ok(Delivery::Sent)
            }
            Route::Nowhere => Ok(Delivery::NoServer),
        }
    }

    /// Whether letters of the server reach people.
    pub(crate) fn can_send(&self) -> bool {
        match &self.ordinary {
            Route::Smtp(_) | Route::Outbox(_) => true,
            Route::Nowhere => false,
        }
    }

    /// Runs work that nobody waits for.
    pub(crate) fn in_background(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.background.spawn(work);
    }

    /// Waits until nothing runs in the background.
    pub(crate) async fn idle(&self) {
        self.background.wait().await;
    }

    /// Returns the mailbox of `relay dev`.
    pub(crate) fn outbox(&self) -> Option<&Outbox> {
        match &self.ordinary {
            Route::Outbox(outbox) => Some(outbox),
            Route::Smtp(_) | Route::Nowhere => None,
        }
    }
}
