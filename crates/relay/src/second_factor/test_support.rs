//! An account to protect.

use std::sync::Arc;

use crypto::seal::MasterKey;
use tempfile::TempDir;

use crate::account::test_support;
use crate::clock::SystemClock;
use crate::secrets::Secrets;
use crate::store::account::{self, Account, AccountConflict, NewAccount};
use crate::store::{Db, WriteFailed};

/// A database with one account.
pub(super) struct Fixture {
    pub(super) db: Db,
    pub(super) clock: Arc<SystemClock>,
    pub(super) secrets: Arc<Secrets>,
    pub(super) account: Account,
    _dir: TempDir,
}

impl Fixture {
    pub(super) async fn new() -> Self {
        let (dir, db, clock) = test_support::db();
        let secrets = Secrets::open(&db, MasterKey::from_bytes([1; 32])).await.unwrap();
        let account = db
            .write::<_, Error>(|tx| {
                let new = NewAccount {
                    did: &"did:plc:ewvi7nxzyoun6zhxrhs64oiz".parse().unwrap(),
                    handle: Some(&"alice.test".parse().unwrap()),
                    email: Some("alice@example.com"),
                    password_hash: None,
                    sealed_signing_key: &[],
                    created_at: 0,
                    deactivated_at: None,
                };
                let id = account::insert(tx, &new)?;
                Ok(account::find(tx, id).map_err(AccountConflict::Store)?.unwrap())
            })
            .await
            .unwrap();
        Self { db, clock, secrets, account, _dir: dir }
    }
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Conflict(#[from] AccountConflict),
    #[error(transparent)]
    Write(#[from] WriteFailed),
}
