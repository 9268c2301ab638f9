//! What the database tells without what is in it.

use std::fmt::Write as _;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rusqlite::Connection;

/// How long counting may take, of all tables.
const PATIENCE: Duration = Duration::from_secs(10);
/// Codes and addresses that are looked for in texts.
const WORDS: usize = 20_000;

/// Writes the schema, and how many rows each table has.
pub(crate) fn describe(conn: &Connection) -> rusqlite::Result<String> {
    let mut text = String::new();
    for pragma in ["user_version", "page_size", "page_count", "freelist_count", "journal_mode", "auto_vacuum", "encoding"] {
        let value: rusqlite::types::Value = conn.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0))?;
        writeln!(text, "{pragma}: {}", shown(&value)).expect("a String takes all text");
    }
    text.push_str("\nRows:\n");
    let mut tables = conn.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")?;
    let tables: Vec<String> = tables.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let (done, is_done) = mpsc::channel::<()>();
    let interrupt = conn.get_interrupt_handle();
    let watch = std::thread::spawn(move || {
        if is_done.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
            interrupt.interrupt();
        }
    });
    let until = Instant::now() + PATIENCE;
    for table in tables {
        let count = || conn.query_row(&format!("SELECT count(*) FROM \"{table}\""), [], |row| row.get::<_, i64>(0)).ok();
        let count = if Instant::now() < until { count() } else { None };
        let count = count.map_or_else(|| "more than can be counted soon".to_owned(), |count| count.to_string());
        writeln!(text, "{table}: {count}").expect("a String takes all text");
    }
    drop(done);
    drop(watch.join());
    text.push_str("\nSchema:\n");
    let mut schema = conn.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")?;
    let mut rows = schema.query([])?;
    while let Some(row) = rows.next()? {
        writeln!(text, "{};", row.get::<_, String>(0)?).expect("a String takes all text");
    }
    Ok(text)
}

fn shown(value: &rusqlite::types::Value) -> String {
    match value {
        rusqlite::types::Value::Integer(number) => number.to_string(),
        rusqlite::types::Value::Text(text) => text.clone(),
        rusqlite::types::Value::Null | rusqlite::types::Value::Real(_) | rusqlite::types::Value::Blob(_) => "-".to_owned(),
    }
}

/// Returns invite codes and mail addresses, to be removed wherever they stand.
pub(crate) fn private_words(conn: &Connection) -> rusqlite::Result<Vec<String>> {
    let sql = format!("SELECT code FROM invite_code UNION ALL SELECT email FROM account WHERE email IS NOT NULL LIMIT {WORDS}");
    let mut words = conn.prepare(&sql)?;
    let words = words.query_map([], |row| row.get(0))?;
    words.collect()
}
