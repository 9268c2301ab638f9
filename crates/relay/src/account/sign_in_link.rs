//! Links that sign the owner of an account in: once, within minutes.
//!
//! A passkey belongs to the name of the server, so it has to be made on a page under that name. At the end of the set-up, whose
//! pages have another address, a link leads the owner of the new account there (`setup`); the operator makes one for somebody
//! with `relay account sign-in-link`.
//!
//! A link is 32 random bytes, of which the database has the hash. Another link takes its place, and whatever ends the other
//! sessions of an account takes it away, as a new password does. It stands for the password and no more: where signing in takes
//! a second factor there is no link.

use common::Did;
use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest as _, Sha256};
use url::form_urlencoded;

use crate::error::XrpcError;
use crate::second_factor;
use crate::state::AppState;
use crate::store::account::{self, Account, Status};
use crate::store::{Db, StoreError, WriteFailed, sign_in_link};

/// How long a link is good for.
const LIFE_MILLIS: i64 = 15 * 60 * 1000;
/// The page that takes links.
const PAGE: &str = "/account/sign-in/link";

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    #[error("There is no such account here")]
    NotFound,
    #[error("The account has been taken down")]
    Takendown,
    #[error("The account signs in with a second factor, which a link does not stand for")]
    SecondFactor,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Write(#[from] WriteFailed),
}

impl From<LinkError> for XrpcError {
    fn from(err: LinkError) -> Self {
        match err {
            LinkError::NotFound => Self::bad_request("AccountNotFound", err.to_string()),
            LinkError::Takendown | LinkError::SecondFactor => Self::invalid_request(err.to_string()),
            LinkError::Store(err) => err.into(),
            LinkError::Write(err) => err.into(),
        }
    }
}

/// Makes a link for an account, and returns its address. The secret is behind the `#`, which browsers keep to themselves.
pub(crate) async fn make(app: &AppState, did: &Did) -> Result<String, LinkError> {
    let (account, token) = make_token(&app.db, did).await?;
    let query: String = form_urlencoded::Serializer::new(String::new()).append_pair("account", &name(&account)).finish();
    Ok(format!("{}{PAGE}?{query}#{token}", app.config.server.public_url.as_str()))
}

/// What a link calls its account, for its owner to read before they use it.
fn name(account: &Account) -> String {
    account.handle.as_ref().map_or_else(|| account.did.to_string(), ToString::to_string)
}

async fn make_token(db: &Db, did: &Did) -> Result<(Account, String), LinkError> {
    let bytes: [u8; 32] = crate::random::bytes();
    let (digest, did) = (Sha256::digest(bytes).into(), did.clone());
    let made = db.write::<_, LinkError>(move |tx| {
        let account = account::find_by_did(tx, &did)?.ok_or(LinkError::NotFound)?;
        match account.status {
            Status::Takendown | Status::Suspended => return Err(LinkError::Takendown),
            Status::Active | Status::Deactivated => {}
        }
        if !second_factor::methods(tx, &account)?.is_empty() {
            return Err(LinkError::SecondFactor);
        }
        sign_in_link::put(tx, account.id, &digest, tx.now_millis() + LIFE_MILLIS)?;
        Ok(account)
    });
    Ok((made.await?, BASE64URL_NOPAD.encode(&bytes)))
}

