//! App passwords: 80 random bits each, made here.
//!
//! Being random, they need no slow hash, and signing in with one finds it by its hash.

use common::{Clock as _, Did};
use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use crate::auth::Scope;
use crate::error::XrpcError;
use crate::state::App;
use crate::store::account::Account;
use crate::store::app_password::{self, AppPassword, AppPasswordConflict};
use crate::store::{AccountId, StoreError, WriteFailed, session};

/// App passwords that an account may have.
const MAX_PER_ACCOUNT: usize = 200;
const MAX_NAME_CHARS: usize = 256;

/// Why there is no new app password.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AppPasswordError {
    #[error("The name of an app password has 1 to {MAX_NAME_CHARS} characters")]
    NameLength,
    #[error("There is an app password of this name; choose another name or revoke it")]
    NameTaken,
    #[error("An account has at most {MAX_PER_ACCOUNT} app passwords; revoke one that is not used")]
    TooMany,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Write(#[from] WriteFailed),
}

impl From<AppPasswordConflict> for AppPasswordError {
    fn from(err: AppPasswordConflict) -> Self {
        match err {
            AppPasswordConflict::Name => Self::NameTaken,
            AppPasswordConflict::Store(err) => Self::Store(err),
        }
    }
}

impl From<AppPasswordError> for XrpcError {
    fn from(err: AppPasswordError) -> Self {
        match err {
            AppPasswordError::NameLength | AppPasswordError::NameTaken | AppPasswordError::TooMany => {
                Self::invalid_request(err.to_string())
            }
            AppPasswordError::Store(err) => err.into(),
            AppPasswordError::Write(err) => err.into(),
        }
    }
}

/// Returns the hash by which an app password is known; `None` for text that is none.
pub(super) fn hash(did: &Did, password: &str) -> Option<String> {
    let password = normalized(password)?;
    Some(HEXLOWER.encode(&Sha256::digest(format!("{did} {password}"))))
}

/// Returns an app password as it was given out; `None` for text that is none.
pub(super) fn normalized(password: &str) -> Option<String> {
    has_form(password).then(|| password.trim().to_ascii_lowercase())
}

/// Whether a text has the form of an app password.
pub(super) fn has_form(text: &str) -> bool {
    let text = text.trim();
    text.len() == 19 && text.bytes().enumerate().all(|(at, b)| if at % 5 == 4 { b == b'-' } else { b.is_ascii_alphanumeric() })
}

/// Returns what a session may do that begins with an app password.
pub(super) fn scope(app_password: &AppPassword) -> Scope {
    if app_password.privileged { Scope::AppPassPrivileged } else { Scope::AppPass }
}

/// Makes an app password for an account, and returns its text, which cannot be told again.
pub(crate) async fn create_app_password(
    app: &App,
    account: &Account,
    name: String,
    privileged: bool,
) -> Result<(AppPassword, String), AppPasswordError> {
    if !(1..=MAX_NAME_CHARS).contains(&name.chars().count()) {
        return Err(AppPasswordError::NameLength);
    }
    let text = crypto::random_text::app_password(crate::random::bytes());
    let hash = hash(&account.did, &text).expect("what was made has the form");
    let (id, new) = (account.id, AppPassword { name, privileged, created_at: app.clock.millis() });
    let new = app
        .db
        .write::<_, AppPasswordError>(move |tx| {
            if app_password::count(tx, id)? >= MAX_PER_ACCOUNT {
                return Err(AppPasswordError::TooMany);
            }
            app_password::insert(tx, id, &new, &hash)?;
            Ok(new)
        })
        .await?;
    Ok((new, text))
}

/// Deletes an app password, and ends the sessions that it began; their access tokens last to their end.
pub(crate) async fn revoke_app_password(app: &App, account: AccountId, name: String) -> Result<(), AppPasswordError> {
    app.db
        .write(move |tx| {
            session::delete_of_app_password(tx, account, &name)?;
            Ok(app_password::delete(tx, account, &name)?)
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_the_form_is_looked_up() {
        let did: Did = "did:plc:ewvi7nxzyoun6zhxrhs64oiz".parse().unwrap();
        let hash = |text: &str| hash(&did, text);
        assert!(hash("abcd-2345-wxyz-mnop").is_some());
        assert_eq!(hash("abcd-2345-wxyz-mnop"), hash(" ABCD-2345-wxyz-mnop"));
        assert_ne!(hash("abcd-2345-wxyz-mnop"), hash("abcd-2345-wxyz-mnoq"));
        for text in
            ["", "abcd2345wxyzmnop", "abcd-2345-wxyz-mno", "abcd-2345-wxyz-mnopq", "abc--2345-wxyz-mnop", "äbc-2345-wxyz-mnop"]
        {
            assert_eq!(hash(text), None, "{text}");
        }
    }
}
