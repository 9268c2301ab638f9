//! Another rotation key of the server, with which it changes the did:plc of its accounts.
//!
//! First every DID gets the new key beside the old one, then the server changes over, then the old key leaves the DIDs. So
//! whichever key the server has, it is one that the DIDs name; whatever moment the process ends at, doing it again goes on.

use common::Did;
use crypto::plc::{DidData, PlcOperation, UnsignedOperation};
use crypto::{Curve, SigningKey};

use super::rotate_signing_key::all_dids;
use crate::error::XrpcError;
use crate::identity::PlcClientError;
use crate::secrets::{NEXT_ROTATION_KEY, ROTATION_KEY};
use crate::state::App;
use crate::store::meta;

/// Name of the did:key in `meta` that the server had before, while it is being taken from the DIDs.
const RETIRED_ROTATION_KEY: &str = "plc_rotation_key_retired";
/// Most rotation keys of a DID: <https://web.plc.directory/spec/v0.1/did-plc>.
const MAX_ROTATION_KEYS: usize = 5;

/// A rotation key that was changed, or is being.
#[derive(Debug, Default)]
pub(crate) struct RotatedRotationKey {
    /// The new one, as a did:key.
    pub(crate) key: String,
    /// DIDs that name it, and the old one no more.
    pub(crate) changed: usize,
    /// DIDs that do not name the server's key, so it is not for the server to change them.
    pub(crate) not_ours: Vec<Did>,
    /// DIDs that could not be changed, and why. While there are any it is not done.
    pub(crate) failed: Vec<(Did, String)>,
}

/// Changes the rotation key, or goes on with a change that was interrupted. No server may have the data folder.
pub(crate) async fn rotate_rotation_key(app: &App) -> Result<RotatedRotationKey, XrpcError> {
    let dids: Vec<Did> = all_dids(app).await?.into_iter().filter(Did::is_plc).collect();
    let mut done = RotatedRotationKey::default();
    let mut current = app.secrets.rotation_key().clone();
    if app.db.read(|conn| meta::find(conn, RETIRED_ROTATION_KEY)).await?.is_none() {
        let next = next_key(app).await?;
        let (old_did, next_did) = (current.verifying_key().to_did_key(), next.verifying_key().to_did_key());
        for did in &dids {
            let change = change(app, did, &current, |operation| {
                let keys = &mut operation.rotation_keys;
                let at = keys.iter().position(|key| *key == old_did)?;
                if keys.contains(&next_did) {
                    return None;
                }
                if keys.len() < MAX_ROTATION_KEYS {
                    keys.insert(at, next_did.clone());
                } else {
                    keys[at].clone_from(&next_did);
                }
                Some(())
            });
            match change.await {
                Ok(data) if data.rotation_keys.contains(&next_did) => {}
                Ok(_) => done.not_ours.push(did.clone()),
                Err(err) => done.failed.push((did.clone(), err.to_string())),
            }
        }
        done.key = next_did;
        if !done.failed.is_empty() {
            return Ok(done);
        }
        let sealed = app.secrets.seal_server_key(ROTATION_KEY, &next);
        app.db
            .write::<_, XrpcError>(move |tx| {
                meta::set(tx, ROTATION_KEY, &sealed)?;
                meta::set(tx, RETIRED_ROTATION_KEY, old_did.as_bytes())?;
                Ok(meta::delete(tx, NEXT_ROTATION_KEY)?)
            })
            .await?;
        current = next;
    }
    retire(app, &dids, &current, &mut done).await?;
    Ok(done)
}

/// Takes the old key from the DIDs.
async fn retire(app: &App, dids: &[Did], current: &SigningKey, done: &mut RotatedRotationKey) -> Result<(), XrpcError> {
    let retired = app.db.read(|conn| meta::find(conn, RETIRED_ROTATION_KEY)).await?.unwrap_or_default();
    let retired = String::from_utf8(retired).map_err(XrpcError::internal)?;
    done.key = current.verifying_key().to_did_key();
    for did in dids {
        if done.not_ours.contains(did) {
            continue;
        }
        let change = change(app, did, current, |operation| {
            let before = operation.rotation_keys.len();
            operation.rotation_keys.retain(|key| *key != retired);
            (operation.rotation_keys.len() < before).then_some(())
        });
        match change.await {
            Ok(data) if data.rotation_keys.contains(&done.key) => done.changed += 1,
            Ok(_) => done.not_ours.push(did.clone()),
            Err(err) => done.failed.push((did.clone(), err.to_string())),
        }
    }
    if done.failed.is_empty() {
        app.db.write::<_, XrpcError>(|tx| Ok(meta::delete(tx, RETIRED_ROTATION_KEY)?)).await?;
    }
    Ok(())
}

/// Returns the key to come, which is kept before any DID names it.
async fn next_key(app: &App) -> Result<SigningKey, XrpcError> {
    if let Some(sealed) = app.db.read(|conn| meta::find(conn, NEXT_ROTATION_KEY)).await? {
        let bytes = app.secrets.open_server_key(NEXT_ROTATION_KEY, &sealed).map_err(XrpcError::internal)?;
        return SigningKey::from_bytes(Curve::K256, &bytes).map_err(XrpcError::internal);
    }
    let key = crate::secrets::Secrets::new_signing_key();
    let sealed = app.secrets.seal_server_key(NEXT_ROTATION_KEY, &key);
    app.db.write::<_, XrpcError>(move |tx| Ok(meta::set(tx, NEXT_ROTATION_KEY, &sealed)?)).await?;
    Ok(key)
}

/// Changes a DID, if `edit` says that there is something to change and `key` may, and returns what it says after that.
async fn change(
    app: &App,
    did: &Did,
    key: &SigningKey,
    edit: impl FnOnce(&mut PlcOperation) -> Option<()>,
) -> Result<DidData, PlcClientError> {
    let plc = app.identity.plc();
    let last = plc.last_operation(did).await?;
    let data = last.data(did).ok_or_else(|| PlcClientError::Deactivated(did.clone()))?;
    let mut next = data.next_operation(last.cid());
    if !data.rotation_keys.contains(&key.verifying_key().to_did_key()) || edit(&mut next).is_none() {
        return Ok(data);
    }
    let operation = UnsignedOperation::Plc(next).sign(key);
    plc.submit(did, &operation).await?;
    app.identity.forget_did(did);
    operation.data(did).ok_or_else(|| PlcClientError::Deactivated(did.clone()))
}
