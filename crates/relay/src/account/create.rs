//! Making an account: with a new did:plc, or for a DID that moves here.

use std::collections::BTreeMap;

use common::{Clock as _, Did, Handle};
use crypto::plc::{Operation, PlcOperation, Service, UnsignedOperation, did_document};
use crypto::{SigningKey, VerifyingKey};
use serde_json::Value;

use super::handle::{HandleRuleError, Place, check_handle};
use super::password::{self, PasswordsError};
use super::pending_did;
use super::session::{self, Issued, SessionError, Tokens};
use super::{Email, EmailError};
use crate::auth::Scope;
use crate::error::XrpcError;
use crate::identity::{PlcClientError, ResolveError};
use crate::repo::FirstCommit;
use crate::secrets::{SecretError, Secrets};
use crate::state::{App, AppState};
use crate::store::account::{self, AccountConflict};
use crate::store::pending_did::PendingDid;
use crate::store::{BatchTx, StoreError, WriteFailed, invite, pending_did as pending_dids, reserved_handle, reserved_key};

/// Who the account is for.
#[derive(Clone, Debug)]
pub(crate) enum Claim {
    /// Someone new, who gets a did:plc; with a rotation key of their own above the server's, if they bring one.
    New { recovery_key: Option<VerifyingKey> },
    /// Someone who has proved that the DID is theirs, and moves here.
    Moving(Did),
}

/// What an account is made of.
#[derive(Clone)]
pub(crate) struct NewAccount {
    pub(crate) claim: Claim,
    pub(crate) handle: Handle,
    pub(crate) email: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) invite_code: Option<String>,
    /// Whether the operator makes the account, who needs no invite and may give out reserved names.
    pub(crate) by_operator: bool,
}

/// A new account.
pub(crate) struct Created {
    pub(crate) did: Did,
    pub(crate) handle: Handle,
    pub(crate) tokens: Tokens,
    /// The DID document of a new did:plc.
    pub(crate) did_document: Option<Value>,
}

