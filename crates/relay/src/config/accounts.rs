//! `[accounts]`: who may have an account.

use std::time::Duration;

use super::{
    reader::Reader,
    values::{days, parse_duration_within, parse_number},
};

/// The section `[accounts]`.
#[derive(Debug, Clone)]
pub struct Accounts {
    /// Whether a new account needs an invite code.
    pub invite_required: bool,
    /// How often each account gets a code to give away.
    pub invite_interval: Option<Duration>,
    /// When accounts begin to earn codes, in milliseconds since 1970.
    pub invite_epoch_ms: i64,
    /// Whether throw-away mail addresses are accepted.
    pub accept_disposable_mail: bool,
    /// How long an account is kept that its owner deletes.
    pub deletion_grace: Duration,
    /// Whether session responses carry the DID document.
    pub did_doc_in_session: bool,
}

impl Accounts {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let interval = Duration::from_secs(1)..=days(3650);
        Self {
            invite_required: reader.flag("accounts.invite_required"),
            invite_interval: reader.optional("accounts.invite_interval", |text| parse_duration_within(text, &interval)),
            // The largest moment that a JavaScript client can hold.
            invite_epoch_ms: reader
                .value("accounts.invite_epoch_ms", |text| parse_number(text, &(0..=8_640_000_000_000_000)))
                .cast_signed(),
            accept_disposable_mail: reader.flag("accounts.accept_disposable_mail"),
            deletion_grace: reader
                .value("accounts.deletion_grace", |text| parse_duration_within(text, &(Duration::ZERO..=days(365)))),
            did_doc_in_session: reader.flag("accounts.did_doc_in_session"),
        }
    }
}
