//! Telling the operator that something broke, or is well again.
//!
//! Whoever notices a condition reports it with [`Notices::failing`] and [`Notices::well`], as often as it likes: only a change
//! is told. A change goes to every channel of the section `[notices]`, and to the log.
//!
//! # Tricky bits
//!
//! - A channel compares what holds with what it told last. So a condition that comes and goes while a channel is down is not
//!   told at all, what waits is bounded by the number of topics, and what was told is remembered over a restart (`meta`).
//! - What could not be stored (a full disk is what many notices are about) is told all the same.

mod channel;
mod deliver;
mod ping;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

pub(crate) use deliver::start;

/// What a notice is about. Each topic is well or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Topic {
    /// Backups are made.
    Backup,
    /// The newest backup can be restored.
    Drill,
    /// What is stored is sound.
    Verify,
    /// There is room on the disk.
    Disk,
    /// Writes become durable.
    Writes,
    /// A background task does its work.
    Task(&'static str),
    /// A crawler can be told of this server, and follows it.
    Crawler(String),
}

impl Topic {
    /// Returns the stable name, which alert rules and webhooks go by.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Backup => "backup".to_owned(),
            Self::Drill => "drill".to_owned(),
            Self::Verify => "verify".to_owned(),
            Self::Disk => "disk".to_owned(),
            Self::Writes => "writes".to_owned(),
            Self::Task(name) => format!("task:{name}"),
            Self::Crawler(host) => format!("crawler:{host}"),
        }
    }

    /// Whether data is in danger: then the dead man's switch is not held down either.
    fn is_grave(&self) -> bool {
        match self {
            Self::Backup | Self::Drill | Self::Verify | Self::Disk | Self::Writes => true,
            Self::Task(_) | Self::Crawler(_) => false,
        }
    }

    /// Says in a few words what is well when it is.
    fn when_well(&self) -> String {
        match self {
            Self::Backup => "Backups work again".to_owned(),
            Self::Drill => "The newest backup can be restored again".to_owned(),
            Self::Verify => "What is stored is sound again".to_owned(),
            Self::Disk => "There is room on the disk again".to_owned(),
            Self::Writes => "Writes work again".to_owned(),
            Self::Task(name) => format!("The task \"{name}\" works again"),
            Self::Crawler(host) => format!("The crawler {host} is reached again"),
        }
    }
}

/// Something that is not well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Problem {
    /// The topic's name.
    pub(crate) topic: String,
    /// Since when, in milliseconds since the epoch.
    pub(crate) since_millis: i64,
    /// What is wrong, as a sentence.
    pub(crate) problem: String,
    /// What to do, as a sentence.
    pub(crate) remedy: String,
}

/// What a channel is told.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Notice {
    Failing(Problem),
    Well { topic: String, sentence: String },
}

impl Notice {
    fn topic(&self) -> &str {
        match self {
            Self::Failing(problem) => &problem.topic,
            Self::Well { topic, .. } => topic,
        }
    }

    fn is_failing(&self) -> bool {
        matches!(self, Self::Failing(_))
    }

    /// One line.
    fn headline(&self) -> String {
        match self {
            Self::Failing(problem) => problem.problem.clone(),
            Self::Well { sentence, .. } => format!("{sentence}."),
        }
    }

    fn remedy(&self) -> Option<&str> {
        match self {
            Self::Failing(problem) => Some(&problem.remedy),
            Self::Well { .. } => None,
        }
    }
}

#[derive(Debug)]
struct Known {
    is_grave: bool,
    when_well: String,
    problem: Option<Problem>,
}

/// What is well and what is not.
#[derive(Debug)]
pub(crate) struct Notices {
    known: Mutex<BTreeMap<String, Known>>,
    changes: watch::Sender<u64>,
    clock: std::sync::Arc<dyn common::Clock>,
}

impl Notices {
    pub(crate) fn new(clock: std::sync::Arc<dyn common::Clock>) -> Self {
        Self { known: Mutex::default(), changes: watch::channel(0).0, clock }
    }

