//! Every sentence of the doctor, from facts that are made up.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::facts::{
    AccountFacts, AcmeFacts, Addresses, Authorities, BackupFacts, CaaRecord, CertificateSeen, DnsFacts, Folder, FolderState,
    Holder, Machine, MailFacts, OpenSecret, Public, Published, SenderFacts, ServerFacts, ServiceFacts, Setup, Sleep, Use,
};
use super::*;
use crate::service::{Installed, Manager, Scope};
use crate::status::CrawlerStatus;
use crate::status::milestone::Outcome as Milestone;
use crate::telemetry::room::{Forecast, RoomHistory};
use crate::tls::CertificateStatus;

const DAY: i64 = 24 * 60 * 60 * 1000;

/// A server on which all is well.
fn well() -> Facts {
    let own = "203.0.114.7".parse().unwrap();
    let service: common::Did = "did:web:pds.example.com".parse().unwrap();
    let did: common::Did = "did:plc:ewvi7nxzyoun6zhxrhs64oiz".parse().unwrap();
    let handle: common::Handle = "alice.pds.example.com".parse().unwrap();
    Facts {
        setup: Setup {
            public_url: "https://pds.example.com".into(),
            host: "pds.example.com".into(),
            local: false,
            handle_domains: vec![".pds.example.com".into()],
        },
        folder: Folder {
            path: "/var/lib/relay".into(),
            state: FolderState::Writable {
                open: Vec::new(),
                foreign: Vec::new(),
                owner: (998, 998),
                space: Some((50 << 30, 100 << 30)),
                sync_micros: 900,
            },
            forecast: None,
            uses: Vec::new(),
        },
        secrets: Vec::new(),
        clocks: vec![("plc.directory".into(), 300), ("api.example.com".into(), -200), ("odd.example.com".into(), 90_000)],
        server: ServerFacts::Answers,
        service: Some(Installed {
            manager: Manager::Systemd,
            scope: Scope::System { user_exists: true },
            runs: true,
            enabled: true,
        }),
        addresses: Addresses { v4: Some(own), v6: None },
        acme: Some(AcmeFacts {
            url: "https://ca.example/directory".into(),
            authority: Ok(vec!["ca.example".into()]),
            methods: vec!["http-01", "tls-alpn-01"],
            names: vec![("pds.example.com".into(), Ok(Vec::new())), ("doctor-1.pds.example.com".into(), Ok(Vec::new()))],
        }),
        dns: Some(DnsFacts {
            authorities: Ok(Authorities {
                zone: "example.com".into(),
                said: vec![("ns1.example".into(), Ok(vec![own])), ("ns2.example".into(), Ok(vec![own]))],
            }),
            host: vec![("1.1.1.1".into(), Ok(vec![own])), ("9.9.9.9".into(), Ok(vec![own]))],
            remembered_for: BTreeMap::new(),
            wildcards: vec![("doctor-1.pds.example.com".into(), Ok(vec![own]))],
        }),
        public: Some(Public {
            addresses: vec![(own, Ok(()))],
            certificate: Some(Ok(certificate(60))),
            challenge: Some(Ok(())),
            service: Ok(service.clone()),
            own_service: service,
            websocket: Ok(()),
            issuer: Ok("https://pds.example.com".into()),
            upload: (50 << 20, Ok(401)),
        }),
        accounts: Ok(vec![AccountFacts {
            did: did.clone(),
            handle: handle.clone(),
            resolved: Ok(did),
            document: Ok(Published {
                server: Some("https://pds.example.com".into()),
                handle: Some(handle),
                signing_key: Some("did:key:zOurs".into()),
            }),
            signing_key: Some("did:key:zOurs".into()),
        }]),
        services: vec![ServiceFacts { id: "plc", name: "PLC directory", url: "https://plc.directory".into(), problem: None }],
        mail: MailFacts::Works {
            host: "mail.example.com".into(),
            sender: Some(SenderFacts { domain: "example.com".into(), spf: true, dmarc: true }),
        },
        machine: Machine {
            file_system: Some("ext4".into()),
            clock_is_set: Some(true),
            sleep: Some(Sleep::Never),
            files: Some(65536),
            memory: Some(1 << 30),
        },
        backups: BackupFacts {
            every: Some(Duration::from_secs(24 * 60 * 60)),
            backup: Some(succeeded(3)),
            drill: Some(succeeded(2)),
        },
        inside: Some(knowledge()),
        release: Some(("0.1.0".into(), Ok("0.1.0".into()))),
        now_millis: 0,
    }
}

/// What its process knows.
fn knowledge() -> Inside {
    Inside {
        process_id: 7,
        certificates: vec![CertificateStatus {
            name: "pds.example.com".into(),
            not_after: Some(60 * DAY),
            problem: None,
            retry_at: None,
            limited: false,
        }],
        crawlers: vec![CrawlerStatus {
            host: "relay.example".into(),
            told_at: Some(0),
            failures: 0,
            error: None,
            reading: Some("relay.example has read up to event 7, and so all but the newest.".into()),
            follows: Some(true),
            telling_helps: false,
        }],
        milestones: BTreeMap::new(),
        router: None,
        room: RoomHistory::default(),
        signing_keys: BTreeMap::new(),
    }
}

