//! What the DID has to say for the account to be here, with what it says now kept as far as that goes.

use common::Did;
use crypto::VerifyingKey;
use crypto::plc::{DidData, Operation, UnsignedOperation};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Fault, OldServer};
use crate::account::recommended_did;
use crate::identity::PlcClientError;
use crate::state::AppState;
use crate::store::account::Account;

/// Most keys that the directory takes.
const MAX_ROTATION_KEYS: usize = 5;
/// Keys of Bluesky's, whether or not its servers name them among those that they recommend. Kept, they would let it take the DID back.
const PROVIDER_KEYS: [&str; 2] =
    ["did:key:zQ3shhCGUqDKjStzuDxPkTxN6ujddP4RkEKJJouJGRRkaLGbg", "did:key:zQ3shpKnbdPx3g3CmPf5cRVTPe1HtSwVn5ish3wSnDPQCbLJK"];

/// Returns what the DID of `account` shall say. `recovery_key` comes first among the keys that may change it.
pub(super) async fn wanted(
    app: &AppState,
    account: &Account,
    old: &OldServer,
    recovery_key: Option<&VerifyingKey>,
) -> Result<DidData, Fault> {
    let now = app.identity.plc().data(&account.did).await.map_err(|err| directory(&err))?;
    let recommended = recommended(app, account).await?;
    let of_old_server = rotation_keys_of(old).await?;
    Ok(merge(now, recommended, &of_old_server, recovery_key.map(VerifyingKey::to_did_key)))
}

async fn recommended(app: &AppState, account: &Account) -> Result<DidData, Fault> {
    recommended_did(app, account).await.map_err(|err| Fault::here(&err))
}

/// Puts what the DID says now, and what it has to say for the account to be here, together.
fn merge(now: DidData, recommended: DidData, of_old_server: &[String], recovery_key: Option<String>) -> DidData {
    let is_own = |key: &String| {
        !of_old_server.contains(key) && !PROVIDER_KEYS.contains(&key.as_str()) && !recommended.rotation_keys.contains(key)
    };
    let mut rotation_keys: Vec<String> = recovery_key.into_iter().collect();
    let room = MAX_ROTATION_KEYS.saturating_sub(rotation_keys.len() + recommended.rotation_keys.len());
    let own: Vec<String> = now.rotation_keys.into_iter().filter(is_own).filter(|key| !rotation_keys.contains(key)).collect();
    rotation_keys.extend(own.into_iter().take(room));
    rotation_keys.extend(recommended.rotation_keys);
    let others = now.also_known_as.into_iter().filter(|name| !name.starts_with("at://"));
    let also_known_as = recommended.also_known_as.into_iter().chain(others).collect();
    // A labeler's key and service, say, go on as they are.
    let mut verification_methods = now.verification_methods;
    verification_methods.extend(recommended.verification_methods);
    let mut services = now.services;
    services.extend(recommended.services);
    DidData { did: recommended.did, rotation_keys, verification_methods, also_known_as, services }
}

/// Returns the keys by which the old server itself may change DIDs.
async fn rotation_keys_of(old: &OldServer) -> Result<Vec<String>, Fault> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Output {
        #[serde(default)]
        rotation_keys: Vec<String>,
    }
    let answer = old.get("com.atproto.identity.getRecommendedDidCredentials", &[]).await?;
    let answer = answer.map_err(|refusal| refusal.into_fault(&old.name()))?;
    Ok(old.server.parse::<Output>(&answer)?.rotation_keys)
}

/// Has the old server sign an operation after which the DID says `wanted`.
pub(super) async fn sign(old: &OldServer, wanted: &DidData, code: &str) -> Result<Operation, Fault> {
    #[derive(Deserialize)]
    struct Output {
        operation: Operation,
    }
    let body = json!({
        "token": code.trim(),
        "rotationKeys": wanted.rotation_keys,
        "alsoKnownAs": wanted.also_known_as,
        "verificationMethods": wanted.verification_methods,
        "services": wanted.services,
    });
    let answer = old.post("com.atproto.identity.signPlcOperation", Some(&body)).await?;
    let server = old.name();
    let answer = answer.map_err(|refusal| match refusal.error.as_str() {
        "InvalidToken" | "ExpiredToken" => {
            Fault::WrongCode { server, message: refusal.message.trim_end_matches('.').to_owned() }
        }
        _ => refusal.into_fault(&server),
    })?;
    let operation = old.server.parse::<Output>(&answer)?.operation;
    if is(&operation, wanted) {
        return Ok(operation);
    }
    let message = "it signed something else than it was asked to, which was not handed in".to_owned();
    Err(Fault::Refused { server: old.name(), message })
}

