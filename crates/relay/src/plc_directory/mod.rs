//! A did:plc directory: the public one's HTTP API over a SQLite file of its own.
//!
//! It takes the operations that <https://plc.directory> would take and refuses the others, recovery within 72 hours included, so
//! that `relay dev` and tests run a network that is whole and offline. Three things differ: it does not limit how often a DID
//! changes, only how long its log grows; it has no stream of operations; and `createdAt` never repeats, so that pages of
//! `/export` lose nothing.
//!
//! API: <https://web.plc.directory/api/redoc>

mod export;
mod failure;
mod store;
mod submit;
#[cfg(test)]
mod tests;

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use common::{Cid, Did};
use crypto::plc::{DidData, Operation, did_document};
use serde::Serialize;
use tower_http::cors::CorsLayer;

use failure::Failure;
pub use store::{PlcStore, PlcStoreError};

/// Several times the largest operation, which is held to its own limit later.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// Returns the directory that keeps its operations in `store`.
pub fn router(store: PlcStore) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/_health", get(health))
        .route("/export", get(export::handler))
        .route("/{did}", get(document).post(submit))
        .route("/{did}/data", get(data))
        .route("/{did}/log", get(log))
        .route("/{did}/log/audit", get(audit_log))
        .route("/{did}/log/last", get(last))
        .fallback(async || Failure::NoRoute)
        .method_not_allowed_fallback(async || Failure::Method)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(CorsLayer::permissive())
        .with_state(store)
}

async fn index() -> &'static str {
    "This is a did:plc directory for development.\n\nIts API is that of https://web.plc.directory/api/redoc\n"
}

#[derive(Serialize)]
struct Health {
    version: &'static str,
}

async fn health(State(store): State<PlcStore>) -> Result<Json<Health>, Failure> {
    store.read(|conn| Ok(conn.query_row("SELECT 1", [], |_| Ok(()))?)).await?;
    Ok(Json(Health { version: env!("CARGO_PKG_VERSION") }))
}

async fn document(State(store): State<PlcStore>, Path(did): Path<String>) -> Result<impl IntoResponse, Failure> {
    let data = current_data(&store, did).await?;
    Ok(([(CONTENT_TYPE, "application/did+ld+json; charset=utf-8")], did_document(&data).to_string()))
}

async fn data(State(store): State<PlcStore>, Path(did): Path<String>) -> Result<Json<DidData>, Failure> {
    Ok(Json(current_data(&store, did).await?))
}

async fn log(State(store): State<PlcStore>, Path(did): Path<String>) -> Result<Json<Vec<Operation>>, Failure> {
    let log = whole_log(&store, did).await?;
    Ok(Json(log.into_iter().filter(|entry| !entry.nullified).map(|entry| entry.operation).collect()))
}

async fn audit_log(State(store): State<PlcStore>, Path(did): Path<String>) -> Result<Json<Vec<AuditEntry>>, Failure> {
    Ok(Json(whole_log(&store, did).await?))
}

async fn last(State(store): State<PlcStore>, Path(did): Path<String>) -> Result<Json<Operation>, Failure> {
    Ok(Json(last_entry(&store, did).await?.operation))
}

/// Takes an operation, and answers as the public directory does: with the reason phrase as text.
async fn submit(
    State(store): State<PlcStore>,
    Path(did): Path<String>,
    body: Result<Json<serde_json::Value>, JsonRejection>,
) -> Result<&'static str, Failure> {
    let did: Did = did.parse().map_err(Failure::BadDid)?;
    let operation = Operation::from_json(body?.0)?;
    submit::submit(&store, did, operation).await?;
    Ok("OK")
}

/// An operation as `/log/audit` and `/export` show it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AuditEntry {
    did: Did,
    operation: Operation,
    cid: Cid,
    nullified: bool,
    created_at: common::Datetime,
}

impl From<store::Stored> for AuditEntry {
    fn from(stored: store::Stored) -> Self {
        let entry = stored.entry;
        Self {
            did: stored.did,
            operation: entry.operation,
            cid: entry.cid,
            nullified: entry.nullified,
            created_at: common::Datetime::from_millis(entry.created_at_millis),
        }
    }
}

/// Returns all operations of a DID, of which there is at least one.
async fn whole_log(store: &PlcStore, did: String) -> Result<Vec<AuditEntry>, Failure> {
    // What is no DID at all is not registered either; the public directory makes no difference.
    let name = did.clone();
    let log = store.read(move |conn| store::log(conn, &name)).await?;
    if log.is_empty() {
        return Err(Failure::NotRegistered(did));
    }
    Ok(log.into_iter().map(AuditEntry::from).collect())
}

/// Returns the last operation in force, which may be a tombstone.
async fn last_entry(store: &PlcStore, did: String) -> Result<AuditEntry, Failure> {
    let name = did.clone();
    let last = store.read(move |conn| store::find_last(conn, &name)).await?;
    last.map(AuditEntry::from).ok_or(Failure::NotRegistered(did))
}

async fn current_data(store: &PlcStore, did: String) -> Result<DidData, Failure> {
    let AuditEntry { did, operation, .. } = last_entry(store, did).await?;
    // The log was verified operation by operation as it grew.
    operation.data(&did).ok_or(Failure::Tombstoned(did))
}
