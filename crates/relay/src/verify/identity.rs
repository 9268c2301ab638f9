//! Accounts against what their DIDs say.

use common::Did;
use crypto::seal::MasterKey;
use crypto::{Curve, SigningKey, seal};
use futures_util::StreamExt as _;
use rusqlite::Connection;
use tokio_util::sync::CancellationToken;

use super::finding::{Finding, Kind};
use super::{Phase, Progress, Report};
use crate::error::with_causes;
use crate::identity::{Identity, ResolveError};
use crate::secrets::{ROTATION_KEY, signing_key_context};
use crate::store::StoreError;

/// Questions that are under way at once; the public directory asks for moderation.
const AT_ONCE: usize = 8;

/// What an account's DID has to say.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    did: Did,
    handle: Option<String>,
    /// As a did:key; `None` when it could not be opened, which is a finding of its own.
    signing_key: Option<String>,
}

/// What all active accounts' DIDs have to say, and the server's rotation key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Accounts {
    accounts: Vec<Expected>,
    rotation_key: Option<String>,
}

impl Accounts {
    /// Expects of each DID a handle and a signing key.
    pub(crate) fn new(accounts: Vec<(Did, Option<String>, String)>, rotation_key: Option<String>) -> Self {
        let expected = |(did, handle, key)| Expected { did, handle, signing_key: Some(key) };
        Self { accounts: accounts.into_iter().map(expected).collect(), rotation_key }
    }
}

/// Reads what the DIDs of active accounts, or of one, have to say.
pub(crate) fn expected(conn: &Connection, master: &MasterKey, only: Option<&Did>) -> Result<Accounts, StoreError> {
    let open = |context: &str, sealed: &[u8]| -> Option<String> {
        let bytes = seal::open(master, context, sealed).ok()?;
        let key = SigningKey::from_bytes(Curve::K256, bytes.as_slice().try_into().ok()?).ok()?;
        Some(key.verifying_key().to_did_key())
    };
    let sql = "SELECT did, handle, signing_key FROM account WHERE (?1 IS NULL OR did = ?1)
       AND takedown_ref IS NULL AND suspended_at IS NULL AND deactivated_at IS NULL ORDER BY id";
    let mut statement = conn.prepare(sql)?;
    let mut rows = statement.query([only.map(Did::as_str)])?;
    let mut accounts = Vec::new();
    while let Some(row) = rows.next()? {
        let did: Did = crate::store::row::parse(row, "account", "did")?;
        let signing_key = open(&signing_key_context(&did), row.get_ref("signing_key")?.as_blob().unwrap_or_default());
        accounts.push(Expected { handle: row.get("handle")?, signing_key, did });
    }
    let sealed = crate::store::meta::find(conn, ROTATION_KEY)?;
    Ok(Accounts { accounts, rotation_key: sealed.and_then(|sealed| open(ROTATION_KEY, &sealed)) })
}

/// Asks for each DID, and adds what does not agree to the report. `public_url` is where the accounts have to lead.
pub(crate) async fn check(
    identity: &Identity,
    public_url: &str,
    accounts: &Accounts,
    stop: &CancellationToken,
    progress: &dyn Progress,
    report: &mut Report,
) {
    let total = accounts.accounts.len() as u64;
    report.coverage.entry(Phase::Identities).or_default().total = total;
    progress.begin(Phase::Identities, total);
    let rotation_key = accounts.rotation_key.as_deref();
    let questions = accounts.accounts.iter().map(|account| one(identity, public_url, rotation_key, account));
    let mut answers = futures_util::stream::iter(questions).buffer_unordered(AT_ONCE);
    while let Some(findings) = stop.run_until_cancelled(answers.next()).await.flatten() {
        for finding in findings {
            report.add(finding);
        }
        report.coverage.entry(Phase::Identities).or_default().checked += 1;
        progress.advance(1);
    }
    report.complete &= !stop.is_cancelled();
}

async fn one(identity: &Identity, public_url: &str, rotation_key: Option<&str>, account: &Expected) -> Vec<Finding> {
    let did = &account.did;
    let mut findings = Vec::new();
    let mut find = |kind, sentence: String| findings.push(Finding::new(kind, Some(did), sentence));
    let document = match identity.refresh_did(did).await {
        Ok(document) => document,
        Err(err @ (ResolveError::DidNotFound(_) | ResolveError::DidDeactivated(_))) => {
            find(Kind::DidEndpoint, format!("The account is active, but its DID is not: {err}."));
            return findings;
        }
        Err(err) => {
            find(Kind::DidUnresolved, format!("The DID could not be looked up: {}.", with_causes(&err)));
            return findings;
        }
    };
    let says = |found: Option<String>| found.unwrap_or_else(|| "nothing".to_owned());
    if document.pds_endpoint().map(|endpoint| endpoint.trim_end_matches('/')) != Some(public_url.trim_end_matches('/')) {
        let found = says(document.pds_endpoint().map(str::to_owned));
        find(Kind::DidEndpoint, format!("The DID names {found} as its server, not {public_url}."));
    }
    if let Some(key) = &account.signing_key {
        let found = document.signing_key().map(crypto::VerifyingKey::to_did_key);
        if found.as_ref() != Some(key) {
            find(Kind::DidSigningKey, format!("The DID names the signing key {}, the repo is signed with {key}.", says(found)));
        }
    }
    let handle = document.handle().map(ToString::to_string);
    if handle != account.handle {
        find(Kind::DidHandle, format!("The DID has the handle {}, here it is {}.", says(handle), says(account.handle.clone())));
    }
    if did.is_plc()
        && let Some(rotation_key) = rotation_key
    {
        match identity.plc().data(did).await {
            Ok(data) if data.rotation_keys.iter().any(|key| key == rotation_key) => {}
            Ok(_) => find(Kind::DidRotationKey, "The server's rotation key is not among those of the DID.".to_owned()),
            Err(err) => find(Kind::DidUnresolved, format!("The PLC directory could not be asked: {}.", with_causes(&err))),
        }
    }
    findings
}
