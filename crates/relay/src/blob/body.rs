//! The bytes of a blob on their way to a client.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;

use axum::body::Body;
use bytes::Bytes;
use common::Cid;
use futures_util::stream::{self, BoxStream, StreamExt as _};

use super::BlobError;
use super::bucket::Bucket;
use super::local::LocalFolder;
use crate::work::blocking;

/// What is read at a time, and so what a download holds in memory; most images are one piece.
const CHUNK: u64 = 256 << 10;

/// A part of a blob, of which the beginning is in memory.
pub(crate) struct BlobBody {
    first: Bytes,
    rest: Rest,
}

/// What is still to be read.
enum Rest {
    Nothing,
    File(FileRest),
    Stream(BoxStream<'static, io::Result<Bytes>>),
}

impl std::fmt::Debug for BlobBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlobBody").field("first", &self.first.len()).finish_non_exhaustive()
    }
}

/// What is still to be read of a file.
#[derive(Debug)]
struct FileRest {
    file: File,
    left: u64,
}

impl BlobBody {
    /// Opens the bytes `part` of a blob of `size` bytes, and reads the first of them.
    pub(super) fn open(folder: &LocalFolder, cid: &Cid, size: u64, part: Range<u64>) -> Result<Self, BlobError> {
        let failed = BlobError::io("read");
        let mut file = folder.open_file(cid.digest()).map_err(&failed)?.ok_or(BlobError::Missing(*cid))?;
        if file.metadata().map_err(&failed)?.len() != size {
            return Err(BlobError::Missing(*cid));
        }
        if part.start > 0 {
            file.seek(SeekFrom::Start(part.start)).map_err(&failed)?;
        }
        let mut rest = FileRest { file, left: part.end - part.start };
        let first = rest.read_chunk().map_err(&failed)?;
        Ok(Self { first, rest: if rest.left > 0 { Rest::File(rest) } else { Rest::Nothing } })
    }

    /// As [`Self::open`], from a bucket; what was not moved there yet is in its folder.
    pub(super) async fn fetch(bucket: &Bucket, cid: &Cid, size: u64, part: Range<u64>) -> Result<Self, BlobError> {
        // There is no range without a byte.
        let range = if part == (0..size) || part.is_empty() { None } else { Some(part.clone()) };
        match bucket.get(cid.digest(), range).await? {
            Some(incoming) if incoming.size == size => {
                if part.is_empty() {
                    return Ok(Self { first: Bytes::new(), rest: Rest::Nothing });
                }
                let mut bytes = incoming.bytes;
                let first = bytes.next().await.transpose().map_err(BlobError::io("read"))?.unwrap_or_default();
                Ok(Self { first, rest: Rest::Stream(bytes) })
            }
            Some(_) | None => {
                let (folder, cid) = (bucket.folder().clone(), *cid);
                blocking(move || Self::open(&folder, &cid, size, part)).await
            }
        }
    }

    /// Turns into a response's body, which reads on as the client takes what came before.
    pub(crate) fn into_body(self) -> Body {
        let rest = match self.rest {
            Rest::Nothing => return Body::from(self.first),
            Rest::Stream(bytes) => {
                let first = stream::once(std::future::ready(Ok(self.first)));
                return Body::from_stream(first.chain(bytes));
            }
            Rest::File(rest) => rest,
        };
        let chunks = stream::try_unfold((Some(self.first), rest), |(first, mut rest)| async move {
            if let Some(first) = first {
                return Ok(Some((first, (None, rest))));
            }
            if rest.left == 0 {
                return Ok(None);
            }
            let (chunk, rest) = blocking(move || rest.read_chunk().map(|chunk| (chunk, rest))).await?;
            Ok::<_, io::Error>(Some((chunk, (None, rest))))
        });
        Body::from_stream(chunks)
    }
}

impl FileRest {
    fn read_chunk(&mut self) -> io::Result<Bytes> {
        let want = self.left.min(CHUNK);
        let mut bytes = Vec::with_capacity(want as usize);
        (&mut self.file).take(want).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != want {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter"));
        }
        self.left -= want;
        Ok(bytes.into())
    }
}
