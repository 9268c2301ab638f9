//! `relay verify --repair`: what is derived anew, and what is fetched from elsewhere. Whoever has the data folder does it.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use common::{Cid, Did, blob_ref, cbor};
use data_encoding::HEXLOWER;
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt as _;
use url::Url;

use crate::blob::{self, BlobError, RegisterError, Upload};
use crate::error::{XrpcError, with_causes};
use crate::identity::fetch::FetchError;
use crate::repo::{NewHead, RebuildError, Rebuilt};
use crate::state::{App, EVIDENCE};
use crate::store::account::Account;
use crate::store::{StoreError, account, blob as blobs, record};

/// Bytes that are read from a file at a time.
const CHUNK_BYTES: usize = 256 << 10;

/// A repo that is to be rebuilt.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RebuildRepo {
    pub(crate) account: Did,
    /// Whether the network is told where the repo is in any case.
    pub(crate) announce: bool,
}

/// A blob that is to be fetched.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct FetchBlob {
    pub(crate) account: Did,
    pub(crate) cid: Cid,
    /// A folder of blobs, or the URL of a server that has the account's.
    pub(crate) from: String,
}

/// Why a blob was not fetched.
#[derive(Debug, thiserror::Error)]
enum FetchBlobError {
    #[error("{from} does not have the blob {cid}")]
    NotThere { from: String, cid: Cid },
    #[error("{from} gave other bytes than those of the blob {cid}")]
    OtherBytes { from: String, cid: Cid },
    #[error("{from} is not the URL of a server")]
    Url { from: String },
    #[error("{from} answered with status {status}")]
    Status { from: String, status: u16 },
    #[error("{from} could not be asked")]
    Fetch {
        from: String,
        #[source]
        source: FetchError,
    },
    #[error("{from} broke off")]
    Body {
        from: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("{path} could not be read")]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Blob(#[from] BlobError),
}

impl From<RebuildError> for XrpcError {
    fn from(err: RebuildError) -> Self {
        let message = err.to_string();
        match err {
            RebuildError::Gone => Self::bad_request("AccountNotFound", message),
            RebuildError::Path(_) | RebuildError::OtherTree => Self::invalid_request(message),
            RebuildError::Evidence { .. } | RebuildError::Folder { .. } | RebuildError::Key(_) => {
                Self::invalid_request(with_causes(&err))
            }
            RebuildError::Store(err) => err.into(),
            RebuildError::Write(err) => err.into(),
        }
    }
}

/// Derives anew what follows from the records of a repo.
pub(crate) async fn rebuild_repo(app: &App, input: RebuildRepo) -> Result<Rebuilt, XrpcError> {
    let account = find(app, &input.account).await?;
    let head = if input.announce { NewHead::Always } else { NewHead::WhereNeeded };
    Ok(app.repos.rebuild(account.id, &account.did, head).await?)
}

/// Fetches the bytes of a blob, and returns how many there are. A file that is in their place is laid aside.
pub(crate) async fn fetch_blob(app: &App, input: FetchBlob) -> Result<u64, XrpcError> {
    let account = find(app, &input.account).await?;
    let FetchBlob { cid, from, .. } = input;
    // What was accepted once may be larger than what is accepted today.
    let upload = app.blobs.begin(u64::MAX, None)?;
    let bad = |err: FetchBlobError| XrpcError::invalid_request(with_causes(&err));
    let (upload, digest) = if from.starts_with("http://") || from.starts_with("https://") {
        download(app, upload, &account.did, cid, &from).await.map_err(bad)?
    } else {
        read(upload, &account.did, cid, Path::new(&from)).await.map_err(bad)?
    };
    if digest != *cid.digest() {
        return Err(bad(FetchBlobError::OtherBytes { from, cid }));
    }
    let aside = app.config.data.dir.join(EVIDENCE);
    app.blobs.set_aside(&cid, aside, app.clock.as_ref()).await?;
    let stored = upload.finish().await?;
    let size = stored.size;
    let declared = app.db.scan(move |conn| declared_type(conn, &account, &cid)).await.map_err(XrpcError::from)?;
    match blob::register(&app.db, account_id(app, &input.account).await?, stored, &declared).await {
        // One that was taken down has its bytes again, and stays so.
        Ok(_) | Err(RegisterError::TakenDown) => Ok(size),
        Err(err) => Err(err.into()),
    }
}

async fn find(app: &App, did: &Did) -> Result<Account, XrpcError> {
    let found = app.db.read(|conn| account::find_by_did(conn, did)).await?;
    found.ok_or_else(|| XrpcError::bad_request("AccountNotFound", format!("There is no account {did} here")))
}

async fn account_id(app: &App, did: &Did) -> Result<crate::store::AccountId, XrpcError> {
    Ok(find(app, did).await?.id)
}

/// Returns the media type that a record gives the blob.
pub(crate) fn declared_type(conn: &rusqlite::Connection, account: &Account, cid: &Cid) -> Result<String, StoreError> {
    for path in blobs::paths_of(conn, account.id, cid, 10)? {
        let Some(record) = record::find(conn, account.id, &path)? else { continue };
        let Ok(record) = cbor::decode(&record.block) else { continue };
        if let Some(reference) = blob_ref::blob_refs(&record).into_iter().find(|reference| reference.cid == *cid) {
            return Ok(reference.mime_type);
        }
    }
    Ok("application/octet-stream".to_owned())
}

/// Reads a blob from a folder: of this server's layout, of a data folder or a backup with one, or with files named by CID, as
/// the official server has them.
async fn read(mut upload: Upload, did: &Did, cid: Cid, folder: &Path) -> Result<(Upload, [u8; 32]), FetchBlobError> {
    let hex = HEXLOWER.encode(cid.digest());
    let (first, rest) = hex.split_at(2);
    let sharded = Path::new(first).join(rest);
    let places = [
        folder.join(&sharded),
        folder.join("blobs").join(&sharded),
        folder.join(cid.to_string()),
        folder.join(did.as_str()).join(cid.to_string()),
    ];
    let path = places.into_iter().find(|path| path.is_file());
    let path = path.ok_or_else(|| FetchBlobError::NotThere { from: folder.display().to_string(), cid })?;
    let failed = |source| FetchBlobError::File { path: path.clone(), source };
    let mut file = tokio::fs::File::open(&path).await.map_err(failed)?;
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let read = file.read(&mut buffer).await.map_err(failed)?;
        if read == 0 {
            return Ok((upload, hasher.finish()));
        }
        hasher.update(&buffer[..read]);
        upload.write(&buffer[..read]).await?;
    }
}

