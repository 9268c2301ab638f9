//! `com.atproto.server.*`: accounts, sessions, app passwords and invites.

pub(crate) mod activate_account;
pub(crate) mod check_account_status;
pub(crate) mod confirm_email;
pub(crate) mod create_account;
pub(crate) mod create_app_password;
pub(crate) mod create_invite_code;
pub(crate) mod create_invite_codes;
pub(crate) mod create_session;
pub(crate) mod deactivate_account;
pub(crate) mod delete_account;
pub(crate) mod delete_session;
pub(crate) mod describe_server;
pub(crate) mod get_account_invite_codes;
pub(crate) mod get_service_auth;
pub(crate) mod get_session;
pub(crate) mod list_app_passwords;
pub(crate) mod refresh_session;
pub(crate) mod request_account_delete;
pub(crate) mod request_email_confirmation;
pub(crate) mod request_email_update;
pub(crate) mod request_password_reset;
pub(crate) mod reserve_signing_key;
pub(crate) mod reset_password;
pub(crate) mod revoke_app_password;
pub(crate) mod update_email;

use common::{Datetime, Did, Handle};
use serde::Serialize;
use serde_json::Value;

use crate::account::Session;
use crate::state::App;
use crate::store::account::Account;

/// What sessions tell of their account.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccountView {
    handle: Handle,
    did: Did,
    #[serde(skip_serializing_if = "Option::is_none")]
    did_doc: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    email_confirmed: bool,
    /// Always there: clients keep what they knew when it is not.
    email_auth_factor: bool,
    active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
}

/// A session with its tokens.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SessionView {
    access_jwt: String,
    refresh_jwt: String,
    #[serde(flatten)]
    account: AccountView,
}

impl AccountView {
    async fn of(app: &App, account: Account) -> Self {
        Self {
            did_doc: did_document(app, &account.did).await,
            handle: account.handle.unwrap_or_else(Handle::invalid),
            did: account.did,
            email: account.email,
            email_confirmed: account.email_confirmed_at.is_some(),
            email_auth_factor: account.email_auth_factor,
            active: account.status.is_active(),
            status: account.status.as_str(),
        }
    }
}

impl SessionView {
    async fn of(app: &App, session: Session) -> Self {
        let account = AccountView::of(app, session.account).await;
        Self { access_jwt: session.tokens.access, refresh_jwt: session.tokens.refresh, account }
    }
}

/// Returns the DID document for a session, if the operator wants it there. A session is good without one, too.
async fn did_document(app: &App, did: &Did) -> Option<Value> {
    if !app.config.accounts.did_doc_in_session {
        return None;
    }
    let document = app.identity.resolve_did(did).await.ok()?;
    Some(document.as_json().clone())
}

fn datetime(millis: i64) -> Datetime {
    Datetime::from_millis(millis)
}