    /// Says that `topic` is not well: what is wrong and what to do, each a sentence for the operator.
    pub(crate) fn failing(&self, topic: &Topic, problem: impl Into<String>, remedy: impl Into<String>) {
        let name = topic.name();
        let problem =
            Problem { topic: name.clone(), since_millis: self.clock.millis(), problem: problem.into(), remedy: remedy.into() };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = known.entry(name).or_insert_with(|| Known {
            is_grave: topic.is_grave(),
            when_well: topic.when_well(),
            problem: None,
        });
        if let Some(held) = &mut entry.problem {
            // The newest words for whoever looks; it was told already.
            held.problem = problem.problem;
            held.remedy = problem.remedy;
            return;
        }
        tracing::error!(topic = problem.topic, problem = problem.problem, remedy = problem.remedy, "not well");
        entry.problem = Some(problem);
        drop(known);
        self.changes.send_modify(|count| *count += 1);
    }

    /// Says that `topic` is well.
    pub(crate) fn well(&self, topic: &Topic) {
        let name = topic.name();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = !known.contains_key(&name);
        let entry = known.entry(name).or_insert_with(|| Known {
            is_grave: topic.is_grave(),
            when_well: topic.when_well(),
            problem: None,
        });
        if let Some(problem) = entry.problem.take() {
            tracing::info!(topic = problem.topic, "well again");
        } else if !is_new {
            return;
        }
        drop(known);
        // Also when it is heard of first: a channel may have told of its failure before the restart.
        self.changes.send_modify(|count| *count += 1);
    }

    /// Returns what is not well, by topic.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.values().filter_map(|known| known.problem.clone()).collect()
    }

    /// Whether something is not well that puts data in danger.
    pub(crate) fn is_grave(&self) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.values().any(|known| known.is_grave && known.problem.is_some())
    }

    /// Returns what a channel that told `told` last has to tell: the topics whose state is another now.
    fn untold(&self, told: &BTreeMap<String, bool>) -> Vec<Notice> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = known.iter().filter_map(|(topic, known)| {
            let told_failing = told.get(topic).copied().unwrap_or(false);
            match &known.problem {
                Some(problem) if !told_failing => Some(Notice::Failing(problem.clone())),
                None if told_failing => Some(Notice::Well { topic: topic.clone(), sentence: known.when_well.clone() }),
                Some(_) | None => None,
            }
        });
        changed.collect()
    }

    fn watch(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::SystemClock;

    #[test]
    fn only_a_change_is_told() {
        let notices = Notices::new(Arc::new(SystemClock::default()));
        let mut told = BTreeMap::new();
        notices.well(&Topic::Backup);
        assert_eq!(notices.untold(&told), []);
        notices.failing(&Topic::Backup, "The backup failed.", "Look at the log.");
        notices.failing(&Topic::Backup, "The backup failed again.", "Look at the log.");
        let untold = notices.untold(&told);
        assert_eq!(untold.len(), 1);
        assert_eq!(untold[0].headline(), "The backup failed again.");
        assert!(notices.is_grave());
        told.insert("backup".to_owned(), true);
        assert_eq!(notices.untold(&told), []);
        notices.well(&Topic::Backup);
        assert_eq!(notices.untold(&told)[0].headline(), "Backups work again.");
        assert!(notices.problems().is_empty() && !notices.is_grave());
    }

    #[test]
    fn what_came_and_went_unseen_is_not_told() {
        let notices = Notices::new(Arc::new(SystemClock::default()));
        notices.failing(&Topic::Crawler("bsky.network".into()), "It is down.", "Wait.");
        assert!(!notices.is_grave());
        notices.well(&Topic::Crawler("bsky.network".into()));
        assert_eq!(notices.untold(&BTreeMap::new()), []);
    }

    /// A server that broke, told so, and was restarted by its operator tells that it is well.
    #[test]
    fn what_was_told_before_a_restart_is_taken_back() {
        let notices = Notices::new(Arc::new(SystemClock::default()));
        let told = BTreeMap::from([("disk".to_owned(), true)]);
        assert_eq!(notices.untold(&told), [], "nobody has looked yet");
        notices.well(&Topic::Disk);
        assert_eq!(notices.untold(&told).len(), 1);
    }
}
