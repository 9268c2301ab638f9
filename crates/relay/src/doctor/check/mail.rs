//! `mail`, `mail.sender`: whether the mail server takes our log-in, and whether others will take its mail.

use crate::doctor::facts::{Facts, MailFacts, SenderFacts};
use crate::doctor::finding::Finding;

pub(in crate::doctor) fn evaluate(facts: &Facts, findings: &mut Vec<Finding>) {
    const ID: &str = "mail";
    findings.push(match &facts.mail {
        MailFacts::NotConfigured => Finding::notice(
            ID,
            "No mail server is configured, so nobody gets codes by mail.",
            "`relay code show ACCOUNT` shows them. To send mail, set mail.host and mail.from.",
        ),
        MailFacts::Works { host, .. } => Finding::good(ID, format!("The mail server {host} takes our log-in.")),
        MailFacts::Fails { host, reason } => Finding::error(
            ID,
            format!("The mail server {host} cannot be used: {reason}."),
            "Check mail.host, mail.port, mail.tls, mail.user and mail.password with what your mail provider says. Many \
             networks block port 25: use 587 or 465.",
        ),
    });
    if let MailFacts::Works { sender: Some(SenderFacts { domain, spf, dmarc }), .. } = &facts.mail {
        let missing: Vec<&str> =
            [(*spf, "SPF"), (*dmarc, "DMARC")].into_iter().filter(|(there, _)| !there).map(|(_, name)| name).collect();
        findings.push(if missing.is_empty() {
            Finding::good("mail.sender", format!("{domain} says who may send mail in its name."))
        } else {
            Finding::notice(
                "mail.sender",
                format!("{domain} has no {} record, so many providers take its mail for spam.", missing.join(" and no ")),
                format!(
                    "Your mail provider says which rows to write at your DNS provider; most often `{domain}. TXT \"v=spf1 include:... -all\"` \
                     and `_dmarc.{domain}. TXT \"v=DMARC1; p=quarantine\"`."
                ),
            )
        });
    }
}
