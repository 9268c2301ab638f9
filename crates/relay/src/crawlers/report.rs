//! What a crawler said, and what it means.

/// What a crawler said when it was asked about this server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    /// The crawler's host.
    pub(crate) crawler: String,
    /// When, in milliseconds since the epoch.
    pub(crate) asked_at: i64,
    pub(crate) answer: Answer,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It gave none, and why.
    Failed(String),
    /// It does not offer the method.
    Unsupported,
    /// It does not know this server.
    Unknown,
    Known {
        status: Option<HostStatus>,
        /// The last event that it read.
        seq: Option<i64>,
        /// The last event of this server at that time.
        own_seq: i64,
        /// Events that it had not read, counted up to [`Report::MAX_UNREAD`].
        unread: i64,
        /// When the first of them came to be.
        unread_since: Option<i64>,
        accounts: Option<i64>,
    },
}

/// What a crawler holds of a host: `com.atproto.sync.defs#hostStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HostStatus {
    Active,
    Idle,
    Offline,
    Throttled,
    Banned,
}

impl HostStatus {
    pub(crate) const ALL: [Self; 5] = [Self::Active, Self::Idle, Self::Offline, Self::Throttled, Self::Banned];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Idle => "idle",
            Self::Offline => "offline",
            Self::Throttled => "throttled",
            Self::Banned => "banned",
        }
    }

    /// Reads a word of the protocol; `None` when it is another one.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

/// What the operator is told of a crawler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Judgement {
    /// Whether there is nothing to do.
    pub(crate) good: bool,
    /// One or two sentences; what is not good ends with what to do.
    pub(crate) text: String,
    /// Whether it may come when it is told of this server once more.
    pub(crate) telling_helps: bool,
}

impl Report {
    /// Unread events are counted up to this many.
    pub(crate) const MAX_UNREAD: i64 = 10_000;
    /// A crawler that has read everything but what is newer than this is up to date.
    const LAG_MILLIS: i64 = 5 * 60 * 1000;

    /// Says what the answer means.
    pub(crate) fn judge(&self) -> Judgement {
        let host = &self.crawler;
        let good = |text: String| Judgement { good: true, text, telling_helps: false };
        let bad = |text: String| Judgement { good: false, text, telling_helps: false };
        let away = |text: String| Judgement { good: false, text, telling_helps: true };
        let (status, seq, own_seq, unread, since) = match &self.answer {
            Answer::Failed(reason) => {
                return bad(format!("{host} could not be asked how far it has read: {reason}. It is asked again."));
            }
            Answer::Unsupported => return good(format!("{host} does not tell how far it has read.")),
            Answer::Unknown => {
                return away(format!(
                    "{host} does not know this server yet. It is told again when there is something new; look whether this \
                     server is reachable from outside."
                ));
            }
            Answer::Known { status, seq, own_seq, unread, unread_since, .. } => {
                (*status, *seq, *own_seq, *unread, *unread_since)
            }
        };
        match status {
            Some(HostStatus::Banned) => {
                return bad(format!("{host} has banned this server and takes nothing from it. Ask its operator why."));
            }
            Some(HostStatus::Throttled) => {
                return bad(format!(
                    "{host} has throttled this server, so new posts reach the network late. Ask its operator to raise the limit."
                ));
            }
            Some(HostStatus::Active | HostStatus::Idle | HostStatus::Offline) | None => {}
        }
        let Some(seq) = seq else {
            return match status {
                Some(HostStatus::Offline) => away(offline(host)),
                _ => good(format!("{host} knows this server, and does not tell how far it has read.")),
            };
        };
        if seq > own_seq {
            return bad(format!(
                "{host} is ahead of this server: it has read up to event {seq}, and this server is at {own_seq}. It ignores \
                 everything new until that number is passed, as happens when an older backup was restored. Restart the server, \
                 which then counts on from the clock; if that does not help, ask the operator of {host} to forget this host's cursor."
            ));
        }
        let behind_since = since.filter(|since| self.asked_at - since > Self::LAG_MILLIS);
        match (behind_since, status) {
            (_, Some(HostStatus::Offline)) => away(offline(host)),
            (Some(since), _) => {
                let events = match unread {
                    1 => "one event".to_owned(),
                    unread if unread >= Self::MAX_UNREAD => format!("more than {} events", Self::MAX_UNREAD),
                    unread => format!("{unread} events"),
                };
                away(format!(
                    "{host} is behind by {events}, the first of them {} old. It may be catching up; if this grows, look whether \
                     subscribeRepos of this server is reachable from outside, through the proxy too.",
                    span(self.asked_at - since)
                ))
            }
            (None, _) => good(format!("{host} has read up to event {seq}, and so all but the newest.")),
        }
    }
}