fn certificate(days: i64) -> CertificateSeen {
    CertificateSeen { not_after: days * DAY, issuer: "An Authority".into(), names: vec!["pds.example.com".into()] }
}

fn succeeded(hours_ago: i64) -> Milestone {
    let at = -hours_ago * 60 * 60 * 1000;
    Milestone { at, last_success_at: Some(at), sentence: "It was made.".into(), remedy: None }
}

/// What is not good in the facts, as the operator reads it.
fn told(facts: &Facts) -> String {
    let bad: Vec<_> = evaluate(facts).into_iter().filter(|finding| finding.outcome != Outcome::Good).collect();
    let lines = bad.iter().map(|found| format!("{:?} {}: {}\n  {}\n", found.outcome, found.id, found.sentence, found.remedy));
    lines.collect::<Vec<_>>().concat()
}

fn changed(change: impl FnOnce(&mut Facts)) -> String {
    let mut facts = well();
    change(&mut facts);
    told(&facts)
}

#[test]
fn a_server_that_is_well_has_nothing_to_do() {
    assert_eq!(told(&well()), "");
    let findings = evaluate(&well());
    let ids: Vec<_> = findings.iter().map(|finding| finding.id).collect();
    assert_eq!(
        ids,
        [
            "disk.perm",
            "disk.space",
            "disk.sync",
            "disk.kind",
            "files",
            "memory",
            "sleep",
            "clock",
            "clock.sync",
            "server",
            "service",
            "ip.address",
            "dns.servers",
            "dns.host",
            "dns.wildcard",
            "acme",
            "dns.caa",
            "tls.renewal",
            "ip.v4",
            "http.challenge",
            "tls.certificate",
            "http.health",
            "http.websocket",
            "http.metadata",
            "http.upload",
            "plc",
            "account.did",
            "crawler.reading",
            "mail",
            "mail.sender",
            "backup.age",
            "backup.drill",
            "version"
        ]
    );
}

#[test]
fn what_follows_from_something_else_is_not_reported_twice() {
    let text = changed(|facts| {
        let dns = facts.dns.as_mut().unwrap();
        dns.authorities = Err("they are not known".into());
        for answer in &mut dns.host {
            answer.1 = Err("there is no such DNS record".into());
        }
        dns.wildcards[0].1 = Err("there is no such DNS record".into());
        facts.public.as_mut().unwrap().service = Err("there is no such DNS record".into());
    });
    assert_eq!(text.matches("Error").count(), 1, "{text}");
    assert!(text.contains("Error dns.host: pds.example.com has no address (1.1.1.1: there is no such DNS record; "), "{text}");
    assert!(text.contains("At your DNS provider, write `pds.example.com. A 203.0.114.7`."), "{text}");
    assert_eq!(text.matches("Skipped").count(), 5, "{text}");
}

#[test]
fn one_cause_is_one_error() {
    let errors = |text: &str| text.lines().filter(|line| line.starts_with("Error")).count();
    // A laptop whose Wi-Fi is off.
    let text = changed(|facts| {
        facts.addresses = Addresses::default();
        facts.dns.as_mut().unwrap().host[0].1 = Err("no route".into());
        facts.public.as_mut().unwrap().certificate = Some(Err("no route".into()));
        facts.services[0].problem = Some("no route".into());
        facts.accounts.as_mut().unwrap()[0].document = Err("no route".into());
        facts.mail = MailFacts::Fails { host: "mail.example.com".into(), reason: "no route".into() };
    });
    assert!(text.starts_with("Error ip.address") && errors(&text) == 1, "{text}");
    assert!(text.contains("Skipped mail: It is looked at once this machine has a way to the network."), "{text}");
    // The directory is down, and all accounts have their documents there.
    let text = changed(|facts| {
        facts.services[0].problem = Some("it answers with status 503".into());
        facts.accounts.as_mut().unwrap()[0].document = Err("status 503".into());
    });
    assert!(text.starts_with("Error plc") && errors(&text) == 1, "{text}");
    assert!(text.contains("Skipped account.did: The documents of 1 accounts are looked at once the PLC"), "{text}");
    // The server does not run.
    let stopped = |facts: &mut Facts| {
        facts.server = ServerFacts::Stopped { address: "0.0.0.0:443".into() };
        facts.public.as_mut().unwrap().service = Err("connection refused".into());
        facts.public.as_mut().unwrap().certificate = Some(Err("connection refused".into()));
        facts.accounts.as_mut().unwrap()[0].resolved = Err("connection refused".into());
    };
    let text = changed(stopped);
    assert!(text.starts_with("Error server") && errors(&text) == 1, "{text}");
    assert!(text.contains("Skipped account.handle: The handles of 1 accounts are looked at once the world gets"), "{text}");
    let text = changed(|facts| {
        stopped(facts);
        let handle: common::Handle = "alice.example.org".parse().unwrap();
        let account = &mut facts.accounts.as_mut().unwrap()[0];
        account.document.as_mut().unwrap().handle = Some(handle.clone());
        account.handle = handle;
    });
    assert!(text.contains("Error account.handle: The handle alice.example.org leads nowhere"), "its own domain: {text}");
    let text = changed(|facts| facts.server = ServerFacts::Stopped { address: "0.0.0.0:443".into() });
    assert!(!text.contains("Skipped"), "it answers by its name: {text}");
    // The authority does not answer, so there is no certificate, so nobody gets here.
    let text = changed(|facts| {
        facts.acme.as_mut().unwrap().authority = Err("it cannot be reached".into());
        let certificate = &mut facts.inside.as_mut().unwrap().certificates[0];
        (certificate.not_after, certificate.problem) = (None, Some("the authority cannot be reached".into()));
    });
    assert!(text.starts_with("Error acme") && errors(&text) == 1, "{text}");
    assert!(text.contains("Skipped tls.renewal: 1 certificates cannot be had until that is mended."), "{text}");
    // The order fails by itself.
    let text = changed(|facts| {
        facts.public.as_mut().unwrap().certificate = Some(Err("handshake failure".into()));
        let certificate = &mut facts.inside.as_mut().unwrap().certificates[0];
        (certificate.not_after, certificate.problem) = (None, Some("too many certificates".into()));
    });
    assert!(text.starts_with("Error tls.renewal") && errors(&text) == 1, "{text}");
    assert!(text.contains("Skipped tls.certificate: It is looked at once pds.example.com has a certificate."), "{text}");
}

