//! Lexicons that are not compiled in: found in the network where their authority publishes them.
//!
//! A lexicon is a record of the collection `com.atproto.lexicon.schema`, in the repo that a TXT record at
//! `_lexicon.<authority>` names; [`fetch`] gets it, with a proof. What was found, and that nothing was, is remembered for a
//! while, in caches with bounds. Methods, permission sets and records all come this way ([`Lexicons::resolve`]); what records
//! are checked against is a lexicon together with all that it refers to ([`Lexicons::schemas`]).
//!
//! Spec: <https://atproto.com/specs/lexicon#lexicon-publication-and-resolution>

mod error;
mod fetch;
mod schemas;

use std::sync::Arc;
use std::time::Duration;

use common::lexicon::{Catalog, Document};
use common::{Clock, Nsid};

pub(crate) use self::error::LexiconError;
pub(crate) use self::schemas::Schemas;
use crate::identity::Identity;
use crate::identity::lookups::{CacheOptions, Lookups};
use crate::store::Db;

/// Lexicons that are remembered. Each is a record, so at most 1 MB; most have a few kB.
const REMEMBERED: usize = 200;
/// How long a lexicon, or its absence, is believed; a lexicon is then given on while it is fetched anew.
const FRESH_FOR: Duration = Duration::from_secs(300);
/// How long a lexicon is given that cannot be fetched anew.
const MAX_AGE: Duration = Duration::from_secs(24 * 3600);
/// How long an authority that does not answer is left alone.
const FAILURE_FOR: Duration = Duration::from_secs(60);

/// Finds lexicons; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Lexicons {
    documents: Arc<Lookups<Nsid, Arc<Document>, LexiconError>>,
    /// What records of a collection are checked against.
    catalogs: Arc<Lookups<Nsid, Arc<Catalog>, LexiconError>>,
    for_records: bool,
}

impl Lexicons {
    /// With `for_records`, records of unknown collections are checked as well.
    pub(crate) fn new(db: Arc<Db>, identity: Identity, clock: Arc<dyn Clock>, for_records: bool) -> Self {
        let options = CacheOptions {
            capacity: REMEMBERED,
            fresh_for: FRESH_FOR,
            max_age: MAX_AGE,
            absence_for: FRESH_FOR,
            failure_for: FAILURE_FOR,
        };
        let fetch = move |nsid| {
            let (db, identity) = (Arc::clone(&db), identity.clone());
            async move { fetch::fetch(&db, &identity, &nsid).await }
        };
        let documents = Lookups::new(options, Arc::clone(&clock), fetch);
        let source = Arc::clone(&documents);
        let collect = move |nsid| {
            let source = Arc::clone(&source);
            async move { schemas::collect(&source, nsid).await.map(Arc::new) }
        };
        Self { documents, catalogs: Lookups::new(options, clock, collect), for_records }
    }

    /// Returns the lexicon of an NSID as its authority publishes it, from memory when it was asked for lately.
    pub(crate) async fn resolve(&self, nsid: &Nsid) -> Result<Arc<Document>, LexiconError> {
        self.documents.get(nsid).await
    }

    /// Returns what there is to check records of these collections against, after a short while at most: a collection whose
    /// lexicon does not come in that time is unknown, and its lexicon is there for the next record.
    pub(crate) async fn schemas(&self, collections: impl IntoIterator<Item = &Nsid>) -> Schemas {
        if !self.for_records {
            return Schemas::default();
        }
        Schemas::get(&self.catalogs, collections).await
    }
}
