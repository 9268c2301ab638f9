//! The stored events: whether each can be read, whether those of a repo form a chain, and whether it ends at the head.

use std::collections::HashMap;

use common::cbor::{self, Reader};
use common::{Cid, Codec, Did, Tid, Value};
use repo_engine::{Commit, car};
use rusqlite::{Connection, OptionalExtension as _};

use super::finding::Kind;
use super::{Phase, Run};
use crate::store::event::{self, Event};
use crate::store::{AccountId, StoreError, account, row};

/// Bytes of events that are read at a time.
const PAGE_BYTES: usize = 1 << 20;
/// Events that are looked at, the newest ones, where time may not suffice for all.
const SAMPLE: i64 = 100_000;

/// Findings of one account's events that are kept, beyond which they tell nothing new.
const EACH: usize = 10;

/// What the events told so far.
#[derive(Default)]
struct Story {
    told: HashMap<AccountId, Told>,
    /// What is wrong with an account's events since its last `#sync`, at which consumers begin anew.
    wrong: HashMap<AccountId, Vec<(Kind, String)>>,
}

/// What the last event of a repo said.
#[derive(Debug)]
struct Told {
    did: Did,
    rev: Tid,
    data: Cid,
}

/// An event of which a chain is made.
#[derive(Debug)]
struct Link {
    did: Did,
    rev: Tid,
    data: Cid,
    /// Of a `#commit`: what it says about the commit before. A `#sync` begins anew.
    before: Option<(Option<Tid>, Option<Cid>)>,
}

pub(super) fn check(run: &mut Run<'_>) {
    if let Err(err) = chains(run) {
        run.unreadable(None, "The stored events", &err);
    }
}

fn chains(run: &mut Run<'_>) -> Result<(), StoreError> {
    let only = match &run.options.account {
        None => None,
        Some(did) => {
            let sql = "SELECT id FROM account WHERE did = ?1";
            let id = run.conn.query_row(sql, [did.as_str()], |row| row.get(0)).optional()?;
            Some(id.map_or(AccountId(0), AccountId))
        }
    };
    let count: i64 = run.conn.query_row("SELECT count(*) FROM event", [], |row| row.get(0))?;
    let skipped = if run.options.budget.is_some() { (count - SAMPLE).max(0) } else { 0 };
    run.report.complete &= skipped == 0;
    run.begin(Phase::Events, (count - skipped) as u64);
    let mut cursor = 0;
    if skipped > 0 {
        let sql = "SELECT seq FROM event ORDER BY seq LIMIT 1 OFFSET ?1";
        cursor = run.conn.query_row(sql, [skipped - 1], |row| row.get(0))?;
    }
    let mut story = Story::default();
    let conn = run.conn;
    loop {
        if run.is_over() {
            return Ok(());
        }
        if !page(run, conn, &mut cursor, only, &mut story)? {
            break;
        }
    }
    // What came meanwhile, and the heads, of one moment.
    let tx = conn.unchecked_transaction()?;
    while page(run, &tx, &mut cursor, only, &mut story)? {}
    for (account, wrong) in story.wrong {
        let did = account::find(&tx, account)?.map(|account| account.did);
        for (kind, sentence) in wrong {
            run.find(kind, did.as_ref(), sentence);
        }
    }
    heads(run, &tx, &story.told)
}

/// Looks at the next events; `false` when there are none.
fn page(
    run: &mut Run<'_>,
    conn: &Connection,
    cursor: &mut i64,
    only: Option<AccountId>,
    story: &mut Story,
) -> Result<bool, StoreError> {
    let events = event::list_after(conn, *cursor, i64::MAX, PAGE_BYTES)?;
    let Some(last) = events.last() else { return Ok(false) };
    *cursor = last.seq;
    run.advance(Phase::Events, events.len() as u64);
    let mut bytes = 0;
    for event in events.iter().filter(|event| only.is_none_or(|only| only == event.account)) {
        bytes += event.frame.len() as u64;
        one(event, story);
    }
    run.read(bytes);
    Ok(true)
}

