//! What the world knows of the accounts here.

use futures_util::{StreamExt as _, stream};

use crate::account::operator::AccountSummary;
use crate::doctor::facts::AccountFacts;
use crate::identity::Identity;

/// Most accounts that are looked at; `relay verify` looks at all.
const MAX_ACCOUNTS: usize = 100;
/// How many are asked about at once.
const AT_ONCE: usize = 8;

pub(super) async fn look(
    identity: &Identity,
    accounts: Result<Vec<AccountSummary>, String>,
) -> Result<Vec<AccountFacts>, String> {
    let active = accounts?.into_iter().filter(|account| account.status == "active").take(MAX_ACCOUNTS);
    let looked = stream::iter(active).map(async |account| {
        let (resolved, document) = tokio::join!(identity.resolve_handle(&account.handle), identity.refresh_did(&account.did));
        AccountFacts {
            did: account.did,
            handle: account.handle,
            resolved: resolved.map_err(|err| err.to_string()),
            document: document
                .map(|document| (document.pds_endpoint().map(ToOwned::to_owned), document.handle().cloned()))
                .map_err(|err| err.to_string()),
        }
    });
    Ok(looked.buffered(AT_ONCE).collect().await)
}