/// Uses a link up, and returns whose it was; `None` when it is over, or was said to be another account's.
pub(crate) async fn take(db: &Db, token: &str, said: &str) -> Result<Option<Account>, LinkError> {
    let Some(bytes) = BASE64URL_NOPAD.decode(token.trim().as_bytes()).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
    else {
        return Ok(None);
    };
    let (digest, said) = (Sha256::digest(bytes).into(), said.to_owned());
    db.write::<_, LinkError>(move |tx| {
        let Some(id) = sign_in_link::owner(tx, &digest, tx.now_millis())? else { return Ok(None) };
        sign_in_link::delete(tx, id)?;
        let Some(account) = account::find(tx, id)?.filter(|account| name(account) == said) else { return Ok(None) };
        // A second factor that was set up since the link was made.
        Ok(second_factor::methods(tx, &account)?.is_empty().then_some(account))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::test_support;
    use crate::clock::SystemClock;
    use crate::store::BatchTx;
    use crate::store::account::{AccountConflict, NewAccount};
    use crate::store::web_session::{self, DeviceId};
    use std::sync::Arc;

    struct Fixture {
        db: Db,
        clock: Arc<SystemClock>,
        alice: Did,
        bob: Did,
        _dir: tempfile::TempDir,
    }

    #[derive(Debug, thiserror::Error)]
    enum Error {
        #[error(transparent)]
        Conflict(#[from] AccountConflict),
        #[error(transparent)]
        Write(#[from] WriteFailed),
    }

    impl Fixture {
        async fn new() -> Self {
            let (dir, db, clock) = test_support::db();
            let dids: [Did; 2] =
                ["did:plc:ewvi7nxzyoun6zhxrhs64oiz".parse().unwrap(), "did:plc:z72i7hdynmk6r22z27h6tvur".parse().unwrap()];
            for (did, handle) in dids.iter().cloned().zip(["alice.test", "bob.test"]) {
                let insert = db.write::<_, Error>(move |tx| {
                    let new = NewAccount {
                        did: &did,
                        handle: Some(&handle.parse().unwrap()),
                        email: Some(&format!("{handle}@example.com")),
                        password_hash: None,
                        sealed_signing_key: &[],
                        created_at: 0,
                        deactivated_at: None,
                    };
                    Ok(account::insert(tx, &new)?)
                });
                insert.await.unwrap();
            }
            let [alice, bob] = dids;
            Self { db, clock, alice, bob, _dir: dir }
        }

        async fn make(&self) -> String {
            make_token(&self.db, &self.alice).await.unwrap().1
        }

        async fn take(&self, token: &str) -> Option<Did> {
            take(&self.db, token, "alice.test").await.unwrap().map(|account| account.did)
        }

        /// Does something to the account of alice.
        async fn change(&self, change: impl FnOnce(&BatchTx<'_>, &Account) -> Result<(), StoreError> + Send + 'static) {
            let did = self.alice.clone();
            let changed = self.db.write::<_, LinkError>(move |tx| {
                let account = account::find_by_did(tx, &did)?.unwrap();
                Ok(change(tx, &account)?)
            });
            changed.await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_link_works_once() {
        let fixture = Fixture::new().await;
        let token = fixture.make().await;
        assert_eq!(fixture.take(&token).await, Some(fixture.alice.clone()));
        assert_eq!(fixture.take(&token).await, None);
    }

    #[tokio::test]
    async fn a_link_works_for_a_quarter_of_an_hour() {
        let fixture = Fixture::new().await;
        let token = fixture.make().await;
        fixture.clock.shift_micros(LIFE_MILLIS * 1000 - 1_000_000);
        assert!(fixture.take(&token).await.is_some(), "it is still good");
        let token = fixture.make().await;
        fixture.clock.shift_micros(LIFE_MILLIS * 1000);
        assert_eq!(fixture.take(&token).await, None);
    }

    #[tokio::test]
    async fn a_link_is_for_one_account_and_the_newest_counts() {
        let fixture = Fixture::new().await;
        let first = fixture.make().await;
        let second = fixture.make().await;
        assert_eq!(fixture.take(&first).await, None, "another took its place");
        let of_bob = make_token(&fixture.db, &fixture.bob).await.unwrap().1;
        assert_eq!(fixture.take(&of_bob).await, None, "it was shown as a link of alice");
        assert_eq!(fixture.take(&second).await, Some(fixture.alice.clone()), "others' links do not touch it");
        for nonsense in ["", "AAAA", &"A".repeat(43), &"é".repeat(43)] {
            assert_eq!(fixture.take(nonsense).await, None);
        }
        let stranger = "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa".parse().unwrap();
        assert!(matches!(make_token(&fixture.db, &stranger).await, Err(LinkError::NotFound)));
    }

    #[tokio::test]
    async fn what_ends_sessions_ends_the_link() {
        let fixture = Fixture::new().await;
        let token = fixture.make().await;
        fixture.change(|tx, account| web_session::delete_others(tx, DeviceId([1; 16]), account.id)).await;
        assert_eq!(fixture.take(&token).await, None, "the owner signed out everywhere else");
        let token = fixture.make().await;
        fixture.change(|tx, account| web_session::delete_all(tx, account.id)).await;
        assert_eq!(fixture.take(&token).await, None, "the password was reset");
    }

    #[tokio::test]
    async fn a_link_does_not_stand_for_a_second_factor() {
        let fixture = Fixture::new().await;
        let token = fixture.make().await;
        let guard = |tx: &BatchTx<'_>, account: &Account| {
            account::confirm_email(tx, account.id, 1)?;
            second_factor::set_mail_factor(tx, account.id, true)
        };
        fixture.change(guard).await;
        assert_eq!(fixture.take(&token).await, None);
        assert!(matches!(make_token(&fixture.db, &fixture.alice).await, Err(LinkError::SecondFactor)));
    }

    #[tokio::test]
    async fn the_database_has_no_token() {
        let fixture = Fixture::new().await;
        let token = BASE64URL_NOPAD.decode(fixture.make().await.as_bytes()).unwrap();
        let read = |conn: &rusqlite::Connection| {
            Ok::<Vec<u8>, StoreError>(conn.query_row("SELECT digest FROM sign_in_link", [], |row| row.get(0))?)
        };
        assert_ne!(fixture.db.read(read).await.unwrap(), token);
    }
}
