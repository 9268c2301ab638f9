//! What is so. Each part is filled in by the probe of its name; text in `Err` is a cause without a full stop.

use std::net::IpAddr;
use std::path::PathBuf;

use common::{Did, Handle};

/// All that the checks know.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) setup: Setup,
    pub(crate) folder: Folder,
    /// How far this machine's clock is ahead of others', by their hosts.
    pub(crate) clocks: Vec<(String, i64)>,
    pub(crate) server: ServerFacts,
    pub(crate) addresses: Addresses,
    /// What is published in DNS; `None` where the server is for this machine alone.
    pub(crate) dns: Option<DnsFacts>,
    /// `None` where the server orders no certificates.
    pub(crate) acme: Option<AcmeFacts>,
    /// The server as the world sees it; `None` where that is not asked for.
    pub(crate) public: Option<Public>,
    /// The accounts that are looked at; the reason when they cannot be listed.
    pub(crate) accounts: Result<Vec<AccountFacts>, String>,
    pub(crate) services: Vec<ServiceFacts>,
    pub(crate) mail: MailFacts,
}

/// What is configured.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) public_url: String,
    pub(crate) host: String,
    /// Whether only this machine reaches the server.
    pub(crate) local: bool,
    /// The domains that handles are given under, each with a dot in front.
    pub(crate) handle_domains: Vec<String>,
}

/// The data folder.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    pub(crate) state: FolderState,
}

/// How a folder is.
#[derive(Clone, Debug)]
pub(crate) enum FolderState {
    Absent,
    /// Why a file cannot be written to it.
    Unwritable(String),
    Writable {
        /// Files that others than the owner may read, with their permissions; the folder itself is among them.
        open: Vec<(PathBuf, u32)>,
        /// Free bytes for this user and the size of the file system.
        space: Option<(u64, u64)>,
        /// How long it took to make a small file durable, in microseconds.
        sync_micros: u64,
    },
}

/// The server's process.
#[derive(Clone, Debug)]
pub(crate) enum ServerFacts {
    /// It has the data folder.
    Answers,
    /// Somebody else has the address.
    Occupied { address: String, by: Option<String> },
    /// The address is free, and nothing answers.
    Stopped { address: String },
    /// The address cannot be had.
    Refused { address: String, reason: String },
}

/// The addresses of this machine.
#[derive(Clone, Debug, Default)]
pub(crate) struct Addresses {
    /// The one that packets to the world come from, by family.
    pub(crate) v4: Option<IpAddr>,
    pub(crate) v6: Option<IpAddr>,
}

/// What DNS servers say.
#[derive(Clone, Debug)]
pub(crate) struct DnsFacts {
    /// What the domain's own servers say of the server's name; the reason when those are not known.
    pub(crate) authorities: Result<Authorities, String>,
    /// The server's own name, as each of the resolvers asked has it.
    pub(crate) host: Vec<(String, Result<Vec<IpAddr>, String>)>,
    /// A made-up name under each handle domain.
    pub(crate) wildcards: Vec<(String, Result<Vec<IpAddr>, String>)>,
}

/// The DNS servers that a domain has itself: what they say is so, whatever others remember.
#[derive(Clone, Debug)]
pub(crate) struct Authorities {
    pub(crate) zone: String,
    /// The addresses that each server has; none when there is no such row. The reason when it does not answer.
    pub(crate) said: Vec<(String, Result<Vec<IpAddr>, String>)>,
}

/// What certificates are ordered by.
#[derive(Clone, Debug)]
pub(crate) struct AcmeFacts {
    /// The directory of the certificate authority.
    pub(crate) url: String,
    /// The names that CAA records know the authority by; the reason when it does not answer.
    pub(crate) authority: Result<Vec<String>, String>,
    /// The ways to prove a name that are used, by their names in ACME.
    pub(crate) methods: Vec<&'static str>,
    /// The names that certificates are ordered for, and the CAA records that hold for each.
    pub(crate) names: Vec<(String, Result<Vec<CaaRecord>, String>)>,
}

/// A record that says who may issue certificates for a name (RFC 8659).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CaaRecord {
    /// Where it stands, which may be above the name that it holds for.
    pub(crate) owner: String,
    pub(crate) critical: bool,
    pub(crate) tag: String,
    pub(crate) value: String,
}

/// The server, called by its public name.
#[derive(Clone, Debug)]
pub(crate) struct Public {
    /// The certificate's last day as milliseconds since 1970, when the connection stood; the reason otherwise.
    pub(crate) certificate: Option<Result<i64, String>>,
    pub(crate) now_millis: i64,
    /// The DID that the server there has.
    pub(crate) service: Result<Did, String>,
    pub(crate) own_service: Did,
    /// Whether the event stream can be subscribed to.
    pub(crate) websocket: Result<(), String>,
}

/// An account and what the world knows of it.
#[derive(Clone, Debug)]
pub(crate) struct AccountFacts {
    pub(crate) did: Did,
    pub(crate) handle: Handle,
    /// What the handle resolves to.
    pub(crate) resolved: Result<Did, String>,
    /// The server and the handle in the DID document.
    pub(crate) document: Result<(Option<String>, Option<Handle>), String>,
}

/// Something that the server calls.
#[derive(Clone, Debug)]
pub(crate) struct ServiceFacts {
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    pub(crate) url: String,
    /// Why it does not answer.
    pub(crate) problem: Option<String>,
}

/// The mail server.
#[derive(Clone, Debug)]
pub(crate) enum MailFacts {
    NotConfigured,
    /// It takes our log-in.
    Works {
        host: String,
    },
    Fails {
        host: String,
        reason: String,
    },
}
