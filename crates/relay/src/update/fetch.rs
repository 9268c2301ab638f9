//! Getting the index and the program, from a web server or a folder.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{Method, StatusCode, header};
use url::Url;

use super::index::{Index, Program};
use super::{ReleaseKey, UpdateError};
use crate::config::Config;
use crate::digest;
use crate::identity::http::HttpClient;

const MAX_INDEX_BYTES: u64 = 1 << 20;
const MAX_SIGNATURE_BYTES: u64 = 4 << 10;
const MAX_REDIRECTS: usize = 5;
/// For a whole file; silence is cut off sooner, by the client.
const PATIENCE: Duration = Duration::from_secs(60 * 60);
const INDEX_PATIENCE: Duration = Duration::from_secs(60);

/// Where releases are.
#[derive(Clone, Debug)]
pub(crate) enum Releases {
    /// The URL of the index.
    Web(Url, HttpClient),
    /// The path of the index.
    Folder(PathBuf),
}

impl Releases {
    /// Reads where the index is: a URL, or a path.
    pub(crate) fn at(source: &str, client: &HttpClient) -> Self {
        match Url::parse(source).ok().filter(|url| matches!(url.scheme(), "http" | "https")) {
            Some(url) => Self::Web(url, client.clone()),
            None => Self::Folder(PathBuf::from(source)),
        }
    }

    /// Gets the index, which has to be signed by `key`.
    pub(crate) async fn index(&self, key: &ReleaseKey) -> Result<Index, UpdateError> {
        let unavailable = |err: UpdateError| UpdateError::Index(err.to_string());
        let work = async {
            let index = self.get("", MAX_INDEX_BYTES).await.map_err(unavailable)?;
            let signature = self.get(".minisig", MAX_SIGNATURE_BYTES).await.map_err(unavailable)?;
            key.verify("the index of releases", &index, &String::from_utf8_lossy(&signature))?;
            Index::read(&index)
        };
        let late = |_| UpdateError::Index(format!("it did not come within {} s", INDEX_PATIENCE.as_secs()));
        tokio::time::timeout(INDEX_PATIENCE, work).await.map_err(late)?
    }

    /// Gets the index, or what is named like it with something behind.
    async fn get(&self, suffix: &str, max_bytes: u64) -> Result<Vec<u8>, UpdateError> {
        match self {
            Self::Folder(index) => {
                let mut path = index.clone().into_os_string();
                path.push(suffix);
                let path = PathBuf::from(path);
                let mut content = Vec::new();
                File::open(&path)
                    .and_then(|file| file.take(max_bytes).read_to_end(&mut content))
                    .map_err(|source| UpdateError::File { what: "it cannot be read from", path, source })?;
                Ok(content)
            }
            Self::Web(index, client) => {
                let mut url = index.clone();
                url.set_path(&format!("{}{suffix}", index.path()));
                let mut response = send(client, &url, 0).await?;
                let mut content = Vec::new();
                while let Some(chunk) = response.chunk().await.map_err(|err| interrupted(&url, &err))? {
                    if (content.len() + chunk.len()) as u64 > max_bytes {
                        return Err(UpdateError::Fetch { name: url.to_string(), reason: "it is too large".into() });
                    }
                    content.extend_from_slice(&chunk);
                }
                Ok(content)
            }
        }
    }

    /// Gets a program into `folder`, whole and as signed, and returns its path. What an earlier attempt got is not got again.
    pub(super) async fn program(&self, program: &Program, key: &ReleaseKey, folder: &Path) -> Result<PathBuf, UpdateError> {
        let failed = |what: &'static str, path: &Path| {
            let path = path.to_owned();
            move |source| UpdateError::File { what, path, source }
        };
        let whole = folder.join(format!(".{}-{}", &program.sha256[..16], program.file));
        if !(whole.exists() && hash(&whole).is_ok_and(|found| found == program.sha256)) {
            let part = whole.with_extension("part");
            self.download(program, &part).await?;
            if hash(&part).map_err(failed("what was fetched cannot be read from", &part))? != program.sha256 {
                // The next attempt is not to go on from what is wrong.
                drop(fs::remove_file(&part));
                return Err(UpdateError::Fetch {
                    name: program.file.clone(),
                    reason: "its hash is not that of the index".into(),
                });
            }
            fs::rename(&part, &whole).map_err(failed("what was fetched cannot be renamed to", &whole))?;
        }
        key.verify_file(&program.file, &whole, &program.signature)?;
        Ok(whole)
    }

    async fn download(&self, program: &Program, part: &Path) -> Result<(), UpdateError> {
        let unwritable =
            |source| UpdateError::File { what: "what is fetched cannot be written to", path: part.to_owned(), source };
        match self {
            Self::Folder(index) => {
                let path = index.with_file_name(&program.file);
                let from = File::open(&path).map_err(|source| UpdateError::File {
                    what: "the program cannot be read from",
                    path,
                    source,
                })?;
                let mut to = File::create(part).map_err(unwritable)?;
                io::copy(&mut from.take(program.bytes), &mut to).map_err(unwritable)?;
                Ok(())
            }
            Self::Web(index, client) => {
                let url = index.join(&program.file).map_err(|err| UpdateError::Index(err.to_string()))?;
                let late = |_| UpdateError::Fetch { name: program.file.clone(), reason: "it takes too long".into() };
                tokio::time::timeout(PATIENCE, stream(client, &url, part, program.bytes)).await.map_err(late)?
            }
        }
    }
}

