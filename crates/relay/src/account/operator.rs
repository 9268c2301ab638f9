//! What the operator does with accounts, from the command line: on an opened data folder, or through a server that has it.

use common::{AtIdentifier, Did, Handle};
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use super::Email;
use super::create::{Claim, NewAccount};
use super::email_token::{ShownCode, good_codes};
use super::invite;
use super::password::MAX_NEW_CHARS;
use super::sign_in_link;
use crate::error::XrpcError;
use crate::state::{App, AppState};
use crate::store::account::{self, Account, AccountConflict};
use crate::store::invite::ADMIN;
use crate::store::{AccountId, app_password, passkey, session};

/// Accounts that are read at a time.
const PAGE: usize = 500;

/// An account to be made.
#[derive(Serialize, Deserialize)]
pub(crate) struct CreateAccount {
    pub(crate) handle: String,
    pub(crate) email: String,
    pub(crate) password: String,
}

/// An account that was made.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Created {
    pub(crate) handle: Handle,
    pub(crate) did: Did,
}

/// An account in a list.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AccountSummary {
    pub(crate) did: Did,
    pub(crate) handle: Handle,
    pub(crate) email: Option<String>,
    /// `active`, or the protocol's word for why it is not.
    pub(crate) status: String,
}

/// An invitation to be made.
#[derive(Serialize, Deserialize)]
pub(crate) struct CreateInvite {
    /// How many accounts it makes.
    pub(crate) uses: u32,
}

/// An invitation.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Invite {
    pub(crate) code: String,
    /// The page on which it is used.
    pub(crate) link: String,
    pub(crate) uses: u32,
    /// Whether people need one to have an account here.
    pub(crate) required: bool,
}

/// A new password for an account.
#[derive(Serialize, Deserialize)]
pub(crate) struct ResetPassword {
    /// A handle or a DID.
    pub(crate) account: String,
    pub(crate) password: String,
}

/// Whose codes are to be shown.
#[derive(Serialize, Deserialize)]
pub(crate) struct ShowCodes {
    /// A handle, a DID or an e-mail address.
    pub(crate) account: String,
}

impl Drop for CreateAccount {
    fn drop(&mut self) {
        self.password.zeroize();
    }
}

impl Drop for ResetPassword {
    fn drop(&mut self) {
        self.password.zeroize();
    }
}

/// Makes an invitation.
pub(crate) async fn create_invite(app: &App, input: CreateInvite) -> Result<Invite, XrpcError> {
    let uses = input.uses.max(1);
    let made = invite::create_codes(app, vec![ADMIN.to_owned()], 1, uses).await?;
    let code = made.into_iter().flat_map(|(_, codes)| codes).next();
    let code = code.ok_or_else(|| XrpcError::internal("no invite code was made"))?;
    let link = crate::pages::public::join::link(app, &code);
    Ok(Invite { code, link, uses, required: app.config.accounts.invite_required })
}

impl From<Account> for AccountSummary {
    fn from(account: Account) -> Self {
        Self {
            did: account.did,
            handle: account.handle.unwrap_or_else(Handle::invalid),
            email: account.email,
            status: account.status.as_str().unwrap_or("active").to_owned(),
        }
    }
}

/// Makes an account with a new did:plc. No invite is needed, and reserved names are free to give.
pub(crate) async fn create(app: &AppState, input: CreateAccount) -> Result<Created, XrpcError> {
    let handle = input.handle.parse().map_err(|err| XrpcError::bad_request("InvalidHandle", format!("{err}")))?;
    let new = NewAccount {
        claim: Claim::New { recovery_key: None },
        handle,
        email: Some(input.email.clone()),
        password: Some(input.password.clone()),
        invite_code: None,
        by_operator: true,
    };
    let created = super::create(app, new).await?;
    Ok(Created { handle: created.handle, did: created.did })
}

/// Returns the DID of the account with this handle, which is made if there is none.
pub(crate) async fn ensure_account(app: &AppState, handle: &str, email: &str, password: &str) -> Result<Did, XrpcError> {
    if let Some(account) = find(app, handle).await? {
        return Ok(account.did);
    }
    let input = CreateAccount { handle: handle.to_owned(), email: email.to_owned(), password: password.to_owned() };
    Ok(create(app, input).await?.did)
}

/// Lists all accounts, oldest first.
pub(crate) async fn list(app: &AppState) -> Result<Vec<AccountSummary>, XrpcError> {
    let (mut accounts, mut after) = (Vec::new(), AccountId(0));
    loop {
        let page = app.db.read(|conn| account::list(conn, after, PAGE)).await?;
        let Some(last) = page.last() else { return Ok(accounts) };
        after = last.id;
        accounts.extend(page.into_iter().map(AccountSummary::from));
    }
}

