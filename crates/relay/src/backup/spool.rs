//! Takes what was committed out of the write-ahead log before the log begins anew, and keeps it until it is sent.
//!
//! The log holds all pages that were committed since it began. It begins anew only after all of it was copied back, and before the
//! last of it is, the writer thread calls [`Spool::before_checkpoint`](LogWatch). So nothing is missed, and a place that is out of
//! reach does not make the log grow.
//!
//! ```text
//! position.json       how far the log was taken
//! <number>.segment    what was taken and is not yet sent
//! ```
//!
//! Should the chain break all the same (a file here is lost, another program wrote to the database, the bound is reached),
//! that is noticed, said, and a new chain begins with a whole backup.
//!
//! # Tricky bits
//!
//! - Closing any descriptor of the database file gives up all locks that this process has on it (POSIX). So the file is opened
//!   once, before SQLite does, and closed after it. The log has no locks.
//! - Nothing here is synced. What a loss of power takes away breaks the chain, and is noticed.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use common::Clock;
use serde::{Deserialize, Serialize};

use super::segment::{self, Header, MAX_PAGES};
use super::wal::{Committed, Log, Mark};
use crate::store::LogWatch;

/// What was taken from the log, and where it waits.
#[derive(Debug)]
pub(crate) struct Spool {
    database_path: PathBuf,
    log_path: PathBuf,
    dir: PathBuf,
    limit_bytes: u64,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// See the tricky bits.
    database: File,
}

#[derive(Debug, Default)]
struct State {
    position: Option<Position>,
    /// Whether the position was checked against the log, which is done once after a start.
    is_checked: bool,
    waiting_bytes: u64,
}

/// How far the log was taken.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Position {
    chain: String,
    /// Number of the next segment.
    next: u64,
    /// Number of the first segment with pages that are in the log; what is in earlier ones is in the database file.
    log_first: u64,
    /// `None` before the beginning of a log that is not there yet.
    mark: Option<Mark>,
    /// What the database file was when the server ended well: its size and when it was changed.
    closed: Option<(u64, i64, i64)>,
}

/// The chain that segments belong to.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    pub(super) id: String,
    /// Number of the next segment.
    pub(super) next: u64,
    /// See [`Position`].
    pub(super) log_first: u64,
}

