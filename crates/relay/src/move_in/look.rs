//! What a move would do, before anything is asked of the person.

use common::{AtIdentifier, Did, Handle};
use serde::{Deserialize, Serialize};

use super::{Fault, Server, State};
use crate::state::AppState;
use crate::store::{account, move_in};

/// Domains that are nobody's own, whatever a server says of itself.
const PROVIDERS: [&str; 1] = [".bsky.social"];

/// An account that could move here.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Plan {
    pub(crate) did: Did,
    /// Its handle now.
    pub(crate) old_handle: Option<Handle>,
    /// The host name of the server that has it.
    pub(crate) old_server: String,
    pub(crate) old_url: String,
    /// Whether the handle comes along: it is a domain of the person's own.
    pub(crate) keeps_handle: bool,
    /// The handle that it could have here.
    pub(crate) new_handle: Option<Handle>,
    /// The account is here, deactivated, from an attempt that was cut off or from before it moved away.
    pub(crate) returns: bool,
    /// The move, when it has begun.
    pub(crate) under_way: Option<State>,
}

/// Finds an account of the network by its handle or DID, and says what moving it here would do.
pub(crate) async fn look(app: &AppState, account: &str) -> Result<Plan, Fault> {
    let name = account.trim().trim_start_matches('@').to_lowercase();
    let unknown = |why: String| Fault::Unknown { account: name.clone(), why };
    // A DID is written in one case.
    let text = if name.starts_with("did:") { account.trim() } else { &name };
    let did = match text.parse().map_err(|err| unknown(format!("{err}")))? {
        AtIdentifier::Did(did) => did,
        AtIdentifier::Handle(handle) => resolve(app, &handle).await?,
    };
    let (known, row) = app
        .db
        .read(|conn| {
            let known = account::find_by_did(conn, &did)?;
            let row = known.as_ref().map(|known| move_in::find(conn, known.id)).transpose()?.flatten();
            Ok::<_, Fault>((known, row))
        })
        .await?;
    if let (Some(known), Some(row)) = (&known, &row) {
        let under_way = super::state(app, &did).await?;
        return Ok(Plan {
            did,
            old_handle: row.old_handle.clone(),
            old_server: under_way.old_server.clone(),
            old_url: row.old_server.clone(),
            keeps_handle: known.handle == row.old_handle,
            new_handle: known.handle.clone(),
            returns: true,
            under_way: Some(under_way),
        });
    }
    if known.as_ref().is_some_and(|known| known.status != account::Status::Deactivated) {
        return Err(Fault::AlreadyHere { did });
    }
    let document = app.identity.refresh_did(&did).await.map_err(|err| unknown(err.to_string()))?;
    let url = document.pds_endpoint().ok_or_else(|| unknown("its DID names no server".to_owned()))?.to_owned();
    if url.trim_end_matches('/') == app.config.server.public_url.as_str() {
        return Err(Fault::AlreadyHere { did });
    }
    let server = Server::new(app, &url)?;
    let domains = server.handle_domains().await?;
    let old_handle = document.handle().cloned();
    let is_own = |handle: &Handle| {
        let mut given = domains.iter().map(String::as_str).chain(PROVIDERS);
        !given.any(|domain| handle.as_str().ends_with(&format!(".{}", domain.trim_start_matches('.'))))
    };
    let keeps_handle = match &old_handle {
        Some(handle) if is_own(handle) => resolve(app, handle).await.is_ok_and(|found| found == did),
        Some(_) | None => false,
    };
    let returns = known.is_some();
    let new_handle = match known.and_then(|known| known.handle) {
        Some(handle) => Some(handle),
        None if keeps_handle => old_handle.clone(),
        None => old_handle.as_ref().and_then(|handle| handle_here(app, handle.as_str().split('.').next()?)),
    };
    Ok(Plan { did, old_handle, old_server: server.name, old_url: url, keeps_handle, new_handle, returns, under_way: None })
}

async fn resolve(app: &AppState, handle: &Handle) -> Result<Did, Fault> {
    let here = app.db.read(|conn| account::find_by_handle(conn, handle)).await?;
    if let Some(account) = here {
        return Ok(account.did);
    }
    let unknown = |err: crate::identity::ResolveError| Fault::Unknown { account: handle.to_string(), why: err.to_string() };
    app.identity.resolve_handle(handle).await.map_err(unknown)
}

/// Puts a handle under the domain of this server together; people write it with its domain, or with an @, as they see handles.
pub(crate) fn handle_here(app: &AppState, name: &str) -> Option<Handle> {
    let name = name.trim().trim_start_matches('@').to_lowercase();
    let domains = &app.config.identity.handle_domains;
    if name.contains('.') {
        return name.parse().ok();
    }
    format!("{name}{}", domains.first()?.as_str()).parse().ok()
}
