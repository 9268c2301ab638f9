//! `ip.v4`, `ip.v6`, `tls.certificate`, `http.challenge`, `http.health`, `http.websocket`, `http.metadata`, `http.upload`: the
//! server as others reach it.

use std::net::IpAddr;

use crate::doctor::facts::{CertificateSeen, Facts, Public};
use crate::doctor::finding::Finding;
use crate::doctor::said::said;
use crate::doctor::{failed, stands};

const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;
/// Certificates of a month and a half are renewed with at least two weeks left.
const WARNING_DAYS: i64 = 10;

pub(in crate::doctor) fn evaluate(facts: &Facts, findings: &mut Vec<Finding>) {
    const IDS: [&str; 3] = ["tls.certificate", "http.health", "http.websocket"];
    let Some(public) = &facts.public else { return };
    if !facts.setup.local && !stands(findings, &["dns.host"]) {
        findings.extend(IDS.map(|id| {
            Finding::skipped(id, said!("public.later_name", "It is looked at once the name of the server leads somewhere."))
        }));
        return;
    }
    // A server that answers by its name runs, whatever was seen from here.
    let answers = public.service.as_ref().is_ok_and(|service| *service == public.own_service);
    if failed(findings, &["server"]) && !answers {
        findings
            .extend(IDS.map(|id| Finding::skipped(id, said!("public.later_running", "It is looked at once the server runs."))));
        return;
    }
    addresses(facts, public, findings);
    findings.extend(public.challenge.as_ref().map(|answer| challenge(facts, answer)));
    if let Some(finding) = certificate(facts, public, findings) {
        findings.push(finding);
        if matches!(public.certificate, Some(Err(_))) {
            findings.extend(IDS[1..].iter().map(|id| {
                Finding::skipped(id, said!("public.later_certificate", "It is looked at once the certificate is right."))
            }));
            return;
        }
    }
    findings.push(health(facts, public));
    if stands(findings, &["http.health"]) {
        findings.push(websocket(public));
        findings.push(metadata(facts, public));
        findings.push(upload(public));
    } else {
        findings.push(Finding::skipped(
            "http.websocket",
            said!("public.later_server", "It is looked at once the server answers by its name."),
        ));
    }
}

/// Says which addresses of the name do not answer while another one does; when none does, the certificate says why.
fn addresses(facts: &Facts, public: &Public, findings: &mut Vec<Finding>) {
    let host = &facts.setup.host;
    if facts.setup.local || public.addresses.iter().all(|(_, called)| called.is_err()) {
        return;
    }
    for (id, row, own, of_family) in [
        ("ip.v4", "A", facts.addresses.v4, IpAddr::is_ipv4 as fn(&IpAddr) -> bool),
        ("ip.v6", "AAAA", facts.addresses.v6, IpAddr::is_ipv6),
    ] {
        let mut called = public.addresses.iter().filter(|(address, _)| of_family(address)).peekable();
        if called.peek().is_none() {
            continue;
        }
        let silent = called.find_map(|(address, called)| Some((address, called.as_ref().err()?)));
        findings.push(match silent {
            None => Finding::good(id, said!("public.answers", "{host} answers at each of its {row} rows.", host, row)),
            // Then this machine cannot know what others get.
            Some((address, _)) if own.is_none() && !is_own(facts) => Finding::skipped(
                id,
                said!(
                    "public.uncallable",
                    "{address} cannot be called from this machine, which has no such address itself.",
                    address
                ),
            ),
            Some((address, reason)) => Finding::warning(
                id,
                said!(
                    "public.silent",
                    "{host} has the address {address}, which does not answer: {reason}.",
                    host,
                    address,
                    reason
                ),
                said!(
                    "public.silent.do",
                    "Whoever is sent there waits, or gets nowhere. Open the port there, let the server listen on it \
                     (tls.https_bind, server.bind), or remove the row `{host}. {row} {address}`.",
                    host,
                    row,
                    address
                ),
            ),
        });
    }
}

/// Whether the name leads to this very machine, and to no proxy.
fn is_own(facts: &Facts) -> bool {
    let mut called = facts.public.iter().flat_map(|public| &public.addresses);
    called.any(|(address, _)| facts.addresses.all().any(|own| own == *address))
}

fn challenge(facts: &Facts, answer: &Result<(), String>) -> Finding {
    const ID: &str = "http.challenge";
    let host = &facts.setup.host;
    match answer {
        Ok(()) => {
            Finding::good(ID, said!("challenge.good", "The certificate authority finds the server at port 80 of {host}.", host))
        }
        Err(reason) => Finding::warning(
            ID,
            said!(
                "challenge.fails",
                "At port 80 of {host} the certificate authority does not find this server: {reason}.",
                host,
                reason
            ),
            said!(
                "challenge.fails.do",
                "Let port 80 lead to the server, in router, firewall and cloud console. Until then certificates depend on port 443 alone."
            ),
        ),
    }
}

fn metadata(facts: &Facts, public: &Public) -> Finding {
    const ID: &str = "http.metadata";
    let url = &facts.setup.public_url;
    match &public.issuer {
        Ok(issuer) if issuer == url => {
            Finding::good(ID, said!("metadata.good", "Apps that sign users in find what they need."))
        }
        Ok(issuer) => Finding::error(
            ID,
            said!("metadata.other", "Apps that sign users in are told that this is {issuer}, and not {url}.", issuer, url),
            said!("metadata.other.do", "Set server.public_url to the address that people use, and restart the server."),
        ),
        Err(reason) => Finding::error(
            ID,
            said!(
                "metadata.none",
                "Apps cannot sign users in: /.well-known/oauth-authorization-server cannot be had ({reason}).",
                reason
            ),
            said!("metadata.none.do", "The proxy has to pass on all paths, /.well-known/ too."),
        ),
    }
}

