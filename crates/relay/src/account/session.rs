//! Signing in and out.
//!
//! A refresh token is good once, and for two hours more: a client whose answer got lost, or whose tabs race, gets the same next
//! token again.
//!
//! Whoever fails to sign in learns neither whether the account exists nor which part was wrong: an unknown account costs a hash
//! like a known one, and failures are not told before [`FAILURE_TAKES`].

use std::time::Duration;

use common::{AtIdentifier, Clock as _, Did};
use crypto::jwt::JwtError;
use crypto::password::PasswordError;
use data_encoding::BASE64_NOPAD;
use tokio::time::Instant;

use super::password::{self, PasswordsError, Verdict};
use super::{MailCodeError, Origin, app_password, sign_ins};
use crate::auth::{Scope, token};
use crate::error::XrpcError;
use crate::second_factor::{self, FactorError, Method};
use crate::state::{App, AppState};
use crate::store::account::{self, Account, Status};
use crate::store::app_password::AppPassword;
use crate::store::session::{self, RefreshToken};
use crate::store::{AccountId, BatchTx, StoreError, WriteFailed, app_password as stored_app_password};

/// How long a refresh token that was used is good for still.
const GRACE_MILLIS: i64 = 2 * 3600 * 1000;
/// How long it takes to be told that signing in failed, at least.
pub(super) const FAILURE_TAKES: Duration = Duration::from_millis(350);
/// Sessions that an account may have. Scripts that sign in at every run make one each time; the oldest go.
const MAX_SESSIONS: usize = 1000;

/// Sessions that are forgotten in one transaction.
const SWEEP_BATCH: usize = 1000;

/// The two tokens of a session.
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

/// What a client gets who signs in.
pub(crate) struct Session {
    pub(crate) account: Account,
    pub(crate) tokens: Tokens,
}

