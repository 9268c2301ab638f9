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
    run.begin(Phase::Database, 3);
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
        numbers(run);
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

/// Looks for repos that are neither an account's nor on the list of those to be swept, by seeking from each to the next.
fn numbers(run: &mut Run<'_>) {
    for table in ["record", "node", "backlink", "blob_ref"] {
        let sql = format!(
            "WITH RECURSIVE stored (number) AS (
               SELECT min(repo) FROM {table}
               UNION ALL SELECT (SELECT min(repo) FROM {table} WHERE repo > number) FROM stored WHERE number IS NOT NULL)
             SELECT number FROM stored WHERE number IS NOT NULL
               AND NOT EXISTS (SELECT 1 FROM account WHERE repo = number)
               AND NOT EXISTS (SELECT 1 FROM unused_repo AS unused WHERE unused.number = stored.number) LIMIT ?1"
        );
        let unowned = run.conn.prepare(&sql).and_then(|mut statement| {
            let rows = statement.query_map([MAX_COMPLAINTS as i64], |row| row.get::<_, i64>(0))?;
            rows.collect::<Result<Vec<_>, _>>()
        });
        match unowned {
            Ok(numbers) => {
                for number in numbers {
                    let sentence = format!("Rows of `{table}` are stored as repo {number}, which no account has.");
                    run.find(Kind::RepoUnowned, None, sentence);
                }
            }
            Err(err) => return failed(run, "The look for repos without an account", err),
        }
    }
}

fn failed(run: &mut Run<'_>, what: &str, err: rusqlite::Error) {
    if run.is_over() {
        return;
    }
    let err = StoreError::from(err);
    run.find(Kind::DatabaseDamaged, None, format!("{what} failed: {}.", with_causes(&err)));
}