/// What `--fix` does is what the findings say that it does.
#[test]
fn what_can_be_mended_is_said() {
    let fixable = |change: fn(&mut Facts)| {
        let mut facts = well();
        change(&mut facts);
        let found = evaluate(&facts).into_iter().filter(|finding| finding.fixable);
        found.map(|finding| format!("{} {}", finding.id, finding.sentence)).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(fixable(|_| {}), "");
    let stop = |facts: &mut Facts| facts.server = ServerFacts::Stopped { address: "0.0.0.0:443".into() };
    assert_eq!(fixable(stop), "", "its service runs, and may be about to listen");
    assert_eq!(
        fixable(|facts| {
            facts.server = ServerFacts::Stopped { address: "0.0.0.0:443".into() };
            facts.service.as_mut().unwrap().runs = false;
        }),
        "server The server does not run: its service is stopped."
    );
    assert_eq!(
        fixable(|facts| facts.service.as_mut().unwrap().enabled = false),
        "service The service does not start with the machine: after the next restart nobody gets to the server."
    );
    let behind = |facts: &mut Facts| {
        let crawler = &mut facts.inside.as_mut().unwrap().crawlers[0];
        (crawler.follows, crawler.telling_helps) = (Some(false), true);
    };
    assert!(fixable(behind).starts_with("crawler.reading"));
    let banned = |facts: &mut Facts| facts.inside.as_mut().unwrap().crawlers[0].follows = Some(false);
    assert_eq!(fixable(banned), "", "telling it again would not help");
    let untold = |facts: &mut Facts| facts.inside.as_mut().unwrap().crawlers[0].error = Some("status 502".into());
    assert_eq!(fixable(untold), "crawler.told relay.example could not be told that there is something new here: status 502.");
    assert!(fixable(|facts| facts.backups.backup = None).starts_with("backup.age"));
    let unattended = |facts: &mut Facts| (facts.backups.backup, facts.inside) = (None, None);
    assert_eq!(fixable(unattended), "", "nobody is there to make one");
}

#[test]
fn what_fills_the_disk_is_named() {
    let with = |free: u64, forecast: Option<u64>, uses: &[(Holder, u64)]| {
        changed(|facts| {
            let FolderState::Writable { space, .. } = &mut facts.folder.state else { unreachable!() };
            *space = Some((free << 30, 100 << 30));
            facts.folder.forecast = forecast.map(|days_left| Forecast { days_left, seen_days: 7 });
            let using = |(by, gib): &(Holder, u64)| Use { by: *by, bytes: gib << 30, complete: *by != Holder::Blobs };
            facts.folder.uses = uses.iter().map(using).collect();
        })
    };
    assert_eq!(with(50, Some(14), &[]), "", "there is time");
    let text = with(50, Some(13), &[(Holder::Backups, 30), (Holder::Blobs, 12), (Holder::Database, 3), (Holder::Logs, 1)]);
    assert_eq!(
        text,
        "Warning disk.space: 50.0 GiB of 100.0 GiB are free on the disk. If it fills as in the last 7 days, it is full in 13 days. \
         Backups on the same disk take 30.0 GiB. Blobs take ≥ 12.0 GiB. The database takes 3.0 GiB.\n  Make space, or move the \
         data folder to a bigger disk: when it is full, nobody can post. Let backup.to name a place on another machine: what is \
         on this disk is lost with it in any case.\n"
    );
    assert!(with(1, None, &[(Holder::Logs, 9)]).contains("Logs of the system take 9.0 GiB.\n"));
    let full = changed(|facts| {
        facts.folder.state = FolderState::Full;
        facts.folder.uses = vec![Use { by: Holder::Spool, bytes: 2 << 30, complete: true }];
    });
    assert!(full.contains("reads go on. What waits for a place of backups takes 2.0 GiB."), "{full}");
}

#[test]
fn a_single_host_with_a_wrong_clock_is_not_believed() {
    assert_eq!(changed(|facts| facts.clocks.truncate(2)), "");
    let text = changed(|facts| facts.clocks = vec![("a.example".into(), -240_000), ("b.example".into(), -241_000)]);
    assert!(
        text.starts_with("Error clock: The clock of this machine is 240 s slow, compared with a.example, b.example."),
        "{text}"
    );
    let text = changed(|facts| facts.clocks = vec![("a.example".into(), 6_000)]);
    assert!(text.starts_with("Warning clock: The clock of this machine is 6 s fast"), "{text}");
    assert!(changed(|facts| facts.clocks.clear()).starts_with("Skipped clock"));
}

#[test]
fn the_disk() {
    let with_space = |free: u64, total: u64| {
        changed(|facts| {
            let FolderState::Writable { space, .. } = &mut facts.folder.state else { unreachable!() };
            *space = Some((free << 20, total << 20));
        })
    };
    assert_eq!(with_space(3 << 10, 100 << 10), "", "three gigabytes are enough for now, however big the disk");
    assert!(with_space(1500, 40 << 10).starts_with("Warning disk.space: 1.5 GiB of 40.0 GiB are free"));
    assert!(with_space(300, 40 << 10).starts_with("Error disk.space"));
    assert!(with_space(100, 1 << 10).starts_with("Error disk.space"), "on a small disk too");
    let text = changed(|facts| {
        let FolderState::Writable { open, .. } = &mut facts.folder.state else { unreachable!() };
        *open = vec![(PathBuf::from("/var/lib/relay/master.key"), 0o100_644), (PathBuf::from("/var/lib/relay"), 0o40_755)];
    });
    assert!(
        text.starts_with(
            "Error disk.perm: Other users of this machine can get at /var/lib/relay/master.key (mode 0644) and 1 more files"
        ),
        "{text}"
    );
    let foreign = |of: (u32, u32)| {
        changed(|facts| {
            let FolderState::Writable { foreign, owner, .. } = &mut facts.folder.state else { unreachable!() };
            (*foreign, *owner) = (vec![PathBuf::from("/var/lib/relay/blobs")], of);
        })
    };
    let text = foreign((998, 997));
    assert!(text.starts_with("Error disk.owner: 1 files of the data folder belong to another user"), "{text}");
    assert!(text.contains("or `sudo chown -R 998:997 /var/lib/relay`."), "{text}");
    assert!(foreign((0, 0)).starts_with("Warning disk.owner"), "a folder of root's says nothing of who the server is");
    let secret = |ours: bool| {
        changed(|facts| facts.secrets = vec![OpenSecret { path: "/etc/relay/mail".into(), mode: 0o100_644, ours }])
    };
    let text = secret(true);
    assert!(text.starts_with("Error secrets.perm: Every user of this machine can read /etc/relay/mail (mode 0644)"), "{text}");
    assert!(text.contains("--fix") && !secret(false).contains("--fix"), "the server may read it only because all may");
    assert!(changed(|facts| facts.folder.state = FolderState::Absent).starts_with("Notice disk.perm"));
    let text = changed(|facts| facts.folder.state = FolderState::Unwritable("Read-only file system (os error 30)".into()));
    assert!(text.starts_with("Error disk.perm: Nothing can be written to the data folder /var/lib/relay: Read-only"), "{text}");
    let text = changed(|facts| {
        let FolderState::Writable { sync_micros, .. } = &mut facts.folder.state else { unreachable!() };
        *sync_micros = 400_000;
    });
    assert!(text.starts_with("Warning disk.sync: The disk takes 400.0 ms to make a write durable."), "{text}");
}

#[test]
fn addresses_and_names() {
    let text = changed(|facts| facts.addresses = Addresses { v4: Some("100.70.1.2".parse().unwrap()), v6: None });
    assert!(text.starts_with("Warning ip.address: The address 100.70.1.2 is shared among customers"), "{text}");
    let text = changed(|facts| facts.addresses = Addresses { v4: Some("192.168.1.2".parse().unwrap()), v6: None });
    assert!(text.starts_with("Notice ip.address: This machine is behind a router"), "{text}");
    assert!(changed(|facts| facts.addresses = Addresses::default()).starts_with("Error ip.address"));

    let text = changed(|facts| facts.addresses.v4 = Some("198.52.100.9".parse().unwrap()));
    assert!(
        text.starts_with("Warning dns.host: pds.example.com leads to 203.0.114.7, and this machine has 198.52.100.9."),
        "{text}"
    );
    let alone = |host: Vec<IpAddr>| {
        changed(|facts| {
            let dns = facts.dns.as_mut().unwrap();
            dns.authorities = Err("they are not known".into());
            dns.host[1].1 = if host.is_empty() { Err("there is no such DNS record".into()) } else { Ok(host) };
        })
    };
    let text = alone(vec!["192.168.1.2".parse().unwrap()]);
    assert!(text.contains("Error dns.host: pds.example.com leads to 192.168.1.2, which only the local network"), "{text}");
    let text = alone(Vec::new());
    assert!(text.contains("Warning dns.host: pds.example.com is known to some DNS servers only (9.9.9.9"), "{text}");
    let text = changed(|facts| facts.dns.as_mut().unwrap().wildcards[0].1 = Ok(Vec::new()));
    assert!(text.starts_with("Error dns.wildcard: Names under pds.example.com have no address"), "{text}");
    assert!(text.contains("`*.pds.example.com. A 203.0.114.7`"), "{text}");
}

#[test]
fn what_the_domains_own_servers_say_is_so() {
    let (own, old): (IpAddr, IpAddr) = ("203.0.114.7".parse().unwrap(), "203.0.114.99".parse().unwrap());
    let with = |said: [Result<Vec<IpAddr>, String>; 2], remembered: Result<Vec<IpAddr>, String>| {
        changed(|facts| {
            let dns = facts.dns.as_mut().unwrap();
            let servers = ["ns1.example", "ns2.example"].map(str::to_owned);
            dns.authorities = Ok(Authorities { zone: "example.com".into(), said: servers.into_iter().zip(said).collect() });
            dns.host[0].1 = remembered;
        })
    };
    let absent = || Err("there is no such DNS record".to_owned());
    let text = with([Ok(vec![]), Ok(vec![])], Ok(vec![own]));
    assert!(
        text.starts_with("Error dns.host: The DNS servers of example.com have no address for pds.example.com; others still"),
        "{text}"
    );
    assert!(text.contains("write `pds.example.com. A 203.0.114.7`"), "{text}");
    let text = with([Ok(vec![own]), Ok(vec![old])], Ok(vec![own]));
    assert!(
        text.starts_with("Warning dns.host: The DNS servers of example.com do not agree: one has 203.0.114.7, and"),
        "{text}"
    );
    let text = with([Ok(vec![own]), Ok(vec![own])], Ok(vec![old]));
    assert!(
        text.starts_with(
            "Warning dns.host: The DNS servers of example.com have 203.0.114.7 for pds.example.com, and 1.1.1.1 still has 203.0.114.99."
        ),
        "{text}"
    );
    let text = with([Ok(vec![own]), Ok(vec![own])], absent());
    assert!(text.contains("and 1.1.1.1 still has none.\n  What was there before is remembered"), "{text}");
    let text = changed(|facts| {
        let dns = facts.dns.as_mut().unwrap();
        dns.host[0].1 = Ok(vec![old]);
        dns.remembered_for.insert("1.1.1.1".into(), Duration::from_secs(3541));
    });
    assert!(text.ends_with("It forgets that in 60 minutes at the latest. Wait, then run this again.\n"), "{text}");
    let text = with([Ok(vec![own]), Err("timed out".into())], Ok(vec![own]));
    assert!(
        text.starts_with("Warning dns.servers: 1 of the 2 DNS servers of example.com do not answer (ns2.example: timed out)."),
        "{text}"
    );
    assert_eq!(with([Ok(vec![own, old]), Ok(vec![own])], Ok(vec![own])), "", "many addresses are given in turn");
}

#[test]
fn the_certificate_authority() {
    let text = changed(|facts| facts.acme.as_mut().unwrap().authority = Err("it cannot be reached".into()));
    assert!(text.starts_with("Error acme: The certificate authority at https://ca.example/directory does not"), "{text}");
    assert!(text.contains("Skipped dns.caa"), "{text}");
    assert_eq!(changed(|facts| facts.acme.as_mut().unwrap().authority = Ok(Vec::new())), "", "it does not look at CAA");

    let with = |name: &str, methods: &[&'static str], rows: &[(&str, &str, bool)]| {
        let row = |(tag, value, critical): &(&str, &str, bool)| CaaRecord {
            owner: "example.com".into(),
            critical: *critical,
            tag: (*tag).into(),
            value: (*value).into(),
        };
        changed(|facts| {
            let acme = facts.acme.as_mut().unwrap();
            acme.methods = methods.to_vec();
            acme.names = vec![(name.into(), Ok(rows.iter().map(row).collect()))];
        })
    };
    let http = ["http-01", "tls-alpn-01"];
    let forbidden = with("pds.example.com", &http, &[("issue", "other.example", false)]);
    assert!(
        forbidden.starts_with(
            "Error dns.caa: The CAA rows of example.com forbid ca.example to issue certificates for pds.example.com (found \"other.example\")."
        ),
        "{forbidden}"
    );
    assert!(forbidden.contains("add `example.com. CAA 0 issue \"ca.example\"`"), "{forbidden}");
    assert!(with("pds.example.com", &http, &[("issue", ";", false)]).starts_with("Error dns.caa"), "nobody may");
    assert_eq!(with("pds.example.com", &http, &[("issue", "other.example", false), ("issue", "CA.example; x=y", false)]), "");
    assert_eq!(with("pds.example.com", &http, &[("iodef", "mailto:a@example.com", false)]), "");
    assert!(with("pds.example.com", &http, &[("tbs", "x", true)]).contains("lets nobody issue who does not understand it"));
    let by_dns_only = [("issue", "ca.example; validationmethods=dns-01", false)];
    assert!(with("pds.example.com", &http, &by_dns_only).starts_with("Error dns.caa"));
    assert_eq!(with("pds.example.com", &["dns-01"], &by_dns_only), "");
    let wild = [("issue", "ca.example", false), ("issuewild", ";", false)];
    assert!(with("*.pds.example.com", &["dns-01"], &wild).contains("CAA 0 issuewild"), "");
    assert_eq!(with("pds.example.com", &http, &wild), "");
    let text = changed(|facts| facts.acme.as_mut().unwrap().names[0].1 = Err("SERVFAIL".into()));
    assert!(text.starts_with("Warning dns.caa: Whether DNS lets the authority issue"), "{text}");
}

#[test]
fn the_server_by_its_public_name() {
    let text = changed(|facts| facts.public.as_mut().unwrap().certificate = Some(Err("certificate expired".into())));
    assert!(
        text.starts_with("Error tls.certificate: No safe connection to pds.example.com can be made: certificate"),
        "{text}"
    );
    assert_eq!(text.matches("Skipped").count(), 2, "{text}");
    // Behind a router that does not lead home what is sent to itself.
    let behind = |facts: &mut Facts| {
        facts.addresses.v4 = Some("192.168.1.10".parse().unwrap());
        facts.public.as_mut().unwrap().certificate = Some(Err("Connection refused".into()));
    };
    let text = changed(behind);
    assert!(text.contains("Warning tls.certificate: This machine cannot call itself by pds.example.com: Connection"), "{text}");
    assert_eq!((text.matches("Skipped").count(), text.contains("Error")), (2, false), "{text}");
    let text = changed(|facts| {
        behind(facts);
        facts.inside.as_mut().unwrap().certificates[0].not_after = None;
    });
    assert!(text.contains("Error tls.certificate: No safe connection"), "{text}");
    let text = changed(|facts| facts.public.as_mut().unwrap().certificate = Some(Ok(certificate(3))));
    assert!(text.starts_with("Warning tls.certificate: The certificate of pds.example.com ends in 3 days"), "{text}");
    let text = changed(|facts| facts.public.as_mut().unwrap().service = Ok("did:web:other.example".parse().unwrap()));
    assert!(text.starts_with("Error http.health: At https://pds.example.com another server answers, did:web:other"), "{text}");
    let text = changed(|facts| facts.public.as_mut().unwrap().websocket = Err("the answer was status 400".into()));
    assert!(text.starts_with("Error http.websocket: The event stream cannot be subscribed to"), "{text}");
}

#[test]
fn processes_accounts_services_and_mail() {
    let text = changed(|facts| {
        facts.server = ServerFacts::Occupied { address: "0.0.0.0:443".into(), by: Some("nginx (process 12)".into()) };
    });
    assert!(
        text.starts_with("Error server: 0.0.0.0:443 is taken by nginx (process 12).\n  Stop that program, or let it pass"),
        "{text}"
    );
    assert!(changed(|facts| facts.server = ServerFacts::Stopped { address: "x".into() }).starts_with("Error server"));

    let account = |change: fn(&mut AccountFacts)| changed(|facts| change(&mut facts.accounts.as_mut().unwrap()[0]));
    let text = account(|account| account.resolved = Err("there is no such DNS record".into()));
    assert!(text.starts_with("Error account.handle: The handle alice.pds.example.com leads nowhere"), "{text}");
    let text = account(|account| account.document.as_mut().unwrap().server = Some("https://other.example".into()));
    assert!(text.contains("says that the account is at https://other.example."), "{text}");
    let text = account(|account| account.document.as_mut().unwrap().handle = "bob.example".parse().ok());
    assert!(text.starts_with("Warning account.did: The document of did:plc:"), "{text}");
    // An older backup was restored, from before the key was changed.
    let text = account(|account| account.document.as_mut().unwrap().signing_key = Some("did:key:zTheirs".into()));
    assert!(text.contains("has another signing key than this server, so nobody believes what is posted."), "{text}");
    assert!(text.contains("`relay rotate signing-key did:plc:ewvi7nxzyoun6zhxrhs64oiz`"), "{text}");
    assert_eq!(account(|account| account.signing_key = None), "", "what is not known is not compared");
    assert!(changed(|facts| facts.accounts = Ok(Vec::new())).starts_with("Notice account.did: There is no account yet."));

    let text = changed(|facts| facts.services[0].problem = Some("it cannot be reached".into()));
    assert!(text.starts_with("Error plc: The PLC directory at https://plc.directory does not answer: it cannot"), "{text}");
    let text = changed(|facts| {
        facts.mail = MailFacts::Fails { host: "mail.example.com".into(), reason: "535 wrong password".into() };
    });
    assert!(text.starts_with("Error mail: The mail server mail.example.com cannot be used: 535 wrong password."), "{text}");
    assert!(changed(|facts| facts.mail = MailFacts::NotConfigured).starts_with("Notice mail"));
}

#[test]
fn a_server_for_this_machine_alone_needs_no_names() {
    let text = changed(|facts| {
        facts.setup.local = true;
        facts.dns = None;
        facts.acme = None;
        let public = facts.public.as_mut().unwrap();
        (public.certificate, public.challenge) = (None, None);
    });
    assert!(text.starts_with("Notice dns.host") && text.lines().count() == 2, "{text}");
}

#[test]
fn the_machine() {
    let with = |change: fn(&mut Machine)| changed(|facts| change(&mut facts.machine));
    assert!(with(|machine| machine.file_system = Some("nfs4".into())).starts_with(
        "Error disk.kind: The data folder is on a disk over the network (nfs4), on which a database is damaged sooner or later."
    ));
    assert!(with(|machine| machine.file_system = Some("SMBFS".into())).starts_with("Error disk.kind"));
    assert!(
        with(|machine| machine.file_system = Some("tmpfs".into())).starts_with("Error disk.kind: The data folder is in memory")
    );
    assert!(with(|machine| machine.file_system = Some("overlay".into())).contains("--volume relay-data:/data"));
    assert!(with(|machine| machine.files = Some(1024)).starts_with("Warning files: The server may have 1024 files"));
    assert!(with(|machine| machine.memory = Some(150 << 20)).starts_with("Warning memory: The server can have 150 MiB"));
    assert!(with(|machine| machine.memory = Some(64 << 20)).starts_with("Error memory"));
    assert!(with(|machine| machine.sleep = Some(Sleep::Laptop)).contains("systemctl mask sleep.target"));
    assert!(
        with(|machine| machine.sleep = Some(Sleep::After(15)))
            .contains("after 15 minutes, and the server with it.\n  `sudo relay service install --keep-awake`")
    );
    assert!(with(|machine| machine.clock_is_set = Some(false)).starts_with("Notice clock.sync"));
    assert_eq!(with(|machine| *machine = Machine::default()), "", "a system that tells nothing is not guessed about");
}

#[test]
fn addresses_that_do_not_answer() {
    let (v4, v6): (IpAddr, IpAddr) = ("203.0.114.7".parse().unwrap(), "2a00::7".parse().unwrap());
    let with = |own: Option<IpAddr>, called: Vec<(IpAddr, Result<(), String>)>| {
        changed(|facts| {
            facts.addresses.v6 = own;
            facts.public.as_mut().unwrap().addresses = called;
        })
    };
    let refused = || Err("connection refused".to_owned());
    let text = with(Some(v6), vec![(v4, Ok(())), (v6, refused())]);
    assert!(
        text.starts_with("Warning ip.v6: pds.example.com has the address 2a00::7, which does not answer: connection refused."),
        "{text}"
    );
    assert!(text.contains("remove the row `pds.example.com. AAAA 2a00::7`"), "{text}");
    assert!(
        with(None, vec![(v4, Ok(())), (v6, refused())]).starts_with("Warning ip.v6"),
        "the row is this machine's, which has no IPv6"
    );
    let proxy: IpAddr = "198.41.128.1".parse().unwrap();
    assert!(
        with(None, vec![(proxy, Ok(())), (v6, refused())]).starts_with("Skipped ip.v6"),
        "a proxy's address is its own affair"
    );
    let text = with(None, vec![(v4, Ok(())), ("203.0.114.8".parse().unwrap(), refused())]);
    assert!(text.starts_with("Warning ip.v4: pds.example.com has the address 203.0.114.8"), "{text}");
    assert_eq!(with(None, vec![(v4, refused())]), "", "then no connection stands, and the certificate says so");
}

#[test]
fn proxies_and_ports() {
    let with = |change: fn(&mut Public)| changed(|facts| change(facts.public.as_mut().unwrap()));
    let text = with(|public| public.upload.1 = Ok(413));
    assert!(text.starts_with("Error http.upload: The proxy refuses uploads of 50 MiB, which the server takes."), "{text}");
    assert!(text.contains("client_max_body_size 0;"), "{text}");
    assert_eq!(with(|public| public.upload.1 = Ok(100)), "");
    assert!(with(|public| public.upload.1 = Ok(403)).starts_with("Warning http.upload"));
    assert!(with(|public| public.upload.1 = Err("there was no answer".into())).starts_with("Warning http.upload"));
    let text = with(|public| public.issuer = Ok("http://localhost:2583".into()));
    assert!(
        text.starts_with("Error http.metadata: Apps that sign users in are told that this is http://localhost:2583"),
        "{text}"
    );
    assert!(with(|public| public.issuer = Err("status 404".into())).contains("cannot be had (status 404)"));
    let text = with(|public| public.challenge = Some(Err("203.0.114.7 port 80: connection refused".into())));
    assert!(
        text.starts_with("Warning http.challenge: At port 80 of pds.example.com the certificate authority does not find"),
        "{text}"
    );
}

#[test]
fn what_the_server_itself_knows() {
    let with = |not_after: Option<i64>| {
        changed(|facts| {
            let certificate = &mut facts.inside.as_mut().unwrap().certificates[0];
            certificate.not_after = not_after;
            certificate.problem = Some("The authority did not find the challenge at port 80.".into());
        })
    };
    let text = with(Some(5 * DAY));
    assert!(
        text.starts_with(
            "Warning tls.renewal: The certificate of pds.example.com is not renewed, and good for 5 more days: The authority"
        ),
        "{text}"
    );
    let limited = |retry_at: Option<i64>, limited: bool| {
        changed(|facts| {
            let certificate = &mut facts.inside.as_mut().unwrap().certificates[0];
            certificate.problem = Some("the certificate authority gives no more certificates for now: too many".into());
            (certificate.retry_at, certificate.limited) = (retry_at, limited);
        })
    };
    let text = limited(Some(3 * DAY + 14 * 60 * 60 * 1000), true);
    assert!(text.ends_with("There is nothing to mend: the server tries again on 1970-01-04 14:00 UTC.\n"), "{text}");
    assert!(limited(None, true).ends_with("There is nothing to mend: the server tries again by itself.\n"));
    assert!(limited(Some(DAY), false).contains("by itself, on 1970-01-02 00:00 UTC. What the authority says"));
    assert!(with(None).starts_with("Error tls.renewal: There is no certificate for pds.example.com: The authority"));
    assert!(with(Some(-DAY)).starts_with("Error tls.renewal"));
    let text = changed(|facts| {
        let crawler = &mut facts.inside.as_mut().unwrap().crawlers[0];
        crawler.follows = Some(false);
        crawler.reading = Some("relay.example is ahead of this server.".into());
    });
    assert!(text.starts_with("Warning crawler.reading: relay.example is ahead of this server."), "{text}");
    assert_eq!(changed(|facts| facts.inside = None), "");
}

#[test]
fn backups_and_versions() {
    let with = |change: fn(&mut BackupFacts)| changed(|facts| change(&mut facts.backups));
    let text = with(|backups| *backups = BackupFacts::default());
    assert!(
        text.starts_with("Warning backup.age: There are no backups: when this disk breaks, all accounts are lost."),
        "{text}"
    );
    let text = with(|backups| backups.backup = None);
    assert!(text.starts_with("Warning backup.age: There was no backup yet.\n  `relay backup now` makes one."), "{text}");
    assert_eq!(with(|backups| backups.backup = Some(succeeded(35))), "");
    assert!(
        with(|backups| backups.backup = Some(succeeded(37)))
            .starts_with("Warning backup.age: The last backup is 37 hours old.")
    );
    let failed = |text: &str| Milestone {
        sentence: text.into(),
        remedy: Some("Mend it.".into()),
        last_success_at: None,
        ..succeeded(1)
    };
    let text = changed(|facts| {
        facts.backups.backup = Some(Milestone { last_success_at: Some(-50 * 60 * 60 * 1000), ..failed("The place is full.") });
    });
    assert!(
        text.starts_with(
            "Error backup.age: The last backup failed, and the last good one is 50 hours old: The place is full.\n  Mend it."
        ),
        "{text}"
    );
    let text = changed(|facts| facts.backups.drill = Some(failed("A blob is missing.")));
    assert!(
        text.starts_with("Error backup.drill: The last drill, a restore on trial, failed, and there is no good one: A blob"),
        "{text}"
    );
    assert!(with(|backups| backups.drill = None).starts_with("Warning backup.drill"));

    let text = changed(|facts| facts.release = Some(("0.1.0".into(), Ok("0.2.0".into()))));
    assert_eq!(text, "Notice version: Version 0.2.0 is there; this is 0.1.0.\n  `relay update` installs it.\n");
    assert!(changed(|facts| facts.release = Some(("0.1.0".into(), Err("no answer".into())))).starts_with("Skipped version"));
    assert_eq!(changed(|facts| facts.release = None), "");

    let text = changed(|facts| {
        let sender = Some(SenderFacts { domain: "example.com".into(), spf: false, dmarc: false });
        facts.mail = MailFacts::Works { host: "mail.example.com".into(), sender };
    });
    assert!(
        text.starts_with("Notice mail.sender: example.com has no SPF and no DMARC record, so many providers take its mail"),
        "{text}"
    );
}

#[test]
fn the_router_s_ports() {
    use crate::gateway::{Grant, Protocol, RouterStatus};
    let told = |granted: bool, problem: Option<&str>| {
        changed(|facts| {
            let granted =
                granted.then(|| Grant { by: Protocol::NatPmp, address: "203.0.114.7".parse().unwrap(), at: -600_000 });
            let router = RouterStatus { ports: vec![443, 80], granted, problem: problem.map(str::to_owned) };
            facts.inside.as_mut().unwrap().router = Some(router);
            facts.addresses.v4 = Some("192.168.1.10".parse().unwrap());
        })
    };
    assert!(!told(true, None).contains("router.ports"));
    let gone = told(true, Some("no router answered"));
    assert!(gone.contains("Warning router.ports: The router passed ports 443, 80 on (by NAT-PMP) 10 minutes ago"), "{gone}");
    assert!(gone.contains("pass ports 443, 80 on to 192.168.1.10"), "{gone}");
    let never = told(false, Some("no router answered"));
    assert!(never.contains("Error router.ports: The router does not pass ports 443, 80 on: no router answered."), "{never}");
    // The provider gave the router another address, and DNS still has the one before.
    let moved = changed(|facts| {
        let granted = Some(Grant { by: Protocol::Upnp, address: "203.0.114.99".parse().unwrap(), at: 0 });
        facts.inside.as_mut().unwrap().router = Some(RouterStatus { ports: vec![443], granted, problem: None });
        facts.addresses.v4 = Some("192.168.1.10".parse().unwrap());
    });
    assert!(
        moved.contains("Warning dns.host: pds.example.com leads to 203.0.114.7, and this machine has 203.0.114.99."),
        "{moved}"
    );
    assert!(moved.contains("`pds.example.com. A 203.0.114.99`"), "{moved}");
}