impl Spool {
    /// Opens the folder; before the database is opened. The database file must be there, though it may be empty.
    pub(crate) fn open(database: &Path, dir: PathBuf, limit_bytes: u64, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let mut log_path = database.as_os_str().to_owned();
        log_path.push("-wal");
        let spool = Self {
            database_path: database.to_owned(),
            log_path: log_path.into(),
            limit_bytes,
            clock,
            state: Mutex::default(),
            database: File::open(database)?,
            dir,
        };
        let position = fs::read(spool.dir.join(POSITION)).ok();
        let mut position: Option<Position> = position.and_then(|json| serde_json::from_slice(&json).ok());
        if let Some(was) = &mut position
            && let Some(closed) = was.closed.take()
        {
            let has_log = fs::metadata(&spool.log_path).is_ok_and(|log| log.len() > 0);
            if has_log || closed != spool.stamp()? {
                // It was written to without us.
                position = None;
            } else {
                was.mark = None;
                was.log_first = was.next;
            }
        }
        let mut waiting_bytes = 0;
        for entry in fs::read_dir(&spool.dir)? {
            let entry = entry?;
            if entry.path().extension().is_some_and(|extension| extension == "segment") {
                waiting_bytes += entry.metadata()?.len();
            }
        }
        {
            let mut state = spool.state();
            state.position = position;
            state.waiting_bytes = waiting_bytes;
        }
        Ok(spool)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stamp(&self) -> io::Result<(u64, i64, i64)> {
        let metadata = self.database.metadata()?;
        Ok((metadata.len(), metadata.mtime(), metadata.mtime_nsec()))
    }

    /// Returns the present chain; `None` when there is none, or it broke.
    pub(super) fn chain(&self) -> Option<Chain> {
        let state = self.state();
        let position = state.position.as_ref()?;
        Some(Chain { id: position.chain.clone(), next: position.next, log_first: position.log_first })
    }

    /// Begins a chain, with what the log holds.
    pub(super) fn begin_chain(&self, id: &str) -> io::Result<()> {
        let mut state = self.state();
        self.clear(&mut state)?;
        state.position = Some(Position { chain: id.to_owned(), next: 0, log_first: 0, mark: None, closed: None });
        state.is_checked = true;
        self.take(&mut state).map(drop)
    }

    /// Takes what was committed since the last time. Returns the time at which that was all.
    pub(super) fn capture(&self) -> io::Result<i64> {
        self.take(&mut self.state())
    }

    /// Ends the chain.
    pub(super) fn break_chain(&self, why: &str) {
        self.give_up(&mut self.state(), why);
    }

    fn give_up(&self, state: &mut State, why: &str) {
        if state.position.is_some() {
            tracing::warn!(why, "the chain of changes for the backup broke; a whole backup will begin a new one");
        }
        state.position = None;
        if let Err(err) = self.clear(state) {
            tracing::warn!(error = &err as &dyn std::error::Error, "changes that cannot be sent could not be removed");
        }
    }

    fn clear(&self, state: &mut State) -> io::Result<()> {
        for entry in fs::read_dir(&self.dir)? {
            fs::remove_file(entry?.path())?;
        }
        state.waiting_bytes = 0;
        Ok(())
    }

    fn take(&self, state: &mut State) -> io::Result<i64> {
        let now = self.clock.millis();
        let Some(mut position) = state.position.clone() else { return Ok(now) };
        let Some(mut log) = Log::open(&self.log_path)? else { return Ok(now) };
        let from = match position.mark {
            None => log.start,
            Some(mark) if mark.salts == log.start.salts => {
                if !state.is_checked && !log.reaches(mark)? {
                    self.give_up(state, "the log is not the one that it was");
                    return Ok(now);
                }
                mark
            }
            Some(mark) if mark.salts[0].wrapping_add(1) == log.start.salts[0] => {
                position.log_first = position.next;
                log.start
            }
            Some(_) => {
                self.give_up(state, "another program copied the log back");
                return Ok(now);
            }
        };
        state.is_checked = true;
        let mut written = 0;
        let until = log.committed_since(from, MAX_PAGES, |log, group, ends| {
            let bytes = self.write_segment(log, &position, &group, ends, now)?;
            position.next += 1;
            written += bytes;
            Ok(())
        })?;
        state.waiting_bytes += written;
        if position.mark != Some(until) {
            position.mark = Some(until);
            self.save(&position)?;
            state.position = Some(position);
        }
        if state.waiting_bytes > self.limit_bytes {
            self.give_up(state, "more changes wait to be sent than backup.spool allows");
        }
        Ok(now)
    }

    fn write_segment(&self, log: &mut Log, position: &Position, group: &Committed, ends: bool, now: i64) -> io::Result<u64> {
        let header = Header {
            chain: position.chain.clone(),
            number: position.next,
            until: now,
            ends,
            page_size: log.page_size,
            database_pages: if ends { group.database_pages } else { 0 },
            pages: group.pages.len() as u32,
        };
        let mut segment = segment::first_line(&header);
        segment.reserve(group.pages.len() * (4 + log.page_size as usize));
        for (number, offset) in &group.pages {
            segment.extend_from_slice(&number.to_be_bytes());
            let at = segment.len();
            segment.resize(at + log.page_size as usize, 0);
            log.page(*offset, &mut segment[at..])?;
        }
        let mut options = File::options();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(self.path(position.next))?;
        file.write_all(&segment)?;
        Ok(segment.len() as u64)
    }

    fn save(&self, position: &Position) -> io::Result<()> {
        let temporary = self.dir.join("position.new");
        fs::write(&temporary, serde_json::to_vec(position)?)?;
        fs::rename(temporary, self.dir.join(POSITION))
    }

    fn path(&self, number: u64) -> PathBuf {
        self.dir.join(format!("{number:016}.segment"))
    }

    /// Returns a segment that waits.
    pub(super) fn read(&self, number: u64) -> io::Result<Vec<u8>> {
        fs::read(self.path(number))
    }

    /// Forgets a segment that was sent.
    pub(super) fn forget(&self, number: u64) -> io::Result<()> {
        let path = self.path(number);
        let bytes = fs::metadata(&path)?.len();
        fs::remove_file(path)?;
        let mut state = self.state();
        state.waiting_bytes = state.waiting_bytes.saturating_sub(bytes);
        Ok(())
    }

    pub(super) fn waiting_bytes(&self) -> u64 {
        self.state().waiting_bytes
    }

    pub(super) fn database_bytes(&self) -> io::Result<u64> {
        Ok(self.database.metadata()?.len())
    }

    /// Reads from the database file. What it holds there may be anything between two states, even within a page; the segments
    /// from [`Chain::log_first`] on make it one.
    pub(super) fn read_database(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let mut done = 0;
        while done < into.len() {
            match self.database.read_at(&mut into[done..], offset + done as u64) {
                // It shrank meanwhile.
                Ok(0) => break,
                Ok(read) => done += read,
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                Err(err) => return Err(err),
            }
        }
        into[done..].fill(0);
        Ok(())
    }
}

impl LogWatch for Spool {
    fn before_checkpoint(&self, frames: Option<u64>) {
        let mut state = self.state();
        if let Err(err) = self.take(&mut state) {
            tracing::error!(error = &err as &dyn std::error::Error, "changes could not be kept for the backup");
            self.give_up(&mut state, "changes could not be kept");
        }
        // Between transactions all that is in the log is committed.
        let taken = state.position.as_ref().map(|position| position.mark.map_or(0, |mark| mark.frames));
        if let (Some(taken), Some(frames)) = (taken, frames)
            && taken != frames
        {
            self.give_up(&mut state, "the log could not be read to its end");
        }
    }

