//! What the person has said, and what is asked next.

use std::path::PathBuf;

use common::{Did, Handle};
use serde::{Deserialize, Serialize};

use crate::config::PublicUrl;

/// All answers so far. What is not answered yet is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Answers {
    /// The host name of the server.
    pub(crate) host: Option<String>,
    /// Whether the rows in DNS were seen, or the person went on without.
    pub(crate) names: bool,
    /// Who speaks TLS.
    pub(crate) tls: Option<Speaker>,
    /// Whether the server asks the router to open the ports.
    pub(crate) open_ports: bool,
    /// Whether there is a certificate, or a proxy sees to it.
    pub(crate) certificate: bool,
    pub(crate) mail: Option<MailAnswer>,
    pub(crate) account: Option<AccountAnswer>,
    /// The account that moves here from another server, until it has arrived.
    pub(crate) moving: Option<Did>,
    /// The private half of the account's recovery key, until the person says that they have it.
    pub(crate) recovery_key: Option<String>,
    pub(crate) backup: Option<BackupAnswer>,
}

/// Who speaks TLS with the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Speaker {
    /// This server.
    Server,
    /// A proxy in front of it.
    Proxy,
}

/// How mail is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MailAnswer {
    /// Not at all.
    None,
    Server {
        host: String,
        port: u16,
        security: MailSecurity,
        /// Whose password is in a file of its own.
        user: Option<String>,
        from: String,
    },
}

/// How the connection to a mail server is secured; the words are those of `mail.tls`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MailSecurity {
    Implicit,
    StartTls,
    None,
}

impl MailSecurity {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Implicit => "implicit",
            Self::StartTls => "starttls",
            Self::None => "none",
        }
    }

    /// Returns what mail providers mean by a port.
    pub(crate) const fn of_port(port: u16) -> Self {
        match port {
            465 => Self::Implicit,
            25 => Self::None,
            _ => Self::StartTls,
        }
    }
}

/// The first account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AccountAnswer {
    /// One is made, or moves here, some other day.
    Later,
    Made {
        did: Did,
        handle: Handle,
    },
}

/// Where backups go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BackupAnswer {
    Nowhere,
    To(PathBuf),
}

/// What is asked next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Name,
    Dns,
    Reach,
    Https,
    Mail,
    Account,
    RecoveryKey,
    Backup,
    Finish,
}

impl Step {
    /// All steps, in their order.
    pub(crate) const ALL: [Self; 9] = [
        Self::Name,
        Self::Dns,
        Self::Reach,
        Self::Https,
        Self::Mail,
        Self::Account,
        Self::RecoveryKey,
        Self::Backup,
        Self::Finish,
    ];

    /// Returns the word of the step in the addresses of its page.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Dns => "dns",
            Self::Reach => "reach",
            Self::Https => "https",
            Self::Mail => "mail",
            Self::Account => "account",
            Self::RecoveryKey => "recovery-key",
            Self::Backup => "backup",
            Self::Finish => "finish",
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.word() == word)
    }
}

impl Answers {
    /// Returns the first step that is not done.
    pub(crate) fn step(&self) -> Step {
        if self.host.is_none() {
            Step::Name
        } else if !self.names {
            Step::Dns
        } else if self.tls.is_none() {
            Step::Reach
        } else if !self.certificate {
            Step::Https
        } else if self.mail.is_none() {
            Step::Mail
        } else if self.account.is_none() {
            Step::Account
        } else if self.recovery_key.is_some() {
            Step::RecoveryKey
        } else if self.backup.is_none() {
            Step::Backup
        } else {
            Step::Finish
        }
    }

    /// Whether the person may go back to a step that is done. What was made with a name, such as an account, holds on to it.
    pub(crate) fn may_redo(&self, step: Step) -> bool {
        let made = matches!(self.account, Some(AccountAnswer::Made { .. })) || self.moving.is_some();
        match step {
            Step::Name | Step::Account => step < self.step() && !made,
            Step::Dns | Step::Reach | Step::Mail | Step::Backup => step < self.step(),
            Step::Https | Step::RecoveryKey | Step::Finish => false,
        }
    }

    /// Takes back what was said from a step on, as far as it follows from that.
    pub(crate) fn redo(&mut self, step: Step) {
        match step {
            Step::Name => *self = Self { mail: self.mail.take(), backup: self.backup.take(), ..Self::default() },
            Step::Dns => self.names = false,
            Step::Reach => {
                self.tls = None;
                self.certificate = false;
            }
            Step::Mail => self.mail = None,
            Step::Account => self.account = None,
            Step::Backup => self.backup = None,
            Step::Https | Step::RecoveryKey | Step::Finish => {}
        }
    }
}

/// Why a text is not the name of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HostFault {
    #[error("this is not a host name. Write it as pds.example.com")]
    NotAName,
    #[error("nobody else can look this name up. It has to be a name of a domain that you own")]
    NotPublic,
}

