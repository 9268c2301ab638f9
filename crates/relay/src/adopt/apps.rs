//! Sessions of OAuth apps, and what users agreed to.
//!
//! Access tokens of the old server end within the hour and are not taken: an app that comes with one is told that it is not
//! good, and comes with its refresh token, as it does every hour. That one is known here by its hash.

use data_encoding::HEXLOWER;
use rusqlite::{Connection, params};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use common::Did;

use super::account::millis;
use crate::oauth::{Client, ClientAuth, Request, ResponseMode};
use crate::store::AccountId;
use crate::store::oauth_session::OauthSession;

/// Sessions of apps that an account may have, as elsewhere.
pub(super) const MAX_APP_SESSIONS: usize = 500;

#[derive(Deserialize)]
struct Parameters {
    redirect_uri: Option<String>,
    scope: Option<String>,
    code_challenge: Option<String>,
    dpop_jkt: Option<String>,
}

#[derive(Deserialize)]
#[serde(tag = "method", rename_all = "snake_case")]
enum Auth {
    None,
    /// The other name is that of versions before 2025.
    #[serde(alias = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")]
    PrivateKeyJwt {
        jkt: String,
    },
}

/// Lists the sessions of apps that can be taken over, and counts the others.
pub(super) fn sessions(conn: &Connection, did: &Did, now: i64) -> rusqlite::Result<(Vec<OauthSession>, u64)> {
    // Where there is no such table or column, there are no such apps.
    let Ok(mut statement) = conn.prepare_cached(
        "SELECT createdAt, updatedAt, clientId, clientAuth, parameters, scope, currentRefreshToken FROM token
         WHERE did = ?1 ORDER BY updatedAt DESC LIMIT ?2",
    ) else {
        return Ok((Vec::new(), 0));
    };
    let mut rows = statement.query(params![did.as_str(), MAX_APP_SESSIONS as i64])?;
    let (mut sessions, mut left) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let (auth, parameters): (String, String) = (row.get("clientAuth")?, row.get("parameters")?);
        let (created_at, refreshed_at) = (millis(row, "createdAt")?.unwrap_or(0), millis(row, "updatedAt")?.unwrap_or(0));
        let refresh_token: Option<String> = row.get("currentRefreshToken")?;
        let client_id: String = row.get("clientId")?;
        let expanded: Option<String> = row.get("scope")?;
        let session = read(&auth, &parameters, refresh_token, &client_id, expanded, (created_at, refreshed_at));
        match session {
            Some(session) if session.expires_at > now => sessions.push(session),
            Some(_) => {}
            None => left += 1,
        }
    }
    Ok((sessions, left))
}

fn read(
    auth: &str,
    parameters: &str,
    refresh_token: Option<String>,
    client_id: &str,
    expanded: Option<String>,
    (created_at, refreshed_at): (i64, i64),
) -> Option<OauthSession> {
    let auth = match serde_json::from_str(auth).ok()? {
        Auth::None => ClientAuth::None,
        Auth::PrivateKeyJwt { jkt } => ClientAuth::PrivateKeyJwt { key_thumbprint: jkt },
    };
    let parameters: Parameters = serde_json::from_str(parameters).ok()?;
    let (key_thumbprint, refresh_token) = (parameters.dpop_jkt?, refresh_token?);
    let scope = parameters.scope?;
    let expires_at = auth.session_end(created_at, refreshed_at);
    let client = Client {
        is_loopback: client_id.starts_with("http://localhost"),
        id: client_id.to_owned(),
        name: None,
        uri: None,
        logo_uri: None,
        policy_uri: None,
        tos_uri: None,
        may_refresh: true,
    };
    let request = Request {
        client,
        auth,
        redirect_uri: parameters.redirect_uri.unwrap_or_default(),
        scope: scope.clone(),
        state: None,
        code_challenge: parameters.code_challenge.unwrap_or_default(),
        response_mode: ResponseMode::Query,
        prompt: None,
        login_hint: None,
        key_thumbprint: Some(key_thumbprint.clone()),
    };
    Some(OauthSession {
        id: HEXLOWER.encode(&crate::random::bytes::<16>()),
        account: AccountId(0),
        request,
        expanded_scope: expanded.unwrap_or_else(|| scope.clone()),
        scope,
        device: None,
        code_digest: Sha256::digest(refresh_token.as_bytes()).into(),
        key_thumbprint: Some(key_thumbprint),
        refresh_count: 0,
        refreshed_at,
        created_at,
        expires_at,
    })
}

/// What a user agreed to: the app, and its scopes.
#[derive(Debug)]
pub(super) struct Consent {
    pub(super) client_id: String,
    pub(super) scope: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Authorized {
    authorized_scopes: Vec<String>,
}

/// Lists what a user agreed to.
pub(super) fn consents(conn: &Connection, did: &Did) -> rusqlite::Result<Vec<Consent>> {
    let sql = "SELECT clientId, data FROM authorized_client WHERE did = ?1 ORDER BY updatedAt DESC LIMIT ?2";
    let Ok(mut statement) = conn.prepare_cached(sql) else { return Ok(Vec::new()) };
    let rows = statement.query_map(params![did.as_str(), MAX_APP_SESSIONS as i64], |row| {
        Ok((row.get::<_, String>("clientId")?, row.get::<_, String>("data")?))
    })?;
    let mut consents = Vec::new();
    for row in rows {
        let (client_id, data) = row?;
        if let Ok(data) = serde_json::from_str::<Authorized>(&data) {
            consents.push(Consent { client_id, scope: data.authorized_scopes.join(" ") });
        }
    }
    Ok(consents)
}