fn upload(public: &Public) -> Finding {
    const ID: &str = "http.upload";
    let (bytes, announced) = &public.upload;
    let size = bytes >> 20;
    match announced {
        Ok(413) => Finding::error(
            ID,
            said!("upload.refused", "The proxy refuses uploads of {size} MiB, which the server takes.", size),
            said!(
                "upload.refused.do",
                "For nginx: `client_max_body_size 0;`. Where the limit cannot be raised, set limits.blob_upload no higher than it."
            ),
        ),
        Ok(100 | 401) => Finding::good(ID, said!("upload.good", "Uploads of {size} MiB get to the server.", size)),
        Ok(status) => Finding::warning(
            ID,
            said!(
                "upload.answered",
                "An upload of {size} MiB was answered with status {status} before it got to the server.",
                size,
                status
            ),
            said!("upload.answered.do", "Look at what the proxy does with POST requests under /xrpc/."),
        ),
        Err(reason) => Finding::warning(
            ID,
            said!("upload.silent", "An upload of {size} MiB was not answered: {reason}.", size, reason),
            said!(
                "upload.silent.do",
                "The proxy has to pass on the header Expect, or to answer it, and requests with large bodies."
            ),
        ),
    }
}

fn certificate(facts: &Facts, public: &Public, findings: &[Finding]) -> Option<Finding> {
    const ID: &str = "tls.certificate";
    let host = &facts.setup.host;
    Some(match public.certificate.as_ref()? {
        // Why there is none was said there.
        Err(_) if failed(findings, &["tls.renewal"]) && !has_certificate(facts) => {
            Finding::skipped(ID, said!("certificate.later", "It is looked at once {host} has a certificate.", host))
        }
        Err(reason) if is_seen_from_outside(facts) => Finding::warning(
            ID,
            said!(
                "certificate.hairpin",
                "This machine cannot call itself by {host}: {reason}. The certificate authority could, so the world gets here.",
                host,
                reason
            ),
            said!(
                "certificate.hairpin.do",
                "Many routers do not lead back what is sent from behind them to their own public address. Look from a phone without \
             Wi-Fi: when the server's page opens there, all is well."
            ),
        ),
        Err(reason) => Finding::error(
            ID,
            said!("certificate.none", "No safe connection to {host} can be made: {reason}.", host, reason),
            said!(
                "certificate.none.do",
                "Check that ports 443 and 80 lead to this machine (firewall, router, cloud console), and that what speaks TLS there \
             has a certificate for this name."
            ),
        ),
        Ok(CertificateSeen { not_after, issuer, names }) => {
            let days = (not_after - facts.now_millis).div_euclid(DAY_MILLIS);
            if days < WARNING_DAYS {
                Finding::warning(
                    ID,
                    said!(
                        "certificate.ends",
                        "The certificate of {host} ends in {days} days, and should have been renewed.",
                        host,
                        days
                    ),
                    said!("certificate.ends.do", "Read the log of what speaks TLS for it: it says why the renewal fails."),
                )
            } else {
                let names = names.join(", ");
                Finding::good(
                    ID,
                    said!(
                        "certificate.good",
                        "The certificate of {host} is good for {days} days (by {issuer}, for {names}).",
                        host,
                        days,
                        issuer,
                        names
                    ),
                )
            }
        }
    })
}

/// Whether this machine is behind a router, and has a certificate that the authority gave for its name after it had called it.
fn is_seen_from_outside(facts: &Facts) -> bool {
    facts.addresses.public().next().is_none() && has_certificate(facts)
}

/// Whether the authority gave the server a certificate for its name, which is good today.
fn has_certificate(facts: &Facts) -> bool {
    let certificates = facts.inside.iter().flat_map(|inside| &inside.certificates);
    let mut ours = certificates.filter(|certificate| certificate.name == facts.setup.host);
    ours.any(|certificate| certificate.not_after.is_some_and(|end| end > facts.now_millis))
}

fn health(facts: &Facts, public: &Public) -> Finding {
    const ID: &str = "http.health";
    let url = &facts.setup.public_url;
    match &public.service {
        Ok(service) if *service == public.own_service => {
            Finding::good(ID, said!("health.good", "The server answers at {url}.", url))
        }
        Ok(service) => Finding::error(
            ID,
            said!(
                "health.other",
                "At {url} another server answers, {service}; this one is {own}.",
                url,
                service,
                own = public.own_service
            ),
            said!("health.other.do", "Check where the name leads, and what the proxy passes requests on to."),
        ),
        Err(reason) => Finding::error(
            ID,
            said!("health.silent", "The server does not answer at {url}: {reason}.", url, reason),
            said!(
                "health.silent.do",
                "Check that the server runs, and that the proxy passes requests on to it. Some routers do not let a machine call \
             itself by its public name: then try from a phone without Wi-Fi."
            ),
        ),
    }
}

fn websocket(public: &Public) -> Finding {
    const ID: &str = "http.websocket";
    match &public.websocket {
        Ok(()) => Finding::good(ID, said!("websocket.good", "The event stream can be subscribed to by the public name.")),
        Err(reason) => Finding::error(
            ID,
            said!(
                "websocket.fails",
                "The event stream cannot be subscribed to by the public name, so no post gets out: {reason}.",
                reason
            ),
            said!(
                "websocket.fails.do",
                "The proxy has to pass WebSockets on; for nginx: `proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; \
             proxy_set_header Connection \"upgrade\";`."
            ),
        ),
    }
}
