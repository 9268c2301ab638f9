//! A new password for who can read the account's mail.

use common::Clock as _;

use super::email_token::{self, WrongCode, mail_code_in, take_code};
use super::password::{self, PasswordsError};
use crate::error::XrpcError;
use crate::mail::MailError;
use crate::state::AppState;
use crate::store::email_token::Purpose;
use crate::store::{StoreError, WriteFailed, account, session};

/// Why there is no new password.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResetPasswordError {
    #[error("A password has 1 to {} characters", password::MAX_NEW_CHARS)]
    Password,
    #[error(transparent)]
    Code(#[from] WrongCode),
    #[error("the password could not be hashed")]
    Hash(#[source] PasswordsError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Write(#[from] WriteFailed),
}

impl From<ResetPasswordError> for XrpcError {
    fn from(err: ResetPasswordError) -> Self {
        match err {
            ResetPasswordError::Password => Self::invalid_request(err.to_string()),
            ResetPasswordError::Code(err) => err.into(),
            ResetPasswordError::Hash(err) => err.into(),
            ResetPasswordError::Store(err) => err.into(),
            ResetPasswordError::Write(err) => err.into(),
        }
    }
}

/// Mails a code to `email` if an account has that address. The caller learns neither that nor whether the mail was sent, not
/// even from the time that it takes: all of it happens afterwards.
///
/// # Errors
///
/// [`MailError::Busy`], whoever asks.
pub(crate) fn request_password_reset(app: &AppState, email: String) -> Result<(), MailError> {
    let place = app.mail.place()?;
    let owned = app.clone();
    app.mail.in_background(async move {
        let app = owned;
        let found = match app.db.read(|conn| account::find_by_email(conn, email.trim())).await {
            Ok(found) => found,
            Err(err) => {
                tracing::error!(error = &err as &dyn std::error::Error, "whose password is to be reset could not be read");
                return;
            }
        };
        let Some(found) = found else {
            tracing::debug!("someone asked to reset the password of an address that no account has");
            return;
        };
        if let Err(err) = mail_code_in(&app, place, &found, Purpose::ResetPassword).await {
            let (did, error) = (&found.did, &err as &dyn std::error::Error);
            tracing::error!(%did, error, "a password reset was asked for, and no code was mailed");
        }
    });
    Ok(())
}

/// Sets a new password for the account whose code this is, and ends all of its sessions.
pub(crate) async fn reset_password(app: &AppState, code: String, new_password: &str) -> Result<(), ResetPasswordError> {
    if !(1..=password::MAX_NEW_CHARS).contains(&new_password.chars().count()) {
        return Err(ResetPasswordError::Password);
    }
    let now = app.clock.millis();
    // First, since hashing costs much and anyone may ask.
    let read = |conn: &rusqlite::Connection| email_token::owner_of_code(conn, &app.secrets, Purpose::ResetPassword, &code, now);
    let account = app.db.read(read).await??;
    let hash = app.passwords.hash(new_password).await.map_err(ResetPasswordError::Hash)?;
    let secrets = app.secrets.clone();
    let reset = app.db.write::<_, ResetPasswordError>(move |tx| {
        let taken = take_code(tx, &secrets, account, Purpose::ResetPassword, &code)?;
        if taken.is_ok() {
            account::set_password_hash(tx, account, &hash)?;
            session::delete_all(tx, account)?;
        }
        Ok(taken)
    });
    Ok(reset.await??)
}