/// Why an account was not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CreateError {
    #[error("Email is required")]
    NoEmail,
    #[error(transparent)]
    Email(#[from] EmailError),
    #[error("Email already taken: {}", .0.as_str())]
    EmailTaken(Email),
    #[error("A password has 1 to {} characters", password::MAX_NEW_CHARS)]
    Password,
    #[error("No invite code provided")]
    NoInvite,
    #[error("Provided invite code not available")]
    Invite,
    #[error(transparent)]
    Handle(#[from] HandleRuleError),
    #[error("Not a supported handle domain")]
    UnsupportedDomain,
    #[error("External handle did not resolve to DID")]
    ExternalHandle(#[source] Option<ResolveError>),
    #[error("Handle already taken: {0}")]
    HandleTaken(Handle),
    #[error("Repo already exists")]
    DidTaken,
    #[error("the PLC directory did not take the new DID")]
    Plc(#[source] PlcClientError),
    #[error("the password could not be hashed")]
    Hash(#[source] PasswordsError),
    #[error("the reserved signing key could not be opened")]
    Secret(#[source] SecretError),
    #[error("the session could not be made")]
    Session(#[source] Box<SessionError>),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Write(#[from] WriteFailed),
}

impl From<CreateError> for XrpcError {
    fn from(err: CreateError) -> Self {
        let message = err.to_string();
        match err {
            CreateError::NoEmail | CreateError::Email(_) | CreateError::EmailTaken(_) | CreateError::Password => {
                Self::invalid_request(message)
            }
            CreateError::NoInvite | CreateError::Invite => Self::bad_request("InvalidInviteCode", message),
            CreateError::Handle(HandleRuleError::Reserved) | CreateError::HandleTaken(_) => {
                Self::bad_request("HandleNotAvailable", message)
            }
            CreateError::Handle(
                HandleRuleError::Tld | HandleRuleError::Parts | HandleRuleError::TooShort | HandleRuleError::TooLong,
            ) => Self::bad_request("InvalidHandle", message),
            CreateError::UnsupportedDomain => Self::bad_request("UnsupportedDomain", message),
            CreateError::ExternalHandle(_) => Self::invalid_request(message).with_cause(err),
            CreateError::DidTaken => Self::bad_request("AlreadyExists", message),
            CreateError::Plc(_) => {
                Self::upstream("The PLC directory did not take the new DID; try again later").with_cause(err)
            }
            CreateError::Hash(err) => err.into(),
            CreateError::Secret(_) => Self::internal(err),
            CreateError::Session(err) => (*err).into(),
            CreateError::Store(err) => err.into(),
            CreateError::Write(err) => err.into(),
        }
    }
}

impl From<SessionError> for CreateError {
    fn from(err: SessionError) -> Self {
        Self::Session(Box::new(err))
    }
}

/// An account whose parts were checked, as far as that can be done before it is made.
struct Draft {
    claim: Claim,
    handle: Handle,
    email: Email,
    password_hash: Option<String>,
    invite_code: Option<String>,
    by_operator: bool,
}

/// Makes an account and its first session. One with a new DID is active and announced; one that moves here is deactivated until
/// its repo and its DID have followed.
pub(crate) async fn create(app: &AppState, new: NewAccount) -> Result<Created, CreateError> {
    let email = Email::parse(new.email.as_deref().ok_or(CreateError::NoEmail)?)?;
    if !app.config.accounts.accept_disposable_mail && !new.by_operator {
        email.check_lasting()?;
    }
    if let Some(password) = &new.password
        && !(1..=password::MAX_NEW_CHARS).contains(&password.chars().count())
    {
        return Err(CreateError::Password);
    }
    let place = check_handle(&new.handle, &app.config.identity.handle_domains, new.by_operator)?;
    let invite_code = if app.config.accounts.invite_required && !new.by_operator {
        Some(new.invite_code.filter(|code| !code.trim().is_empty()).ok_or(CreateError::NoInvite)?.trim().to_owned())
    } else {
        None
    };
    let by_operator = new.by_operator;
    let mut draft = Draft { claim: new.claim, handle: new.handle, email, password_hash: None, invite_code, by_operator };
    app.db.read(|conn| check_available(conn, &draft)).await?;
    match (&draft.claim, place) {
        (Claim::New { .. } | Claim::Moving(_), Place::Hosted) => {}
        (Claim::New { .. }, Place::External) => return Err(CreateError::UnsupportedDomain),
        (Claim::Moving(did), Place::External) => match app.identity.resolve_handle(&draft.handle).await {
            Ok(found) if found == *did => {}
            Ok(_) => return Err(CreateError::ExternalHandle(None)),
            Err(err) => return Err(CreateError::ExternalHandle(Some(err))),
        },
    }
    if let Some(password) = &new.password {
        draft.password_hash = Some(app.passwords.hash(password).await.map_err(CreateError::Hash)?);
    }
    // A client that goes away must not leave a DID without an account.
    let task = app.clone();
    let create = async move {
        let created = carry_out(&task, draft).await?;
        task.tls.prepare(&created.handle).await;
        Ok(created)
    };
    app.to_end(create).await
}

/// Checks what the transaction checks again, so that what will not do is told before there is a DID for it.
fn check_available(conn: &rusqlite::Connection, draft: &Draft) -> Result<(), CreateError> {
    if let Some(code) = &draft.invite_code
        && !invite::is_good(conn, code)?
    {
        return Err(CreateError::Invite);
    }
    if !draft.by_operator && reserved_handle::covers(conn, &draft.handle)? {
        return Err(HandleRuleError::Reserved.into());
    }
    if account::find_by_handle(conn, &draft.handle)?.is_some() {
        return Err(CreateError::HandleTaken(draft.handle.clone()));
    }
    if account::find_by_email(conn, draft.email.as_str())?.is_some() {
        return Err(CreateError::EmailTaken(draft.email.clone()));
    }
    match &draft.claim {
        Claim::Moving(did) if account::find_by_did(conn, did)?.is_some() => Err(CreateError::DidTaken),
        Claim::Moving(_) | Claim::New { .. } => Ok(()),
    }
}

async fn carry_out(app: &App, draft: Draft) -> Result<Created, CreateError> {
    let key = match &draft.claim {
        Claim::New { .. } => Secrets::new_signing_key(),
        Claim::Moving(did) => reserved_or_new_key(app, did).await?,
    };
    let (did, genesis) = match &draft.claim {
        Claim::New { recovery_key } => {
            let operation = genesis(app, &draft.handle, &key, recovery_key.as_ref());
            (operation.derived_did(), Some(operation))
        }
        Claim::Moving(did) => (did.clone(), None),
    };
    let sealed_key = app.secrets.seal_signing_key(&did, &key);
    let first_commit = app.repos.first_commit(&did, &key);
    let _creation = app.creations.begin(&did);
    let pending = genesis.map(|operation| PendingDid {
        did: did.clone(),
        handle: draft.handle.clone(),
        operation,
        sealed_signing_key: sealed_key.clone(),
        created_at: app.clock.millis(),
    });
    if let Some(pending) = &pending {
        register(app, pending).await?;
    }
    let (handle, owner) = (draft.handle.clone(), did.clone());
    let stored = app.db.write(move |tx| store(tx, &draft, &owner, &sealed_key, &first_commit)).await;
    let issued = match (stored, &pending) {
        (Ok(issued), _) => issued,
        (Err(err), None) => return Err(err),
        (Err(err), Some(pending)) => {
            pending_did::take_back(app, pending).await;
            return Err(err);
        }
    };
    tracing::info!(%did, %handle, moving = pending.is_none(), "account created");
    let tokens = session::tokens(app, &did, Scope::Access, &issued)?;
    let did_document = pending.and_then(|pending| pending.operation.data(&did)).map(|data| did_document(&data));
    Ok(Created { did, handle, tokens, did_document })
}

/// Puts a new DID into the directory, with a note of it first.
async fn register(app: &App, pending: &PendingDid) -> Result<(), CreateError> {
    pending_did::note::<CreateError>(app, pending.clone()).await?;
    let Err(err) = app.identity.plc().submit(&pending.did, &pending.operation).await else { return Ok(()) };
    // Where it may have the DID all the same, the note stays.
    if err.leaves_open() {
        let (did, error) = (&pending.did, &err as &dyn std::error::Error);
        tracing::warn!(%did, error, "it is not known whether the PLC directory took a DID; it will be looked up and ended");
    } else {
        pending_did::forget(app, &pending.did).await;
    }
    Err(CreateError::Plc(err))
}

/// Returns the key that was reserved for a DID, which its document may name already, or else a new one.
async fn reserved_or_new_key(app: &App, did: &Did) -> Result<SigningKey, CreateError> {
    match app.db.read(|conn| reserved_key::find(conn, did)).await? {
        Some(key) => app.secrets.open_signing_key(did, &key.sealed).map_err(CreateError::Secret),
        None => Ok(Secrets::new_signing_key()),
    }
}

/// Returns the operation that creates a did:plc for an account of this server.
fn genesis(app: &App, handle: &Handle, key: &SigningKey, recovery_key: Option<&VerifyingKey>) -> Operation {
    let server_key = app.secrets.rotation_key();
    let mut rotation_keys: Vec<String> = Vec::with_capacity(3);
    // In descending authority; the directory takes no key twice.
    for rotation_key in [
        recovery_key.map(VerifyingKey::to_did_key),
        app.config.identity.recovery_did_key.as_ref().map(|key| key.as_str().to_owned()),
        Some(server_key.verifying_key().to_did_key()),
    ] {
        if let Some(rotation_key) = rotation_key
            && !rotation_keys.contains(&rotation_key)
        {
            rotation_keys.push(rotation_key);
        }
    }
    let pds =
        Service { r#type: "AtprotoPersonalDataServer".to_owned(), endpoint: app.config.server.public_url.as_str().to_owned() };
    let operation = PlcOperation {
        rotation_keys,
        verification_methods: BTreeMap::from([("atproto".to_owned(), key.verifying_key().to_did_key())]),
        also_known_as: vec![format!("at://{handle}")],
        services: BTreeMap::from([("atproto_pds".to_owned(), pds)]),
        prev: None,
    };
    UnsignedOperation::Plc(operation).sign(server_key)
}

fn store(
    tx: &mut BatchTx<'_>,
    draft: &Draft,
    did: &Did,
    sealed_signing_key: &[u8],
    first_commit: &FirstCommit,
) -> Result<Issued, CreateError> {
    let now = tx.now_millis();
    if let Some(code) = &draft.invite_code
        && !invite::take(tx, code, did, now)?
    {
        return Err(CreateError::Invite);
    }
    let is_new = matches!(draft.claim, Claim::New { .. });
    let row = account::NewAccount {
        did,
        handle: Some(&draft.handle),
        email: Some(draft.email.as_str()),
        password_hash: draft.password_hash.as_deref(),
        sealed_signing_key,
        created_at: now,
        deactivated_at: (!is_new).then_some(now),
    };
    let id = account::insert(tx, &row).map_err(|err| match err {
        AccountConflict::Did => CreateError::DidTaken,
        AccountConflict::Handle => CreateError::HandleTaken(draft.handle.clone()),
        AccountConflict::Email => CreateError::EmailTaken(draft.email.clone()),
        AccountConflict::Store(err) => CreateError::Store(err),
    })?;
    reserved_key::delete(tx, did)?;
    pending_dids::delete(tx, did)?;
    first_commit.store(tx, id, is_new.then_some((did, &draft.handle)))?;
    session::begin(tx, id, None)
}
