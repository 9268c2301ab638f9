//! What there is to take over: all is read and checked, nothing is written.

use std::collections::HashSet;
use std::time::Instant;

use common::Did;
use crypto::SigningKey;
use rusqlite::Connection;

use super::account::{self, Actor};
use super::apps::{self, Consent};
use super::folder::Folder;
use super::repo::{self, Discard, Summary};
use super::report::{Report, Severity};
use super::{AdoptError, Progress, blobs, events};
use crate::store::app_password::AppPassword;
use crate::store::oauth_session::OauthSession;
use crate::store::preference::Preference;
use crate::store::session::RefreshToken;
use crate::verify::identity::Accounts;

/// All that the old server has of an account, but for its repo and blobs, which are in `conn`.
#[derive(Debug)]
pub(super) struct Gathered {
    pub(super) actor: Actor,
    pub(super) key: SigningKey,
    pub(super) conn: Connection,
    pub(super) sessions: Vec<RefreshToken>,
    pub(super) app_passwords: Vec<(AppPassword, String)>,
    pub(super) app_sessions: Vec<OauthSession>,
    pub(super) consents: Vec<Consent>,
    pub(super) preferences: Vec<Preference>,
}

impl Gathered {
    pub(super) fn count(&self, report: &mut Report) {
        report.sessions += self.sessions.len() as u64;
        report.app_passwords += self.app_passwords.len() as u64;
        report.app_sessions += self.app_sessions.len() as u64;
    }
}

/// Gathers what there is of an account. The inner error says why it has to be set aside.
pub(super) fn gather(
    folder: &Folder,
    accounts: &Connection,
    did: &Did,
    now: i64,
    report: &mut Report,
) -> Result<Result<Gathered, String>, AdoptError> {
    let Some(actor) = account::find(accounts, did, now)? else { return Ok(Err("it is gone".to_owned())) };
    let files = folder.actor_folder(did);
    let key = match account::signing_key(&files) {
        Ok(key) => key,
        Err(why) => return Ok(Err(why)),
    };
    if !files.store.is_file() {
        return Ok(Err(format!("its database {} is missing", files.store.display())));
    }
    let conn = match folder.actor(&files) {
        Ok(conn) => conn,
        Err(err @ AdoptError::Newer { .. }) => return Err(err),
        Err(err) => return Ok(Err(err.to_string())),
    };
    let preferences = match account::preferences(&conn) {
        Ok(preferences) => preferences,
        Err(err) => return Ok(Err(format!("its preferences cannot be read: {err}"))),
    };
    if let Some(handle) = &actor.bad_handle {
        report.add(Severity::Warning, Some(did), format!("Its handle {handle:?} is none; it has to choose another one."));
    }
    let (app_sessions, left) = apps::sessions(accounts, did, now)?;
    if left > 0 {
        report.add(Severity::Notice, Some(did), format!("{left} apps have to ask it to sign in again."));
    }
    Ok(Ok(Gathered {
        sessions: account::sessions(accounts, did, now)?,
        app_passwords: account::app_passwords(accounts, did, now)?,
        app_sessions,
        consents: apps::consents(accounts, did)?,
        preferences,
        actor,
        key,
        conn,
    }))
}

/// Looks at everything in the folder. Also returns what the DIDs of the active accounts have to say.
pub(crate) fn look(
    folder: &Folder,
    rotation_key: Option<String>,
    now: i64,
    events_since: i64,
    progress: Progress<'_>,
) -> Result<(Report, Accounts), AdoptError> {
    let began = Instant::now();
    let mut report = Report::default();
    let mut expected = Vec::new();
    if folder.is_live() {
        let sentence = "The old server runs. What it writes from now on is not counted here; stop it before you take over.";
        report.add(Severity::Notice, None, sentence.to_owned());
    }
    let accounts = folder.accounts()?;
    let dids = account::list(&accounts)?;
    let total = dids.len() as u64;
    for (at, text) in dids.iter().enumerate() {
        progress(at as u64, total);
        let Some(did) = parse(text, &mut report) else { continue };
        let (gathered, summary) = match checked(folder, &accounts, &did, now, &mut report)? {
            Ok(found) => found,
            Err(why) => {
                report.set_aside(&did, aside(&why));
                continue;
            }
        };
        report.accounts += 1;
        report.records += summary.records;
        report.repo_bytes += summary.bytes;
        gathered.count(&mut report);
        blobs::look(folder, &did, &gathered.conn, &mut report)?;
        let Gathered { actor, key, .. } = gathered;
        if actor.takedown_ref.is_none() && actor.deactivated_at.is_none() {
            expected.push((did, actor.handle.map(|handle| handle.to_string()), key.verifying_key().to_did_key()));
        }
    }
    progress(total, total);
    whole(folder, &accounts, &dids, now, &mut report)?;
    let sequencer = folder.sequencer()?;
    report.last_seq = events::last_seq(&sequencer)?;
    report.events = events::kept(&sequencer, events_since)?.1;
    folder.check_unchanged()?;
    report.duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok((report, Accounts::new(expected, rotation_key)))
}

/// Times that something is looked at that looks wrong, and may only be in the writing.
const TRIES: usize = 5;

/// Gathers what there is of an account, and checks its repo. The inner error says why it has to be set aside.
fn checked(
    folder: &Folder,
    accounts: &Connection,
    did: &Did,
    now: i64,
    report: &mut Report,
) -> Result<Result<(Gathered, Summary), String>, AdoptError> {
    let tries = if folder.is_live() { TRIES } else { 1 };
    let mut wrong = String::new();
    for _ in 0..tries {
        let mut told = Report::default();
        let found = gather(folder, accounts, did, now, &mut told)?.and_then(|gathered| {
            let summary = repo::read(&gathered.conn, did, gathered.key.verifying_key(), Discard);
            summary.map(|summary| (gathered, summary)).map_err(|err| err.to_string())
        });
        match found {
            Ok(found) => {
                report.take(told);
                return Ok(Ok(found));
            }
            Err(why) => wrong = why,
        }
    }
    Ok(Err(wrong))
}

/// Looks at what belongs to no account alone.
pub(super) fn whole(
    folder: &Folder,
    accounts: &Connection,
    dids: &[String],
    now: i64,
    report: &mut Report,
) -> Result<(), AdoptError> {
    account::invite_codes(accounts, now, |_| {
        report.invite_codes += 1;
        Ok(())
    })?;
    report.reserved_keys = account::reserved_keys(folder)?.len() as u64;
    let known: HashSet<&str> = dids.iter().map(String::as_str).collect();
    for name in folder.actor_names()? {
        if !known.contains(name.as_str()) {
            let sentence = format!("There are files of {name}, which is no account: they are left where they are.");
            report.add(Severity::Notice, None, sentence);
        }
    }
    if folder.blobs.is_none() && report.blobs > 0 {
        let sentence = "The blobs are in a bucket. Copy it to a folder, and name that with --blobs.";
        report.add(Severity::Error, None, sentence.to_owned());
    }
    Ok(())
}

/// Parses a DID of the old server's list.
pub(super) fn parse(text: &str, report: &mut Report) -> Option<Did> {
    let did = text.parse().ok();
    if did.is_none() {
        report.set_aside += 1;
        report.add(Severity::Error, None, format!("The account {text:?} is set aside: its name is no DID."));
    }
    did
}

pub(super) fn aside(why: &str) -> String {
    format!("The account is set aside: {why}.")
}