/// Whether an operation says `wanted`, and nothing else.
fn is(operation: &Operation, wanted: &DidData) -> bool {
    matches!(operation.unsigned, UnsignedOperation::Plc(_)) && operation.data(&wanted.did).as_ref() == Some(wanted)
}

/// Whether the directory has this operation as the last one.
pub(super) async fn is_in_force(app: &AppState, did: &Did, operation: &Operation) -> Result<bool, Fault> {
    Ok(app.identity.plc().last_operation(did).await.map_err(|err| directory(&err))?.cid() == operation.cid())
}

pub(super) fn directory(err: &PlcClientError) -> Fault {
    match err {
        PlcClientError::Fetch(_) | PlcClientError::Failed { .. } | PlcClientError::Answer(_) => {
            Fault::Unreachable { server: "The PLC directory".to_owned(), why: err.to_string() }
        }
        PlcClientError::NotFound(_) | PlcClientError::Deactivated(_) | PlcClientError::Refused { .. } => {
            Fault::Directory { message: err.to_string() }
        }
    }
}

/// Returns the document that a did:web has to publish.
pub(super) async fn wanted_document(app: &AppState, account: &Account) -> Result<Value, Fault> {
    let recommended = recommended(app, account).await?;
    let mut document = crypto::plc::did_document(&recommended);
    let Ok(now) = app.identity.resolve_did(&account.did).await else { return Ok(document) };
    keep(&mut document, now.as_json(), "verificationMethod", "#atproto");
    keep(&mut document, now.as_json(), "service", "#atproto_pds");
    Ok(document)
}

/// Keeps the entries of a list but for the one whose id ends with `replaced`.
fn keep(document: &mut Value, now: &Value, list: &str, replaced: &str) {
    let Some(entries) = now[list].as_array() else { return };
    let others = entries.iter().filter(|entry| !entry["id"].as_str().is_some_and(|id| id.ends_with(replaced)));
    if let Some(wanted) = document[list].as_array_mut() {
        wanted.extend(others.cloned());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crypto::plc::Service;

    use super::*;

    fn data(keys: &[&str], names: &[&str], endpoint: &str) -> DidData {
        let pds = Service { r#type: "AtprotoPersonalDataServer".to_owned(), endpoint: endpoint.to_owned() };
        DidData {
            did: "did:plc:ewvi7nxzyoun6zhxrhs64oiz".parse().unwrap(),
            rotation_keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            verification_methods: BTreeMap::from([("atproto".to_owned(), format!("key of {endpoint}"))]),
            also_known_as: names.iter().map(|name| (*name).to_owned()).collect(),
            services: BTreeMap::from([("atproto_pds".to_owned(), pds)]),
        }
    }

    #[test]
    fn what_is_the_persons_own_stays_and_what_is_the_old_servers_goes() {
        let mut now = data(
            &["own", PROVIDER_KEYS[0], "old recovery", "old server"],
            &["at://a.old.example", "https://a.example"],
            "https://old",
        );
        now.verification_methods.insert("atproto_label".to_owned(), "label".to_owned());
        let recommended = data(&["operator", "here"], &["at://a.new.example"], "https://new");
        let of_old_server = ["old recovery".to_owned(), "old server".to_owned()];
        let wanted = merge(now.clone(), recommended.clone(), &of_old_server, Some("recovery".to_owned()));
        assert_eq!(wanted.rotation_keys, ["recovery", "own", "operator", "here"]);
        assert_eq!(wanted.also_known_as, ["at://a.new.example", "https://a.example"]);
        assert_eq!(wanted.verification_methods["atproto"], "key of https://new");
        assert_eq!(wanted.verification_methods["atproto_label"], "label");
        assert_eq!(wanted.services["atproto_pds"].endpoint, "https://new");

        now.rotation_keys = (0..5).map(|number| format!("own {number}")).collect();
        let wanted = merge(now, recommended, &of_old_server, Some("recovery".to_owned()));
        assert_eq!(
            wanted.rotation_keys,
            ["recovery", "own 0", "own 1", "operator", "here"],
            "no more than the directory takes"
        );
    }
}
