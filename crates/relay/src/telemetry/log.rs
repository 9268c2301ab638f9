//! The last lines of the log, for whoever looks for help.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use tracing_appender::non_blocking::NonBlocking;
use tracing_subscriber::fmt::MakeWriter;

/// Bytes that are kept.
const KEPT: usize = 512 << 10;

/// Of the process, as its log is.
static RECENT: Mutex<Recent> = Mutex::new(Recent { lines: VecDeque::new(), bytes: 0 });

struct Recent {
    lines: VecDeque<Box<[u8]>>,
    bytes: usize,
}

impl Recent {
    fn keep(&mut self, line: &[u8]) {
        let line = &line[..line.len().min(KEPT)];
        self.bytes += line.len();
        self.lines.push_back(line.into());
        while self.bytes > KEPT
            && let Some(oldest) = self.lines.pop_front()
        {
            self.bytes -= oldest.len();
        }
    }
}

/// Writes the log, and keeps what was written last.
#[derive(Clone, Debug)]
pub(crate) struct Keep(pub(crate) NonBlocking);

impl Write for Keep {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        RECENT.lock().unwrap_or_else(PoisonError::into_inner).keep(line);
        self.0.write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<'a> MakeWriter<'a> for Keep {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Returns the last lines of the log.
pub(crate) fn recent() -> String {
    let recent = RECENT.lock().unwrap_or_else(PoisonError::into_inner);
    recent.lines.iter().map(|line| String::from_utf8_lossy(line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_lines_are_kept() {
        let mut recent = Recent { lines: VecDeque::new(), bytes: 0 };
        for number in 0..100_000 {
            recent.keep(format!("line {number}\n").as_bytes());
        }
        assert!(recent.bytes <= KEPT && recent.bytes > KEPT - 20);
        assert_eq!(recent.bytes, recent.lines.iter().map(|line| line.len()).sum::<usize>());
        assert_eq!(&**recent.lines.back().unwrap(), b"line 99999\n");
        recent.keep(&vec![b'x'; 2 * KEPT]);
        assert_eq!((recent.lines.len(), recent.bytes), (1, KEPT));
    }
}
