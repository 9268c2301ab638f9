//! `mail`, `mail.sender`: whether the mail server takes our log-in, and whether others will take its mail.

use crate::doctor::facts::{Facts, MailFacts, SenderFacts};
use crate::doctor::finding::Finding;
use crate::doctor::said::said;

pub(in crate::doctor) fn evaluate(facts: &Facts, findings: &mut Vec<Finding>) {
    const ID: &str = "mail";
    findings.push(match &facts.mail {
        MailFacts::NotConfigured => Finding::notice(
            ID,
            said!("mail.none", "No mail server is configured, so nobody gets codes by mail."),
            said!("mail.none.do", "`relay code show ACCOUNT` shows them. To send mail, set mail.host and mail.from."),
        ),
        MailFacts::Works { host, .. } => {
            Finding::good(ID, said!("mail.works", "The mail server {host} takes our log-in.", host))
        }
        MailFacts::Fails { host, reason } => Finding::error(
            ID,
            said!("mail.fails", "The mail server {host} cannot be used: {reason}.", host, reason),
            said!(
                "mail.fails.do",
                "Check mail.host, mail.port, mail.tls, mail.user and mail.password with what your mail provider says. Many \
             networks block port 25: use 587 or 465."
            ),
        ),
    });
    if let MailFacts::Works { sender: Some(SenderFacts { domain, spf, dmarc }), .. } = &facts.mail {
        findings.push(if *spf && *dmarc {
            Finding::good("mail.sender", said!("mail.sender", "{domain} says who may send mail in its name.", domain))
        } else {
            Finding::notice(
                "mail.sender",
                if !spf && !dmarc {
                    said!(
                        "mail.sender_unknown",
                        "{domain} has no SPF and no DMARC record, so many providers take its mail for spam.",
                        domain
                    )
                } else {
                    said!(
                        "mail.sender_half",
                        "{domain} has no {missing} record, so many providers take its mail for spam.",
                        domain,
                        missing = if *spf { "DMARC" } else { "SPF" }
                    )
                },
                said!("mail.sender.do", "Your mail provider says which rows to write at your DNS provider, that of DKIM too, whose name nobody else knows; most often `{domain}. TXT \"v=spf1 include:... -all\"` \
                     and `_dmarc.{domain}. TXT \"v=DMARC1; p=quarantine\"`.", domain),
            )
        });
    }
}
