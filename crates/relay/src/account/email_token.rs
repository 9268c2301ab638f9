//! The codes that mails carry: who can read an account's mail shows that with them.
//!
//! A code has 50 random bits, is good for 15 minutes and once, and dies of too many wrong ones given in its place. Asking again
//! soon sends the same code again, so that it does not matter which of two mails comes first.
//!
//! The database has a keyed digest of each, to find it by, and the code sealed, for the operator (`relay code show`).

use common::Datetime;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use crate::error::XrpcError;
use crate::mail::{Delivery, MailError, MailPlace, code_letter};
use crate::secrets::{SecretError, Secrets};
use crate::state::App;
use crate::store::account::Account;
use crate::store::email_token::{self, EmailToken, Purpose};
use crate::store::{AccountId, BatchTx, StoreError, WriteFailed};

/// How long a code is good for.
const LIFE_MILLIS: i64 = 15 * 60 * 1000;
/// A code that is good for as long is sent again when one is asked for.
const ENOUGH_MILLIS: i64 = 5 * 60 * 1000;
/// Wrong codes after which the right one is no longer good.
const MAX_FAILURES: u32 = 10;

/// Why no code was mailed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MailCodeError {
    #[error("account does not have an email address")]
    NoEmail,
    #[error("a code could not be opened")]
    Secret(#[source] SecretError),
    #[error(transparent)]
    Mail(#[from] MailError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Write(#[from] WriteFailed),
}

impl From<MailCodeError> for XrpcError {
    fn from(err: MailCodeError) -> Self {
        match err {
            MailCodeError::NoEmail => Self::invalid_request(err.to_string()),
            MailCodeError::Secret(_) => Self::internal(err),
            MailCodeError::Mail(err) => err.into(),
            MailCodeError::Store(err) => err.into(),
            MailCodeError::Write(err) => err.into(),
        }
    }
}

/// Why a code is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WrongCode {
    #[error("Token is invalid")]
    Invalid,
    #[error("Token is expired")]
    Expired,
}

impl From<WrongCode> for XrpcError {
    fn from(err: WrongCode) -> Self {
        let message = err.to_string();
        match err {
            WrongCode::Invalid => Self::bad_request("InvalidToken", message),
            WrongCode::Expired => Self::bad_request("ExpiredToken", message),
        }
    }
}

/// A code, as the operator sees it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ShownCode {
    pub(crate) purpose: Purpose,
    pub(crate) code: String,
    pub(crate) good_until: Datetime,
}

/// Makes a code for an account and mails it to its address.
pub(crate) async fn mail_code(app: &App, account: &Account, purpose: Purpose) -> Result<(), MailCodeError> {
    let place = app.mail.place()?;
    mail_code_in(app, place, account, purpose).await
}

/// Like [`mail_code`], for who has a place already.
pub(super) async fn mail_code_in(
    app: &App,
    place: MailPlace,
    account: &Account,
    purpose: Purpose,
) -> Result<(), MailCodeError> {
    let email = account.email.as_deref().ok_or(MailCodeError::NoEmail)?;
    let (owner, secrets) = (account.clone(), app.secrets.clone());
    let code = app.db.write(move |tx| issue(tx, &secrets, &owner, purpose)).await?;
    let name = account.handle.as_ref().map_or_else(|| account.did.to_string(), |handle| format!("@{handle}"));
    let letter = code_letter(&app.config.server, purpose, &name, &code);
    let did = &account.did;
    match app.mail.send(place, email, &letter).await {
        Ok(Delivery::Sent) => tracing::info!(%did, purpose = purpose.as_str(), "mailed a code"),
        Ok(Delivery::NoServer) => tracing::warn!(
            %did,
            purpose = purpose.as_str(),
            "a code was not mailed, since no mail server is configured; `relay code show {did}` tells it"
        ),
        Err(err) => {
            let error = &err as &dyn std::error::Error;
            tracing::error!(
                %did, purpose = purpose.as_str(), error, "a code was not mailed; `relay code show {did}` tells it"
            );
            return Err(err.into());
        }
    }
    Ok(())
}