/// Gets the rest of a file of which `part` may have a beginning.
async fn stream(client: &HttpClient, url: &Url, part: &Path, bytes: u64) -> Result<(), UpdateError> {
    let unwritable = |source| UpdateError::File { what: "what is fetched cannot be written to", path: part.to_owned(), source };
    let mut there = fs::metadata(part).map_or(0, |metadata| metadata.len());
    if there == bytes {
        return Ok(());
    }
    if there > bytes {
        there = 0;
    }
    let mut response = send(client, url, there).await?;
    if response.status() != StatusCode::PARTIAL_CONTENT {
        // It begins anew, asked or not.
        there = 0;
    }
    let mut options = OpenOptions::new();
    options.create(true).write(true);
    let mut file =
        if there == 0 { options.truncate(true).open(part) } else { options.append(true).open(part) }.map_err(unwritable)?;
    while let Some(chunk) = response.chunk().await.map_err(|err| interrupted(url, &err))? {
        there += chunk.len() as u64;
        if there > bytes {
            drop(fs::remove_file(part));
            return Err(UpdateError::Fetch { name: url.to_string(), reason: "it is larger than the index says".into() });
        }
        file.write_all(&chunk).map_err(unwritable)?;
    }
    if there < bytes {
        return Err(UpdateError::Fetch { name: url.to_string(), reason: format!("only {there} of {bytes} bytes came") });
    }
    Ok(())
}

/// Sends a request, from byte `start` on, and follows where it leads: hosts of releases keep the files elsewhere.
async fn send(client: &HttpClient, url: &Url, start: u64) -> Result<reqwest::Response, UpdateError> {
    let mut url = url.clone();
    for _ in 0..=MAX_REDIRECTS {
        let refused = |reason: String| UpdateError::Fetch { name: url.to_string(), reason };
        let mut request = client.request(Method::GET, &url).map_err(|err| UpdateError::fetch(url.as_str(), &err))?;
        if start > 0 {
            request = request.header(header::RANGE, format!("bytes={start}-"));
        }
        let response = client.send(request).await.map_err(|err| UpdateError::fetch(url.as_str(), &err))?;
        let status = response.status();
        if !status.is_redirection() {
            return if status.is_success() { Ok(response) } else { Err(refused(format!("status {}", status.as_u16()))) };
        }
        let location = response.headers().get(header::LOCATION).and_then(|location| location.to_str().ok());
        let next = location.and_then(|location| url.join(location).ok());
        let next = next.ok_or_else(|| refused("it leads elsewhere and does not say where".into()))?;
        if url.scheme() == "https" && next.scheme() != "https" {
            return Err(refused(format!("it leads to {next}, which anybody on the way can read and change")));
        }
        url = next;
    }
    Err(UpdateError::Fetch { name: url.to_string(), reason: "it leads elsewhere too often".into() })
}

fn interrupted(url: &Url, err: &reqwest::Error) -> UpdateError {
    UpdateError::Fetch { name: url.to_string(), reason: format!("it broke off: {err}") }
}

/// Returns the SHA-256 of a file in hexadecimal digits.
fn hash(path: &Path) -> io::Result<String> {
    digest::sha256(File::open(path)?).map(|digest| data_encoding::HEXLOWER.encode(&digest))
}

/// Returns the newest release; `None` where it is not configured where they are.
pub(crate) async fn newest(config: &Config, client: &HttpClient) -> Option<Result<Index, UpdateError>> {
    let (source, key) = (config.update.source.as_ref()?, config.update.public_key.as_ref()?);
    Some(Releases::at(source, client).index(key).await)
}