/// Downloads a blob by `com.atproto.sync.getBlob`.
async fn download(
    app: &App,
    mut upload: Upload,
    did: &Did,
    cid: Cid,
    from: &str,
) -> Result<(Upload, [u8; 32]), FetchBlobError> {
    let from = || from.to_owned();
    let url = Url::parse(&from()).and_then(|url| url.join("/xrpc/com.atproto.sync.getBlob"));
    let mut url = url.map_err(|_| FetchBlobError::Url { from: from() })?;
    url.query_pairs_mut().append_pair("did", did.as_str()).append_pair("cid", &cid.to_string());
    // The operator named it.
    let client = &app.identity.clients().trusted;
    let failed = |source| FetchBlobError::Fetch { from: from(), source };
    let request = client.request(Method::GET, &url).map_err(failed)?;
    let mut response = client.send(request).await.map_err(failed)?;
    match response.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST => return Err(FetchBlobError::NotThere { from: from(), cid }),
        status => return Err(FetchBlobError::Status { from: from(), status: status.as_u16() }),
    }
    let mut hasher = Hasher::default();
    while let Some(chunk) = response.chunk().await.map_err(|source| FetchBlobError::Body { from: from(), source })? {
        let chunk: Bytes = chunk;
        hasher.update(&chunk);
        upload.write(&chunk).await?;
    }
    Ok((upload, hasher.finish()))
}

/// Hashes what comes, so that wrong bytes never get a name.
#[derive(Default)]
struct Hasher(sha2::Sha256);

impl Hasher {
    fn update(&mut self, bytes: &[u8]) {
        sha2::Digest::update(&mut self.0, bytes);
    }

    fn finish(self) -> [u8; 32] {
        sha2::Digest::finalize(self.0).into()
    }
}
