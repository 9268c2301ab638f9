//! Taking over: account by account, each whole or not at all.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use common::{Clock as _, Did};
use crypto::{Curve, SigningKey};
use rusqlite::Connection;
use zeroize::Zeroizing;

use super::apps::MAX_APP_SESSIONS;
use super::blobs::{self, Missing};
use super::folder::Folder;
use super::look::{Gathered, aside, gather, parse, whole};
use super::mark::Mark;
use super::repo::{self, RepoError, Store, Summary};
use super::report::Report;
use super::{AdoptError, EnvFile, Progress, account as old, events};
use crate::state::App;
use crate::store::account::{self, AccountConflict, NewAccount};
use crate::store::repo::RepoRow;
use crate::store::reserved_key::{self, ReservedKey};
use crate::store::{
    BatchTx, StoreError, WriteFailed, app_password, event, oauth_consent, oauth_session, preference, session, standing,
};

/// Why an account was not stored.
#[derive(Debug, thiserror::Error)]
enum StoreAccountError {
    #[error("{0}")]
    Aside(String),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Write(#[from] WriteFailed),
}

impl From<RepoError> for StoreAccountError {
    fn from(err: RepoError) -> Self {
        match err {
            RepoError::Broken(broken) => Self::Aside(broken.to_string()),
            RepoError::Sink(err) => Self::Store(err),
        }
    }
}

/// Reads the rotation key from the old server's settings.
pub(crate) fn rotation_key(env: &EnvFile) -> Result<Option<SigningKey>, AdoptError> {
    let Some(hex) = env.get("PDS_PLC_ROTATION_KEY_K256_PRIVATE_KEY_HEX") else { return Ok(None) };
    let wrong =
        || AdoptError::Setting("PDS_PLC_ROTATION_KEY_K256_PRIVATE_KEY_HEX is not a key of 64 hexadecimal digits".into());
    let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(hex.trim().as_bytes()).map(Zeroizing::new).map_err(|_| wrong())?;
    let bytes: &[u8; 32] = bytes.as_slice().try_into().map_err(|_| wrong())?;
    SigningKey::from_bytes(Curve::K256, bytes).map(Some).map_err(|_| wrong())
}

/// What is taken over, and where to.
#[derive(Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) folder: &'a Folder,
    pub(crate) env: &'a EnvFile,
    pub(crate) app: &'a App,
    pub(crate) progress: Progress<'a>,
}

/// Takes everything over that is not here yet.
pub(crate) async fn carry(request: Request<'_>) -> Result<Report, AdoptError> {
    let Request { folder, app, progress, .. } = request;
    let began = Instant::now();
    let mut report = Report::default();
    let accounts = folder.accounts()?;
    let sequencer = folder.sequencer()?;
    report.last_seq = events::last_seq(&sequencer)?;
    let mut mark = begin(request, report.last_seq).await?;
    report.was_finished = mark.finished_at.is_some();
    let mut dids = old::list(&accounts)?;
    if report.was_finished {
        // Accounts that came since, or went, are none of the old server's business any more.
        let again: HashSet<String> = mark.aside.iter().map(ToString::to_string).collect();
        dids.retain(|did| again.contains(did));
    }
    let weights: Vec<u64> = dids.iter().map(|did| did.parse().map_or(1, |did| folder.weight(&did))).collect();
    let total = weights.iter().sum();
    let (mut done, mut aside_now) = (0, Vec::new());
    progress(0, total);
    for (text, weight) in dids.iter().zip(weights) {
        if let Some(did) = parse(text, &mut report) {
            one(request, &accounts, &did, &mut report, &mut aside_now).await?;
        }
        done += weight;
        progress(done, total);
    }
    let first_time = !report.was_finished;
    if first_time {
        report.events = keep_events(request, sequencer, report.last_seq).await?;
        whole(folder, &accounts, &dids, app.clock.millis(), &mut report)?;
    }
    folder.check_unchanged()?;
    mark.aside = aside_now;
    mark.finished_at = Some(app.clock.millis());
    let reserved = old::reserved_keys(folder)?;
    let (secrets, codes) = (Arc::clone(&app.secrets), folder.accounts()?);
    app.db
        .write::<_, AdoptError>(move |tx| {
            if first_time {
                old::store_invite_codes(tx, &codes)?;
                for key in &reserved {
                    let public_key = key.key.verifying_key().to_did_key();
                    let Some(sealed_for) = key.did.clone().or_else(|| public_key.parse().ok()) else { continue };
                    let sealed = secrets.seal_signing_key(&sealed_for, &key.key);
                    reserved_key::insert(tx, key.did.as_ref(), &ReservedKey { public_key, sealed })?;
                }
            }
            Ok(mark.put(tx)?)
        })
        .await?;
    report.duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(report)
}

