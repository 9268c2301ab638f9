//! The mailbox of `relay dev`: what would have been sent.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use common::Datetime;
use serde::Serialize;

use super::Letter;

/// Mails that are kept; the oldest go.
const MAX_MAILS: usize = 500;

/// Mails in memory, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Outbox(Mutex<VecDeque<OutboxMail>>);

/// A mail that was not sent, but put where developers and tests see it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OutboxMail {
    pub(crate) to: String,
    pub(crate) subject: String,
    pub(crate) sent_at: Datetime,
    /// The code in it, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<String>,
    pub(crate) text: String,
    pub(crate) html: String,
}

impl Outbox {
    pub(super) fn put(&self, to: &str, letter: &Letter, now_millis: i64) {
        let mail = OutboxMail {
            to: to.to_owned(),
            subject: letter.subject(),
            sent_at: Datetime::from_millis(now_millis),
            code: letter.the_code().map(str::to_owned),
            text: letter.as_text(),
            html: letter.as_html(),
        };
        // Each change is one step, so a panic elsewhere leaves the box whole.
        let mut mails = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if mails.len() == MAX_MAILS {
            mails.pop_front();
        }
        mails.push_back(mail);
    }

    /// Returns the mails to an address, or all, the newest first.
    pub(crate) fn list(&self, to: Option<&str>) -> Vec<OutboxMail> {
        let mails = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        mails.iter().rev().filter(|mail| to.is_none_or(|to| mail.to.eq_ignore_ascii_case(to))).cloned().collect()
    }
}
