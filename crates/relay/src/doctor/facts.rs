//! What is so. Each part is filled in by the probe of its name; text in `Err` is a cause without a full stop.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use common::{Did, Handle};
use serde::{Deserialize, Serialize};

use crate::gateway::{Grant, RouterStatus};
use crate::identity::address::is_global_unicast;
use crate::service::Installed;
use crate::status::CrawlerStatus;
use crate::status::milestone::Outcome;
use crate::telemetry::room::{Forecast, RoomHistory};
use crate::tls::CertificateStatus;

/// All that the checks know.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) setup: Setup,
    pub(crate) folder: Folder,
    /// Files with secrets outside the data folder that any user of the machine can read.
    pub(crate) secrets: Vec<OpenSecret>,
    /// How far this machine's clock is ahead of others', by their hosts.
    pub(crate) clocks: Vec<(String, i64)>,
    pub(crate) server: ServerFacts,
    /// The service of the system that this server is.
    pub(crate) service: Option<Installed>,
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
    pub(crate) machine: Machine,
    pub(crate) backups: BackupFacts,
    /// What the running server knows; `None` when none runs.
    pub(crate) inside: Option<Inside>,
    /// The version that is here, and the newest release; `None` where it is not known where releases are.
    pub(crate) release: Option<(String, Result<String, String>)>,
    pub(crate) now_millis: i64,
}

impl Facts {
    /// The addresses that the world calls this machine by; behind a router that tells, the router's.
    pub(super) fn reached_by(&self) -> Addresses {
        let router = self.inside.as_ref().and_then(|inside| inside.router.as_ref()?.granted.as_ref());
        match router {
            Some(Grant { address, .. }) if self.addresses.public().next().is_none() => {
                Addresses { v4: Some(*address), v6: None }
            }
            Some(_) | None => self.addresses.clone(),
        }
    }
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
    /// When its disk is full, if it goes on as it did.
    pub(crate) forecast: Option<Forecast>,
    /// What takes the room; looked at when there is little.
    pub(crate) uses: Vec<Use>,
}

/// A file with a secret that any user of the machine can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OpenSecret {
    pub(crate) path: PathBuf,
    pub(crate) mode: u32,
    /// Whether it belongs to the user of the data folder, who can read it whatever others may.
    pub(crate) ours: bool,
}

/// Room that something takes on the disk of the data folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Use {
    pub(crate) by: Holder,
    pub(crate) bytes: u64,
    /// Whether all of it was looked at.
    pub(crate) complete: bool,
}

/// What takes room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    Database,
    Blobs,
    /// Places of backups on the same disk.
    Backups,
    /// What waits for a place of backups.
    Spool,
    /// What repairs replaced.
    Evidence,
    /// The logs of the system.
    Logs,
}

