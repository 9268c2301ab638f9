//! Everything that an account has here, as one zip file: the repo as a CAR, all blobs, the preferences of apps.
//!
//! It is made while it is sent, from one entry to the next, and needs little memory however much there is. When something cannot
//! be read the file ends early, which every program that opens it notices: its directory is at the end.

use axum::body::Body;
use bytes::Bytes;
use common::Cid;
use futures_util::StreamExt as _;
use serde_json::json;
use tokio::sync::mpsc;

use super::zip::Zip;
use crate::blob::BlobError;
use crate::error::XrpcError;
use crate::state::{App, AppState};
use crate::store::account::Account;
use crate::store::{StoreError, blob, preference};

/// Bytes that are handed on at a time, about.
const CHUNK_BYTES: usize = 256 << 10;
/// Chunks that wait for a slow reader.
const CHUNKS_AHEAD: usize = 2;
/// Blobs whose names are read at a time.
const BLOBS_AHEAD: usize = 500;

/// An archive that is under way.
pub(crate) type Archive = mpsc::Receiver<Result<Bytes, std::io::Error>>;

/// Why an archive ends early.
#[derive(Debug, thiserror::Error)]
enum ArchiveError {
    #[error("nobody reads it any more")]
    Gone,
    #[error("the repo could not be read")]
    Repo(#[source] std::io::Error),
    #[error("the blob {0} could not be read")]
    Blob(Cid, #[source] BlobError),
    #[error("the blob {0} could not be read to its end")]
    BlobBytes(Cid, #[source] axum::Error),
    #[error("the directory of the archive could not be kept")]
    Zip(#[source] std::io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Begins an archive.
pub(crate) async fn begin(app: &AppState, account: &Account) -> Result<Archive, XrpcError> {
    let export = crate::repo::export(&app.db, account.id, None).await?;
    let export = export.ok_or_else(|| XrpcError::bad_request("RepoNotFound", "The account has no repo"))?;
    let zip = Zip::new().map_err(XrpcError::internal)?;
    let (out, archive) = mpsc::channel(CHUNKS_AHEAD);
    let (app, account) = (app.clone(), account.clone());
    tokio::spawn(async move {
        let mut writing = Writing { zip, out };
        match write(&app, &account, export, &mut writing).await {
            Ok(()) | Err(ArchiveError::Gone) => {}
            Err(err) => {
                tell(&account, &err);
                drop(writing.out.send(Err(std::io::Error::other("the archive could not be made"))).await);
            }
        }
    });
    Ok(archive)
}

fn tell(account: &Account, err: &ArchiveError) {
    let (did, error) = (&account.did, err as &dyn std::error::Error);
    tracing::error!(%did, error, "the archive of an account could not be made");
}

/// The file, and who reads it.
struct Writing {
    zip: Zip,
    out: mpsc::Sender<Result<Bytes, std::io::Error>>,
}

impl Writing {
    fn begin(&mut self, name: &str) {
        self.zip.begin(name);
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        self.zip.write(bytes);
        self.hand_on(CHUNK_BYTES).await
    }

    async fn end(&mut self) -> Result<(), ArchiveError> {
        self.zip.end().map_err(ArchiveError::Zip)?;
        self.hand_on(CHUNK_BYTES).await
    }

    /// Hands on what is ready, once it is so much.
    async fn hand_on(&mut self, at_least: usize) -> Result<(), ArchiveError> {
        if self.zip.ready() < at_least.max(1) {
            return Ok(());
        }
        self.out.send(Ok(self.zip.take())).await.map_err(|_| ArchiveError::Gone)
    }
}

async fn write(app: &App, account: &Account, mut export: crate::repo::Export, to: &mut Writing) -> Result<(), ArchiveError> {
    to.begin("repo.car");
    while let Some(chunk) = export.recv().await {
        to.write(&chunk.map_err(ArchiveError::Repo)?).await?;
    }
    to.end().await?;

    let preferences = app.db.read(|conn| preference::list(conn, account.id)).await?;
    to.begin("preferences.json");
    to.write(b"[").await?;
    for (nth, preference) in preferences.iter().enumerate() {
        to.write(if nth == 0 { b"\n" } else { b",\n" }).await?;
        to.write(preference.json.as_bytes()).await?;
    }
    to.write(b"\n]\n").await?;
    to.end().await?;

    to.begin("account.json");
    let about = json!({
        "did": account.did,
        "handle": account.handle,
        "email": account.email,
        "createdAt": common::Datetime::from_millis(account.created_at),
        "server": app.config.server.public_url.as_str(),
    });
    to.write(format!("{about:#}\n").as_bytes()).await?;
    to.end().await?;

    let mut after = None;
    loop {
        let page = app.db.read(|conn| blob::list_stored(conn, account.id, after.as_ref(), BLOBS_AHEAD)).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.cid);
        for blob in &page {
            copy_blob(app, blob.cid, blob.size, &blob.mime_type, to).await?;
        }
    }
    to.zip.finish().map_err(ArchiveError::Zip)?;
    while to.zip.directory(CHUNK_BYTES).map_err(ArchiveError::Zip)? {
        to.hand_on(CHUNK_BYTES).await?;
    }
    to.hand_on(1).await
}

async fn copy_blob(app: &App, cid: Cid, size: u64, media_type: &str, to: &mut Writing) -> Result<(), ArchiveError> {
    let body = match app.blobs.read(&cid, size, 0..size).await {
        Ok(body) => body.into_body(),
        // Said by what is not there: the rest is worth having.
        Err(BlobError::Missing(_)) => {
            tracing::warn!(%cid, "a blob is missing in the archive of its account, since it is not in the store");
            return Ok(());
        }
        Err(err) => return Err(ArchiveError::Blob(cid, err)),
    };
    to.begin(&format!("blobs/{cid}{}", extension(media_type)));
    let mut chunks = Body::into_data_stream(body);
    while let Some(chunk) = chunks.next().await {
        to.write(&chunk.map_err(|err| ArchiveError::BlobBytes(cid, err))?).await?;
    }
    to.end().await
}

/// Returns the ending of a file name, so that programs open it.
fn extension(media_type: &str) -> &'static str {
    match media_type {
        "image/jpeg" => ".jpg",
        "image/png" => ".png",
        "image/gif" => ".gif",
        "image/webp" => ".webp",
        "image/svg+xml" => ".svg",
        "video/mp4" => ".mp4",
        "video/webm" => ".webm",
        "audio/mpeg" => ".mp3",
        "application/pdf" => ".pdf",
        "application/json" => ".json",
        "text/plain" => ".txt",
        "text/vtt" => ".vtt",
        _ => "",
    }
}
