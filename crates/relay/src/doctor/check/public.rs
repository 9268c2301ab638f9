//! `tls.certificate`, `http.health`, `http.websocket`: the server as others reach it.

use crate::doctor::facts::{Facts, Public};
use crate::doctor::finding::Finding;
use crate::doctor::stands;

const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;
/// Certificates of a month and a half are renewed with at least two weeks left.
const WARNING_DAYS: i64 = 10;

pub(in crate::doctor) fn evaluate(facts: &Facts, findings: &mut Vec<Finding>) {
    const IDS: [&str; 3] = ["tls.certificate", "http.health", "http.websocket"];
    let Some(public) = &facts.public else { return };
    if !facts.setup.local && !stands(findings, &["dns.host"]) {
        findings.extend(IDS.map(|id| Finding::skipped(id, "It is looked at once the name of the server leads somewhere.")));
        return;
    }
    if let Some(finding) = certificate(facts, public) {
        findings.push(finding);
        if !stands(findings, &["tls.certificate"]) {
            findings.extend(IDS[1..].iter().map(|id| Finding::skipped(id, "It is looked at once the certificate is right.")));
            return;
        }
    }
    findings.push(health(facts, public));
    if stands(findings, &["http.health"]) {
        findings.push(websocket(public));
    } else {
        findings.push(Finding::skipped("http.websocket", "It is looked at once the server answers by its name."));
    }
}

fn certificate(facts: &Facts, public: &Public) -> Option<Finding> {
    const ID: &str = "tls.certificate";
    let host = &facts.setup.host;
    Some(match public.certificate.as_ref()? {
        Err(reason) => Finding::error(
            ID,
            format!("No safe connection to {host} can be made: {reason}."),
            "Check that ports 443 and 80 lead to this machine (firewall, router, cloud console), and that what speaks TLS there \
             has a certificate for this name.",
        ),
        Ok(until) => {
            let days = (until - public.now_millis).div_euclid(DAY_MILLIS);
            if days < WARNING_DAYS {
                Finding::warning(
                    ID,
                    format!("The certificate of {host} ends in {days} days, and should have been renewed."),
                    "Read the log of what speaks TLS for it: it says why the renewal fails.",
                )
            } else {
                Finding::good(ID, format!("The certificate of {host} is good for {days} days."))
            }
        }
    })
}

fn health(facts: &Facts, public: &Public) -> Finding {
    const ID: &str = "http.health";
    let url = &facts.setup.public_url;
    match &public.service {
        Ok(service) if *service == public.own_service => Finding::good(ID, format!("The server answers at {url}.")),
        Ok(service) => Finding::error(
            ID,
            format!("At {url} another server answers, {service}; this one is {}.", public.own_service),
            "Check where the name leads, and what the proxy passes requests on to.",
        ),
        Err(reason) => Finding::error(
            ID,
            format!("The server does not answer at {url}: {reason}."),
            "Check that the server runs, and that the proxy passes requests on to it. Some routers do not let a machine call \
             itself by its public name: then try from a phone without Wi-Fi.",
        ),
    }
}

fn websocket(public: &Public) -> Finding {
    const ID: &str = "http.websocket";
    match &public.websocket {
        Ok(()) => Finding::good(ID, "The event stream can be subscribed to by the public name."),
        Err(reason) => Finding::error(
            ID,
            format!("The event stream cannot be subscribed to by the public name, so no post gets out: {reason}."),
            "The proxy has to pass WebSockets on; for nginx: `proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; \
             proxy_set_header Connection \"upgrade\";`.",
        ),
    }
}
