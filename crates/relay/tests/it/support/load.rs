//! A client that writes at random and keeps account of what it asked for and what it was told.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{Dice, Reply, User};

/// Takes any record key, and has no schema.
pub(crate) const NOTE: &str = "com.example.note";
const POST: &str = "app.bsky.feed.post";

/// What was asked of a server, and what it acknowledged.
#[derive(Default)]
pub(crate) struct Ledger {
    /// The text of every record that a request carried. No two are the same.
    pub(crate) asked: HashSet<String>,
    pub(crate) acknowledged: Vec<Acknowledged>,
}

/// A write that was answered with 200.
#[derive(Debug)]
pub(crate) struct Acknowledged {
    pub(crate) did: String,
    pub(crate) commit: String,
    pub(crate) rev: String,
    /// As in `create app.bsky.feed.post/... bafyrei...`, sorted.
    pub(crate) ops: Vec<String>,
}

/// A client of one account.
pub(crate) struct Load {
    user: User,
    name: String,
    dice: Dice,
    /// Record keys of this client alone that hold a record for sure.
    here: Vec<String>,
    made: usize,
    pub(crate) ledger: Ledger,
}

/// A request, and what it does when it succeeds.
pub(crate) struct Step {
    pub(crate) nsid: &'static str,
    pub(crate) body: Value,
    /// Action and path, but for a path that the server chooses.
    ops: Vec<(&'static str, Option<String>)>,
    /// What [`Load::here`] gets by it.
    leaves: Vec<String>,
    /// The texts of its records.
    texts: Vec<String>,
}

impl Ledger {
    pub(crate) fn merge(&mut self, other: Self) {
        self.asked.extend(other.asked);
        self.acknowledged.extend(other.acknowledged);
    }
}

impl Load {
    /// A client that calls itself `name`, which no other does.
    pub(crate) fn new(user: &User, name: impl Into<String>, dice: Dice) -> Self {
        Self { user: user.clone(), name: name.into(), dice, here: Vec::new(), made: 0, ledger: Ledger::default() }
    }

    /// Picks what to do next. A record that the step touches is not touched again unless [`Load::done`] says that it is there.
    pub(crate) fn pick(&mut self) -> Step {
        let did = self.user.did.clone();
        match self.dice.below(10) {
            0..=3 => {
                let (text, record) = self.record(POST);
                let body = json!({ "repo": did, "collection": POST, "record": record });
                Step {
                    nsid: "com.atproto.repo.createRecord",
                    body,
                    ops: vec![("create", None)],
                    leaves: Vec::new(),
                    texts: vec![text],
                }
            }
            4 if !self.here.is_empty() => {
                let rkey = self.dice.take(&mut self.here);
                let path = format!("{NOTE}/{rkey}");
                let body = json!({ "repo": did, "collection": NOTE, "rkey": rkey });
                let ops = vec![("delete", Some(path))];
                Step { nsid: "com.atproto.repo.deleteRecord", body, ops, leaves: Vec::new(), texts: Vec::new() }
            }
            5..=7 => {
                let (action, rkey) = self.new_or_known();
                let path = format!("{NOTE}/{rkey}");
                let (text, record) = self.record(NOTE);
                let (ops, leaves) = (vec![(action, Some(path))], vec![rkey.clone()]);
                let body = json!({ "repo": did, "collection": NOTE, "rkey": rkey, "record": record });
                Step { nsid: "com.atproto.repo.putRecord", body, ops, leaves, texts: vec![text] }
            }
            _ => self.pick_batch(&did),
        }
    }

    fn pick_batch(&mut self, did: &str) -> Step {
        let (mut writes, mut ops, mut leaves, mut texts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for _ in 0..=self.dice.below(6) {
            let (mut action, rkey) = self.new_or_known();
            if action == "update" && self.dice.below(3) == 0 {
                action = "delete";
            }
            let mut write =
                json!({ "$type": format!("com.atproto.repo.applyWrites#{action}"), "collection": NOTE, "rkey": rkey });
            if action != "delete" {
                let (text, record) = self.record(NOTE);
                write["value"] = record;
                texts.push(text);
                leaves.push(rkey.clone());
            }
            ops.push((action, Some(format!("{NOTE}/{rkey}"))));
            writes.push(write);
        }
        let body = json!({ "repo": did, "writes": writes });
        Step { nsid: "com.atproto.repo.applyWrites", body, ops, leaves, texts }
    }

    /// Returns a record key with what a write to it is: half of the time one that holds a record.
    fn new_or_known(&mut self) -> (&'static str, String) {
        if !self.here.is_empty() && self.dice.below(2) == 0 {
            return ("update", self.dice.take(&mut self.here));
        }
        self.made += 1;
        ("create", format!("{}-{}", self.name, self.made))
    }

    /// Returns a record and its text.
    fn record(&mut self, collection: &str) -> (String, Value) {
        self.made += 1;
        let text = format!("{} wrote {}", self.name, self.made);
        self.ledger.asked.insert(text.clone());
        let record = json!({ "$type": collection, "text": text, "createdAt": "2026-01-01T00:00:00.000Z" });
        (text, record)
    }

    /// Notes that a step was acknowledged.
    pub(crate) fn done(&mut self, step: Step, reply: &Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let results: Vec<&Value> = match reply["results"].as_array() {
            Some(results) => results.iter().collect(),
            None => vec![reply],
        };
        let op = |((action, path), result): (&(&str, Option<String>), &&Value)| {
            let in_uri = || text(&result["uri"]).splitn(4, '/').nth(3).unwrap().to_owned();
            format!("{action} {} {}", path.clone().unwrap_or_else(in_uri), text(&result["cid"]))
        };
        assert_eq!(results.len(), step.ops.len());
        let mut ops: Vec<String> = step.ops.iter().zip(&results).map(op).collect();
        ops.sort_unstable();
        let commit = &reply["commit"];
        self.ledger.acknowledged.push(Acknowledged {
            did: self.user.did.clone(),
            commit: text(&commit["cid"]),
            rev: text(&commit["rev"]),
            ops,
        });
        self.here.extend(step.leaves);
    }

    /// Makes one write. Its fate is unknown after an error; after a status other than 200 it must not have happened.
    pub(crate) async fn write(&mut self) -> Result<Reply, reqwest::Error> {
        let step = self.pick();
        let reply = self.user.try_post(step.nsid, &step.body).await?;
        if reply.status == 200 {
            self.done(step, &reply.json());
        } else {
            for text in &step.texts {
                self.ledger.asked.remove(text);
            }
        }
        Ok(reply)
    }

    /// Makes `count` writes, which all must succeed.
    pub(crate) async fn write_many(&mut self, count: usize) {
        for _ in 0..count {
            self.write().await.unwrap().good();
        }
    }
}
