//! What signing in takes besides the password, and passkeys, which take its place.
//!
//! An account is asked for a second factor once its owner has set up an authenticator app ([`totp`]) or codes by mail. Then a
//! [`backup_code`] will do as well, or a [`passkey`]. App passwords are exempt: they are for programs, which nobody could ask.
//!
//! # Tricky bits
//!
//! - A code of the app has six digits only, so guessing is slowed for each account ([`totp::check`]). Mailed codes die of wrong
//!   ones, and backup codes are too long to be guessed, so whoever is kept from one by somebody's guesses still has the others.
//! - Codes are taken within the transaction that they are for: either it happens and the code is used up, or neither. A wrong
//!   one is counted, which stays only if the transaction does, so that [`take`] has its verdict in an inner result.

pub(crate) mod backup_code;
pub(crate) mod passkey;
#[cfg(test)]
mod test_authenticator;
#[cfg(test)]
mod test_support;
pub(crate) mod totp;

use common::Did;

use crate::account::{MailCodeError, WrongCode, mail_code, take_code};
use crate::error::XrpcError;
use crate::secrets::{SecretError, Secrets};
use crate::state::App;
use crate::store::account::{self, Account};
use crate::store::email_token::Purpose;
use crate::store::{self, AccountId, BatchTx, StoreError, WriteFailed};

/// A second factor that an account has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// A code of an authenticator app.
    Totp,
    /// A code by mail, which [`send_code`] sends.
    MailCode,
    /// A passkey, which takes the place of the password as well.
    Passkey,
    /// A code on paper.
    BackupCode,
}

/// Why a code was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WrongFactor {
    #[error(transparent)]
    Code(#[from] WrongCode),
    #[error("Too many wrong codes; wait, or use a backup code")]
    TooMany { retry_after_seconds: u32 },
}

/// Why there is no verdict on a second factor.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FactorError {
    #[error("Could not find account")]
    NotFound,
    #[error(transparent)]
    Wrong(#[from] WrongFactor),
    #[error("the secret of an authenticator app could not be opened")]
    Secret(#[source] SecretError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Write(#[from] WriteFailed),
}

impl From<WrongFactor> for XrpcError {
    fn from(err: WrongFactor) -> Self {
        match err {
            WrongFactor::Code(err) => err.into(),
            WrongFactor::TooMany { retry_after_seconds } => Self::too_many_requests(retry_after_seconds),
        }
    }
}

impl From<FactorError> for XrpcError {
    fn from(err: FactorError) -> Self {
        match err {
            FactorError::NotFound => Self::bad_request("AccountNotFound", err.to_string()),
            FactorError::Wrong(err) => err.into(),
            FactorError::Secret(_) => Self::internal(err),
            FactorError::Store(err) => err.into(),
            FactorError::Write(err) => err.into(),
        }
    }
}

/// Returns what may prove who signs in with the password of `did`; nothing when the password is enough.
pub(crate) async fn required(app: &App, did: &Did) -> Result<Vec<Method>, FactorError> {
    app.db
        .read(|conn| {
            let account = account::find_by_did(conn, did)?.ok_or(FactorError::NotFound)?;
            Ok(methods(conn, &account)?)
        })
        .await
}

/// Like [`required`], on a connection.
pub(crate) fn methods(conn: &rusqlite::Connection, account: &Account) -> Result<Vec<Method>, StoreError> {
    let mut methods = Vec::new();
    if store::totp::find(conn, account.id)?.is_some_and(|totp| totp.confirmed_at.is_some()) {
        methods.push(Method::Totp);
    }
    if account.email_auth_factor {
        methods.push(Method::MailCode);
    }
    if methods.is_empty() {
        return Ok(methods);
    }
    if store::passkey::count(conn, account.id)? > 0 {
        methods.push(Method::Passkey);
    }
    if store::backup_code::count(conn, account.id)? > 0 {
        methods.push(Method::BackupCode);
    }
    Ok(methods)
}

/// Mails a code to sign in with.
pub(crate) async fn send_code(app: &App, account: &Account) -> Result<(), MailCodeError> {
    mail_code(app, account, Purpose::SignIn).await
}

/// Checks a code that someone gave who signs in to `did`, which is then used up.
///
/// # Errors
///
/// [`FactorError::Wrong`] when it is none of those that the account may use now.
pub(crate) async fn check(app: &App, did: &Did, code: &str) -> Result<Method, FactorError> {
    let account = app.db.read(|conn| account::find_by_did(conn, did)).await?.ok_or(FactorError::NotFound)?;
    let (secrets, code) = (app.secrets.clone(), code.to_owned());
    let taken = app.db.write::<_, FactorError>(move |tx| take(tx, &secrets, &account, &code)).await?;
    Ok(taken?)
}

/// Takes a code within a transaction that it is for. What kind it is shows in its form: the digits of an app, or letters.
pub(crate) fn take(
    tx: &BatchTx<'_>,
    secrets: &Secrets,
    account: &Account,
    given: &str,
) -> Result<Result<Method, WrongFactor>, FactorError> {
    let methods = methods(tx, account)?;
    if methods.contains(&Method::Totp)
        && let Some(digits) = totp::digits(given)
    {
        return Ok(totp::take(tx, secrets, account, &digits)?.map(|()| Method::Totp));
    }
    if methods.contains(&Method::BackupCode) && backup_code::take(tx, account, given)? {
        return Ok(Ok(Method::BackupCode));
    }
    if methods.contains(&Method::MailCode) {
        let taken = take_code(tx, secrets, account.id, Purpose::SignIn, given)?;
        return Ok(taken.map(|()| Method::MailCode).map_err(WrongFactor::Code));
    }
    Ok(Err(WrongCode::Invalid.into()))
}

/// Says whether signing in to an account takes a code from its mail. Backup codes go with the last factor.
pub(crate) fn set_mail_factor(tx: &BatchTx<'_>, id: AccountId, wanted: bool) -> Result<(), StoreError> {
    account::set_email_auth_factor(tx, id, wanted)?;
    if !wanted {
        store::email_token::delete(tx, id, Purpose::SignIn)?;
        backup_code::drop_if_useless(tx, id)?;
    }
    Ok(())
}

/// Takes from an account all that signing in takes or may take besides the password, for an owner who has lost it.
pub(crate) fn remove_all(tx: &BatchTx<'_>, id: AccountId) -> Result<(), StoreError> {
    store::totp::delete(tx, id)?;
    store::backup_code::delete_all(tx, id)?;
    store::passkey::delete_all(tx, id)?;
    account::set_email_auth_factor(tx, id, false)
}
