//! What the world knows of the accounts here.

use std::collections::BTreeMap;

use crypto::VerifyingKey;
use futures_util::{StreamExt as _, stream};

use crate::account::operator::AccountSummary;
use crate::doctor::facts::{AccountFacts, Published};
use crate::error::XrpcError;
use crate::identity::Identity;
use crate::state::App;
use crate::store::{AccountId, StoreError, account};

/// Most accounts that are looked at; `relay verify` looks at all.
const MAX_ACCOUNTS: usize = 100;
/// How many are asked about at once.
const AT_ONCE: usize = 8;

pub(super) async fn look(
    identity: &Identity,
    accounts: Result<Vec<AccountSummary>, String>,
    keys: &BTreeMap<String, String>,
) -> Result<Vec<AccountFacts>, String> {
    let active = accounts?.into_iter().filter(|account| account.status == "active").take(MAX_ACCOUNTS);
    let looked = stream::iter(active).map(async |account| {
        let (resolved, document) = tokio::join!(identity.resolve_handle(&account.handle), identity.refresh_did(&account.did));
        AccountFacts {
            signing_key: keys.get(account.did.as_str()).cloned(),
            did: account.did,
            handle: account.handle,
            resolved: resolved.map_err(|err| err.to_string()),
            document: document
                .map(|document| Published {
                    server: document.pds_endpoint().map(ToOwned::to_owned),
                    handle: document.handle().cloned(),
                    signing_key: document.signing_key().map(VerifyingKey::to_did_key),
                })
                .map_err(|err| err.to_string()),
        }
    });
    Ok(looked.buffered(AT_ONCE).collect().await)
}

/// Returns the keys that the server signs with for the accounts that are looked at, as did:keys, by DID. One that cannot be
/// opened is for `relay verify` to tell of.
pub(crate) async fn signing_keys(app: &App) -> Result<BTreeMap<String, String>, XrpcError> {
    let sealed = app.db.read(|conn| {
        let all = account::list(conn, AccountId(0), MAX_ACCOUNTS)?.into_iter();
        let with_key = |account: account::Account| {
            let sealed = account::sealed_signing_key(conn, account.id)?;
            Ok::<_, StoreError>((account.did, sealed))
        };
        all.map(with_key).collect::<Result<Vec<_>, _>>()
    });
    let sealed = sealed.await.map_err(XrpcError::from)?.into_iter();
    let opened = sealed.filter_map(|(did, sealed)| {
        let key = app.secrets.open_signing_key(&did, &sealed).ok()?;
        Some((did.to_string(), key.verifying_key().to_did_key()))
    });
    Ok(opened.collect())
}
