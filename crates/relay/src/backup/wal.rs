//! Reads SQLite's write-ahead log: which pages were committed since a place in it.
//!
//! Format: <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>. A frame counts when its salts are those of the log's
//! header and the running checksum is right; a transaction counts when its last frame, which says how many pages the database
//! has then, is there. What follows may be an unfinished transaction, or what an earlier run of the log left.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use serde::{Deserialize, Serialize};

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// A place in the log, behind a whole transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// The salts of the log's header; the first one grows by one when the log begins anew.
    pub(super) salts: [u32; 2],
    /// How many frames are before.
    pub(super) frames: u64,
    checksum: [u32; 2],
}

/// What was committed between two marks.
#[derive(Debug, Default)]
pub(super) struct Committed {
    /// Page numbers, and where in the log the newest content of each is.
    pub(super) pages: BTreeMap<u32, u64>,
    /// Pages of the database after it.
    pub(super) database_pages: u32,
}

/// The log as it is when it is opened.
#[derive(Debug)]
pub(super) struct Log {
    file: File,
    is_big_endian: bool,
    pub(super) page_size: u32,
    /// Behind the header.
    pub(super) start: Mark,
}

impl Log {
    /// Opens the log; `None` when there is none, or one that no transaction was written to yet.
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(err) => return Err(err),
        };
        let mut header = [0; HEADER];
        if !read_whole(&mut file, &mut header)? {
            return Ok(None);
        }
        let is_big_endian = match word(&header, 0) {
            0x377f_0682 => false,
            0x377f_0683 => true,
            _ => return Ok(None),
        };
        let checksum = checksum(is_big_endian, [0, 0], &header[..24]);
        // While the header is being written it may be half of each.
        if checksum != [word(&header, 24), word(&header, 28)] {
            return Ok(None);
        }
        let start = Mark { salts: [word(&header, 16), word(&header, 20)], frames: 0, checksum };
        Ok(Some(Self { file, is_big_endian, page_size: word(&header, 8), start }))
    }

    /// Returns what was committed after `from`, in groups of at most about `max_pages` that end where a transaction does when
    /// that is possible, and the mark behind. `take` gets each group with whether it ends with a transaction.
    pub(super) fn committed_since(
        &mut self,
        from: Mark,
        max_pages: usize,
        mut take: impl FnMut(&mut Self, Committed, bool) -> io::Result<()>,
    ) -> io::Result<Mark> {
        // First look how far it goes: what is not committed must not be taken.
        let until = self.scan(from, None, &mut |_, _, _| Ok(()))?;
        let mut group = Committed::default();
        let mut ends = true;
        self.scan(from, Some(until.frames), &mut |log, frame, offset| {
            group.pages.insert(frame.page, offset);
            ends = frame.database_pages > 0;
            if ends {
                group.database_pages = frame.database_pages;
            }
            if group.pages.len() >= max_pages {
                take(log, std::mem::take(&mut group), ends)?;
            }
            Ok(())
        })?;
        if !group.pages.is_empty() {
            take(self, group, ends)?;
        }
        Ok(until)
    }

    /// Whether `mark` is a place in this log, with what was before it then.
    pub(super) fn reaches(&mut self, mark: Mark) -> io::Result<bool> {
        let mut seen = self.start == mark;
        let start = self.start;
        let reached = self.scan(start, Some(mark.frames), &mut |_, _, _| Ok(()))?;
        seen |= reached == mark;
        Ok(seen)
    }

    /// Goes through the frames from `from` to the last transaction's end, or to `limit`.
    fn scan(
        &mut self,
        from: Mark,
        limit: Option<u64>,
        visit: &mut dyn FnMut(&mut Self, FrameHeader, u64) -> io::Result<()>,
    ) -> io::Result<Mark> {
        let frame_size = FRAME_HEADER as u64 + u64::from(self.page_size);
        let mut frame = vec![0; frame_size as usize];
        let (mut at, mut committed) = (from, from);
        while limit.is_none_or(|limit| at.frames < limit) {
            let offset = HEADER as u64 + at.frames * frame_size;
            self.file.seek(SeekFrom::Start(offset))?;
            if !read_whole(&mut self.file, &mut frame)? || [word(&frame, 8), word(&frame, 12)] != at.salts {
                break;
            }
            let sum = checksum(self.is_big_endian, at.checksum, &frame[..8]);
            let sum = checksum(self.is_big_endian, sum, &frame[FRAME_HEADER..]);
            if sum != [word(&frame, 16), word(&frame, 20)] {
                break;
            }
            at.checksum = sum;
            at.frames += 1;
            let header = FrameHeader { page: word(&frame, 0), database_pages: word(&frame, 4) };
            let ends = header.database_pages > 0;
            visit(self, header, offset + FRAME_HEADER as u64)?;
            if ends {
                committed = at;
            }
        }
        Ok(committed)
    }

    /// Reads the page that lies at `offset` in the log.
    pub(super) fn page(&mut self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(offset))?;
        self.file.read_exact(into)
    }
}

