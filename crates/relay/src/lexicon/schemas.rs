//! What records are checked against.

use std::sync::Arc;
use std::time::Duration;

use common::lexicon::{Catalog, Document, Outcome, ValidationError};
use common::{Nsid, Value};
use futures_util::future::join_all;

use super::LexiconError;
use crate::identity::lookups::Lookups;

/// How long a write waits for lexicons, all together.
const WAIT: Duration = Duration::from_secs(2);
/// Unknown collections that are looked up for one write; the others stay unknown.
const MAX_COLLECTIONS: usize = 20;
/// Lexicons that one lexicon may lead to.
const MAX_DOCUMENTS: usize = 64;

/// The schemas of some collections, besides those that are compiled in.
#[derive(Debug, Default)]
pub(crate) struct Schemas(Vec<(Nsid, Arc<Catalog>)>);

impl Schemas {
    pub(super) async fn get(
        catalogs: &Arc<Lookups<Nsid, Arc<Catalog>, LexiconError>>,
        collections: impl IntoIterator<Item = &Nsid>,
    ) -> Self {
        let mut unknown: Vec<&Nsid> = Vec::new();
        for collection in collections {
            if unknown.len() < MAX_COLLECTIONS
                && Catalog::facts().record(collection.as_str()).is_none()
                && !unknown.contains(&collection)
            {
                unknown.push(collection);
            }
        }
        if unknown.is_empty() {
            return Self::default();
        }
        let found =
            join_all(unknown.into_iter().map(
                async |collection| match tokio::time::timeout(WAIT, catalogs.get(collection)).await {
                    Ok(Ok(catalog)) => Some((collection.clone(), catalog)),
                    Ok(Err(err)) => {
                        tracing::debug!(%collection, error = &err as &dyn std::error::Error, "a collection is unknown");
                        None
                    }
                    Err(_) => {
                        tracing::debug!(%collection, "a lexicon did not come in time; the collection is unknown for now");
                        None
                    }
                },
            ));
        Self(found.await.into_iter().flatten().collect())
    }

    /// Checks a record and its key against the schema of its collection, when there is one.
    pub(crate) fn validate(&self, collection: &Nsid, rkey: &str, record: &Value) -> Result<Outcome, ValidationError> {
        let resolved = self.0.iter().find(|(known, _)| known == collection).map(|(_, catalog)| &**catalog);
        resolved.unwrap_or_else(|| Catalog::facts()).validate_record(collection, rkey, record)
    }
}

/// Collects the lexicon of a record and all that it leads to. Where one is missing nothing can be said about a record, for it
/// may be the part that matters.
pub(super) async fn collect(
    documents: &Arc<Lookups<Nsid, Arc<Document>, LexiconError>>,
    nsid: Nsid,
) -> Result<Catalog, LexiconError> {
    let mut catalog = Catalog::new();
    catalog.insert(documents.get(&nsid).await?);
    if catalog.record(nsid.as_str()).is_none() {
        return Err(LexiconError::NotARecord(nsid));
    }
    loop {
        let mut wanted: Vec<Nsid> = Vec::new();
        for reference in catalog.unresolved() {
            let missing = || LexiconError::Reference { nsid: nsid.clone(), missing: reference.as_str().to_owned() };
            let other: Nsid = reference.nsid().parse().map_err(|_| missing())?;
            if catalog.get(reference.nsid()).is_some() {
                return Err(missing());
            }
            if !wanted.contains(&other) {
                wanted.push(other);
            }
        }
        if wanted.is_empty() {
            return Ok(catalog);
        }
        if catalog.documents().len() + wanted.len() > MAX_DOCUMENTS {
            return Err(LexiconError::TooMany { nsid, most: MAX_DOCUMENTS });
        }
        let found = join_all(wanted.iter().map(async |other| match Catalog::facts().shared(other.as_str()) {
            Some(known) => Ok(known),
            None => documents.get(other).await,
        }));
        for document in found.await {
            catalog.insert(document?);
        }
    }
}
