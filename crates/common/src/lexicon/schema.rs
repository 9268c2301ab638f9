//! Parsed schemas, in a form that is small and quick to check against.
//!
//! Prose, `knownValues` and `default` are dropped while parsing: validation does not read them.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};

use super::format::Format;
use crate::syntax::Nsid;

/// How many properties an object type may name; it bounds the work of parsing.
const MAX_PROPERTIES: usize = 1024;

/// What one name of a document defines.
#[derive(Debug)]
pub enum Def {
    Record(RecordSchema),
    Method(Method),
    PermissionSet(PermissionSet),
    /// An object, a string, a token or another type that references can name.
    Type(Schema),
}

/// The type of a value.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Schema {
    Null,
    Boolean(BooleanSchema),
    Integer(Box<IntegerSchema>),
    String(Box<StringSchema>),
    Bytes(BytesSchema),
    CidLink,
    Blob(Box<BlobSchema>),
    Array(Box<ArraySchema>),
    Object(ObjectSchema),
    /// Any object, except the encoded forms of bytes, links and blobs.
    Unknown,
    /// A name without a value: as a value it is its own reference, as text.
    Token,
    Ref(RefSchema),
    Union(UnionSchema),
}

#[derive(Debug, Deserialize)]
pub struct BooleanSchema {
    #[serde(rename = "const")]
    pub constant: Option<bool>,
}

#[derive(Debug, Deserialize)]
pub struct IntegerSchema {
    pub minimum: Option<i64>,
    pub maximum: Option<i64>,
    #[serde(rename = "enum", default)]
    pub allowed: Vec<i64>,
    #[serde(rename = "const")]
    pub constant: Option<i64>,
}

