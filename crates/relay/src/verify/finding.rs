//! What can be wrong, with the words and the remedy for it.
//!
//! The ids are part of the interface: alert rules and scripts go by them. One that was released keeps its meaning.

use common::{Cid, Did};
use serde::{Deserialize, Serialize};

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// Nothing is lost, and the server mends it by itself.
    Notice,
    /// Nothing is lost, but someone should look.
    Warning,
    /// Something is lost, or served wrong.
    Error,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    DatabaseDamaged,
    DatabaseReference,
    RepoUnowned,
    SecretUnopenable,
    SigningKeyUnopenable,
    RecordDamaged,
    BacklinkMissing,
    BacklinkLeftover,
    TreeUnreadable,
    TreeNodeMissing,
    TreeNodeDamaged,
    TreeNodeLeftover,
    TreeRoot,
    HeadDamaged,
    HeadSignature,
    HeadMissing,
    EventDamaged,
    EventChain,
    EventHead,
    BlobReferenceMissing,
    BlobReferenceLeftover,
    BlobAbsent,
    BlobState,
    BlobFileMissing,
    BlobFileDamaged,
    BlobFileLeftover,
    BlobsUnreadable,
    DidUnresolved,
    DidSigningKey,
    DidRotationKey,
    DidEndpoint,
    DidHandle,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Finding {
    pub(crate) id: Kind,
    pub(crate) severity: Severity,
    /// The account that it is about.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) account: Option<Did>,
    /// The blob that it is about.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) blob: Option<Cid>,
    /// What is wrong, as a sentence.
    pub(crate) sentence: String,
    /// What to do, as a sentence.
    pub(crate) remedy: String,
}

impl Finding {
    pub(crate) fn new(id: Kind, account: Option<&Did>, sentence: impl Into<String>) -> Self {
        Self {
            id,
            severity: id.severity(),
            account: account.cloned(),
            blob: None,
            sentence: sentence.into(),
            remedy: id.remedy(account).to_owned(),
        }
    }
}

/// What is done about a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mending {
    /// `--repair` derives it anew from the records.
    Rebuild,
    /// `--repair` fetches the bytes from elsewhere.
    Refetch,
    /// The server does it by itself.
    ByItself,
    /// Only the operator can.
    ByHand,
}

