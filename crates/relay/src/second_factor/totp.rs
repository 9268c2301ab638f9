//! Codes of authenticator apps (TOTP): six digits, new every 30 seconds.
//!
//! Spec: <https://www.rfc-editor.org/rfc/rfc6238>

use totp_rs::{Builder, Totp, TotpError};
use zeroize::Zeroizing;

use super::{FactorError, WrongFactor, backup_code};
use crate::account::WrongCode;
use crate::error::XrpcError;
use crate::secrets::{SecretError, Secrets};
use crate::state::App;
use crate::store::account::{self, Account};
use crate::store::{AccountId, BatchTx, StoreError, WriteFailed, totp};

/// Wrong codes that cost no time.
const FREE_FAILURES: u32 = 5;
/// How long the first wrong code after those keeps the right one out; each further one twice as long.
const FIRST_WAIT_MILLIS: i64 = 30_000;
/// The longest wait: then 24 guesses a day are left, of which one in 14,000 days is right by chance.
const LONGEST_WAIT_MILLIS: i64 = 3_600_000;

/// Why an authenticator app was not set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetUpError {
    #[error("An authenticator app is set up already; remove it first")]
    AlreadySetUp,
    #[error("There is no authenticator app to confirm; begin again")]
    NotBegun,
    #[error("the code is not the one that the app should show now")]
    Code,
    #[error("a secret could not be opened")]
    Secret(#[source] SecretError),
    #[error("an authenticator app cannot be set up")]
    Totp(#[source] TotpError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Write(#[from] WriteFailed),
}

impl From<SetUpError> for XrpcError {
    fn from(err: SetUpError) -> Self {
        match err {
            SetUpError::AlreadySetUp | SetUpError::NotBegun => Self::invalid_request(err.to_string()),
            SetUpError::Code => WrongCode::Invalid.into(),
            SetUpError::Secret(_) | SetUpError::Totp(_) => Self::internal(err),
            SetUpError::Store(err) => err.into(),
            SetUpError::Write(err) => err.into(),
        }
    }
}

/// What an authenticator app is told.
pub(crate) struct Enrolment {
    /// For typing, in base32.
    pub(crate) secret: Zeroizing<String>,
    /// For a QR code: the same as an `otpauth:` URL.
    pub(crate) url: Zeroizing<String>,
}

/// Begins to set up an authenticator app. Until [`confirm`], asking again gives the same secret, and nobody is asked for codes.
pub(crate) async fn begin(app: &App, account: &Account) -> Result<Enrolment, SetUpError> {
    let (owner, secrets) = (account.clone(), app.secrets.clone());
    let secret = app
        .db
        .write(move |tx| match totp::find(tx, owner.id)? {
            Some(found) if found.confirmed_at.is_some() => Err(SetUpError::AlreadySetUp),
            Some(found) => secrets.open_totp_secret(&owner.did, &found.sealed_secret).map_err(SetUpError::Secret),
            None => {
                let secret = Zeroizing::new(crate::random::bytes::<20>().to_vec());
                totp::insert(tx, owner.id, &secrets.seal_totp_secret(&owner.did, &secret))?;
                Ok(secret)
            }
        })
        .await?;
    let name = account.handle.as_ref().map_or(account.did.as_str(), common::Handle::as_str);
    // Neither may hold a colon, which parts them.
    let (name, issuer) = (name.replace(':', "."), app.config.server.public_url.host().replace(':', "."));
    let totp = rule(&secret).with_account_name(name).with_issuer(Some(issuer)).build().map_err(SetUpError::Totp)?;
    let url = Zeroizing::new(totp.to_url().map_err(SetUpError::Totp)?);
    Ok(Enrolment { secret: Zeroizing::new(totp.secret().to_base32()), url })
}

/// Makes the app a second factor, once a code shows that it has the secret. Returns backup codes when the account has none.
pub(crate) async fn confirm(app: &App, account: &Account, given: &str) -> Result<Option<Vec<String>>, SetUpError> {
    let (owner, secrets) = (account.clone(), app.secrets.clone());
    let given = digits(given).ok_or(SetUpError::Code)?;
    app.db
        .write(move |tx| {
            let found = totp::find(tx, owner.id)?.ok_or(SetUpError::NotBegun)?;
            if found.confirmed_at.is_some() {
                return Err(SetUpError::AlreadySetUp);
            }
            let secret = secrets.open_totp_secret(&owner.did, &found.sealed_secret).map_err(SetUpError::Secret)?;
            // Wrong ones are not counted: whoever could guess here has been shown the secret.
            let step = step_of(&secret, &given, tx.now_millis()).ok_or(SetUpError::Code)?;
            totp::note_success(tx, owner.id, step, tx.now_millis())?;
            Ok(backup_code::make_if_none(tx, &owner)?)
        })
        .await
}

/// Removes the app of an account.
pub(crate) async fn remove(app: &App, id: AccountId) -> Result<(), SetUpError> {
    app.db
        .write(move |tx| {
            totp::delete(tx, id)?;
            if account::find(tx, id)?.is_some() {
                backup_code::drop_if_useless(tx, id)?;
            }
            Ok(())
        })
        .await
}

/// Returns the digits of a code, if that is what someone typed; apps show them in groups.
pub(super) fn digits(given: &str) -> Option<String> {
    let digits: String = given.chars().filter(|char| !char.is_whitespace() && *char != '-').take(7).collect();
    (digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_digit())).then_some(digits)
}