fn offline(host: &str) -> String {
    format!(
        "{host} has no connection to this server. Look whether subscribeRepos of this server is reachable from outside, through the proxy too."
    )
}

/// Writes a span of time in its largest unit.
fn span(millis: i64) -> String {
    let minutes = millis / 60_000;
    let (count, unit) = match minutes {
        ..120 => (minutes, "minutes"),
        120..2880 => (minutes / 60, "hours"),
        _ => (minutes / 1440, "days"),
    };
    format!("{count} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000;

    fn judge(answer: Answer) -> (bool, String) {
        let judged = Report { crawler: "relay.test".to_owned(), asked_at: NOW, answer }.judge();
        (judged.good, judged.text)
    }

    fn known(status: Option<HostStatus>, seq: Option<i64>, unread: i64, oldest_minutes: Option<i64>) -> Answer {
        let unread_since = oldest_minutes.map(|minutes| NOW - minutes * 60_000);
        Answer::Known { status, seq, own_seq: 1000, unread, unread_since, accounts: Some(3) }
    }

    /// What the most asked question about the official server is about: after a restore nothing reaches the network, and
    /// nothing says why.
    #[test]
    fn a_crawler_that_is_ahead_is_said_to_ignore_what_is_new() {
        let (good, text) = judge(known(Some(HostStatus::Active), Some(5000), 0, None));
        assert!(!good);
        assert!(
            text.starts_with("relay.test is ahead of this server: it has read up to event 5000, and this server is at 1000."),
            "{text}"
        );
        assert!(text.contains("ignores everything new") && text.contains("Restart the server"), "{text}");
    }

    #[test]
    fn a_crawler_that_is_behind_is_said_to_be_so_when_it_has_been_for_a_while() {
        assert_eq!(
            judge(known(Some(HostStatus::Active), Some(1000), 0, None)),
            (true, "relay.test has read up to event 1000, and so all but the newest.".to_owned())
        );
        assert!(judge(known(None, Some(990), 10, Some(4))).0, "its cursor is saved now and then");
        let (good, text) = judge(known(None, Some(10), 57, Some(180)));
        assert!(!good);
        assert!(text.starts_with("relay.test is behind by 57 events, the first of them 3 hours old."), "{text}");
        assert!(judge(known(None, Some(10), 1, Some(60))).1.contains("by one event, the first of them 60 minutes old"));
        assert!(
            judge(known(None, Some(10), 10_000, Some(60 * 24 * 3)))
                .1
                .contains("by more than 10000 events, the first of them 3 days old")
        );
    }

    #[test]
    fn what_a_crawler_holds_of_the_server_comes_first() {
        assert!(judge(known(Some(HostStatus::Banned), Some(1000), 0, None)).1.contains("has banned this server"));
        assert!(judge(known(Some(HostStatus::Throttled), None, 0, None)).1.contains("has throttled this server"));
        let (good, text) = judge(known(Some(HostStatus::Offline), Some(1000), 0, None));
        assert!(!good && text.contains("has no connection to this server"), "{text}");
        assert!(judge(known(Some(HostStatus::Idle), None, 0, None)).0);
    }

    #[test]
    fn a_crawler_without_an_answer_is_no_surprise() {
        assert!(judge(Answer::Unsupported).0);
        assert!(!judge(Answer::Unknown).0);
        let (good, text) = judge(Answer::Failed("no answer in time".to_owned()));
        assert!(!good && text.contains("no answer in time"), "{text}");
    }

    #[test]
    fn the_protocols_words_are_read() {
        for status in HostStatus::ALL {
            assert_eq!(HostStatus::parse(status.as_str()), Some(status));
        }
        assert_eq!(HostStatus::parse("other"), None);
    }
}