fn one(event: &Event, story: &mut Story) {
    let mut wrong = |kind, sentence| {
        let wrong = story.wrong.entry(event.account).or_default();
        if wrong.len() < EACH {
            wrong.push((kind, sentence));
        }
    };
    let link = match read(event) {
        Ok(Some(link)) => link,
        Ok(None) => return,
        Err(why) => return wrong(Kind::EventDamaged, format!("The event {} is damaged: {why}.", event.seq)),
    };
    match (link.before, story.told.get(&event.account)) {
        (Some((since, prev_data)), Some(last)) => {
            if since != Some(last.rev) || prev_data != Some(last.data) || link.rev <= last.rev {
                let sentence = format!(
                    "The commit {} of event {} does not follow on {}, which the event before it told.",
                    link.rev, event.seq, last.rev
                );
                wrong(Kind::EventChain, sentence);
            }
        }
        (Some(_), None) => {}
        (None, _) => drop(story.wrong.remove(&event.account)),
    }
    story.told.insert(event.account, Told { did: link.did, rev: link.rev, data: link.data });
}

/// Reads an event; `None` when it is not about a repo.
fn read(event: &Event) -> Result<Option<Link>, String> {
    let malformed = |err: cbor::Error| err.to_string();
    let mut reader = Reader::new(&event.frame);
    let mut header = reader.map().map_err(malformed)?;
    let kind = match header.key(&mut reader).map_err(malformed)? {
        Some("t") => reader.text().map_err(malformed)?,
        _ => return Err("its header has no type".to_owned()),
    };
    match header.key(&mut reader).map_err(malformed)? {
        Some("op") => reader.integer().map_err(malformed)?,
        _ => return Err("its header has no op".to_owned()),
    };
    let body = cbor::decode(reader.rest()).map_err(malformed)?;
    if body.get("seq").and_then(Value::as_integer) != Some(event.seq) {
        return Err("it carries another seq".to_owned());
    }
    let whose = match kind {
        "#commit" => "repo",
        "#sync" => "did",
        _ => return Ok(None),
    };
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let did = text(whose).and_then(|did| did.parse().ok()).ok_or("it names no DID")?;
    let rev = text("rev").and_then(|rev| rev.parse().ok()).ok_or("it has no rev")?;
    let Some(Value::Bytes(blocks)) = body.get("blocks") else { return Err("it has no blocks".to_owned()) };
    let (roots, blocks) = car::read_all(blocks).map_err(|err| format!("its blocks are damaged: {err}"))?;
    let commit = roots.first().and_then(|root| blocks.iter().find(|block| block.cid == *root));
    let commit = Commit::decode(&commit.ok_or("its commit is missing")?.bytes).map_err(|err| err.to_string())?;
    if (&commit.did, commit.rev) != (&did, rev) {
        return Err("its commit is another one than it says".to_owned());
    }
    let since = text("since").and_then(|since| since.parse().ok());
    let before = (kind == "#commit").then(|| (since, body.get("prevData").and_then(Value::as_link)));
    Ok(Some(Link { did, rev, data: commit.data, before }))
}

/// Compares the heads of active accounts with what was told of them last. Of one whose events were all pruned nothing is known.
fn heads(run: &mut Run<'_>, conn: &Connection, told: &HashMap<AccountId, Told>) -> Result<(), StoreError> {
    let sql = "SELECT repo.account, rev, data FROM repo JOIN account ON account.id = repo.account
       WHERE takedown_ref IS NULL AND suspended_at IS NULL AND deactivated_at IS NULL";
    let mut statement = conn.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let Some(last) = told.get(&AccountId(row.get(0)?)) else { continue };
        let (rev, data) = (row::rev(row, "repo", "rev")?, row::cid(row, "repo", "data", Codec::DagCbor)?);
        if (last.rev, last.data) != (rev, data) {
            let sentence = format!("The repo is at {rev}, but the last event that the network got of it said {}.", last.rev);
            run.find(Kind::EventHead, Some(&last.did), sentence);
        }
    }
    Ok(())
}
