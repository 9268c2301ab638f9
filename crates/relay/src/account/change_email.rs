//! Confirming and changing an account's e-mail address.

use super::email_token::{WrongCode, take_code};
use super::{Email, EmailError};
use crate::error::XrpcError;
use crate::second_factor;
use crate::state::App;
use crate::store::account::{self, AccountConflict};
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
    #[error("Confirm this email address before sign-in codes are sent to it")]
    FactorNeedsConfirmation,
    #[error("This server sends no mail, and so no sign-in codes")]
    NoMail,
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
            ChangeEmailError::FactorNeedsConfirmation
            | ChangeEmailError::NoMail
            | ChangeEmailError::Email(_)
            | ChangeEmailError::Taken => Self::invalid_request(message),
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

/// What someone asks for who changes their address.
pub(crate) struct EmailChange {
    pub(crate) email: String,
    /// A code that went to the present address.
    pub(crate) code: Option<String>,
    /// Whether signing in shall take a code from the mail; `None` leaves it as it is.
    pub(crate) auth_factor: Option<bool>,
}

/// Gives an account another address, which is not confirmed, or says whether signing in takes a code from the mail. While the
/// present address is confirmed, that takes a code which went there, but for turning the second factor on: that takes no power
/// from the owner.
pub(crate) async fn update_email(app: &App, id: AccountId, change: EmailChange) -> Result<(), ChangeEmailError> {
    let email = Email::parse(change.email.trim())?;
    if !app.config.accounts.accept_disposable_mail {
        email.check_lasting()?;
    }
    if change.auth_factor == Some(true) && !app.mail.can_send() {
        return Err(ChangeEmailError::NoMail);
    }
    let EmailChange { code, auth_factor, .. } = change;
    let secrets = app.secrets.clone();
    let updated = app.db.write::<_, ChangeEmailError>(move |tx| {
        let account = account::find(tx, id)?.ok_or(ChangeEmailError::NotFound)?;
        let is_same = account.email.as_deref() == Some(email.as_str());
        let is_confirmed = account.email_confirmed_at.is_some();
        if auth_factor == Some(true) && !(is_same && is_confirmed) {
            return Err(ChangeEmailError::FactorNeedsConfirmation);
        }
        if is_confirmed && !(auth_factor == Some(true) && code.is_none()) {
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
        if let Some(wanted) = auth_factor {
            second_factor::set_mail_factor(tx, id, wanted)?;
        }
        // Who saves the form without a change keeps the confirmation.
        if !is_same {
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