/// What someone gives to sign in.
#[derive(Clone, Copy)]
pub(crate) struct LoginAttempt<'a> {
    /// A handle, a DID or an e-mail address.
    pub(crate) identifier: &'a str,
    pub(crate) password: &'a str,
    /// A code of the second factor, if the account has one.
    pub(crate) factor: Option<&'a str>,
    pub(crate) origin: &'a Origin,
    /// Whether a session that can do little else than move away will do, when the account was taken down.
    pub(crate) allow_takendown: bool,
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    #[error("Invalid identifier or password")]
    Credentials,
    #[error("Account has been taken down")]
    Takendown,
    #[error("{}", factor_wanted(.0))]
    FactorRequired(Vec<Method>),
    #[error(transparent)]
    Factor(#[from] FactorError),
    #[error("no code to sign in with could be mailed")]
    Mail(#[source] MailCodeError),
    #[error("Token has been revoked")]
    Revoked,
    #[error("the server is busy")]
    Busy,
    #[error("the password could not be checked")]
    StoredHash(#[source] PasswordError),
    #[error("a token could not be made")]
    Token(#[source] JwtError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Write(#[from] WriteFailed),
}

impl From<PasswordsError> for SessionError {
    fn from(err: PasswordsError) -> Self {
        match err {
            PasswordsError::Busy => Self::Busy,
            PasswordsError::Stored(err) => Self::StoredHash(err),
        }
    }
}

impl From<SessionError> for XrpcError {
    fn from(err: SessionError) -> Self {
        match err {
            SessionError::Credentials => Self::unauthorized("AuthenticationRequired", err.to_string()),
            // The app then asks for a code, and signs in again with it.
            SessionError::FactorRequired(_) => Self::unauthorized("AuthFactorTokenRequired", err.to_string()),
            SessionError::Factor(err) => err.into(),
            SessionError::Mail(err) => err.into(),
            SessionError::Takendown => Self::unauthorized("AccountTakedown", err.to_string()),
            SessionError::Revoked => Self::bad_request("ExpiredToken", err.to_string()),
            SessionError::Busy => PasswordsError::Busy.into(),
            SessionError::StoredHash(_) | SessionError::Token(_) => Self::internal(err),
            SessionError::Store(err) => err.into(),
            SessionError::Write(err) => err.into(),
        }
    }
}

impl From<PasswordsError> for XrpcError {
    fn from(err: PasswordsError) -> Self {
        match err {
            PasswordsError::Busy => Self::unavailable("Too many people are signing in; try again in a moment", 2),
            PasswordsError::Stored(_) => Self::internal(err),
        }
    }
}

/// Signs in.
///
/// # Errors
///
/// [`SessionError::Credentials`] whatever part of them is wrong.
pub(crate) async fn log_in(app: &AppState, attempt: LoginAttempt<'_>) -> Result<Session, SessionError> {
    let began = Instant::now();
    let result = try_log_in(app, attempt).await;
    if matches!(result, Err(SessionError::Credentials)) {
        tokio::time::sleep_until(began + FAILURE_TAKES).await;
    }
    result
}

/// Checks an account's own password, for a page; app passwords are for apps. Returns the hash that the password fits.
///
/// # Errors
///
/// [`SessionError::Credentials`] whatever part of them is wrong.
pub(crate) async fn check_password(app: &App, identifier: &str, password: &str) -> Result<(Account, String), SessionError> {
    let began = Instant::now();
    let result = try_check_password(app, identifier, password).await;
    if matches!(result, Err(SessionError::Credentials)) {
        tokio::time::sleep_until(began + FAILURE_TAKES).await;
    }
    result
}

async fn try_check_password(app: &App, identifier: &str, password: &str) -> Result<(Account, String), SessionError> {
    if password.chars().count() > password::MAX_CHARS {
        return Err(SessionError::Credentials);
    }
    let find = |conn: &rusqlite::Connection| {
        let Some(account) = find(conn, identifier)? else { return Ok::<_, StoreError>((None, None)) };
        let hash = account::password_hash(conn, account.id)?;
        Ok((Some(account), hash))
    };
    let (account, stored) = app.db.read(find).await?;
    let hash = match (app.passwords.verify(password, stored.clone()).await?, stored) {
        (Verdict::Right, Some(hash)) => hash,
        (Verdict::RightWithNewHash(new), Some(old)) => {
            let (Some(account), hash) = (&account, new.clone()) else { return Err(SessionError::Credentials) };
            let id = account.id;
            app.db.write::<_, SessionError>(move |tx| Ok(account::replace_password_hash(tx, id, &old, &new)?)).await?;
            hash
        }
        (Verdict::Wrong | Verdict::Right | Verdict::RightWithNewHash(_), _) => return Err(SessionError::Credentials),
    };
    let account = account.ok_or(SessionError::Credentials)?;
    match account.status {
        Status::Takendown | Status::Suspended => Err(SessionError::Takendown),
        Status::Active | Status::Deactivated => Ok((account, hash)),
    }
}

/// Whether a text has the form of an app password, which pages do not take.
pub(crate) fn looks_like_app_password(text: &str) -> bool {
    app_password::has_form(text)
}

/// Who proved what about an account.
struct Proof {
    scope: Scope,
    app_password: Option<String>,
    /// The hash that the password fits; `None` when it was an app password.
    hash: Option<String>,
    /// The hash that was found, and what shall take its place.
    new_hash: Option<(String, String)>,
}

async fn try_log_in(app: &AppState, attempt: LoginAttempt<'_>) -> Result<Session, SessionError> {
    if attempt.password.chars().count() > password::MAX_CHARS {
        return Err(SessionError::Credentials);
    }
    let found = app.db.read(|conn| find(conn, attempt.identifier)).await?;
    let proof = prove(app, found.as_ref(), attempt.password).await?;
    let (Some(account), Some(mut proof)) = (found, proof) else { return Err(SessionError::Credentials) };
    let taken_down = match account.status {
        Status::Takendown | Status::Suspended => true,
        Status::Active | Status::Deactivated => false,
    };
    if taken_down {
        if !attempt.allow_takendown {
            return Err(SessionError::Takendown);
        }
        proof.scope = Scope::Takendown;
    }
    let factor = if proof.app_password.is_some() { None } else { given_factor(app, &account, attempt.factor).await? };
    let (id, scope, owner, secrets) = (account.id, proof.scope, account.clone(), app.secrets.clone());
    let origin = attempt.origin.clone();
    let (issued, alarm) = app
        .db
        .write::<_, SessionError>(move |tx| {
            check_still_true(tx, id, &proof, taken_down)?;
            if let Some(factor) = &factor
                && let Err(wrong) = second_factor::take(tx, &secrets, &owner, factor)?
            {
                return Ok(Err(wrong));
            }
            if let Some((old, new)) = &proof.new_hash {
                match &proof.app_password {
                    Some(_) => stored_app_password::replace_hash(tx, id, old, new)?,
                    None => account::replace_password_hash(tx, id, old, new)?,
                }
            }
            // A session of an account that was taken down is not remembered, and so cannot be renewed.
            if taken_down {
                return Ok(Ok((Issued::new(tx), None)));
            }
            // Programs with app passwords come and go from everywhere.
            let alarm = if proof.app_password.is_none() { sign_ins::note(tx, id, &origin)? } else { None };
            begin(tx, id, proof.app_password).map(|issued| Ok((issued, alarm)))
        })
        .await?
        .map_err(FactorError::Wrong)?;
    sign_ins::raise(app, alarm);
    let tokens = tokens(app, &account.did, scope, &issued)?;
    Ok(Session { account, tokens })
}

/// Returns the code to check, if the account has a second factor.
///
/// # Errors
///
/// [`SessionError::FactorRequired`] when there is none, once one is on its way if it goes by mail.
async fn given_factor(app: &App, account: &Account, given: Option<&str>) -> Result<Option<String>, SessionError> {
    let methods = app.db.read(|conn| second_factor::methods(conn, account)).await?;
    if methods.is_empty() {
        return Ok(None);
    }
    // Apps send an empty one when nothing was typed.
    if let Some(given) = given.map(str::trim).filter(|given| !given.is_empty()) {
        return Ok(Some(given.to_owned()));
    }
    if methods.contains(&Method::MailCode) {
        let sent = second_factor::send_code(app, account).await;
        // Who has another factor can go on without the mail; that it failed was logged.
        if !methods.contains(&Method::Totp) {
            sent.map_err(SessionError::Mail)?;
        }
    }
    Err(SessionError::FactorRequired(methods))
}

/// Says what code is wanted.
fn factor_wanted(methods: &[Method]) -> &'static str {
    match (methods.contains(&Method::Totp), methods.contains(&Method::MailCode)) {
        (true, true) => {
            "Enter a code of your authenticator app, the code that was sent to your email address, or a backup code"
        }
        (true, false) => "Enter a code of your authenticator app, or a backup code",
        (false, _) => "A sign in code has been sent to your email address",
    }
}

/// Finds the account that someone who signs in means.
fn find(conn: &rusqlite::Connection, identifier: &str) -> Result<Option<Account>, StoreError> {
    // People write their handle as they see it in posts.
    let identifier = identifier.trim().trim_start_matches('@');
    if identifier.contains('@') {
        return account::find_by_email(conn, identifier);
    }
    match identifier.parse() {
        Ok(AtIdentifier::Did(did)) => account::find_by_did(conn, &did),
        Ok(AtIdentifier::Handle(handle)) => account::find_by_handle(conn, &handle),
        Err(_) => Ok(None),
    }
}

/// Checks a password: `None` when it is not the account's, nor one of its app passwords.
async fn prove(app: &App, account: Option<&Account>, password: &str) -> Result<Option<Proof>, SessionError> {
    // App passwords go first, because looking one up costs next to nothing; none can be an account's own password by chance.
    let mut stored = None;
    if let Some(account) = account {
        // An account that was taken down has no use for apps.
        if matches!(account.status, Status::Active | Status::Deactivated)
            && let Some((found, new_hash)) = find_app_password(app, account, password).await?
        {
            let scope = app_password::scope(&found);
            return Ok(Some(Proof { scope, app_password: Some(found.name), hash: None, new_hash }));
        }
        stored = app.db.read(|conn| account::password_hash(conn, account.id)).await?;
    }
    let hash = stored.clone();
    let new_hash = match app.passwords.verify(password, stored.clone()).await? {
        Verdict::Wrong => return Ok(None),
        Verdict::Right => None,
        Verdict::RightWithNewHash(new) => stored.map(|old| (old, new)),
    };
    Ok(Some(Proof { scope: Scope::Access, app_password: None, hash, new_hash }))
}

/// Finds the app password that a text is, and what shall take the place of its hash.
async fn find_app_password(
    app: &App,
    account: &Account,
    password: &str,
) -> Result<Option<(AppPassword, Option<(String, String)>)>, SessionError> {
    let Some(text) = app_password::normalized(password) else { return Ok(None) };
    let Some(hash) = app_password::hash(&account.did, &text) else { return Ok(None) };
    let id = account.id;
    let read = |conn: &rusqlite::Connection| {
        let found = stored_app_password::find_by_hash(conn, id, &hash)?;
        let may_be_official = found.is_none() && stored_app_password::has_official(conn, id)?;
        Ok::<_, StoreError>((found, may_be_official))
    };
    let (found, may_be_official) = app.db.read(read).await?;
    if found.is_some() || !may_be_official {
        return Ok(found.map(|found| (found, None)));
    }
    let official = app.passwords.hash_official_app_password(&account.did, &text).await?;
    let found = app.db.read(|conn| stored_app_password::find_by_hash(conn, id, &official)).await?;
    Ok(found.map(|found| (found, Some((official, hash)))))
}

/// Checks in the transaction that begins a session what was found before it: whoever takes the account down or changes a
/// password ends the sessions that there are, and none may follow.
fn check_still_true(tx: &BatchTx<'_>, id: AccountId, proof: &Proof, taken_down: bool) -> Result<(), SessionError> {
    let account = account::find(tx, id)?.ok_or(SessionError::Credentials)?;
    match account.status {
        Status::Takendown | Status::Suspended if !taken_down => return Err(SessionError::Takendown),
        Status::Takendown | Status::Suspended | Status::Active | Status::Deactivated => {}
    }
    let still_good = match &proof.app_password {
        Some(name) => stored_app_password::find(tx, id, name)?.is_some(),
        None => account::password_hash(tx, id)? == proof.hash,
    };
    if still_good { Ok(()) } else { Err(SessionError::Credentials) }
}

/// A refresh token that was given out.
pub(super) struct Issued {
    id: String,
    expires_at_millis: i64,
    /// When it was given out.
    now_millis: i64,
}

impl Issued {
    fn new(tx: &BatchTx<'_>) -> Self {
        let now_millis = tx.now_millis();
        let id = BASE64_NOPAD.encode(&crate::random::bytes::<32>());
        Self { id, expires_at_millis: now_millis + token::REFRESH_SECONDS * 1000, now_millis }
    }

    fn row(&self, account: AccountId, app_password: Option<String>) -> RefreshToken {
        RefreshToken { id: self.id.clone(), account, expires_at: self.expires_at_millis, next_id: None, app_password }
    }
}

/// Begins a session of an account.
pub(super) fn begin<E: From<StoreError>>(
    tx: &BatchTx<'_>,
    account: AccountId,
    app_password: Option<String>,
) -> Result<Issued, E> {
    let issued = Issued::new(tx);
    session::sweep(tx, account, issued.now_millis, MAX_SESSIONS - 1)?;
    session::insert(tx, &issued.row(account, app_password))?;
    Ok(issued)
}

/// Makes the tokens of a session.
pub(super) fn tokens(app: &App, did: &Did, scope: Scope, issued: &Issued) -> Result<Tokens, SessionError> {
    let (secret, service) = (app.secrets.jwt_secret(), &app.config.identity.service_did);
    let (now, exp) = (issued.now_millis / 1000, issued.expires_at_millis / 1000);
    Ok(Tokens {
        access: token::access(secret, service, did, scope, now).map_err(SessionError::Token)?,
        refresh: token::refresh(secret, service, did, &issued.id, now, exp).map_err(SessionError::Token)?,
    })
}

/// Gives a new pair of tokens for a refresh token, whose signature and time were checked.
///
/// # Errors
///
/// [`SessionError::Revoked`] when its session has ended, or its grace time has.
pub(crate) async fn refresh(app: &App, did: &Did, jti: &str) -> Result<Session, SessionError> {
    let account = app.db.read(|conn| account::find_by_did(conn, did)).await?.ok_or(SessionError::Revoked)?;
    match account.status {
        Status::Takendown | Status::Suspended => return Err(SessionError::Takendown),
        Status::Active | Status::Deactivated => {}
    }
    let (id, jti) = (account.id, jti.to_owned());
    let (issued, scope) = app.db.write(move |tx| rotate(tx, id, &jti)).await?;
    let tokens = tokens(app, &account.did, scope, &issued)?;
    Ok(Session { account, tokens })
}

fn rotate(tx: &BatchTx<'_>, account: AccountId, jti: &str) -> Result<(Issued, Scope), SessionError> {
    let now_millis = tx.now_millis();
    session::sweep(tx, account, now_millis, MAX_SESSIONS)?;
    let used = session::find(tx, jti)?.filter(|used| used.account == account).ok_or(SessionError::Revoked)?;
    let scope = if let Some(name) = &used.app_password {
        let found = stored_app_password::find(tx, account, name)?.ok_or(SessionError::Revoked)?;
        app_password::scope(&found)
    } else {
        Scope::Access
    };
    let issued = if let Some(next_id) = used.next_id {
        // Whoever is late gets what the first one got; when that has been signed out, nothing.
        let next = session::find(tx, &next_id)?.ok_or(SessionError::Revoked)?;
        Issued { id: next.id, expires_at_millis: next.expires_at, now_millis }
    } else {
        let issued = Issued::new(tx);
        session::supersede(tx, &used.id, &issued.id, used.expires_at.min(now_millis + GRACE_MILLIS))?;
        session::insert(tx, &issued.row(account, used.app_password))?;
        issued
    };
    Ok((issued, scope))
}

/// Ends the session of a refresh token. Nothing happens when it has ended.
pub(crate) async fn log_out(app: &App, jti: &str) -> Result<(), SessionError> {
    let jti = jti.to_owned();
    app.db.write(move |tx| Ok(session::delete(tx, &jti)?)).await
}

/// Forgets sessions that are over, and returns how many that were.
pub(crate) async fn sweep_sessions(app: AppState) -> Result<usize, XrpcError> {
    let mut swept = 0;
    loop {
        let now = app.clock.millis();
        // Looked for by a reader, since it takes a walk over all of them; the writer only deletes.
        let ids = app.db.scan(move |conn| session::list_expired(conn, now, SWEEP_BATCH)).await?;
        let found = ids.len();
        swept += app.db.write::<_, XrpcError>(move |tx| Ok(session::delete_expired(tx, &ids, now)?)).await?;
        if found < SWEEP_BATCH {
            return Ok(swept);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::test_support;
    use crate::clock::SystemClock;
    use crate::store::Db;
    use crate::store::account::NewAccount;

    const HOUR_MICROS: i64 = 3600 * 1_000_000;

    /// Makes an account, and begins a session of it.
    async fn begun(db: &Db) -> (AccountId, Issued) {
        db.write::<_, SessionError>(|tx| {
            let new = NewAccount {
                did: &"did:plc:ewvi7nxzyoun6zhxrhs64oiz".parse().unwrap(),
                handle: None,
                email: None,
                password_hash: None,
                sealed_signing_key: &[],
                created_at: 0,
                deactivated_at: None,
            };
            let id = account::insert(tx, &new).unwrap();
            Ok((id, begin::<SessionError>(tx, id, None)?))
        })
        .await
        .unwrap()
    }

    async fn rotated(db: &Db, account: AccountId, jti: &str) -> Result<Issued, SessionError> {
        let jti = jti.to_owned();
        db.write(move |tx| rotate(tx, account, &jti).map(|(issued, _)| issued)).await
    }

    fn is_revoked(result: &Result<Issued, SessionError>) -> bool {
        matches!(result, Err(SessionError::Revoked))
    }

    #[tokio::test]
    async fn a_used_token_gives_the_same_next_one_for_two_hours() {
        let (_dir, db, clock) = test_support::db();
        let (account, first) = begun(&db).await;
        let next = rotated(&db, account, &first.id).await.unwrap();
        assert_ne!(next.id, first.id);

        clock.shift_micros(2 * HOUR_MICROS - 60_000_000);
        let again = rotated(&db, account, &first.id).await.unwrap();
        assert_eq!((again.id, again.expires_at_millis), (next.id.clone(), next.expires_at_millis));

        clock.shift_micros(2 * 60_000_000);
        assert!(is_revoked(&rotated(&db, account, &first.id).await));
        assert!(rotated(&db, account, &next.id).await.is_ok());
    }

    #[tokio::test]
    async fn a_token_in_its_grace_time_does_not_bring_back_a_session_that_was_signed_out() {
        let (_dir, db, _clock) = test_support::db();
        let (account, first) = begun(&db).await;
        let second = rotated(&db, account, &first.id).await.unwrap();
        let third = rotated(&db, account, &second.id).await.unwrap();
        let signed_out = third.id.clone();
        db.write::<_, SessionError>(move |tx| Ok(session::delete(tx, &signed_out)?)).await.unwrap();
        for token in [&third, &second, &first] {
            assert!(is_revoked(&rotated(&db, account, &token.id).await));
        }
    }

    #[tokio::test]
    async fn a_session_is_of_one_account_and_ends_by_itself() {
        let (_dir, db, clock) = test_support::db();
        let (account, first) = begun(&db).await;
        assert!(is_revoked(&rotated(&db, AccountId(account.0 + 1), &first.id).await));
        clock.shift_micros(token::REFRESH_SECONDS * 1_000_000);
        assert!(is_revoked(&rotated(&db, account, &first.id).await));
    }

    #[tokio::test]
    async fn sessions_of_an_account_are_bounded() {
        let (_dir, db, clock): (_, _, std::sync::Arc<SystemClock>) = test_support::db();
        let (account, first) = begun(&db).await;
        for _ in 0..3 {
            clock.shift_micros(1_000_000);
            let began = db.write::<_, SessionError>(move |tx| {
                session::sweep(tx, account, tx.now_millis(), 1)?;
                begin::<SessionError>(tx, account, None)
            });
            began.await.unwrap();
        }
        assert!(is_revoked(&rotated(&db, account, &first.id).await));
        let count = |conn: &rusqlite::Connection| -> Result<i64, StoreError> {
            Ok(conn.query_row("SELECT count(*) FROM refresh_token", [], |row| row.get(0))?)
        };
        assert_eq!(db.read(count).await.unwrap(), 2);
    }
}
