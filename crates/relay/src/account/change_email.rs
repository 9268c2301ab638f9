//! Confirming and changing an account's e-mail address.

use super::email_token::{WrongCode, take_code};
use super::{Email, EmailError};
use crate::error::XrpcError;
use crate::state::App;
use crate::store::account::{self, Account, AccountConflict};
use crate::store::email_token::Purpose;
use crate::store::{AccountId, StoreError, WriteFailed};

/// Why an address was not confirmed or changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangeEmailError {
    #[error("Could not find account")]
    NotFound,
    #[error("Invalid email")]
    OtherEmail,
    #[error("Confirmation token required")]
    CodeRequired,
    #[error(transparent)]
    Code(#[from] WrongCode),
    #[error(transparent)]
    Email(#[from] EmailError),
    #[error("This email address is already in use, please use a different email.")]
    Taken,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Write(#[from] WriteFailed),
}

impl From<ChangeEmailError> for XrpcError {
    fn from(err: ChangeEmailError) -> Self {
        let message = err.to_string();
        match err {
            ChangeEmailError::NotFound => Self::bad_request("AccountNotFound", message),
            ChangeEmailError::OtherEmail => Self::bad_request("InvalidEmail", message),
            ChangeEmailError::CodeRequired => Self::bad_request("TokenRequired", message),
            ChangeEmailError::Code(err) => err.into(),
            ChangeEmailError::Email(_) | ChangeEmailError::Taken => Self::invalid_request(message),
            ChangeEmailError::Store(err) => err.into(),
            ChangeEmailError::Write(err) => err.into(),
        }
    }
}

/// Confirms the address of an account, which `email` must be, by the code that was mailed to it.
pub(crate) async fn confirm_email(app: &App, id: AccountId, email: &str, code: String) -> Result<(), ChangeEmailError> {
    let (email, secrets) = (email.trim().to_lowercase(), app.secrets.clone());
    let confirmed = app.db.write::<_, ChangeEmailError>(move |tx| {
        let account = account::find(tx, id)?.ok_or(ChangeEmailError::NotFound)?;
        if account.email.as_deref() != Some(email.as_str()) {
            return Err(ChangeEmailError::OtherEmail);
        }
        let taken = take_code(tx, &secrets, id, Purpose::ConfirmEmail, &code)?;
        if taken.is_ok() {
            account::confirm_email(tx, id, tx.now_millis())?;
        }
        Ok(taken)
    });
    Ok(confirmed.await??)
}

/// Gives an account another address, which is not confirmed. While the present one is, that takes a code which went there.
pub(crate) async fn update_email(
    app: &App,
    account: &Account,
    email: &str,
    code: Option<String>,
) -> Result<(), ChangeEmailError> {
    let email = Email::parse(email.trim())?;
    if !app.config.accounts.accept_disposable_mail {
        email.check_lasting()?;
    }
    let (id, secrets) = (account.id, app.secrets.clone());
    let updated = app.db.write::<_, ChangeEmailError>(move |tx| {
        let account = account::find(tx, id)?.ok_or(ChangeEmailError::NotFound)?;
        if account.email_confirmed_at.is_some() {
            // Looked at before the code is used up.
            let holder = account::find_by_email(tx, email.as_str())?;
            let code = code.ok_or(ChangeEmailError::CodeRequired)?;
            if holder.is_some_and(|holder| holder.id != id) {
                return Err(ChangeEmailError::Taken);
            }
            if let Err(wrong) = take_code(tx, &secrets, id, Purpose::UpdateEmail, &code)? {
                return Ok(Err(wrong));
            }
        }
        // Who saves the form without a change keeps the confirmation.
        if account.email.as_deref() != Some(email.as_str()) {
            account::set_email(tx, id, email.as_str()).map_err(|err| match err {
                AccountConflict::Email => ChangeEmailError::Taken,
                AccountConflict::Store(err) => err.into(),
                AccountConflict::Did | AccountConflict::Handle => unreachable!("only the address was changed"),
            })?;
        }
        Ok(Ok(()))
    });
    Ok(updated.await??)
}