struct FrameHeader {
    page: u32,
    /// Zero but in the last frame of a transaction.
    database_pages: u32,
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn checksum(is_big_endian: bool, [mut a, mut b]: [u32; 2], bytes: &[u8]) -> [u32; 2] {
    let read = |bytes: &[u8]| {
        let bytes = [bytes[0], bytes[1], bytes[2], bytes[3]];
        if is_big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    };
    for pair in bytes.chunks_exact(8) {
        a = a.wrapping_add(read(&pair[..4])).wrapping_add(b);
        b = b.wrapping_add(read(&pair[4..])).wrapping_add(a);
    }
    [a, b]
}

/// Fills `into`; `false` when the file ends before.
fn read_whole(file: &mut File, into: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(into) {
        Ok(()) => Ok(true),
        Err(err) if err.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(err) => Err(err),
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    fn database() -> (tempfile::TempDir, Connection) {
        let dir = tempfile::tempdir().unwrap();
        let conn = Connection::open(dir.path().join("db")).unwrap();
        conn.pragma_update(None, "journal_mode", "WAL").unwrap();
        conn.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
        conn.execute_batch("CREATE TABLE t (a); INSERT INTO t VALUES (zeroblob(100000));").unwrap();
        (dir, conn)
    }

    fn pages_since(log: &mut Log, from: Mark) -> (usize, Mark) {
        let mut pages = 0;
        let until = log
            .committed_since(from, 10, |_, group, _| {
                pages += group.pages.len();
                Ok(())
            })
            .unwrap();
        (pages, until)
    }

    #[test]
    fn what_is_committed_is_seen_once_and_what_is_not_never() {
        let (dir, conn) = database();
        let path = dir.path().join("db-wal");
        let mut log = Log::open(&path).unwrap().expect("there is a log");
        let start = log.start;
        let (pages, mark) = pages_since(&mut log, start);
        assert!(pages > 20, "{pages}");
        assert_eq!(pages_since(&mut log, mark), (0, mark));

        // More than the cache holds, so that it is in the log before it is committed.
        conn.pragma_update(None, "cache_size", 5).unwrap();
        conn.execute_batch("BEGIN; INSERT INTO t VALUES (zeroblob(400000));").unwrap();
        assert_eq!(pages_since(&mut Log::open(&path).unwrap().unwrap(), mark), (0, mark));
        conn.execute_batch("COMMIT").unwrap();
        let mut log = Log::open(&path).unwrap().unwrap();
        let (pages, mark) = pages_since(&mut log, mark);
        assert!(pages > 90, "{pages}");

        conn.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(())).unwrap();
        conn.execute_batch("INSERT INTO t VALUES (1)").unwrap();
        let log = Log::open(&path).unwrap().unwrap();
        assert_eq!(log.start.salts[0], mark.salts[0].wrapping_add(1), "the log began anew");
    }
}