/// Notes that it begins, with the old server's secrets; or finds the note of before.
async fn begin(request: Request<'_>, last_seq: i64) -> Result<Mark, AdoptError> {
    let Request { env, app, .. } = request;
    let hostname = env.get("PDS_HOSTNAME").unwrap_or_default().to_owned();
    let (key, jwt_secret) = (rotation_key(env)?, env.get("PDS_JWT_SECRET").map(|secret| Zeroizing::new(secret.to_owned())));
    let secrets = Arc::clone(&app.secrets);
    app.db
        .write(move |tx| {
            if let Some(mark) = Mark::find(tx)? {
                if mark.hostname != hostname {
                    return Err(AdoptError::OtherServer(mark.hostname));
                }
                if mark.last_seq != last_seq {
                    return Err(AdoptError::RanSince);
                }
                return Ok(mark);
            }
            if account::count(tx)? > 0 {
                return Err(AdoptError::NotEmpty);
            }
            if let Some(key) = &key {
                secrets.keep_rotation_key(tx, key)?;
            }
            if let Some(secret) = &jwt_secret {
                secrets.keep_adopted_jwt_secret(tx, secret)?;
            }
            let mark = Mark { hostname, last_seq, begun_at: tx.now_millis(), finished_at: None, aside: Vec::new() };
            mark.put(tx)?;
            Ok(mark)
        })
        .await
}

/// Takes one account over, unless it is here.
async fn one(
    request: Request<'_>,
    accounts: &Connection,
    did: &Did,
    report: &mut Report,
    aside_now: &mut Vec<Did>,
) -> Result<(), AdoptError> {
    let Request { folder, app, .. } = request;
    if app.db.read(|conn| account::find_by_did(conn, did)).await?.is_some() {
        report.accounts += 1;
        report.already_here += 1;
        return Ok(());
    }
    let gathered = match gather(folder, accounts, did, app.clock.millis(), report)? {
        Ok(gathered) => gathered,
        Err(why) => {
            report.set_aside(did, aside(&why));
            aside_now.push(did.clone());
            return Ok(());
        }
    };
    let mut counted = Report::default();
    gathered.count(&mut counted);
    let missing = blobs::copy(folder, app, did, &gathered.conn, &mut counted).await?;
    let sealed = app.secrets.seal_signing_key(did, &gathered.key);
    let stored = app.db.write(move |tx| store(tx, gathered, &sealed, &missing)).await;
    let summary = match stored {
        Ok(summary) => summary,
        Err(StoreAccountError::Aside(why)) => {
            blobs::take_back(app, &folder.actor(&folder.actor_folder(did))?).await?;
            report.set_aside(did, aside(&why));
            aside_now.push(did.clone());
            return Ok(());
        }
        Err(StoreAccountError::Store(err)) => return Err(err.into()),
        Err(StoreAccountError::Write(err)) => return Err(err.into()),
    };
    report.accounts += 1;
    report.records += summary.records;
    report.repo_bytes += summary.bytes;
    report.take(counted);
    Ok(())
}