/// How a folder is.
#[derive(Clone, Debug)]
pub(crate) enum FolderState {
    Absent,
    /// Why a file cannot be written to it.
    Unwritable(String),
    /// There is no room for a file.
    Full,
    Writable {
        /// Files that others than the owner may read, with their permissions; the folder itself is among them.
        open: Vec<(PathBuf, u32)>,
        /// What belongs to another user than the folder does.
        foreign: Vec<PathBuf>,
        /// The user and the group that the folder belongs to, by number.
        owner: (u32, u32),
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

impl Addresses {
    pub(crate) fn all(&self) -> impl Iterator<Item = IpAddr> {
        [self.v4, self.v6].into_iter().flatten()
    }

    /// Those that the world can call; none behind a router.
    pub(crate) fn public(&self) -> impl Iterator<Item = IpAddr> {
        self.all().filter(|address| is_global_unicast(*address))
    }
}

/// What DNS servers say.
#[derive(Clone, Debug)]
pub(crate) struct DnsFacts {
    /// What the domain's own servers say of the server's name; the reason when those are not known.
    pub(crate) authorities: Result<Authorities, String>,
    /// The server's own name, as each of the resolvers asked has it.
    pub(crate) host: Vec<(String, Result<Vec<IpAddr>, String>)>,
    /// For how long each of them will go on to say so, where it has an answer.
    pub(crate) remembered_for: BTreeMap<String, Duration>,
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
    /// What each address of the name did when it was called.
    pub(crate) addresses: Vec<(IpAddr, Result<(), String>)>,
    /// The certificate, when a connection stood; the reason otherwise. `None` without TLS.
    pub(crate) certificate: Option<Result<CertificateSeen, String>>,
    /// Whether the answer to a challenge of the certificate authority would be found at port 80; `None` where none is needed.
    pub(crate) challenge: Option<Result<(), String>>,
    /// The DID that the server there has.
    pub(crate) service: Result<Did, String>,
    pub(crate) own_service: Did,
    /// Whether the event stream can be subscribed to.
    pub(crate) websocket: Result<(), String>,
    /// Whom apps that sign users in take the server for.
    pub(crate) issuer: Result<String, String>,
    /// The largest upload that the server takes, in bytes, and the status that one of that size is announced with and
    /// refused, before it is sent, for want of a session.
    pub(crate) upload: (u64, Result<u16, String>),
}

/// A certificate as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CertificateSeen {
    /// Its last day, in milliseconds since 1970.
    pub(crate) not_after: i64,
    /// Who issued it.
    pub(crate) issuer: String,
    pub(crate) names: Vec<String>,
}

/// The machine under the server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Machine {
    /// The kind of the file system under the data folder, such as `ext4`.
    pub(crate) file_system: Option<String>,
    /// Whether the system sets its clock by the network.
    pub(crate) clock_is_set: Option<bool>,
    pub(crate) sleep: Option<Sleep>,
    /// How many files the server may have open.
    pub(crate) files: Option<u64>,
    /// How many bytes of memory the server may use and the machine has, whichever is less.
    pub(crate) memory: Option<u64>,
}

/// When the machine goes to sleep by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sleep {
    Never,
    /// A laptop whose system may put it to sleep, as when its lid is closed.
    Laptop,
    /// A Mac after so many minutes without anybody at it.
    After(u32),
}

/// What there is of backups.
#[derive(Clone, Debug, Default)]
pub(crate) struct BackupFacts {
    /// How often one is made; `None` without a place for them.
    pub(crate) every: Option<Duration>,
    /// The last backup and the last drill.
    pub(crate) backup: Option<Outcome>,
    pub(crate) drill: Option<Outcome>,
}

/// What a running server knows.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Inside {
    pub(crate) process_id: u32,
    /// The certificates that it orders.
    pub(crate) certificates: Vec<CertificateStatus>,
    pub(crate) crawlers: Vec<CrawlerStatus>,
    /// The last backup, drill and verification.
    pub(crate) milestones: BTreeMap<String, Outcome>,
    /// The router whose ports it keeps open.
    pub(crate) router: Option<RouterStatus>,
    /// How the room on the disk went.
    #[serde(default)]
    pub(crate) room: RoomHistory,
    /// The keys that it signs with for the first accounts, as did:keys, by DID.
    #[serde(default)]
    pub(crate) signing_keys: BTreeMap<String, String>,
}

/// An account and what the world knows of it.
#[derive(Clone, Debug)]
pub(crate) struct AccountFacts {
    pub(crate) did: Did,
    pub(crate) handle: Handle,
    /// What the handle resolves to.
    pub(crate) resolved: Result<Did, String>,
    /// What the DID document says.
    pub(crate) document: Result<Published, String>,
    /// The key that the server signs with, as a did:key, where that is known.
    pub(crate) signing_key: Option<String>,
}

/// What a DID document says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Published {
    pub(crate) server: Option<String>,
    pub(crate) handle: Option<Handle>,
    /// As a did:key.
    pub(crate) signing_key: Option<String>,
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

/// What the domain of a sender publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SenderFacts {
    pub(crate) domain: String,
    /// Whether there is an SPF record.
    pub(crate) spf: bool,
    /// Whether there is a DMARC record.
    pub(crate) dmarc: bool,
}

/// The mail server.
#[derive(Clone, Debug)]
pub(crate) enum MailFacts {
    NotConfigured,
    /// It takes our log-in.
    Works {
        host: String,
        /// The domain that mail comes from, and what it says of who may send.
        sender: Option<SenderFacts>,
    },
    Fails {
        host: String,
        reason: String,
    },
}
