//! Deactivates accounts that live on another server now, where nobody told this one that they left.
//!
//! What is left of such an account would be served as if it were live, and shadow what its owner writes elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crypto::VerifyingKey;

use crate::account;
use crate::error::XrpcError;
use crate::identity::DidDocument;
use crate::state::AppState;
use crate::store::AccountId;
use crate::store::account::{self as accounts, Account, Status};

/// Accounts that are looked at in one turn, so that the PLC directory is asked little.
const AT_A_TIME: usize = 100;

/// Looks at the next accounts after the one that `mark` tells, and returns how many it deactivated.
pub(super) async fn run_once(app: AppState, mark: Arc<AtomicI64>) -> Result<usize, XrpcError> {
    let after = AccountId(mark.load(Ordering::Relaxed));
    let batch = app.db.read(|conn| accounts::list(conn, after, AT_A_TIME)).await.map_err(XrpcError::from)?;
    let mut left = 0;
    for account in &batch {
        if app.stop.is_cancelled() {
            return Ok(left);
        }
        mark.store(account.id.0, Ordering::Relaxed);
        if account.status == Status::Active && has_moved(&app, account).await? {
            tracing::info!(did = %account.did, "the account lives on another server now and is deactivated here");
            account::deactivate(&app, account.id, None).await?;
            left += 1;
        }
    }
    if batch.len() < AT_A_TIME {
        // From the beginning, in the next turn.
        mark.store(0, Ordering::Relaxed);
    }
    Ok(left)
}

async fn has_moved(app: &AppState, account: &Account) -> Result<bool, XrpcError> {
    let sealed = app.db.read(|conn| accounts::sealed_signing_key(conn, account.id)).await.map_err(XrpcError::from)?;
    let key = app.secrets.open_signing_key(&account.did, &sealed).map_err(XrpcError::internal)?;
    let (here, key) = (app.config.server.public_url.as_str(), key.verifying_key());
    // A DID that cannot be resolved says nothing. One that was resolved lately is not asked for again, unless it matters.
    match app.identity.resolve_did(&account.did).await {
        Ok(document) if leads_elsewhere(&document, here, key) => {}
        Ok(_) | Err(_) => return Ok(false),
    }
    Ok(app.identity.refresh_did(&account.did).await.is_ok_and(|document| leads_elsewhere(&document, here, key)))
}

/// Whether a document names another server and another signing key. Either alone may be a mistake of this server's settings,
/// which must not deactivate everyone.
fn leads_elsewhere(document: &DidDocument, here: &str, key: &VerifyingKey) -> bool {
    let other_server = document.pds_endpoint().is_some_and(|endpoint| endpoint.trim_end_matches('/') != here);
    other_server && document.signing_key().is_some_and(|found| found != key)
}

#[cfg(test)]
mod tests {
    use common::Did;
    use crypto::{Curve, SigningKey};
    use serde_json::json;

    use super::*;

    const HERE: &str = "https://pds.example.com";

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(Curve::K256, &[seed; 32]).unwrap()
    }

    fn leads_elsewhere_with(endpoint: &str, seed: u8) -> bool {
        let did: Did = "did:plc:ewvi7nxzyoun6zhxrhs64oiz".parse().unwrap();
        let multikey = key(seed).verifying_key().to_multikey();
        let document = json!({
            "id": did,
            "verificationMethod": [{ "id": "#atproto", "type": "Multikey", "publicKeyMultibase": multikey }],
            "service": [{ "id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": endpoint }],
        });
        leads_elsewhere(&DidDocument::from_json(&did, document).unwrap(), HERE, key(1).verifying_key())
    }

    #[test]
    fn an_account_that_moved_has_another_server_and_another_key() {
        assert!(leads_elsewhere_with("https://new.example.com", 2));
        assert!(!leads_elsewhere_with(HERE, 1));
        assert!(!leads_elsewhere_with("https://pds.example.com/", 2), "it is signed with a key of its own, here");
    }

    /// An operator who changes `server.public_url` by mistake must not find all accounts deactivated.
    #[test]
    fn another_name_of_this_server_is_not_another_server() {
        assert!(!leads_elsewhere_with("https://old-name.example.com", 1));
    }

    #[test]
    fn a_document_without_a_server_says_nothing() {
        let did: Did = "did:plc:ewvi7nxzyoun6zhxrhs64oiz".parse().unwrap();
        let document = DidDocument::from_json(&did, json!({ "id": did })).unwrap();
        assert!(!leads_elsewhere(&document, HERE, key(1).verifying_key()));
    }
}
