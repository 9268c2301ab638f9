//! The account in the browser.

pub(crate) mod app_passwords;
pub(crate) mod authenticator;
pub(crate) mod backup_codes;
pub(crate) mod confirm;
pub(crate) mod data;
pub(crate) mod devices;
pub(crate) mod email;
pub(crate) mod forgot_password;
pub(crate) mod handle;
pub(crate) mod home;
pub(crate) mod password;
pub(crate) mod reset_password;
pub(crate) mod security;
mod shell;
pub(crate) mod sign_in;
pub(crate) mod sign_in_code;
pub(crate) mod sign_in_link;
pub(crate) mod sign_in_passkey;
pub(crate) mod sign_out;
pub(crate) mod sign_up;
pub(crate) mod switch;
pub(crate) mod welcome;

use crate::account::MAX_NEW_PASSWORD_CHARS;
use crate::store::account::Account;

/// The fewest characters of a password that is chosen on a page. Apps may ask for less.
pub(crate) const MIN_PASSWORD_CHARS: usize = 8;

/// What is wrong with a new password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PasswordFault {
    TooShort,
    TooLong,
}

/// Looks at a new password.
pub(crate) fn password_fault(password: &str) -> Option<PasswordFault> {
    match password.chars().count() {
        ..MIN_PASSWORD_CHARS => Some(PasswordFault::TooShort),
        MIN_PASSWORD_CHARS..=MAX_NEW_PASSWORD_CHARS => None,
        _ => Some(PasswordFault::TooLong),
    }
}

/// An account as people know it.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    /// The handle, or the DID of an account that has none.
    pub(crate) name: String,
    pub(crate) did: String,
}

impl Person {
    pub(crate) fn of(account: &Account) -> Self {
        let did = account.did.to_string();
        Self { name: account.handle.as_ref().map_or_else(|| did.clone(), ToString::to_string), did }
    }

    /// Returns the first letter of the name, in the place of a picture.
    pub(crate) fn initial(&self) -> char {
        self.name.chars().next().unwrap_or('?').to_ascii_uppercase()
    }
}
