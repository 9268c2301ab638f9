//! The mail server, and what the sender's domain says of who may send.

use super::dns;
use crate::config::Config;
use crate::doctor::facts::{MailFacts, SenderFacts, Setup};
use crate::identity::dns::{Dns, DnsFailure};
use crate::mail::Mailer;

pub(super) async fn look(config: &Config, mail: &Mailer, setup: &Setup) -> MailFacts {
    match mail.test().await {
        None => MailFacts::NotConfigured,
        Some((host, Err(reason))) => MailFacts::Fails { host, reason },
        Some((host, Ok(()))) => {
            let from = config.mail.ordinary.as_ref().map(|route| route.from.as_str());
            let domain = from.and_then(|from| Some(from.rsplit_once('@')?.1)).filter(|_| !setup.local);
            let sender = match (domain, dns::resolver(config)) {
                (Some(domain), Ok(dns)) => sender(&dns, domain).await,
                (None, _) | (_, Err(_)) => None,
            };
            MailFacts::Works { host, sender }
        }
    }
}

/// Looks for the records of a domain; `None` when DNS does not answer.
async fn sender(dns: &Dns, domain: &str) -> Option<SenderFacts> {
    let spf = has(dns, domain, "v=spf1").await?;
    // RFC 7489, section 6.6.3: the domain's own record, or that of the one above that was registered.
    let mut dmarc = false;
    let mut at = domain;
    while !dmarc && at.contains('.') {
        dmarc = has(dns, &format!("_dmarc.{at}"), "v=DMARC1").await?;
        at = at.split_once('.').map_or("", |(_, above)| above);
    }
    Some(SenderFacts { domain: domain.to_owned(), spf, dmarc })
}

async fn has(dns: &Dns, name: &str, version: &str) -> Option<bool> {
    match dns.texts(name, false).await {
        Ok(texts) => Some(texts.iter().any(|text| text.starts_with(version))),
        Err(DnsFailure::Absent) => Some(false),
        Err(DnsFailure::BadName | DnsFailure::Slow | DnsFailure::Failed(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::test_support::{DnsServer, Zone};

    #[tokio::test]
    async fn the_records_of_a_sender_are_found_where_they_may_stand() {
        let server = DnsServer::start([
            ("mail.example.com", Zone::texts(&["something", "v=spf1 include:_spf.example.net -all"])),
            ("_dmarc.example.com", Zone::texts(&["v=DMARC1; p=none"])),
            ("bare.example", Zone::texts(&["v=spf10"])),
            ("silent.example", Zone::silent()),
        ])
        .await;
        let dns = server.dns();
        let found = sender(&dns, "mail.example.com").await.unwrap();
        assert!(found.spf && found.dmarc);
        let none = sender(&dns, "nothing.example").await.unwrap();
        assert!(!none.spf && !none.dmarc);
    }
}
