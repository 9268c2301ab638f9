//! The log: lines gather in memory, and a thread of its own writes them.
//!
//! Whoever reads the log slowly, or not at all, holds no request up, but loses lines once [`WAITING`] bytes of them wait; the log
//! says how many. A line that comes alone is written at once. Under load the thread rests after each write, so that hundreds of
//! lines cost one system call, and none of them has to wake the thread. A process that is killed loses the lines of one rest.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes that may wait to be written.
const WAITING: usize = 2 << 20;
/// Bytes that are kept of what was logged last, for whoever looks for help.
const KEPT: usize = 512 << 10;
/// How long the thread gathers lines after a write.
const REST: Duration = Duration::from_millis(10);
/// How long the end of the process waits for the last lines to be written.
const LAST_LINES: Duration = Duration::from_secs(1);
/// A buffer that a burst made larger is given back.
const SPARE: usize = 64 << 10;

/// Of the process, as standard error is.
static LOG: Log = Log::new();

/// What is logged.
#[derive(Debug)]
pub(crate) struct Log {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    waiting: Vec<u8>,
    /// Lines that found no room.
    lost: u64,
    recent: Recent,
    /// How many want the log to be written: when nobody does, the thread ends.
    users: usize,
    has_thread: bool,
    /// Whether the thread waits for a line, and not for its rest to end.
    is_idle: bool,
}

#[derive(Debug)]
struct Recent {
    bytes: VecDeque<u8>,
    /// Whether the first line is the rest of one.
    is_cut: bool,
}

impl Recent {
    fn keep(&mut self, line: &[u8]) {
        let line = &line[line.len().saturating_sub(KEPT)..];
        let excess = (self.bytes.len() + line.len()).saturating_sub(KEPT);
        self.is_cut |= excess > 0;
        self.bytes.drain(..excess);
        self.bytes.extend(line);
    }

    fn lines(&self) -> String {
        let (front, back) = self.bytes.as_slices();
        let bytes = [front, back].concat();
        let cut = if self.is_cut { bytes.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1) } else { 0 };
        String::from_utf8_lossy(&bytes[cut..]).into_owned()
    }
}

impl Log {
    const fn new() -> Self {
        let recent = Recent { bytes: VecDeque::new(), is_cut: false };
        let state = State { waiting: Vec::new(), lost: 0, recent, users: 0, has_thread: false, is_idle: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, line: &[u8]) {
        let mut state = self.lock();
        state.recent.keep(line);
        if state.waiting.len() + line.len() > WAITING {
            state.lost += 1;
            return;
        }
        state.waiting.extend_from_slice(line);
        if state.is_idle {
            state.is_idle = false;
            drop(state);
            self.changed.notify_all();
        }
    }

    /// Writes what comes, until nobody wants it any more.
    fn write_to(&self, out: &mut impl Write) {
        let mut lines = Vec::new();
        let mut state = self.lock();
        loop {
            while state.waiting.is_empty() && state.users > 0 {
                state.is_idle = true;
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            state.is_idle = false;
            if state.waiting.is_empty() {
                break;
            }
            std::mem::swap(&mut lines, &mut state.waiting);
            let lost = std::mem::take(&mut state.lost);
            drop(state);
            // With standard error closed there is nobody left to tell.
            let _ = out.write_all(&lines);
            if lost > 0 {
                let _ = writeln!(out, "{lost} lines of the log were lost here, since they were not read as fast as they came");
            }
            let _ = out.flush();
            lines.clear();
            lines.shrink_to(SPARE);
            let rest = self.changed.wait_timeout_while(self.lock(), REST, |state| state.users > 0);
            state = rest.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.has_thread = false;
        drop(state);
        self.changed.notify_all();
    }
}

impl Write for &Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.add(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Has the log written to standard error until it is dropped, which waits a moment for the last lines.
#[derive(Debug)]
pub(crate) struct Writing(&'static Log);

impl Drop for Writing {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.users -= 1;
        if state.users == 0 {
            self.0.changed.notify_all();
            drop(self.0.changed.wait_timeout_while(state, LAST_LINES, |state| state.has_thread));
        }
    }
}

/// Starts to write the log to standard error.
pub(crate) fn write() -> Writing {
    write_log(&LOG, io::stderr())
}

fn write_log(log: &'static Log, mut out: impl Write + Send + 'static) -> Writing {
    let mut state = log.lock();
    state.users += 1;
    if !state.has_thread {
        let thread = std::thread::Builder::new().name("log".into()).spawn(move || log.write_to(&mut out));
        // Without a thread nothing is written, but what is kept can still be asked for.
        state.has_thread = thread.is_ok();
    }
    Writing(log)
}

/// Returns where lines go.
pub(crate) fn lines() -> &'static Log {
    &LOG
}

/// Returns the last lines of the log.
pub(crate) fn recent() -> String {
    LOG.lock().recent.lines()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc;

    use super::*;

    /// Tells each write, and takes one only when it is let.
    struct Slow {
        told: mpsc::Sender<String>,
        let_go: Arc<Mutex<mpsc::Receiver<()>>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            drop(self.told.send(String::from_utf8_lossy(bytes).into_owned()));
            let _ = self.let_go.lock().unwrap().recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn log() -> &'static Log {
        Box::leak(Box::new(Log::new()))
    }

    #[test]
    fn the_newest_lines_are_kept() {
        let mut recent = Recent { bytes: VecDeque::new(), is_cut: false };
        recent.keep("the first line, with ä\n".as_bytes());
        assert_eq!(recent.lines(), "the first line, with ä\n");
        for number in 0..100_000 {
            recent.keep(format!("line {number}\n").as_bytes());
        }
        assert_eq!(recent.bytes.len(), KEPT);
        let lines = recent.lines();
        assert!(lines.starts_with("line ") && lines.ends_with("line 99999\n"), "{:?}", lines.lines().next());
        recent.keep(&vec![b'x'; 2 * KEPT]);
        assert_eq!(recent.bytes.len(), KEPT);
    }

    #[test]
    fn what_comes_during_a_write_is_written_with_the_next_and_the_end_waits_for_it() {
        let (told, writes) = mpsc::channel();
        let (let_go, gate) = mpsc::channel();
        let log = log();
        let writing = write_log(log, Slow { told, let_go: Arc::new(Mutex::new(gate)) });
        log.add(b"one\n");
        assert_eq!(writes.recv().unwrap(), "one\n", "a line that comes alone is written at once");
        log.add(b"two\n");
        log.add(b"three\n");
        let_go.send(()).unwrap();
        let_go.send(()).unwrap();
        drop(writing);
        assert_eq!(writes.try_recv().unwrap(), "two\nthree\n", "dropping waited");
        assert!(!log.lock().has_thread);
    }

    #[test]
    fn lines_that_nobody_reads_are_lost_and_counted() {
        let (told, writes) = mpsc::channel();
        let (let_go, gate) = mpsc::channel();
        let log = log();
        let writing = write_log(log, Slow { told, let_go: Arc::new(Mutex::new(gate)) });
        log.add(b"first\n");
        assert_eq!(writes.recv().unwrap(), "first\n");
        let line = [b'x'; 1 << 10];
        for _ in 0..(WAITING >> 10) + 7 {
            log.add(&line);
        }
        assert_eq!(log.lock().waiting.len(), WAITING);
        drop(let_go);
        drop(writing);
        let rest: String = writes.try_iter().collect();
        assert!(rest.len() > WAITING && rest.ends_with('\n'));
        let told = rest.trim_start_matches('x');
        assert!(told.starts_with("7 lines of the log were lost"), "{told}");
    }
}
