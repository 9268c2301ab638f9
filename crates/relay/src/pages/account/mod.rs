//! The account in the browser.

pub(crate) mod home;
pub(crate) mod sign_in;
pub(crate) mod sign_out;
pub(crate) mod switch;

use crate::store::account::Account;

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