/// Stores an account with all that belongs to it.
fn store(
    tx: &mut BatchTx<'_>,
    gathered: Gathered,
    sealed_signing_key: &[u8],
    missing: &Missing,
) -> Result<Summary, StoreAccountError> {
    let Gathered { actor, key, conn, sessions, app_passwords, app_sessions, consents, preferences } = gathered;
    let new = NewAccount {
        did: &actor.did,
        handle: actor.handle.as_ref(),
        email: actor.email.as_deref(),
        password_hash: actor.password_hash.as_deref(),
        sealed_signing_key,
        created_at: actor.created_at,
        deactivated_at: actor.deactivated_at,
    };
    let id = account::insert(tx, &new).map_err(|err| match err {
        AccountConflict::Store(err) => StoreAccountError::Store(err),
        conflict @ (AccountConflict::Did | AccountConflict::Handle | AccountConflict::Email) => {
            StoreAccountError::Aside(conflict.to_string())
        }
    })?;
    if let Some(at) = actor.email_confirmed_at {
        account::confirm_email(tx, id, at)?;
    }
    if let (Some(at), Some(delete_after)) = (actor.deactivated_at, actor.delete_after) {
        account::deactivate(tx, id, at, Some(delete_after))?;
    }
    if actor.takedown_ref.is_some() {
        standing::set_takedown(tx, id, actor.takedown_ref.as_deref())?;
    }
    if actor.invites_disabled {
        standing::set_invites(tx, id, true, None)?;
    }
    for token in sessions {
        session::insert(tx, &session::RefreshToken { account: id, ..token })?;
    }
    for (app_password, hash) in &app_passwords {
        app_password::insert(tx, id, app_password, hash).map_err(|err| match err {
            app_password::AppPasswordConflict::Name => StoreAccountError::Aside(err.to_string()),
            app_password::AppPasswordConflict::Store(err) => StoreAccountError::Store(err),
        })?;
    }
    for session in app_sessions {
        oauth_session::insert(tx, &oauth_session::OauthSession { account: id, ..session }, tx.now_millis(), MAX_APP_SESSIONS)?;
    }
    for consent in &consents {
        oauth_consent::set(tx, id, &consent.client_id, &consent.scope, tx.now_millis())?;
    }
    preference::replace(tx, id, &preferences)?;
    let number = crate::store::repo::number(tx, id)?.ok_or(StoreError::RowCount { table: "account", changed: 0 })?;
    let summary = repo::read(&conn, &actor.did, key.verifying_key(), Store { tx, account: id, repo: number })?;
    let row = RepoRow {
        head: summary.commit.cid,
        rev: summary.commit.rev,
        data: summary.commit.data,
        commit_block: summary.commit.block.to_vec(),
        fresh_nodes: Vec::new(),
    };
    crate::store::repo::insert(tx, id, &row)?;
    blobs::store(tx, id, &conn, missing)?;
    Ok(summary)
}

/// Keeps the old server's last events, and notes that those before are gone. Returns how many are kept.
async fn keep_events(request: Request<'_>, mut sequencer: Connection, last_seq: i64) -> Result<u64, AdoptError> {
    let app = request.app;
    let since = app.clock.millis() - i64::try_from(app.config.limits.backfill.as_millis()).unwrap_or(i64::MAX);
    let (first, _) = events::kept(&sequencer, since)?;
    let begins_after = first.map_or(last_seq, |first| first - 1);
    let known: i64 = app.db.read(move |conn| event::last_seq_up_to(conn, last_seq)).await?;
    app.db.write::<_, AdoptError>(move |tx| Ok(event::begin_after(tx, begins_after)?)).await?;
    let (mut after, mut kept) = (begins_after.max(known), 0);
    while after < last_seq {
        let job = move |tx: &mut BatchTx<'_>| Ok::<_, AdoptError>((events::store_some(tx, &sequencer, after)?, sequencer));
        let (some, back) = app.db.write(job).await?;
        sequencer = back;
        let Some((last, stored)) = some else { break };
        (after, kept) = (last, kept + stored);
    }
    Ok(kept)
}
