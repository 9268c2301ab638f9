//! SQLite's own view of its file.

use std::sync::mpsc;
use std::time::Duration;

use super::finding::Kind;
use super::{DatabaseCheck, Phase, Run};
use crate::error::with_causes;
use crate::store::StoreError;

/// Lines of SQLite's complaint that are reported.
const MAX_COMPLAINTS: usize = 20;
/// How often it is looked whether the time is over.
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(super) fn check(run: &mut Run<'_>) {
    run.begin(Phase::Database, 2);
    let (is_over, statement) = (run.pace.watch(), run.conn.get_interrupt_handle());
    let (done, waiting) = mpsc::channel::<()>();
    std::thread::scope(|threads| {
        // One statement looks at the whole file, so someone else has to see that the time is over.
        threads.spawn(move || {
            while waiting.recv_timeout(LOOK_EVERY) == Err(mpsc::RecvTimeoutError::Timeout) {
                if is_over() {
                    statement.interrupt();
                }
            }
        });
        pages(run);
        run.advance(Phase::Database, 1);
        references(run);
        run.advance(Phase::Database, 1);
        drop(done);
    });
}

fn pages(run: &mut Run<'_>) {
    let sql = match run.options.database {
        DatabaseCheck::Quick => "PRAGMA quick_check(20)",
        DatabaseCheck::Full => "PRAGMA integrity_check(20)",
    };
    let complaints = run.conn.prepare(sql).and_then(|mut statement| {
        let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
        rows.collect::<Result<Vec<_>, _>>()
    });
    match complaints {
        Ok(lines) => {
            for line in lines.iter().filter(|line| *line != "ok").take(MAX_COMPLAINTS) {
                run.find(Kind::DatabaseDamaged, None, format!("SQLite found its file damaged: {line}."));
            }
        }
        Err(err) => failed(run, "SQLite's check of its file", err),
    }
}

fn references(run: &mut Run<'_>) {
    let dangling = run.conn.prepare("PRAGMA foreign_key_check").and_then(|mut statement| {
        let rows =
            statement.query_map([], |row| Ok(format!("{} of {}", row.get::<_, String>(0)?, row.get::<_, String>(2)?)))?;
        rows.take(MAX_COMPLAINTS).collect::<Result<Vec<_>, _>>()
    });
    match dangling {
        Ok(rows) => {
            for row in rows {
                run.find(Kind::DatabaseReference, None, format!("A row refers to one that is not there: {row}."));
            }
        }
        Err(err) => failed(run, "SQLite's check of references", err),
    }
}

fn failed(run: &mut Run<'_>, what: &str, err: rusqlite::Error) {
    if run.is_over() {
        return;
    }
    let err = StoreError::from(err);
    run.find(Kind::DatabaseDamaged, None, format!("{what} failed: {}.", with_causes(&err)));
}
