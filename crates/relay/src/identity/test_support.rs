//! What tests of this module stand on: a clock that is moved, loopback web servers, and a small DNS server.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::Clock;
use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, CAA, CNAME, NS, TXT};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::net::{TcpListener, UdpSocket};
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use super::dns::Dns;
use super::http::{HttpClients, HttpOptions};

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub(crate) struct TestClock(AtomicU64);

impl Default for TestClock {
    fn default() -> Self {
        Self(AtomicU64::new(1_700_000_000_000))
    }
}

impl TestClock {
    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_millis() as u64, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// A web server on a port of its own, until it is dropped.
pub(crate) struct WebServer {
    pub(crate) address: SocketAddr,
    _task: AbortOnDropHandle<()>,
}

impl WebServer {
    pub(crate) async fn start(router: axum::Router) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, _task: AbortOnDropHandle::new(task) }
    }

    pub(crate) fn url(&self, path: &str) -> Url {
        Url::parse(&format!("http://{}{path}", self.address)).unwrap()
    }
}

/// What the DNS server has at a name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Zone {
    addresses: Vec<IpAddr>,
    texts: Vec<Vec<String>>,
    servers: Vec<String>,
    issuers: Vec<String>,
    alias: Option<String>,
    silent: bool,
    ttl_seconds: Option<u32>,
}

impl Zone {
    pub(crate) fn addresses(addresses: &[&str]) -> Self {
        Self { addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(), ..Self::default() }
    }

    /// The servers of a domain.
    pub(crate) fn servers(names: &[&str]) -> Self {
        Self { servers: names.iter().map(|name| format!("{name}.")).collect(), ..Self::default() }
    }

    /// The certificate authorities that may issue for a name.
    pub(crate) fn issuers(names: &[&str]) -> Self {
        Self { issuers: names.iter().map(|name| (*name).to_owned()).collect(), ..Self::default() }
    }

    /// A name that stands for another one.
    pub(crate) fn alias(target: &str) -> Self {
        Self { alias: Some(format!("{target}.")), ..Self::default() }
    }

    /// TXT records of one string each.
    pub(crate) fn texts(texts: &[&str]) -> Self {
        Self { texts: texts.iter().map(|text| vec![(*text).to_owned()]).collect(), ..Self::default() }
    }

    /// One TXT record of several strings.
    pub(crate) fn split_text(parts: &[&str]) -> Self {
        Self { texts: vec![parts.iter().map(|part| (*part).to_owned()).collect()], ..Self::default() }
    }

    /// The same, to be remembered for so many seconds.
    pub(crate) fn lasting(self, seconds: u32) -> Self {
        Self { ttl_seconds: Some(seconds), ..self }
    }

    /// Questions about the name stay without an answer.
    pub(crate) fn silent() -> Self {
        Self { silent: true, ..Self::default() }
    }

    fn records(&self, kind: RecordType) -> Vec<RData> {
        if let Some(target) = &self.alias {
            return vec![RData::CNAME(CNAME(target.parse().unwrap()))];
        }
        match kind {
            RecordType::NS => self.servers.iter().map(|server| RData::NS(NS(server.parse().unwrap()))).collect(),
            RecordType::CAA => {
                let issuer = |name: &String| Some(name.parse::<Name>().unwrap());
                self.issuers.iter().map(|name| RData::CAA(CAA::new_issue(false, issuer(name), Vec::new()))).collect()
            }
            RecordType::TXT => self.texts.iter().map(|parts| RData::TXT(TXT::new(parts.clone()))).collect(),
            RecordType::A | RecordType::AAAA => {
                let data = self.addresses.iter().map(|address| match address {
                    IpAddr::V4(address) => RData::A(A(*address)),
                    IpAddr::V6(address) => RData::AAAA(AAAA(*address)),
                });
                data.filter(|data| data.record_type() == kind).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// A nameserver for a few names; all others do not exist.
pub(crate) struct DnsServer {
    pub(crate) address: SocketAddr,
    asked: Arc<AtomicUsize>,
    _task: AbortOnDropHandle<()>,
}

impl DnsServer {
    pub(crate) async fn start(zones: impl IntoIterator<Item = (&str, Zone)>) -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), zones).await
    }

    pub(crate) async fn start_at(address: SocketAddr, zones: impl IntoIterator<Item = (&str, Zone)>) -> Self {
        let zones: HashMap<String, Zone> = zones.into_iter().map(|(name, zone)| (format!("{name}."), zone)).collect();
        let socket = UdpSocket::bind(address).await.unwrap();
        let address = socket.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            let mut packet = [0; 4096];
            loop {
                let (len, from) = socket.recv_from(&mut packet).await.unwrap();
                counter.fetch_add(1, Ordering::SeqCst);
                if let Some(answer) = answer(&zones, &Message::from_vec(&packet[..len]).unwrap()) {
                    socket.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
                }
            }
        });
        Self { address, asked, _task: AbortOnDropHandle::new(task) }
    }

    pub(crate) fn dns(&self) -> Dns {
        Dns::new(&[self.address], Duration::from_secs(3)).unwrap()
    }

    /// Returns how many questions have come.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn answer(zones: &HashMap<String, Zone>, question: &Message) -> Option<Message> {
    let query = question.queries[0].clone();
    let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
    answer.metadata.recursion_desired = true;
    answer.metadata.recursion_available = true;
    answer.add_query(query.clone());
    match zones.get(&query.name().to_lowercase().to_string()) {
        Some(zone) if zone.silent => return None,
        Some(zone) => {
            for data in zone.records(query.query_type()) {
                answer.add_answer(Record::from_rdata(query.name().clone(), zone.ttl_seconds.unwrap_or(60), data));
            }
        }
        None => answer.metadata.response_code = ResponseCode::NXDomain,
    }
    Some(answer)
}

/// Clients whose host names `server` resolves.
pub(crate) fn clients(server: &DnsServer, protect: bool) -> HttpClients {
    let options = HttpOptions { protect, timeout: Duration::from_secs(2), ..HttpOptions::default() };
    HttpClients::new(&options, server.dns()).unwrap()
}
