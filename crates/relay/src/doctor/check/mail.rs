//! `mail`: whether the mail server takes our log-in.

use crate::doctor::facts::{Facts, MailFacts};
use crate::doctor::finding::Finding;

pub(in crate::doctor) fn evaluate(facts: &Facts, findings: &mut Vec<Finding>) {
    const ID: &str = "mail";
    findings.push(match &facts.mail {
        MailFacts::NotConfigured => Finding::notice(
            ID,
            "No mail server is configured, so nobody gets codes by mail.",
            "`relay code show ACCOUNT` shows them. To send mail, set mail.host and mail.from.",
        ),
        MailFacts::Works { host } => Finding::good(ID, format!("The mail server {host} takes our log-in.")),
        MailFacts::Fails { host, reason } => Finding::error(
            ID,
            format!("The mail server {host} cannot be used: {reason}."),
            "Check mail.host, mail.port, mail.tls, mail.user and mail.password with what your mail provider says. Many \
             networks block port 25: use 587 or 465.",
        ),
    });
}