    fn closed(&self) {
        let mut state = self.state();
        let Some(mut position) = state.position.clone() else { return };
        let has_log = fs::metadata(&self.log_path).is_ok_and(|log| log.len() > 0);
        // With the log left behind it is as after a crash.
        if has_log {
            return;
        }
        match self.stamp() {
            Ok(stamp) => position.closed = Some(stamp),
            Err(_) => return,
        }
        if let Err(err) = self.save(&position) {
            let path = self.database_path.display();
            tracing::warn!(error = &err as &dyn std::error::Error, %path, "the next backup has to begin anew");
        }
        state.position = Some(position);
    }
}

const POSITION: &str = "position.json";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::test_support::{self, WriteError};
    use crate::backup::key::BackupKey;
    use crate::backup::restore;
    use crate::backup::segment::Link;
    use crate::clock::SystemClock;
    use crate::store::{Db, meta};

    const VALUE_BYTES: usize = 1 << 16;

    /// Several clients that write 128 MiB, a value in each write.
    async fn write_much(db: &Arc<Db>, from: usize) {
        let writers = (0..4).map(|writer| {
            let db = Arc::clone(db);
            tokio::spawn(async move {
                for n in from..from + 512 {
                    let (key, value) = (format!("{writer} {}", n % 16), vec![n as u8; VALUE_BYTES + n]);
                    db.write(move |tx| Ok::<_, WriteError>(meta::set(tx, &key, &value)?)).await.unwrap();
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_taken_while_another_thread_copies_the_log_is_all_that_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let (path, spooled) = (dir.path().join("test.sqlite"), dir.path().join("spool"));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        drop(test_support::open(&path, Arc::clone(&clock), None));
        let again = dir.path().join("again.sqlite");
        fs::copy(&path, &again).unwrap();

        fs::create_dir(&spooled).unwrap();
        let spool = Arc::new(Spool::open(&path, spooled, u64::MAX, Arc::clone(&clock)).unwrap());
        spool.begin_chain("chain").unwrap();
        let db = Arc::new(test_support::open(&path, clock, Some(Arc::clone(&spool) as _)));
        let began = |spool: &Spool| Log::open(&spool.log_path).unwrap().unwrap().start.salts[0];
        db.write(|tx| Ok::<_, WriteError>(meta::set(tx, "first", b"")?)).await.unwrap();
        let first = began(&spool);
        write_much(&db, 0).await;
        let times = began(&spool).wrapping_sub(first);
        assert!((2..=10).contains(&times), "the log began anew {times} times");

        // Someone who reads an old state is in the way, and then no more.
        {
            let reader = db.long_reader().await.unwrap();
            reader.execute_batch("BEGIN").unwrap();
            assert!(meta::find(&reader, "first").unwrap().is_some());
            let held = began(&spool);
            write_much(&db, 1).await;
            assert_eq!(began(&spool), held, "the log is held");
            reader.execute_batch("ROLLBACK").unwrap();
        }
        write_much(&db, 2).await;

        drop(Arc::into_inner(db).expect("its writers have ended"));
        let chain = spool.chain().expect("the chain did not break");
        let key = BackupKey::generate();
        let origin = Link::origin(&key, "chain");
        let segments = (0..chain.next).map(|number| {
            let (sealed, _) = segment::seal(&key, origin, &spool.read(number).unwrap()).unwrap();
            segment::open(&key, "segment", &sealed, ("chain", number), None).unwrap()
        });
        let file = File::options().write(true).open(&again).unwrap();
        restore::apply(&file, &segments.collect::<Vec<_>>()).unwrap();
        assert!(fs::read(&path).unwrap() == fs::read(&again).unwrap(), "the segments make another database");
    }
}
