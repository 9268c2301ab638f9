//! `com.atproto.admin.*`: what the operator and moderators do with accounts.

pub(crate) mod delete_account;
pub(crate) mod disable_account_invites;
pub(crate) mod disable_invite_codes;
pub(crate) mod enable_account_invites;
pub(crate) mod get_account_info;
pub(crate) mod get_account_infos;
pub(crate) mod get_invite_codes;
pub(crate) mod get_subject_status;
pub(crate) mod search_accounts;
pub(crate) mod send_email;
pub(crate) mod update_account_email;
pub(crate) mod update_account_handle;
pub(crate) mod update_account_password;
pub(crate) mod update_account_signing_key;
pub(crate) mod update_subject_status;

use common::{AtIdentifier, AtUri, Cid, Datetime, Did, Handle};
use repo_engine::Key;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use crate::error::XrpcError;
use crate::state::AppState;
use crate::store::account::{self, Account};
use crate::store::{StoreError, invite, standing};
use crate::xrpc::com_atproto::repo::find_account;
use crate::xrpc::com_atproto::server::get_account_invite_codes::InviteCode;

/// `com.atproto.admin.defs#accountView`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccountView {
    did: Did,
    handle: Handle,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    indexed_at: Datetime,
    #[serde(skip_serializing_if = "Option::is_none")]
    invited_by: Option<InviteCode>,
    invites: Vec<InviteCode>,
    invites_disabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    invite_note: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email_confirmed_at: Option<Datetime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deactivated_at: Option<Datetime>,
}

impl AccountView {
    /// Gathers what is known of an account; `None` when it is gone.
    fn of(conn: &Connection, account: Account) -> Result<Option<Self>, StoreError> {
        let Some(standing) = standing::find(conn, account.id)? else { return Ok(None) };
        let invited_by = match invite::find_used_by(conn, &account.did)? {
            Some(code) => {
                let uses = invite::list_uses(conn, &code.code)?;
                Some(InviteCode::new(code, uses))
            }
            None => None,
        };
        let invites = invite::list_for_account(conn, &account.did)?;
        Ok(Some(Self {
            did: account.did,
            handle: account.handle.unwrap_or_else(Handle::invalid),
            email: account.email,
            indexed_at: Datetime::from_millis(account.created_at),
            invited_by,
            invites: invites.into_iter().map(|(code, uses)| InviteCode::new(code, uses)).collect(),
            invites_disabled: standing.invites_disabled,
            invite_note: standing.invite_note,
            email_confirmed_at: account.email_confirmed_at.map(Datetime::from_millis),
            deactivated_at: standing.deactivated_at.map(Datetime::from_millis),
        }))
    }

    /// Gathers what is known of the account with this DID.
    fn find(conn: &Connection, did: &Did) -> Result<Option<Self>, StoreError> {
        account::find_by_did(conn, did)?.map_or(Ok(None), |account| Self::of(conn, account))
    }
}

/// What a moderator decides about.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "$type")]
pub(crate) enum Subject {
    #[serde(rename = "com.atproto.admin.defs#repoRef")]
    Account { did: Did },
    #[serde(rename = "com.atproto.repo.strongRef")]
    Record { uri: AtUri, cid: Cid },
    #[serde(rename = "com.atproto.admin.defs#repoBlobRef", rename_all = "camelCase")]
    Blob {
        did: Did,
        cid: Cid,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        record_uri: Option<AtUri>,
    },
}

/// `com.atproto.admin.defs#statusAttr`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StatusAttr {
    applied: bool,
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
}

impl StatusAttr {
    /// Tells a takedown by its reference, if there is one.
    fn takedown(reference: Option<String>) -> Self {
        Self { applied: reference.is_some(), reference }
    }
}

fn subject_not_found() -> XrpcError {
    XrpcError::bad_request("NotFound", "Subject not found")
}

fn account_not_found(account: &impl std::fmt::Display) -> XrpcError {
    XrpcError::bad_request("NotFound", format!("Account not found: {account}"))
}

/// Finds the account that a call is about.
pub(crate) async fn hosted_account(app: &AppState, account: &AtIdentifier) -> Result<Account, XrpcError> {
    find_account(app, account).await?.ok_or_else(|| account_not_found(account))
}

/// Finds whose record a URI names, and under which key.
async fn record_subject(app: &AppState, uri: &AtUri) -> Result<(Account, Key), XrpcError> {
    let (Some(collection), Some(rkey)) = (uri.collection(), uri.rkey()) else {
        return Err(XrpcError::invalid_request(format!("{uri} names no record")));
    };
    let account = find_account(app, &uri.authority()).await?.ok_or_else(subject_not_found)?;
    Ok((account, Key::new(&collection, &rkey)))
}

/// The input of the methods that say whether an account earns invite codes.
#[derive(Deserialize)]
pub(crate) struct InvitesInput {
    account: Did,
    note: Option<String>,
}

async fn set_invites(app: &AppState, input: InvitesInput, disabled: bool) -> Result<(), XrpcError> {
    app.db
        .write(move |tx| {
            let account = account::find_by_did(tx, &input.account)?.ok_or_else(|| account_not_found(&input.account))?;
            Ok(standing::set_invites(tx, account.id, disabled, input.note.as_deref())?)
        })
        .await
}
