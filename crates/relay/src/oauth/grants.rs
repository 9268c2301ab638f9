//! The apps that act for an account, as its owner sees them.

use common::{Clock as _, Did};

use super::scope;
use crate::state::App;
use crate::store::{StoreError, WriteFailed, account, oauth_consent, oauth_session};

/// An app that acts for an account.
#[derive(Clone, Debug)]
pub(crate) struct SignedInApp {
    /// The session's id.
    pub(crate) id: String,
    pub(crate) client: super::Client,
    /// When the user let it in, and when it last got tokens.
    pub(crate) created_at: i64,
    pub(crate) refreshed_at: i64,
}

/// Why an app was not signed out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RevokeError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Write(#[from] WriteFailed),
}

/// Lists the apps that act for an account, the last one first.
pub(crate) async fn list(app: &App, did: &Did) -> Result<Vec<SignedInApp>, StoreError> {
    let now = app.clock.millis();
    let sessions = app
        .db
        .read(|conn| match account::find_by_did(conn, did)? {
            Some(account) => oauth_session::list(conn, account.id, now),
            None => Ok(Vec::new()),
        })
        .await?;
    let shown = |session: oauth_session::OauthSession| SignedInApp {
        id: session.id,
        client: session.request.client,
        created_at: session.created_at,
        refreshed_at: session.refreshed_at,
    };
    Ok(sessions.into_iter().map(shown).collect())
}

/// Signs an app out at once, and forgets that it was let in; tells whether there was such a session of the account.
pub(crate) async fn revoke(app: &App, did: &Did, id: &str) -> Result<bool, RevokeError> {
    let (did, id) = (did.clone(), id.to_owned());
    app.db
        .write(move |tx| {
            let (Some(account), Some(session)) = (account::find_by_did(tx, &did)?, oauth_session::find(tx, &id)?) else {
                return Ok(false);
            };
            if session.account != account.id {
                return Ok(false);
            }
            oauth_consent::delete(tx, account.id, &session.request.client.id)?;
            Ok(oauth_session::delete(tx, &id)?)
        })
        .await
}

/// Whether the account granted an app all of `scopes` before.
pub(crate) async fn remembered_consent(app: &App, did: &Did, client_id: &str, scopes: &[String]) -> Result<bool, StoreError> {
    let granted = app
        .db
        .read(|conn| match account::find_by_did(conn, did)? {
            Some(account) => oauth_consent::find(conn, account.id, client_id),
            None => Ok(None),
        })
        .await?;
    let Some(granted) = granted else { return Ok(false) };
    let granted = scope::parse_known(&granted);
    Ok(scopes.iter().all(|asked| granted.iter().any(|(known, _)| known == asked)))
}