/// Takes a code of the account's app.
pub(super) fn take(
    tx: &BatchTx<'_>,
    secrets: &Secrets,
    account: &Account,
    digits: &str,
) -> Result<Result<(), WrongFactor>, FactorError> {
    let now = tx.now_millis();
    let Some(found) = totp::find(tx, account.id)? else { return Ok(Err(WrongCode::Invalid.into())) };
    let opens_at = found.failed_at + wait_millis(found.failures);
    if now < opens_at {
        let retry_after_seconds = u32::try_from((opens_at - now + 999) / 1000).unwrap_or(u32::MAX);
        return Ok(Err(WrongFactor::TooMany { retry_after_seconds }));
    }
    let secret = secrets.open_totp_secret(&account.did, &found.sealed_secret).map_err(FactorError::Secret)?;
    // A step is good once, and so are those before it: who looked over a shoulder comes too late.
    if let Some(step) = step_of(&secret, digits, now).filter(|step| *step > found.last_step) {
        totp::note_success(tx, account.id, step, now)?;
        Ok(Ok(()))
    } else {
        totp::note_failure(tx, account.id, now)?;
        Ok(Err(WrongCode::Invalid.into()))
    }
}

/// Returns how long after the last of so many wrong codes no code is looked at.
fn wait_millis(failures: u32) -> i64 {
    match failures.checked_sub(FREE_FAILURES) {
        None => 0,
        Some(more) => (FIRST_WAIT_MILLIS << more.min(16)).min(LONGEST_WAIT_MILLIS),
    }
}

/// Returns the time step of a code, which may be the present one or one of its neighbours.
fn step_of(secret: &[u8], digits: &str, now_millis: i64) -> Option<u64> {
    let totp: Totp = rule(secret).build().ok()?;
    totp.check(digits, u64::try_from(now_millis / 1000).ok()?)
}

/// What all apps know: SHA-1, six digits, 30 seconds.
fn rule(secret: &[u8]) -> Builder {
    Builder::new().with_secret(secret.to_vec()).with_skew(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::second_factor::test_support::Fixture;

    const STEP_MICROS: i64 = 30 * 1_000_000;

    impl Fixture {
        async fn set_up(&self) -> Vec<u8> {
            let (owner, secrets) = (self.account.clone(), self.secrets.clone());
            let secret = vec![7; 20];
            let sealed = secrets.seal_totp_secret(&owner.did, &secret);
            let write = move |tx: &mut BatchTx<'_>| {
                totp::insert(tx, owner.id, &sealed)?;
                totp::note_success(tx, owner.id, 1, 0)
            };
            self.db.write::<_, FactorError>(move |tx| Ok(write(tx)?)).await.unwrap();
            secret
        }

        async fn give(&self, digits: String) -> Result<(), WrongFactor> {
            let (account, secrets) = (self.account.clone(), self.secrets.clone());
            self.db.write::<_, FactorError>(move |tx| take(tx, &secrets, &account, &digits)).await.unwrap()
        }

        fn code(&self, secret: &[u8], steps: i64) -> String {
            let time = common::Clock::seconds(&*self.clock) + 30 * steps;
            rule(secret).build().unwrap().generate(time.cast_unsigned()).to_string()
        }
    }

    /// Returns six digits that are the code of no step near this one.
    fn wrong(right: &[String]) -> String {
        (0..10).map(|n| format!("{n}{n}{n}{n}{n}{n}")).find(|code| !right.contains(code)).unwrap()
    }

    #[tokio::test]
    async fn a_code_is_good_once_and_one_step_early_or_late() {
        let here = Fixture::new().await;
        let secret = here.set_up().await;
        let invalid = Err(WrongFactor::Code(WrongCode::Invalid));
        assert_eq!(here.give(here.code(&secret, -2)).await, invalid);
        assert_eq!(here.give(here.code(&secret, 2)).await, invalid);
        assert_eq!(here.give(here.code(&secret, -1)).await, Ok(()));
        assert_eq!(here.give(here.code(&secret, -1)).await, invalid);
        assert_eq!(here.give(here.code(&secret, 1)).await, Ok(()));
        // The step before the last one that was used.
        assert_eq!(here.give(here.code(&secret, 0)).await, invalid);
        here.clock.shift_micros(2 * STEP_MICROS);
        assert_eq!(here.give(here.code(&secret, 0)).await, Ok(()));
    }

    #[tokio::test]
    async fn guessing_takes_longer_and_longer() {
        let here = Fixture::new().await;
        let secret = here.set_up().await;
        let bad = wrong(&[here.code(&secret, -1), here.code(&secret, 0), here.code(&secret, 1)]);
        for _ in 0..FREE_FAILURES {
            assert_eq!(here.give(bad.clone()).await, Err(WrongFactor::Code(WrongCode::Invalid)));
        }
        // The right one is not looked at either, or guessing would go on.
        let right = here.code(&secret, 0);
        let refused = here.give(right).await.unwrap_err();
        assert!(matches!(refused, WrongFactor::TooMany { retry_after_seconds: 29..=30 }), "{refused:?}");
        here.clock.shift_micros(STEP_MICROS + 1_000_000);
        assert_eq!(here.give(here.code(&secret, 0)).await, Ok(()));
        assert_eq!(here.give(bad).await, Err(WrongFactor::Code(WrongCode::Invalid)));
    }

    #[test]
    fn the_wait_doubles_up_to_an_hour() {
        assert_eq!([0, 4, 5, 6, 7].map(wait_millis), [0, 0, 30_000, 60_000, 120_000]);
        assert_eq!([12, 13, 1_000_000].map(wait_millis), [3_600_000; 3]);
    }

    #[test]
    fn a_code_may_be_typed_as_apps_show_it() {
        assert_eq!(digits(" 123 456 ").as_deref(), Some("123456"));
        assert_eq!(digits("123-456").as_deref(), Some("123456"));
        for text in ["", "12345", "1234567", "abcdef", "12345a", "١٢٣٤٥٦"] {
            assert_eq!(digits(text), None, "{text}");
        }
    }
}
