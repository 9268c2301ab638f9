//! Signing keys for accounts that are to come here.

use common::Did;

use crate::error::XrpcError;
use crate::secrets::Secrets;
use crate::state::App;
use crate::store::reserved_key::{self, ReservedKey};

/// Reserves a signing key, and returns it as a did:key: the same each time for a DID, a new one without.
pub(crate) async fn reserve_signing_key(app: &App, did: Option<Did>) -> Result<String, XrpcError> {
    if let Some(did) = &did
        && let Some(key) = app.db.read(|conn| reserved_key::find(conn, did)).await?
    {
        return Ok(key.public_key);
    }
    let key = Secrets::new_signing_key();
    let public_key = key.verifying_key().to_did_key();
    // Sealed for its account, or for itself while that is not known.
    let context = did.clone().unwrap_or_else(|| public_key.parse().expect("a did:key is a DID"));
    let reserved = ReservedKey { public_key, sealed: app.secrets.seal_signing_key(&context, &key) };
    app.db
        .write::<_, XrpcError>(move |tx| {
            // Two may ask at once; the first one's key is the key.
            if let Some(did) = &did
                && let Some(key) = reserved_key::find(tx, did)?
            {
                return Ok(key.public_key);
            }
            reserved_key::insert(tx, did.as_ref(), &reserved)?;
            Ok(reserved.public_key)
        })
        .await
}