/// Makes a code, or returns the one that there is when that is good for some time still.
fn issue(tx: &BatchTx<'_>, secrets: &Secrets, account: &Account, purpose: Purpose) -> Result<String, MailCodeError> {
    let now = tx.now_millis();
    if let Some(token) = email_token::find(tx, account.id, purpose)?
        && is_good(&token, now + ENOUGH_MILLIS)
    {
        return secrets.open_code(&account.did, purpose, &token.sealed).map_err(MailCodeError::Secret);
    }
    let code = crypto::random_text::email_token(crate::random::bytes());
    let token = EmailToken {
        account: account.id,
        purpose,
        digest: secrets.code_digest(purpose, &normalize(&code)).to_vec(),
        sealed: secrets.seal_code(&account.did, purpose, &code),
        created_at: now,
        failures: 0,
    };
    email_token::put(tx, &token)?;
    Ok(code)
}

fn is_good(token: &EmailToken, now_millis: i64) -> bool {
    token.failures < MAX_FAILURES && now_millis < token.created_at + LIFE_MILLIS
}

/// Takes a code, which is then used up: the inner result tells whether it was good. A wrong one is counted, which stays only
/// if the transaction does: callers return `Ok`, whatever the inner result.
pub(crate) fn take_code(
    tx: &BatchTx<'_>,
    secrets: &Secrets,
    account: AccountId,
    purpose: Purpose,
    given: &str,
) -> Result<Result<(), WrongCode>, StoreError> {
    let Some(token) = email_token::find(tx, account, purpose)? else { return Ok(Err(WrongCode::Invalid)) };
    let digest = secrets.code_digest(purpose, &normalize(given));
    if token.failures >= MAX_FAILURES || !bool::from(token.digest.ct_eq(&digest)) {
        if token.failures < MAX_FAILURES {
            email_token::count_failure(tx, account, purpose)?;
        }
        return Ok(Err(WrongCode::Invalid));
    }
    if !is_good(&token, tx.now_millis()) {
        return Ok(Err(WrongCode::Expired));
    }
    email_token::delete(tx, account, purpose)?;
    Ok(Ok(()))
}

/// Finds whose code this is. There is no account to count wrong ones for; guessing among 2^50 is what rate limits bound.
pub(super) fn owner_of_code(
    conn: &rusqlite::Connection,
    secrets: &Secrets,
    purpose: Purpose,
    given: &str,
    now_millis: i64,
) -> Result<Result<AccountId, WrongCode>, StoreError> {
    let digest = secrets.code_digest(purpose, &normalize(given));
    Ok(match email_token::find_by_digest(conn, purpose, &digest)? {
        None => Err(WrongCode::Invalid),
        Some(token) if !is_good(&token, now_millis) => Err(WrongCode::Expired),
        Some(token) => Ok(token.account),
    })
}

/// Returns the codes of an account that are good.
pub(super) async fn good_codes(app: &App, account: &Account) -> Result<Vec<ShownCode>, MailCodeError> {
    let tokens = app.db.read(|conn| email_token::list(conn, account.id)).await?;
    let now = common::Clock::millis(&*app.clock);
    let good = tokens.into_iter().filter(|token| is_good(token, now));
    good.map(|token| {
        let code = app.secrets.open_code(&account.did, token.purpose, &token.sealed).map_err(MailCodeError::Secret)?;
        Ok(ShownCode { purpose: token.purpose, code, good_until: Datetime::from_millis(token.created_at + LIFE_MILLIS) })
    })
    .collect()
}

/// Returns a code as it is compared: people type it in lower case, and leave the hyphen out or write a space for it.
fn normalize(code: &str) -> String {
    code.chars().filter(char::is_ascii_alphanumeric).take(16).map(|char| char.to_ascii_uppercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_may_be_typed_as_people_do() {
        for text in ["ABCDE-FGHIJ", "abcde-fghij", " abcdefghij\n", "AbCdE FgHiJ"] {
            assert_eq!(normalize(text), "ABCDEFGHIJ", "{text}");
        }
        assert_ne!(normalize("ABCDE-FGHIJK"), "ABCDEFGHIJ");
    }
}
