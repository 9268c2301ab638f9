//! Backup codes: ten random codes of 80 bits on paper, each good once.
//!
//! Being random, they need no slow hash. They are written like app passwords, but open nothing by themselves.

use common::Did;
use sha2::{Digest as _, Sha256};

use crate::state::App;
use crate::store::account::{self, Account};
use crate::store::{AccountId, BatchTx, StoreError, backup_code, totp};

use super::FactorError;

/// Codes that are made at a time.
const CODES: usize = 10;

/// Makes new codes in the place of those that the account has. They cannot be told again.
pub(crate) async fn make(app: &App, account: &Account) -> Result<Vec<String>, FactorError> {
    let owner = account.clone();
    app.db.write(move |tx| Ok(make_in(tx, &owner)?)).await
}

/// Makes codes for an account that has none.
pub(crate) fn make_if_none(tx: &BatchTx<'_>, account: &Account) -> Result<Option<Vec<String>>, StoreError> {
    if backup_code::count(tx, account.id)? > 0 { Ok(None) } else { make_in(tx, account).map(Some) }
}

fn make_in(tx: &BatchTx<'_>, account: &Account) -> Result<Vec<String>, StoreError> {
    let codes: Vec<String> = (0..CODES).map(|_| crypto::random_text::app_password(crate::random::bytes())).collect();
    let digests: Vec<[u8; 32]> = codes.iter().map(|code| digest(&account.did, code)).collect();
    backup_code::replace(tx, account.id, &digests)?;
    Ok(codes)
}

/// Takes a code, and returns whether it was good.
pub(super) fn take(tx: &BatchTx<'_>, account: &Account, given: &str) -> Result<bool, StoreError> {
    backup_code::take(tx, account.id, &digest(&account.did, given))
}

/// Deletes the codes of an account that is asked for no second factor any more.
pub(super) fn drop_if_useless(tx: &BatchTx<'_>, id: AccountId) -> Result<(), StoreError> {
    let by_mail = account::find(tx, id)?.is_some_and(|account| account.email_auth_factor);
    let by_app = totp::find(tx, id)?.is_some_and(|totp| totp.confirmed_at.is_some());
    if by_mail || by_app { Ok(()) } else { backup_code::delete_all(tx, id) }
}

/// Returns what a code is known by; people leave the hyphens out, or write it in capitals.
fn digest(did: &Did, given: &str) -> [u8; 32] {
    let code: String =
        given.chars().filter(char::is_ascii_alphanumeric).take(17).map(|char| char.to_ascii_lowercase()).collect();
    Sha256::digest(format!("backup code of {did} {code}")).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::second_factor::test_support::Fixture;

    #[tokio::test]
    async fn each_code_is_good_once() {
        let here = Fixture::new().await;
        let account = here.account.clone();
        here.db
            .write::<_, FactorError>(move |tx| {
                let codes = make_if_none(tx, &account)?.expect("there were none");
                assert_eq!(codes.len(), CODES);
                assert!(make_if_none(tx, &account)?.is_none());
                assert!(take(tx, &account, &codes[3].to_uppercase().replace('-', " "))?);
                assert!(!take(tx, &account, &codes[3])?);
                assert!(!take(tx, &account, "")? && !take(tx, &account, &format!("{}x", codes[4]))?);
                let new = make_in(tx, &account)?;
                assert!(!take(tx, &account, &codes[5])? && take(tx, &account, &new[5])?);
                assert_eq!(backup_code::count(tx, account.id)?, CODES - 1);
                Ok(())
            })
            .await
            .unwrap();
    }
}