/// Text; lengths are in UTF-8 bytes.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StringSchema {
    pub format: Option<Format>,
    pub min_length: Option<u32>,
    pub max_length: Option<u32>,
    pub min_graphemes: Option<u32>,
    pub max_graphemes: Option<u32>,
    #[serde(rename = "enum", default)]
    pub allowed: Vec<Box<str>>,
    #[serde(rename = "const")]
    pub constant: Option<Box<str>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BytesSchema {
    pub min_length: Option<u32>,
    pub max_length: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlobSchema {
    /// MIME types: exact, `image/*` or `*/*`; none means that any is accepted.
    #[serde(default)]
    pub accept: Vec<Box<str>>,
    /// In bytes.
    pub max_size: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArraySchema {
    pub items: Schema,
    pub min_length: Option<u32>,
    pub max_length: Option<u32>,
}

/// A map with named properties, in the order of the document; others are allowed too.
#[derive(Debug, Deserialize)]
#[serde(try_from = "RawObject")]
pub struct ObjectSchema {
    pub properties: Vec<Property>,
}

#[derive(Debug)]
pub struct Property {
    pub name: Box<str>,
    pub required: bool,
    pub nullable: bool,
    pub schema: Schema,
}

#[derive(Debug, Deserialize)]
pub struct RefSchema {
    #[serde(rename = "ref")]
    pub target: Reference,
}

/// One of several types, told apart by `$type`.
#[derive(Debug, Deserialize)]
pub struct UnionSchema {
    pub refs: Vec<Reference>,
    /// Whether types that are not listed are refused.
    #[serde(default)]
    pub closed: bool,
}

/// The name of a definition: `nsid#name`, or `nsid` alone for `main`.
///
/// Inside a parsed document it is always absolute, so that it equals the `$type` of the values it names.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Reference(Box<str>);

/// The type of a collection's records.
#[derive(Debug, Deserialize)]
pub struct RecordSchema {
    pub key: RecordKeyRule,
    pub record: Schema,
}

/// Which record keys a collection allows.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Box<str>")]
pub enum RecordKeyRule {
    Any,
    Tid,
    Nsid,
    Literal(Box<str>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MethodKind {
    Query,
    Procedure,
    Subscription,
}

/// An XRPC method.
#[derive(Debug)]
pub struct Method {
    pub kind: MethodKind,
    pub parameters: Option<ObjectSchema>,
    pub input: Option<Payload>,
    pub output: Option<Payload>,
    pub message: Option<MessageBody>,
    pub errors: Vec<MethodError>,
}

/// The body of a request or a response.
#[derive(Debug, Deserialize)]
pub struct Payload {
    pub encoding: Box<str>,
    /// `None` where the body is not JSON, or is any JSON.
    pub schema: Option<Schema>,
}

/// What a subscription sends.
#[derive(Debug, Deserialize)]
pub struct MessageBody {
    pub schema: Schema,
}

#[derive(Debug, Deserialize)]
pub struct MethodError {
    pub name: Box<str>,
}

/// A named bundle of permissions, for OAuth scopes.
#[derive(Debug, Deserialize)]
pub struct PermissionSet {
    pub title: Option<Box<str>>,
    /// Titles by language tag.
    #[serde(rename = "title:lang", default)]
    pub title_lang: BTreeMap<Box<str>, Box<str>>,
    pub detail: Option<Box<str>>,
    #[serde(rename = "detail:lang", default)]
    pub detail_lang: BTreeMap<Box<str>, Box<str>>,
    #[serde(default)]
    pub permissions: Vec<Permission>,
}

/// One permission; which fields it has depends on `resource`, and whoever grants it decides what they mean.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Permission {
    pub resource: Box<str>,
    #[serde(default)]
    pub collection: Vec<Box<str>>,
    #[serde(default)]
    pub action: Vec<Box<str>>,
    #[serde(default)]
    pub lxm: Vec<Box<str>>,
    pub aud: Option<Box<str>>,
    #[serde(default)]
    pub inherit_aud: bool,
    #[serde(default)]
    pub accept: Vec<Box<str>>,
}

impl Reference {
    /// Returns the NSID of the document that has the definition.
    pub fn nsid(&self) -> &str {
        self.0.split_once('#').map_or(&self.0, |(nsid, _)| nsid)
    }

    /// Returns the name of the definition within its document.
    pub fn name(&self) -> &str {
        self.0.split_once('#').map_or("main", |(_, name)| name)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Makes the reference absolute, as seen from the document `home`.
    pub(super) fn resolve(&mut self, home: &Nsid) {
        if self.0.starts_with('#') {
            self.0 = format!("{home}{}", self.0).into();
        }
        if let Some(nsid) = self.0.strip_suffix("#main") {
            self.0 = nsid.into();
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<Box<str>> for RecordKeyRule {
    type Error = String;

    fn try_from(text: Box<str>) -> Result<Self, String> {
        match &*text {
            "any" => Ok(Self::Any),
            "tid" => Ok(Self::Tid),
            "nsid" => Ok(Self::Nsid),
            other => match other.strip_prefix("literal:") {
                Some(literal) if !literal.is_empty() => Ok(Self::Literal(literal.into())),
                Some(_) | None => Err(format!("the record key rule {other:?} is not known")),
            },
        }
    }
}

/// An object as the document spells it.
#[derive(Deserialize)]
struct RawObject {
    #[serde(default)]
    properties: Entries,
    #[serde(default)]
    required: Vec<Box<str>>,
    #[serde(default)]
    nullable: Vec<Box<str>>,
}

impl TryFrom<RawObject> for ObjectSchema {
    type Error = String;

    fn try_from(raw: RawObject) -> Result<Self, String> {
        let mut properties: Vec<Property> = raw
            .properties
            .0
            .into_iter()
            .map(|(name, schema)| Property { name, required: false, nullable: false, schema })
            .collect();
        let mut mark = |names: Vec<Box<str>>, set: fn(&mut Property)| {
            if names.len() > properties.len() {
                return Err("more properties are required or nullable than are defined".to_owned());
            }
            for name in names {
                let property = properties.iter_mut().find(|property| property.name == name);
                set(property.ok_or_else(|| format!("the property {name:?} is required or nullable, but not defined"))?);
            }
            Ok(())
        };
        mark(raw.required, |property| property.required = true)?;
        mark(raw.nullable, |property| property.nullable = true)?;
        properties.shrink_to_fit();
        Ok(Self { properties })
    }
}

/// The properties of an object in the order of the document, which is the order in which mistakes are reported.
#[derive(Default)]
struct Entries(Vec<(Box<str>, Schema)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor;

        impl<'de> Visitor<'de> for EntriesVisitor {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("properties and their types")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Entries, A::Error> {
                let mut entries: Vec<(Box<str>, Schema)> = Vec::new();
                while let Some((name, schema)) = access.next_entry::<Box<str>, Schema>()? {
                    if entries.len() == MAX_PROPERTIES {
                        return Err(de::Error::custom(format_args!("an object has at most {MAX_PROPERTIES} properties")));
                    }
                    if entries.iter().any(|(known, _)| *known == name) {
                        return Err(de::Error::custom(format_args!("the property {name:?} is defined twice")));
                    }
                    entries.push((name, schema));
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(EntriesVisitor)
    }
}