impl Kind {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 32] = [
        Self::DatabaseDamaged,
        Self::DatabaseReference,
        Self::RepoUnowned,
        Self::SecretUnopenable,
        Self::SigningKeyUnopenable,
        Self::RecordDamaged,
        Self::BacklinkMissing,
        Self::BacklinkLeftover,
        Self::TreeUnreadable,
        Self::TreeNodeMissing,
        Self::TreeNodeDamaged,
        Self::TreeNodeLeftover,
        Self::TreeRoot,
        Self::HeadDamaged,
        Self::HeadSignature,
        Self::HeadMissing,
        Self::EventDamaged,
        Self::EventChain,
        Self::EventHead,
        Self::BlobReferenceMissing,
        Self::BlobReferenceLeftover,
        Self::BlobAbsent,
        Self::BlobState,
        Self::BlobFileMissing,
        Self::BlobFileDamaged,
        Self::BlobFileLeftover,
        Self::BlobsUnreadable,
        Self::DidUnresolved,
        Self::DidSigningKey,
        Self::DidRotationKey,
        Self::DidEndpoint,
        Self::DidHandle,
    ];

    pub(crate) const fn severity(self) -> Severity {
        match self {
            Self::BlobFileLeftover => Severity::Notice,
            Self::RepoUnowned
            | Self::BacklinkMissing
            | Self::BacklinkLeftover
            | Self::TreeNodeLeftover
            | Self::BlobReferenceLeftover
            | Self::BlobAbsent
            | Self::BlobState
            | Self::DidUnresolved
            | Self::DidRotationKey
            | Self::DidHandle => Severity::Warning,
            Self::DatabaseDamaged
            | Self::DatabaseReference
            | Self::SecretUnopenable
            | Self::SigningKeyUnopenable
            | Self::RecordDamaged
            | Self::TreeUnreadable
            | Self::TreeNodeMissing
            | Self::TreeNodeDamaged
            | Self::TreeRoot
            | Self::HeadDamaged
            | Self::HeadSignature
            | Self::HeadMissing
            | Self::EventDamaged
            | Self::EventChain
            | Self::EventHead
            | Self::BlobReferenceMissing
            | Self::BlobFileMissing
            | Self::BlobFileDamaged
            | Self::BlobsUnreadable
            | Self::DidSigningKey
            | Self::DidEndpoint => Severity::Error,
        }
    }

    pub(crate) const fn mending(self) -> Mending {
        match self {
            Self::BacklinkMissing
            | Self::BacklinkLeftover
            | Self::TreeNodeMissing
            | Self::TreeNodeDamaged
            | Self::TreeNodeLeftover
            | Self::TreeUnreadable
            | Self::TreeRoot
            | Self::HeadDamaged
            | Self::HeadSignature
            | Self::HeadMissing
            | Self::EventDamaged
            | Self::EventChain
            | Self::EventHead
            | Self::BlobReferenceMissing
            | Self::BlobReferenceLeftover
            | Self::BlobState => Mending::Rebuild,
            Self::BlobAbsent | Self::BlobFileMissing | Self::BlobFileDamaged => Mending::Refetch,
            Self::BlobFileLeftover => Mending::ByItself,
            Self::DatabaseDamaged
            | Self::DatabaseReference
            | Self::RepoUnowned
            | Self::SecretUnopenable
            | Self::SigningKeyUnopenable
            | Self::RecordDamaged
            | Self::BlobsUnreadable
            | Self::DidUnresolved
            | Self::DidSigningKey
            | Self::DidRotationKey
            | Self::DidEndpoint
            | Self::DidHandle => Mending::ByHand,
        }
    }

    /// Says what to do, as a sentence.
    const fn remedy(self, account: Option<&Did>) -> &'static str {
        match self {
            Self::DatabaseDamaged | Self::DatabaseReference => {
                "Stop the server, copy the whole data folder aside, and restore the newest backup that was verified."
            }
            Self::RepoUnowned => {
                "If an account is missing, restore the newest backup that was verified; otherwise these rows only take up room."
            }
            Self::SecretUnopenable => "Give the server the master key that the data folder was made with (secrets.master_key).",
            Self::SigningKeyUnopenable => {
                "Take the account's row from a backup; without one, `relay rotate signing-key` gives it a new key."
            }
            Self::RecordDamaged => {
                "Restore the record from a backup; `relay verify --repair` leaves damaged records alone, since nothing else has them."
            }
            Self::EventDamaged => {
                "Subscribers that ask for this event cannot get it. `relay verify --repair` sends the network a fresh #sync of the account."
            }
            Self::BlobAbsent => {
                "The owner's client uploads it at the end of a migration; or `relay verify --repair --blobs-from` fetches it."
            }
            Self::BlobFileMissing | Self::BlobFileDamaged => {
                "Run `relay verify --repair --blobs-from` with a backup's folder of blobs or another server's URL."
            }
            Self::BlobsUnreadable => {
                "Check that the folder `blobs` is there and can be read by the user that the server runs as."
            }
            Self::BlobFileLeftover => "Nothing: the server moves it to blobs/trash within a day, and deletes it a week later.",
            Self::DidUnresolved => "Check the connection to the PLC directory (identity.plc_url), and try again.",
            Self::DidSigningKey => {
                "If a rotation was interrupted, run `relay rotate signing-key` again; otherwise the owner changed the DID, and must name this server's key."
            }
            Self::DidRotationKey => {
                "The owner took this server's rotation key away; handle and key changes are up to the owner now."
            }
            Self::DidEndpoint => {
                "Check server.public_url; if that is right, the account lives elsewhere, and is to be deactivated here."
            }
            Self::DidHandle => "Change the handle here or in the DID, so that both say the same.",
            Self::BacklinkMissing
            | Self::BacklinkLeftover
            | Self::TreeUnreadable
            | Self::TreeNodeMissing
            | Self::TreeNodeDamaged
            | Self::TreeNodeLeftover
            | Self::TreeRoot
            | Self::HeadDamaged
            | Self::HeadSignature
            | Self::HeadMissing
            | Self::EventChain
            | Self::EventHead
            | Self::BlobReferenceMissing
            | Self::BlobReferenceLeftover
            | Self::BlobState => match account {
                Some(_) => "Run `relay verify --repair --account` with this account.",
                None => "Run `relay verify --repair`.",
            },
        }
    }

    /// Returns the id, as in `tree-node-damaged`.
    pub(crate) fn name(self) -> String {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::String(name)) => name,
            Ok(_) | Err(_) => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Scripts go by these. What was released stays.
    #[test]
    fn ids_are_stable() {
        let names: Vec<String> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), Kind::ALL.len());
        insta::assert_snapshot!(names.join(" "), @"database-damaged database-reference repo-unowned secret-unopenable signing-key-unopenable record-damaged backlink-missing backlink-leftover tree-unreadable tree-node-missing tree-node-damaged tree-node-leftover tree-root head-damaged head-signature head-missing event-damaged event-chain event-head blob-reference-missing blob-reference-leftover blob-absent blob-state blob-file-missing blob-file-damaged blob-file-leftover blobs-unreadable did-unresolved did-signing-key did-rotation-key did-endpoint did-handle");
    }

    #[test]
    fn every_finding_says_what_to_do() {
        let did: Did = "did:plc:ewvi7nxzyoun6zhxrhs64oiz".parse().unwrap();
        for kind in Kind::ALL {
            for account in [None, Some(&did)] {
                let finding = Finding::new(kind, account, "It is so.");
                assert!(finding.remedy.ends_with('.') && finding.remedy.len() > 20, "{kind:?}");
            }
        }
    }
}
