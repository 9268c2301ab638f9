//! Schema files.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::schema::{Def, MessageBody, Method, MethodError, MethodKind, ObjectSchema, Payload, Reference, Schema};
use crate::syntax::Nsid;

/// A parsed schema file.
#[derive(Debug)]
pub struct Document {
    id: Nsid,
    /// Sorted by name; most documents have few, for which a tree would be mostly empty nodes.
    defs: Box<[(Box<str>, Def)]>,
}

/// Why a text is not a schema file.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    #[error("the text is not a lexicon document")]
    Document(#[source] serde_json::Error),
    #[error("lexicon version {0} is not supported")]
    Version(i64),
    #[error("the id {0:?} is not an NSID")]
    Id(String),
    #[error("the definition {name:?} of {id} is malformed")]
    Definition {
        id: Nsid,
        name: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("the definition {name:?} of {id} is wrong: {reason}")]
    Rule { id: Nsid, name: String, reason: String },
}

#[derive(Deserialize)]
struct RawDocument<'a> {
    lexicon: i64,
    id: String,
    #[serde(borrow)]
    defs: BTreeMap<Box<str>, &'a RawValue>,
}

/// The part of a definition that says what it is.
#[derive(Deserialize)]
struct Head {
    #[serde(rename = "type")]
    kind: Box<str>,
}

#[derive(Deserialize)]
struct RawMethod {
    parameters: Option<Parameters>,
    input: Option<Payload>,
    output: Option<Payload>,
    message: Option<MessageBody>,
    #[serde(default)]
    errors: Vec<MethodError>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Parameters {
    Params(ObjectSchema),
}

impl Document {
    /// Parses a schema file.
    pub fn parse(text: &[u8]) -> Result<Self, ParseError> {
        let raw: RawDocument<'_> = serde_json::from_slice(text).map_err(ParseError::Document)?;
        if raw.lexicon != 1 {
            return Err(ParseError::Version(raw.lexicon));
        }
        let Ok(id) = raw.id.parse::<Nsid>() else {
            return Err(ParseError::Id(raw.id));
        };
        let mut defs = Vec::with_capacity(raw.defs.len());
        for (name, text) in raw.defs {
            let mut def = match parse_def(text.get()) {
                Ok(def) => def,
                Err(source) => return Err(ParseError::Definition { id, name: name.into(), source }),
            };
            if let Err(reason) = def.finish(&id, &name) {
                return Err(ParseError::Rule { id, name: name.into(), reason });
            }
            defs.push((name, def));
        }
        Ok(Self { id, defs: defs.into() })
    }

    pub const fn id(&self) -> &Nsid {
        &self.id
    }

    /// Returns the definition called `name`; `main` is what the document is about.
    pub fn def(&self, name: &str) -> Option<&Def> {
        let at = self.defs.binary_search_by(|(known, _)| (**known).cmp(name)).ok()?;
        Some(&self.defs[at].1)
    }

    pub fn defs(&self) -> impl Iterator<Item = (&str, &Def)> {
        self.defs.iter().map(|(name, def)| (&**name, def))
    }

    /// Visits every reference in the document.
    pub fn references(&self) -> Vec<&Reference> {
        let mut found = Vec::new();
        for (_, def) in &self.defs {
            def.references(&mut found);
        }
        found
    }
}

fn parse_def(text: &str) -> Result<Def, serde_json::Error> {
    let head: Head = serde_json::from_str(text)?;
    let kind = match &*head.kind {
        "record" => return serde_json::from_str(text).map(Def::Record),
        "permission-set" => return serde_json::from_str(text).map(Def::PermissionSet),
        "query" => MethodKind::Query,
        "procedure" => MethodKind::Procedure,
        "subscription" => MethodKind::Subscription,
        // What is left is a type, or unknown to serde as well.
        _ => return serde_json::from_str(text).map(Def::Type),
    };
    let raw: RawMethod = serde_json::from_str(text)?;
    let parameters = raw.parameters.map(|Parameters::Params(object)| object);
    Ok(Def::Method(Method { kind, parameters, input: raw.input, output: raw.output, message: raw.message, errors: raw.errors }))
}

impl Def {
    fn references<'a>(&'a self, found: &mut Vec<&'a Reference>) {
        match self {
            Self::Record(record) => record.record.references(found),
            Self::Method(method) => method.schemas().for_each(|schema| schema.references(found)),
            Self::PermissionSet(_) => {}
            Self::Type(schema) => schema.references(found),
        }
    }
}

impl Method {
    /// Visits the schemas of all bodies; parameters hold no references.
    fn schemas(&self) -> impl Iterator<Item = &Schema> {
        let payloads = [&self.input, &self.output].into_iter().flatten().filter_map(|payload| payload.schema.as_ref());
        payloads.chain(self.message.as_ref().map(|message| &message.schema))
    }
}

impl Schema {
    fn references<'a>(&'a self, found: &mut Vec<&'a Reference>) {
        match self {
            Self::Ref(reference) => found.push(&reference.target),
            Self::Union(union) => found.extend(&union.refs),
            Self::Array(array) => array.items.references(found),
            Self::Object(object) => object.properties.iter().for_each(|property| property.schema.references(found)),
            Self::Null
            | Self::Boolean(_)
            | Self::Integer(_)
            | Self::String(_)
            | Self::Bytes(_)
            | Self::CidLink
            | Self::Blob(_)
            | Self::Unknown
            | Self::Token => {}
        }
    }
}