/// An account that is to sign in by its password alone.
#[derive(Serialize, Deserialize)]
pub(crate) struct RemoveFactors {
    /// A handle or a DID.
    pub(crate) account: String,
}

/// Takes the second factors from an account whose owner has lost them, and ends all of its sessions.
pub(crate) async fn remove_factors(app: &AppState, input: RemoveFactors) -> Result<(), XrpcError> {
    let id = find(app, &input.account).await?.ok_or_else(|| not_found(&input.account))?.id;
    app.db
        .write::<_, XrpcError>(move |tx| {
            crate::second_factor::remove_all(tx, id)?;
            Ok(session::delete_all(tx, id)?)
        })
        .await
}

/// An account whose owner is to get a link.
#[derive(Serialize, Deserialize)]
pub(crate) struct MakeSignInLink {
    /// A handle or a DID.
    pub(crate) account: String,
}

/// A link that signs in once.
#[derive(Serialize, Deserialize)]
pub(crate) struct SignInLink {
    pub(crate) link: String,
}

/// Makes a link that signs the owner of an account in once, in the place of an earlier one.
pub(crate) async fn make_sign_in_link(app: &AppState, input: MakeSignInLink) -> Result<SignInLink, XrpcError> {
    let did = find(app, &input.account).await?.ok_or_else(|| not_found(&input.account))?.did;
    Ok(SignInLink { link: sign_in_link::make(app, &did).await? })
}

/// Gives an account a new password, and ends all of its sessions.
pub(crate) async fn reset_password(app: &AppState, input: ResetPassword) -> Result<(), XrpcError> {
    let account = find(app, &input.account).await?.ok_or_else(|| not_found(&input.account))?;
    set_password(app, account.id, &input.password).await
}

/// Gives an account a new password, and ends all of its sessions.
pub(crate) async fn set_password(app: &App, id: AccountId, password: &str) -> Result<(), XrpcError> {
    if !(1..=MAX_NEW_CHARS).contains(&password.chars().count()) {
        return Err(XrpcError::invalid_request(format!("A password has 1 to {MAX_NEW_CHARS} characters")));
    }
    let hash = app.passwords.hash(password).await?;
    app.db
        .write::<_, XrpcError>(move |tx| {
            account::set_password_hash(tx, id, &hash)?;
            Ok(session::delete_all(tx, id)?)
        })
        .await
}

/// Takes from an account its password, its app passwords, its passkeys and its sessions. Its owner may still ask for a new password by mail.
pub(crate) async fn revoke_credentials(app: &App, id: AccountId) -> Result<(), XrpcError> {
    app.db
        .write::<_, XrpcError>(move |tx| {
            account::clear_password_hash(tx, id)?;
            app_password::delete_all(tx, id)?;
            passkey::delete_all(tx, id)?;
            Ok(session::delete_all(tx, id)?)
        })
        .await
}

/// Gives an account another e-mail address, not confirmed yet.
pub(crate) async fn set_email(app: &App, id: AccountId, email: Email) -> Result<(), XrpcError> {
    app.db
        .write::<_, XrpcError>(move |tx| {
            account::set_email(tx, id, email.as_str()).map_err(|err| match err {
                AccountConflict::Store(err) => err.into(),
                // A change of the address alone can meet no other conflict.
                AccountConflict::Did | AccountConflict::Handle | AccountConflict::Email => {
                    XrpcError::invalid_request(format!("Email already taken: {}", email.as_str()))
                }
            })
        })
        .await
}

/// Returns the codes of an account that are good, for someone whose mail does not arrive.
pub(crate) async fn show_codes(app: &AppState, input: ShowCodes) -> Result<Vec<ShownCode>, XrpcError> {
    let found = if input.account.contains('@') && !input.account.starts_with('@') {
        app.db.read(|conn| account::find_by_email(conn, &input.account)).await?
    } else {
        find(app, input.account.trim_start_matches('@')).await?
    };
    let account = found.ok_or_else(|| not_found(&input.account))?;
    Ok(good_codes(app, &account).await?)
}

pub(super) fn not_found(account: &str) -> XrpcError {
    let message = format!("There is no account {account} here; `relay account list` shows those that there are");
    XrpcError::bad_request("AccountNotFound", message)
}

pub(super) async fn find(app: &AppState, account: &str) -> Result<Option<Account>, XrpcError> {
    let who: AtIdentifier = account.parse().map_err(|err| XrpcError::invalid_request(format!("{account}: {err}")))?;
    let found = app.db.read(|conn| match &who {
        AtIdentifier::Did(did) => account::find_by_did(conn, did),
        AtIdentifier::Handle(handle) => account::find_by_handle(conn, handle),
    });
    Ok(found.await?)
}
