//! Makes much durable without keeping those waiting who make a little durable.
//!
//! A commit is some kilobytes and a sync. But a disk does what it is given in order, and says of nothing that it is durable before
//! all is that was handed in earlier, whosever it is: beside 16 MB of another file, a sync of 0.2 ms takes 5. So what is much goes
//! to the disk in pieces, one at a time from the whole server, and others have theirs in between.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What goes to the disk at a time, in bytes.
pub(crate) const PIECE: u64 = 256 << 10;

/// A file that is longer than so many pieces goes in longer ones, since each takes a system call, though nothing of it changed.
const MOST_PIECES: u64 = 1 << 16;

/// After a piece that took longer, the disk is left to others for [`RESTS`] times as long. What is shorter found nothing to write.
const SHORT: Duration = Duration::from_micros(50);
const RESTS: u32 = 3;

/// Whose piece is on its way.
static TURN: Mutex<()> = Mutex::new(());

fn in_turn<T>(work: impl FnOnce() -> T) -> T {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    work()
}

/// Hands a part of a file to the disk, and waits until it has it. Then [`sync`] has little left to do; where this cannot be done, it
/// does all of it.
///
/// # Errors
///
/// Those of the disk. They must not be passed over: the system tells of each once, and the sync would say that all is well.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "no safe library has this call of the system")]
pub(crate) fn write_out(file: &File, part: Range<u64>) -> io::Result<()> {
    use std::ffi::{c_int, c_uint};
    use std::os::fd::AsRawFd as _;

    // SAFETY: numbers go in and out, and what they name is a file that stays open.
    unsafe extern "C" {
        safe fn sync_file_range(file: c_int, offset: i64, bytes: i64, flags: c_uint) -> c_int;
    }
    /// Waits for what was on its way before, hands in what is there, and waits for that.
    const ALL: c_uint = 1 | 2 | 4;
    let number = |n: u64| i64::try_from(n).map_err(io::Error::other);
    let (offset, bytes) = (number(part.start)?, number(part.end - part.start)?);
    let result = in_turn(|| match sync_file_range(file.as_raw_fd(), offset, bytes, ALL) {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    });
    match result {
        Err(err) if is_not_there(&err) => Ok(()),
        result => result,
    }
}

/// As there is no such call here, [`sync`] does all of it.
#[cfg(not(target_os = "linux"))]
pub(crate) fn write_out(_: &File, _: Range<u64>) -> io::Result<()> {
    Ok(())
}

/// Whether the call is none that the system, the file system or a sandbox knows or allows.
#[cfg(target_os = "linux")]
fn is_not_there(err: &io::Error) -> bool {
    use rustix::io::Errno;
    Errno::from_io_error(err).is_some_and(|errno| [Errno::NOSYS, Errno::PERM, Errno::INVAL, Errno::SPIPE].contains(&errno))
}

/// Makes the content of a file durable.
pub(crate) fn sync(file: &File) -> io::Result<()> {
    in_turn(|| file.sync_data())
}

/// Makes the content of a file durable at leisure, with rests for others; from when `in_a_hurry` says so, at once.
pub(crate) fn sync_at_leisure(file: &File, in_a_hurry: impl Fn() -> bool) -> io::Result<()> {
    for piece in pieces(file.metadata()?.len()) {
        if in_a_hurry() {
            break;
        }
        let begun = Instant::now();
        write_out(file, piece)?;
        let took = begun.elapsed();
        if took > SHORT {
            std::thread::sleep(took * RESTS);
        }
    }
    sync(file)
}

/// Divides so many bytes.
fn pieces(bytes: u64) -> impl Iterator<Item = Range<u64>> {
    let piece = PIECE.max(bytes.div_ceil(MOST_PIECES));
    (0..bytes.div_ceil(piece)).map(move |n| n * piece..bytes.min((n + 1) * piece))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::*;

    #[test]
    fn all_of_a_file_is_in_one_of_its_pieces() {
        assert_eq!(pieces(0).count(), 0);
        assert_eq!(pieces(PIECE + 1).collect::<Vec<_>>(), [0..PIECE, PIECE..PIECE + 1]);
        for bytes in [1, PIECE, 100 * PIECE, (100 << 30) + 7, 1 << 50] {
            let mut end = 0;
            for piece in pieces(bytes) {
                assert_eq!(piece.start, end);
                end = piece.end;
            }
            assert_eq!(end, bytes);
            assert!(pieces(bytes).count() as u64 <= MOST_PIECES);
        }
    }

    /// An error that was told here is not told by the sync any more.
    #[cfg(target_os = "linux")]
    #[test]
    fn what_the_disk_could_not_do_is_told() {
        use rustix::io::Errno;
        assert!(!is_not_there(&Errno::IO.into()) && !is_not_there(&Errno::NOSPC.into()) && is_not_there(&Errno::NOSYS.into()));
        // One that cannot be handed in by parts.
        let (pipe, _writer) = io::pipe().unwrap();
        let pipe = File::from(std::os::fd::OwnedFd::from(pipe));
        write_out(&pipe, 0..PIECE).unwrap();
        assert!(write_out(&pipe, 0..u64::MAX).is_err());
    }

    #[test]
    fn leisure_ends_when_there_is_a_hurry() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![1; 10 * PIECE as usize]).unwrap();
        let asked = AtomicUsize::new(0);
        let after = |pieces: usize| {
            asked.store(0, Relaxed);
            sync_at_leisure(&file, || asked.fetch_add(1, Relaxed) == pieces).unwrap();
            asked.load(Relaxed)
        };
        assert_eq!((after(usize::MAX), after(3), after(0)), (10, 4, 1));
    }
}
