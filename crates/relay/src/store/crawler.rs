//! What crawlers said of this server.

use rusqlite::{Connection, Row, params};

use super::{StoreError, row};
use crate::crawlers::{Answer, HostStatus, Report};

/// Keeps what a crawler said, in place of what it said before.
pub(crate) fn set(conn: &Connection, report: &Report) -> Result<(), StoreError> {
    let (outcome, reason) = match &report.answer {
        Answer::Failed(reason) => ("failed", Some(reason)),
        Answer::Unsupported => ("unsupported", None),
        Answer::Unknown => ("unknown", None),
        Answer::Known { .. } => ("known", None),
    };
    let (mut state, mut numbers) = (None, [None; 5]);
    if let Answer::Known { status, seq, own_seq, unread, unread_since, accounts } = &report.answer {
        state = status.map(HostStatus::as_str);
        numbers = [*seq, Some(*own_seq), Some(*unread), *unread_since, *accounts];
    }
    let [seq, own_seq, unread, unread_since, accounts] = numbers;
    conn.prepare_cached(
        "INSERT OR REPLACE INTO crawler
         (host, asked_at, outcome, reason, status, seq, own_seq, unread, unread_since, accounts)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute(params![
        report.crawler,
        report.asked_at,
        outcome,
        reason,
        state,
        seq,
        own_seq,
        unread,
        unread_since,
        accounts
    ])?;
    Ok(())
}

/// Forgets all crawlers but these.
pub(crate) fn retain(conn: &Connection, hosts: &[String]) -> Result<(), StoreError> {
    for report in list(conn)? {
        if !hosts.contains(&report.crawler) {
            conn.prepare_cached("DELETE FROM crawler WHERE host = ?1")?.execute([report.crawler])?;
        }
    }
    Ok(())
}

/// Lists what each crawler said last, by host.
pub(crate) fn list(conn: &Connection) -> Result<Vec<Report>, StoreError> {
    let mut statement = conn.prepare_cached("SELECT * FROM crawler ORDER BY host")?;
    let mut rows = statement.query([])?;
    let mut reports = Vec::new();
    while let Some(row) = rows.next()? {
        reports.push(from_row(row)?);
    }
    Ok(reports)
}

fn from_row(row: &Row<'_>) -> Result<Report, StoreError> {
    let outcome: String = row.get("outcome")?;
    let answer = match outcome.as_str() {
        "failed" => Answer::Failed(row.get::<_, Option<String>>("reason")?.unwrap_or_default()),
        "unsupported" => Answer::Unsupported,
        "unknown" => Answer::Unknown,
        "known" => Answer::Known {
            status: row.get::<_, Option<String>>("status")?.as_deref().and_then(HostStatus::parse),
            seq: row.get("seq")?,
            own_seq: row.get("own_seq")?,
            unread: row.get("unread")?,
            unread_since: row.get("unread_since")?,
            accounts: row.get("accounts")?,
        },
        other => return Err(row::corrupt("crawler", "outcome", &format!("{other} is no outcome"))),
    };
    Ok(Report { crawler: row.get("host")?, asked_at: row.get("asked_at")?, answer })
}
