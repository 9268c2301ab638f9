//! The bytes of a blob on their way to a client.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;

use axum::body::Body;
use bytes::Bytes;
use common::Cid;
use futures_util::stream;

use super::local::LocalFolder;
use super::{BlobError, blocking};

/// What is read at a time, and so what a download holds in memory; most images are one piece.
const CHUNK: u64 = 256 << 10;

/// A part of a blob, of which the beginning is in memory.
#[derive(Debug)]
pub(crate) struct BlobBody {
    first: Bytes,
    rest: Option<Rest>,
}

/// What is still to be read.
#[derive(Debug)]
struct Rest {
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
        let mut rest = Rest { file, left: part.end - part.start };
        let first = rest.read_chunk().map_err(&failed)?;
        Ok(Self { first, rest: (rest.left > 0).then_some(rest) })
    }

    /// Turns into a response's body, which reads on as the client takes what came before.
    pub(crate) fn into_body(self) -> Body {
        let Some(rest) = self.rest else { return Body::from(self.first) };
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

impl Rest {
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
