//! A set of documents that refer to each other.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::document::{Document, ParseError};
use super::schema::{Def, Method, PermissionSet, RecordSchema, Reference, Schema};
use super::validate::{ValidationError, Validator};
use crate::Value;
use crate::syntax::Nsid;

/// The record schemas and what they refer to; made by `tests/lexicons/generate.mjs`.
const FACTS: &str = include_str!("facts.json");

/// The collections whose schemas are compiled in.
pub const KNOWN_RECORDS: [&str; 20] = [
    "app.bsky.actor.profile",
    "app.bsky.actor.status",
    "app.bsky.feed.generator",
    "app.bsky.feed.like",
    "app.bsky.feed.post",
    "app.bsky.feed.postgate",
    "app.bsky.feed.repost",
    "app.bsky.feed.threadgate",
    "app.bsky.graph.block",
    "app.bsky.graph.follow",
    "app.bsky.graph.list",
    "app.bsky.graph.listblock",
    "app.bsky.graph.listitem",
    "app.bsky.graph.starterpack",
    "app.bsky.graph.verification",
    "app.bsky.labeler.service",
    "app.bsky.notification.declaration",
    "chat.bsky.actor.declaration",
    "com.atproto.lexicon.schema",
    "com.germnetwork.declaration",
];

/// Documents by NSID; catalogs may share them.
#[derive(Debug, Default)]
pub struct Catalog(HashMap<Box<str>, Arc<Document>>);

/// What a check without a mistake found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The data fits its schema.
    Valid,
    /// The catalog has no schema for the data.
    Unknown,
}

/// A file of many documents.
#[derive(Deserialize)]
struct Collected<'a> {
    #[serde(borrow)]
    lexicons: Vec<&'a RawValue>,
}

impl Catalog {
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the catalog of [`KNOWN_RECORDS`], parsed at the first call.
    pub fn facts() -> &'static Self {
        static CATALOG: OnceLock<Catalog> = OnceLock::new();
        CATALOG.get_or_init(|| Self::parse(FACTS.as_bytes()).expect("the committed facts parse, as a test checks"))
    }

    /// Parses documents that are collected in one JSON object, under `lexicons`.
    pub fn parse(text: &[u8]) -> Result<Self, ParseError> {
        let collected: Collected<'_> = serde_json::from_slice(text).map_err(ParseError::Document)?;
        collected.lexicons.into_iter().map(|text| Document::parse(text.get().as_bytes())).collect()
    }

    /// Adds a document, in place of one with the same NSID.
    pub fn insert(&mut self, document: impl Into<Arc<Document>>) {
        let document = document.into();
        self.0.insert(document.id().as_str().into(), document);
    }

    pub fn get(&self, nsid: &str) -> Option<&Document> {
        self.0.get(nsid).map(|document| &**document)
    }

    /// Returns a document for another catalog to have as well.
    pub fn shared(&self, nsid: &str) -> Option<Arc<Document>> {
        self.0.get(nsid).cloned()
    }

    pub fn documents(&self) -> impl ExactSizeIterator<Item = &Document> {
        self.0.values().map(|document| &**document)
    }

    /// Returns the schema of a collection's records; `None` when it is not known.
    pub fn record(&self, collection: &str) -> Option<&RecordSchema> {
        if let Def::Record(record) = self.get(collection)?.def("main")? { Some(record) } else { None }
    }

    pub fn method(&self, nsid: &str) -> Option<&Method> {
        if let Def::Method(method) = self.get(nsid)?.def("main")? { Some(method) } else { None }
    }

    pub fn permission_set(&self, nsid: &str) -> Option<&PermissionSet> {
        if let Def::PermissionSet(set) = self.get(nsid)?.def("main")? { Some(set) } else { None }
    }

    /// Returns what a reference names.
    pub fn resolve(&self, reference: &Reference) -> Option<&Def> {
        self.get(reference.nsid())?.def(reference.name())
    }

    /// Returns the references that lead to nothing in this catalog.
    pub fn unresolved(&self) -> Vec<&Reference> {
        let references = self.documents().flat_map(Document::references);
        references.filter(|reference| self.resolve(reference).is_none()).collect()
    }

    /// Checks a record and its key against the schema of its collection.
    pub fn validate_record(&self, collection: &Nsid, rkey: &str, record: &Value) -> Result<Outcome, ValidationError> {
        let Some(schema) = self.record(collection.as_str()) else {
            return Ok(Outcome::Unknown);
        };
        Validator::new(self).record(collection, schema, rkey, record)?;
        Ok(Outcome::Valid)
    }

    /// Checks the parameters of a method, given as a map of typed values.
    pub fn validate_parameters(&self, nsid: &Nsid, parameters: &Value) -> Result<Outcome, ValidationError> {
        let Some(schema) = self.method(nsid.as_str()).and_then(|method| method.parameters.as_ref()) else {
            return Ok(Outcome::Unknown);
        };
        Validator::new(self).parameters(nsid, schema, parameters)?;
        Ok(Outcome::Valid)
    }

    /// Checks the JSON body of a request.
    pub fn validate_input(&self, nsid: &Nsid, body: &Value) -> Result<Outcome, ValidationError> {
        let schema = self.method(nsid.as_str()).and_then(|method| method.input.as_ref()?.schema.as_ref());
        self.validate_body(nsid, "input", "Input", schema, body)
    }

    /// Checks the JSON body of a response.
    pub fn validate_output(&self, nsid: &Nsid, body: &Value) -> Result<Outcome, ValidationError> {
        let schema = self.method(nsid.as_str()).and_then(|method| method.output.as_ref()?.schema.as_ref());
        self.validate_body(nsid, "output", "Output", schema, body)
    }

    /// Checks a message of a subscription; its `$type` says which.
    pub fn validate_message(&self, nsid: &Nsid, body: &Value) -> Result<Outcome, ValidationError> {
        let schema = self.method(nsid.as_str()).and_then(|method| method.message.as_ref()).map(|message| &message.schema);
        self.validate_body(nsid, "message", "Message", schema, body)
    }

    fn validate_body(
        &self,
        nsid: &Nsid,
        what: &str,
        root: &'static str,
        schema: Option<&Schema>,
        body: &Value,
    ) -> Result<Outcome, ValidationError> {
        let Some(schema) = schema else {
            return Ok(Outcome::Unknown);
        };
        Validator::new(self).body(nsid, what, root, schema, body)?;
        Ok(Outcome::Valid)
    }
}

impl FromIterator<Document> for Catalog {
    fn from_iter<I: IntoIterator<Item = Document>>(documents: I) -> Self {
        let mut catalog = Self::new();
        documents.into_iter().for_each(|document| catalog.insert(document));
        catalog
    }
}
