//! Giving an account another handle: the directory first, then the database, then the network is told.
//!
//! # Tricky bits
//!
//! - The directory and the database cannot change as one. So what the directory has is looked at each time: a change that was
//!   cut off between the two is finished, or taken back, by asking again.
//! - The bare domain of the server may be a handle, yet this server is who answers for it. So nobody proves it by asking here:
//!   the operator gives it out, or a TXT record names the account.

use common::{Datetime, Handle};
use crypto::plc::DidData;

use super::directory::{self, DirectoryError};
use super::handle::{HandleRuleError, Place, check_handle};
use crate::error::XrpcError;
use crate::firehose::frames;
use crate::identity::ResolveError;
use crate::state::{App, AppState};
use crate::store::account::{self, Account, AccountConflict};
use crate::store::{StoreError, WriteFailed, reserved_handle};

/// Why an account did not get a handle.
#[derive(Debug, thiserror::Error)]
enum ChangeHandleError {
    #[error(transparent)]
    Rule(#[from] HandleRuleError),
    #[error("Handle already taken: {0}")]
    Taken(Handle),
    #[error("External handle did not resolve to DID: {0}")]
    External(#[source] ResolveError),
    #[error("External handle did not resolve to DID: {handle} leads to {found}")]
    ExternalOther { handle: Handle, found: common::Did },
    #[error("Could not resolve DID: {0}")]
    Resolve(#[source] ResolveError),
    #[error("DID is not properly configured for handle: its document does not name {0}")]
    NotInDocument(Handle),
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error("Could not find account")]
    NotFound,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Write(#[from] WriteFailed),
}

impl From<ChangeHandleError> for XrpcError {
    fn from(err: ChangeHandleError) -> Self {
        let message = err.to_string();
        match err {
            ChangeHandleError::Rule(HandleRuleError::Reserved) | ChangeHandleError::Taken(_) => {
                Self::bad_request("HandleNotAvailable", message)
            }
            ChangeHandleError::Rule(
                HandleRuleError::Tld | HandleRuleError::Parts | HandleRuleError::TooShort | HandleRuleError::TooLong,
            ) => Self::bad_request("InvalidHandle", message),
            ChangeHandleError::External(_)
            | ChangeHandleError::ExternalOther { .. }
            | ChangeHandleError::Resolve(_)
            | ChangeHandleError::NotInDocument(_)
            | ChangeHandleError::NotFound => Self::invalid_request(message),
            ChangeHandleError::Directory(err) => err.into(),
            ChangeHandleError::Store(err) => err.into(),
            ChangeHandleError::Write(err) => err.into(),
        }
    }
}

impl From<AccountConflict> for ChangeHandleError {
    fn from(err: AccountConflict) -> Self {
        match err {
            AccountConflict::Store(err) => Self::Store(err),
            // A change of the handle alone can meet no other conflict.
            AccountConflict::Did | AccountConflict::Handle | AccountConflict::Email => Self::Taken(Handle::invalid()),
        }
    }
}

/// Gives an account a handle, in its DID and here, and announces it; also when it has that handle already.
///
/// The operator may give out reserved names and the server's own domain (`allow_reserved`).
pub(crate) async fn change_handle(
    app: &AppState,
    account: &Account,
    handle: Handle,
    allow_reserved: bool,
) -> Result<(), XrpcError> {
    check_allowed(app, account, &handle, allow_reserved).await?;
    // A client that goes away must not leave the directory ahead of the database.
    let (task, account) = (app.clone(), account.clone());
    let change = async move {
        carry_out(&task, &account, handle.clone()).await?;
        task.tls.prepare(&handle).await;
        Ok::<_, ChangeHandleError>(())
    };
    app.to_end(change).await.map_err(XrpcError::from)
}

/// Checks that the account may have the handle: the rules, who else has it, and that a handle of another host leads to it.
async fn check_allowed(app: &App, account: &Account, handle: &Handle, allow_reserved: bool) -> Result<(), ChangeHandleError> {
    let place = check_handle(handle, &app.config.identity.handle_domains, allow_reserved)?;
    let read = |conn: &rusqlite::Connection| {
        Ok::<_, StoreError>((account::find_by_handle(conn, handle)?, reserved_handle::covers(conn, handle)?))
    };
    let (holder, kept_back) = app.db.read(read).await?;
    // Whoever has a handle keeps it.
    if kept_back && !allow_reserved && account.handle.as_ref() != Some(handle) {
        return Err(HandleRuleError::Reserved.into());
    }
    if holder.is_some_and(|holder| holder.id != account.id) {
        return Err(ChangeHandleError::Taken(handle.clone()));
    }
    match place {
        Place::Hosted => Ok(()),
        Place::External if allow_reserved && is_bare_domain(app, handle) => Ok(()),
        // The server would ask itself; that the account has the handle now is what it would say.
        Place::External if account.handle.as_ref() == Some(handle) && is_bare_domain(app, handle) => Ok(()),
        Place::External => match app.identity.resolve_handle(handle).await {
            Ok(found) if found == account.did => Ok(()),
            Ok(found) => Err(ChangeHandleError::ExternalOther { handle: handle.clone(), found }),
            Err(err) => Err(ChangeHandleError::External(err)),
        },
    }
}

/// Whether a handle is the host name of this server, or a domain that it gives handles out under.
fn is_bare_domain(app: &App, handle: &Handle) -> bool {
    let domains = &app.config.identity.handle_domains;
    app.config.server.public_url.host() == handle.as_str()
        || domains.iter().any(|domain| domain.as_str().strip_prefix('.') == Some(handle.as_str()))
}

async fn carry_out(app: &App, account: &Account, handle: Handle) -> Result<(), ChangeHandleError> {
    // One change at a time: of two, the later in the directory shall be the later here.
    let _turn = app.did_turns.take(account.id).await;
    if account.did.is_plc() {
        directory::update(app, &account.did, |data, next| next.also_known_as = naming(data, &handle)).await?;
    } else {
        let document = app.identity.refresh_did(&account.did).await.map_err(ChangeHandleError::Resolve)?;
        if document.handle() != Some(&handle) {
            return Err(ChangeHandleError::NotInDocument(handle));
        }
    }
    let (id, new) = (account.id, handle.clone());
    let stored = app.db.write(move |tx| {
        account::set_handle(tx, id, &new)?;
        let account = account::find(tx, id)?.ok_or(ChangeHandleError::NotFound)?;
        let time = Datetime::from_millis(tx.now_millis());
        tx.emit(id, &frames::identity(&account.did, account.handle.as_ref(), time.as_str()))?;
        Ok(())
    });
    stored.await.map_err(|err| match err {
        ChangeHandleError::Taken(_) => ChangeHandleError::Taken(handle.clone()),
        other => other,
    })?;
    tracing::info!(did = %account.did, %handle, "handle changed");
    Ok(())
}

/// Returns the aliases of a DID with `handle` as its handle, which is the first that begins with `at://`.
fn naming(data: &DidData, handle: &Handle) -> Vec<String> {
    let claim = format!("at://{handle}");
    let place = data.also_known_as.iter().position(|alias| alias.starts_with("at://")).unwrap_or(0);
    let mut aliases = data.also_known_as.clone();
    if aliases.get(place).is_some_and(|alias| alias.starts_with("at://")) {
        aliases[place].clone_from(&claim);
    } else {
        aliases.insert(place, claim.clone());
    }
    let mut index = 0;
    // The directory takes no alias twice.
    aliases.retain(|alias| {
        index += 1;
        index - 1 == place || *alias != claim
    });
    aliases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_handle_takes_the_place_of_the_one_before() {
        let named = |aliases: &[&str]| {
            let data = DidData {
                did: "did:plc:ewvi7nxzyoun6zhxrhs64oiz".parse().unwrap(),
                rotation_keys: Vec::new(),
                verification_methods: std::collections::BTreeMap::new(),
                also_known_as: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
                services: std::collections::BTreeMap::new(),
            };
            naming(&data, &"new.test".parse().unwrap())
        };
        assert_eq!(named(&[]), ["at://new.test"]);
        assert_eq!(named(&["at://old.test"]), ["at://new.test"]);
        assert_eq!(named(&["https://a.test"]), ["at://new.test", "https://a.test"]);
        assert_eq!(
            named(&["https://a.test", "at://old.test", "at://x.test"]),
            ["https://a.test", "at://new.test", "at://x.test"]
        );
        assert_eq!(named(&["at://old.test", "at://new.test"]), ["at://new.test"]);
        assert_eq!(named(&["at://new.test", "https://a.test"]), ["at://new.test", "https://a.test"]);
    }
}