/// Reads the name of a server, as people write or paste it.
pub(crate) fn host_of(text: &str) -> Result<String, HostFault> {
    const NOT_PUBLIC: [&str; 9] = ["localhost", "local", "test", "invalid", "internal", "lan", "home", "onion", "arpa"];
    let text = text.trim().to_lowercase();
    let text = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or(&text);
    let name = text.trim_end_matches('/').trim_end_matches('.');
    let url = PublicUrl::of_host(name).ok_or(HostFault::NotAName)?;
    let host = url.host();
    let label = |label: &str| (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-');
    if url.port().is_some() || host.len() > 200 || !host.split('.').all(label) {
        return Err(HostFault::NotAName);
    }
    match host.rsplit('.').next() {
        Some(last) if NOT_PUBLIC.contains(&last) => Err(HostFault::NotPublic),
        _ => Ok(host.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_leads_to_the_next_question() {
        let mut answers = Answers::default();
        let mut asked = vec![answers.step()];
        let mut then = |answers: &Answers| asked.push(answers.step());
        answers.host = Some("pds.example.com".to_owned());
        then(&answers);
        answers.names = true;
        then(&answers);
        answers.tls = Some(Speaker::Server);
        then(&answers);
        answers.certificate = true;
        then(&answers);
        answers.mail = Some(MailAnswer::None);
        then(&answers);
        let did = "did:plc:ewvi7nxzyoun6zhxrhs64oiz".parse().unwrap();
        answers.account = Some(AccountAnswer::Made { did, handle: "alice.pds.example.com".parse().unwrap() });
        answers.recovery_key = Some("zkey".to_owned());
        then(&answers);
        answers.recovery_key = None;
        then(&answers);
        answers.backup = Some(BackupAnswer::Nowhere);
        then(&answers);
        // `Account` was answered together with the key that it brought.
        let without_account: Vec<_> = Step::ALL.into_iter().filter(|step| *step != Step::Account).collect();
        assert_eq!(asked[..5], Step::ALL[..5]);
        assert_eq!(asked.iter().copied().filter(|step| *step != Step::Account).collect::<Vec<_>>(), {
            let mut all = without_account;
            all.retain(|step| asked.contains(step));
            all
        });
        assert_eq!(answers.step(), Step::Finish);

        assert!(!answers.may_redo(Step::Name), "the account's handle ends in it");
        let did = "did:plc:ewvi7nxzyoun6zhxrhs64oiz".parse().ok();
        let moving = Answers { moving: did, account: None, ..answers.clone() };
        assert!(!moving.may_redo(Step::Name), "that of an account on its way does too");
        assert!(answers.may_redo(Step::Mail));
        answers.redo(Step::Reach);
        assert_eq!(answers.step(), Step::Reach);
        assert_eq!(answers.mail, Some(MailAnswer::None), "what has nothing to do with it stays");
    }

    #[test]
    fn answers_are_the_same_after_a_break() {
        let text = r#"{"host":"pds.example.com","names":true,"tls":"server","mail":{"server":{"host":"mail.example.com","port":587,
            "security":"starttls","user":"pds","from":"pds@example.com"}},"account":"later","backup":{"to":"/mnt/disk"}}"#;
        let answers: Answers = serde_json::from_str(text).unwrap();
        assert_eq!(answers.step(), Step::Https);
        let again: Answers = serde_json::from_str(&serde_json::to_string(&answers).unwrap()).unwrap();
        assert_eq!(again, answers);
        assert!(serde_json::from_str::<Answers>(r#"{"hots":"pds.example.com"}"#).is_err(), "a mistake in a file is told");
    }

    #[test]
    fn names_are_taken_as_people_paste_them() {
        for text in ["pds.example.com", " https://PDS.example.com/ ", "pds.example.com.", "http://pds.example.com"] {
            assert_eq!(host_of(text).as_deref(), Ok("pds.example.com"), "{text}");
        }
        for text in [
            "",
            "pds",
            "203.0.114.7",
            "[2001:db8::1]",
            "pds.example.com:8443",
            "pds example.com",
            "-a.example.com",
            "a..com",
            "pds.example.com/path",
            "user@example.com",
            &"a.".repeat(120),
        ] {
            assert_eq!(host_of(text), Err(HostFault::NotAName), "{text}");
        }
        for text in ["localhost", "pds.localhost", "nas.local", "pds.test", "router.lan"] {
            assert!(matches!(host_of(text), Err(HostFault::NotPublic | HostFault::NotAName)), "{text}");
        }
        assert_eq!(host_of("nas.local"), Err(HostFault::NotPublic));
        assert_eq!(host_of("münchen.example").as_deref(), Ok("xn--mnchen-3ya.example"));
    }
}
