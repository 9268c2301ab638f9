//! The DNS resolver that identity resolution and guarded HTTP requests share.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::{RData, RecordType};

/// How long answers are believed at most: people wait for the change that they have just made.
const MAX_POSITIVE_TTL: Duration = Duration::from_secs(300);
/// How long an absence is believed at most.
const MAX_NEGATIVE_TTL: Duration = Duration::from_secs(30);
/// How many answers are kept.
const CACHED_ANSWERS: u64 = 4096;

/// Why a DNS question has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DnsFailure {
    /// The name exists nowhere, or has no records of the kind.
    #[error("there is no such DNS record")]
    Absent,
    /// The name is not one that DNS can hold, such as one with a label over 63 bytes.
    #[error("it is not a DNS name")]
    BadName,
    /// The nameservers did not answer.
    #[error("no nameserver answered in time")]
    Slow,
    /// The nameservers cannot be asked, or answered with a failure.
    #[error("the DNS query failed: {0}")]
    Failed(String),
}

/// Asks DNS, through the system's nameservers or given ones.
#[derive(Clone)]
pub struct Dns {
    resolver: TokioResolver,
}

impl std::fmt::Debug for Dns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dns").finish_non_exhaustive()
    }
}

impl Dns {
    /// Makes a resolver that asks `nameservers`, or those of the system when none are given.
    ///
    /// A system without a resolver configuration (an offline container) is no error: then only the hosts file and `localhost`
    /// are known.
    ///
    /// # Errors
    ///
    /// [`DnsFailure::Failed`] when the resolver cannot be set up.
    pub fn new(nameservers: &[SocketAddr], timeout: Duration) -> Result<Self, DnsFailure> {
        Self::with(nameservers, timeout, true, Some(MAX_POSITIVE_TTL))
    }

    /// Makes one that tells for how long `nameservers` will remember what they say, however long that is.
    pub(crate) fn observing(nameservers: &[SocketAddr], timeout: Duration) -> Result<Self, DnsFailure> {
        Self::with(nameservers, timeout, true, None)
    }

    /// Makes one that asks `nameservers` for what they know themselves, as the servers of a domain do.
    pub(crate) fn direct(nameservers: &[SocketAddr], timeout: Duration) -> Result<Self, DnsFailure> {
        Self::with(nameservers, timeout, false, Some(MAX_POSITIVE_TTL))
    }

    fn with(
        nameservers: &[SocketAddr],
        timeout: Duration,
        recursive: bool,
        positive_max_ttl: Option<Duration>,
    ) -> Result<Self, DnsFailure> {
        let (config, mut options) = if nameservers.is_empty() {
            hickory_resolver::system_conf::read_system_conf().unwrap_or_else(|error| {
                tracing::warn!(%error, "the system's DNS configuration cannot be read: only local names are resolved");
                (ResolverConfig::from_name_servers(Vec::new()), ResolverOpts::default())
            })
        } else {
            let servers = nameservers.iter().map(|address| name_server(*address)).collect();
            (ResolverConfig::from_name_servers(servers), ResolverOpts::default())
        };
        // A question is asked twice within the time that the caller has, for UDP packets get lost.
        options.timeout = timeout / 2;
        options.attempts = 1;
        options.recursion_desired = recursive;
        options.cache_size = CACHED_ANSWERS;
        options.positive_max_ttl = positive_max_ttl;
        options.negative_max_ttl = Some(MAX_NEGATIVE_TTL);
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        *builder.options_mut() = options;
        let resolver = builder.build().map_err(|error| DnsFailure::Failed(error.to_string()))?;
        Ok(Self { resolver })
    }

    /// Returns the addresses of `host`, IPv6 and IPv4 as DNS gave them.
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, DnsFailure> {
        let answer = self.resolver.lookup_ip(absolute(host)).await.map_err(failure)?;
        Ok(answer.iter().collect())
    }

    /// Returns the addresses of `host`, and for how long whoever was asked will say the same.
    pub(crate) async fn addresses_and_ttl(&self, host: &str) -> Result<(Vec<IpAddr>, Duration), DnsFailure> {
        let answer = self.resolver.lookup_ip(absolute(host)).await.map_err(failure)?;
        let ttl = answer.as_lookup().answers().iter().map(|record| record.ttl).min().unwrap_or_default();
        Ok((answer.iter().collect(), Duration::from_secs(ttl.into())))
    }

    /// Returns the TXT records of `name`, each as one text (its strings joined, as DNS limits a string to 255 bytes).
    ///
    /// With `fresh`, an answer in the resolver's own cache is dropped first.
    pub async fn texts(&self, name: &str, fresh: bool) -> Result<Vec<String>, DnsFailure> {
        let name = absolute(name);
        if fresh {
            self.resolver.clear_lookup_cache(name.as_str(), RecordType::TXT);
        }
        let answer = self.resolver.txt_lookup(name).await.map_err(failure)?;
        let texts = answer.answers().iter().filter_map(|record| match &record.data {
            RData::TXT(text) => Some(String::from_utf8_lossy(&text.txt_data.concat()).into_owned()),
            _ => None,
        });
        Ok(texts.collect())
    }

    /// Returns the data of the records of one kind at `name`, and of whatever else came with them, such as a CNAME.
    pub(crate) async fn records(&self, name: &str, kind: RecordType) -> Result<Vec<RData>, DnsFailure> {
        let answer = self.resolver.lookup(absolute(name), kind).await.map_err(failure)?;
        Ok(answer.answers().iter().map(|record| record.data.clone()).collect())
    }
}

/// Names with a dot are complete: the search domains of the system must not turn a stranger's name into a local one.
fn absolute(host: &str) -> String {
    if host.contains('.') && !host.ends_with('.') { format!("{host}.") } else { host.to_owned() }
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.into())
}

fn failure(error: NetError) -> DnsFailure {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(_)) => DnsFailure::Absent,
        NetError::Proto(_) => DnsFailure::BadName,
        NetError::Timeout => DnsFailure::Slow,
        other => DnsFailure::Failed(other.to_string()),
    }
}
