//! The check of a value against a schema.

use std::fmt::{self, Write as _};

use unicode_segmentation::UnicodeSegmentation as _;

use super::catalog::Catalog;
use super::schema::{
    ArraySchema, BlobSchema, BooleanSchema, BytesSchema, Def, IntegerSchema, ObjectSchema, RecordKeyRule, RecordSchema,
    Reference, Schema, StringSchema, UnionSchema,
};
use crate::syntax::{Nsid, RecordKey, Tid};
use crate::value::{MAX_DEPTH, Map};
use crate::{Value, blob_ref};

/// How much of a client's own text an error message repeats, in characters.
const MAX_QUOTED_CHARS: usize = 64;

/// Why data does not fit its schema: the first mistake, in the order of the schema.
///
/// As text: `Invalid app.bsky.feed.post record: Record/langs/0 must be a BCP 47 language tag`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Invalid {subject}: {path} {message}")]
pub struct ValidationError {
    /// What was checked, such as `app.bsky.feed.post record`.
    pub subject: String,
    /// Where the mistake is, such as `Record/embed/images/0/alt`.
    pub path: String,
    /// What should be there instead.
    pub message: String,
}

/// A mistake, before it is known in what.
struct Mistake {
    path: String,
    message: String,
}

type Checked = Result<(), Mistake>;

/// The way from the root to a value, as a chain on the stack: it costs nothing until there is a mistake.
#[derive(Clone, Copy)]
struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
    depth: usize,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Root(&'static str),
    Key(&'a str),
    Index(usize),
}

impl Path<'_> {
    const fn root(name: &'static str) -> Self {
        Self { parent: None, step: Step::Root(name), depth: 0 }
    }

    fn child<'a>(&'a self, step: Step<'a>) -> Path<'a> {
        Path { parent: Some(self), step, depth: self.depth + 1 }
    }

    fn mistake<T>(&self, message: impl Into<String>) -> Result<T, Mistake> {
        Err(Mistake { path: self.to_string(), message: message.into() })
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            write!(f, "{parent}/")?;
        }
        match self.step {
            Step::Root(name) => f.write_str(name),
            Step::Key(key) => f.write_str(key),
            Step::Index(index) => write!(f, "{index}"),
        }
    }
}

pub(super) struct Validator<'a> {
    catalog: &'a Catalog,
}

impl<'a> Validator<'a> {
    pub(super) const fn new(catalog: &'a Catalog) -> Self {
        Self { catalog }
    }

    pub(super) fn record(
        &self,
        collection: &Nsid,
        schema: &RecordSchema,
        rkey: &str,
        record: &Value,
    ) -> Result<(), ValidationError> {
        check_key(&schema.key, rkey)
            .and_then(|()| self.typed_record(collection.as_str(), schema, record, &Path::root("Record")))
            .map_err(|mistake| named(mistake, format!("{collection} record")))
    }

    pub(super) fn parameters(&self, nsid: &Nsid, schema: &ObjectSchema, value: &Value) -> Result<(), ValidationError> {
        self.object(schema, value, &Path::root("Params")).map_err(|mistake| named(mistake, format!("{nsid} params")))
    }

    pub(super) fn body(
        &self,
        nsid: &Nsid,
        what: &str,
        root: &'static str,
        schema: &Schema,
        value: &Value,
    ) -> Result<(), ValidationError> {
        self.value(schema, value, &Path::root(root)).map_err(|mistake| named(mistake, format!("{nsid} {what}")))
    }

    fn value(&self, schema: &Schema, value: &Value, path: &Path<'_>) -> Checked {
        if path.depth > MAX_DEPTH {
            return path.mistake("is nested too deeply");
        }
        match schema {
            Schema::Null => match value {
                Value::Null => Ok(()),
                _ => path.mistake("must be null"),
            },
            Schema::Boolean(schema) => boolean(schema, value, path),
            Schema::Integer(schema) => integer(schema, value, path),
            Schema::String(schema) => string(schema, value, path),
            Schema::Bytes(schema) => bytes(schema, value, path),
            Schema::CidLink => match value {
                Value::Link(_) => Ok(()),
                _ => path.mistake("must be a link, {\"$link\": CID}"),
            },
            Schema::Blob(schema) => blob(schema, value, path),
            Schema::Array(schema) => self.array(schema, value, path),
            Schema::Object(schema) => self.object(schema, value, path),
            Schema::Unknown => match value {
                Value::Map(map) if map.get("$type").and_then(Value::as_str) != Some("blob") => Ok(()),
                _ => path.mistake("must be an object"),
            },
            Schema::Token => match value {
                Value::String(_) => Ok(()),
                _ => path.mistake("must be a token"),
            },
            Schema::Ref(reference) => self.reference(&reference.target, value, path),
            Schema::Union(schema) => self.union(schema, value, path),
        }
    }

    fn array(&self, schema: &ArraySchema, value: &Value, path: &Path<'_>) -> Checked {
        let Value::Array(items) = value else {
            return path.mistake("must be an array");
        };
        check_length(items.len(), schema.min_length, schema.max_length, "elements", path)?;
        for (index, item) in items.iter().enumerate() {
            self.value(&schema.items, item, &path.child(Step::Index(index)))?;
        }
        Ok(())
    }

    fn object(&self, schema: &ObjectSchema, value: &Value, path: &Path<'_>) -> Checked {
        let Value::Map(map) = value else {
            return path.mistake("must be an object");
        };
        for property in &schema.properties {
            match map.get(&property.name) {
                None if property.required => {
                    return path.mistake(format!("must have the property \"{}\"", property.name));
                }
                None => {}
                Some(Value::Null) if property.nullable => {}
                Some(value) => self.value(&property.schema, value, &path.child(Step::Key(&property.name)))?,
            }
        }
        Ok(())
    }

    /// Checks a value against a named definition; a value that says its `$type` must say this one.
    fn reference(&self, target: &Reference, value: &Value, path: &Path<'_>) -> Checked {
        let schema = match self.catalog.resolve(target) {
            Some(Def::Type(schema)) => schema,
            Some(Def::Record(record)) => return self.typed_record(target.as_str(), record, value, path),
            Some(Def::Method(_) | Def::PermissionSet(_)) | None => {
                return path.mistake(format!("is of type {target}, which is not known here"));
            }
        };
        match schema {
            // A token's value is its own name.
            Schema::Token if value.as_str() != Some(target.as_str()) => path.mistake(format!("must be \"{target}\"")),
            Schema::Object(_) => match value.get("$type") {
                Some(kind) if kind.as_str() != Some(target.as_str()) => wrong_type(target.as_str(), kind, path),
                Some(_) | None => self.value(schema, value, path),
            },
            Schema::Null
            | Schema::Boolean(_)
            | Schema::Integer(_)
            | Schema::String(_)
            | Schema::Bytes(_)
            | Schema::CidLink
            | Schema::Blob(_)
            | Schema::Array(_)
            | Schema::Unknown
            | Schema::Token
            | Schema::Ref(_)
            | Schema::Union(_) => self.value(schema, value, path),
        }
    }

    fn typed_record(&self, nsid: &str, schema: &RecordSchema, value: &Value, path: &Path<'_>) -> Checked {
        let Value::Map(map) = value else {
            return path.mistake("must be an object");
        };
        match map.get("$type") {
            Some(kind) if kind.as_str() == Some(nsid) => self.value(&schema.record, value, path),
            Some(kind) => wrong_type(nsid, kind, path),
            None => path.mistake("must have the property \"$type\""),
        }
    }

    fn union(&self, schema: &UnionSchema, value: &Value, path: &Path<'_>) -> Checked {
        let kind = value.as_map().and_then(|map: &Map| map.get("$type"));
        let Some(kind) = kind.and_then(Value::as_str).filter(|kind| !kind.is_empty()) else {
            return path.mistake("must be an object which includes the \"$type\" property");
        };
        match schema.refs.iter().find(|reference| reference.as_str() == kind) {
            Some(reference) => self.reference(reference, value, path),
            None if schema.closed => {
                let known: Vec<&str> = schema.refs.iter().map(Reference::as_str).collect();
                path.mistake(format!("$type must be one of {}", known.join(", ")))
            }
            None => Ok(()),
        }
    }
}

fn named(mistake: Mistake, subject: String) -> ValidationError {
    ValidationError { subject, path: mistake.path, message: mistake.message }
}

fn check_key(rule: &RecordKeyRule, rkey: &str) -> Checked {
    let wanted = match rule {
        RecordKeyRule::Any if rkey.parse::<RecordKey>().is_err() => "must be a valid record key".to_owned(),
        RecordKeyRule::Tid if rkey.parse::<Tid>().is_err() => "must be a TID".to_owned(),
        RecordKeyRule::Nsid if rkey.parse::<Nsid>().is_err() => "must be an NSID".to_owned(),
        RecordKeyRule::Literal(literal) if **literal != *rkey => format!("must be \"{literal}\""),
        RecordKeyRule::Any | RecordKeyRule::Tid | RecordKeyRule::Nsid | RecordKeyRule::Literal(_) => return Ok(()),
    };
    Path::root("Record key").mistake(format!("{wanted} (got {})", quoted(rkey)))
}

fn wrong_type(wanted: &str, got: &Value, path: &Path<'_>) -> Checked {
    let got = got.as_str().map_or_else(|| "something else".to_owned(), quoted);
    path.mistake(format!("$type must be \"{wanted}\" (got {got})"))
}

fn boolean(schema: &BooleanSchema, value: &Value, path: &Path<'_>) -> Checked {
    match (value, schema.constant) {
        (Value::Bool(value), Some(constant)) if *value != constant => path.mistake(format!("must be {constant}")),
        (Value::Bool(_), _) => Ok(()),
        (_, _) => path.mistake("must be a boolean"),
    }
}

fn integer(schema: &IntegerSchema, value: &Value, path: &Path<'_>) -> Checked {
    let Value::Integer(value) = *value else {
        return path.mistake("must be an integer");
    };
    if let Some(constant) = schema.constant.filter(|&constant| constant != value) {
        return path.mistake(format!("must be {constant}"));
    }
    if !schema.allowed.is_empty() && !schema.allowed.contains(&value) {
        return path.mistake(format!("must be one of ({})", listed(&schema.allowed)));
    }
    if let Some(minimum) = schema.minimum.filter(|&minimum| value < minimum) {
        return path.mistake(format!("can not be less than {minimum}"));
    }
    if let Some(maximum) = schema.maximum.filter(|&maximum| value > maximum) {
        return path.mistake(format!("can not be greater than {maximum}"));
    }
    Ok(())
}

fn string(schema: &StringSchema, value: &Value, path: &Path<'_>) -> Checked {
    let Value::String(text) = value else {
        return path.mistake("must be a string");
    };
    if let Some(constant) = schema.constant.as_deref().filter(|&constant| constant != text) {
        return path.mistake(format!("must be \"{constant}\""));
    }
    if !schema.allowed.is_empty() && !schema.allowed.iter().any(|allowed| **allowed == **text) {
        return path.mistake(format!("must be one of ({})", listed(&schema.allowed)));
    }
    check_length(text.len(), schema.min_length, schema.max_length, "bytes of UTF-8", path)?;
    if schema.min_graphemes.is_some() || schema.max_graphemes.is_some_and(|maximum| text.len() > maximum as usize) {
        check_length(text.graphemes(true).count(), schema.min_graphemes, schema.max_graphemes, "graphemes", path)?;
    }
    match schema.format {
        Some(format) if !format.matches(text) => path.mistake(format!("must be {} (got {})", format.wanted(), quoted(text))),
        Some(_) | None => Ok(()),
    }
}

fn bytes(schema: &BytesSchema, value: &Value, path: &Path<'_>) -> Checked {
    let Value::Bytes(bytes) = value else {
        return path.mistake("must be a byte array, {\"$bytes\": base64}");
    };
    check_length(bytes.len(), schema.min_length, schema.max_length, "bytes", path)
}

fn blob(schema: &BlobSchema, value: &Value, path: &Path<'_>) -> Checked {
    let Some(blob) = value.as_map().and_then(blob_ref::parse) else {
        return path.mistake("must be a blob, {\"$type\": \"blob\", \"ref\", \"mimeType\", \"size\"}");
    };
    if !blob.mime_type.contains('/') {
        return path.mistake(format!("must have a mimeType such as image/png (got {})", quoted(blob.mime_type)));
    }
    if !schema.accept.is_empty() && !schema.accept.iter().any(|pattern| accepts(pattern, blob.mime_type)) {
        let wanted = listed(&schema.accept);
        return path.mistake(format!("must have a mimeType of ({wanted}) (got {})", quoted(blob.mime_type)));
    }
    match schema.max_size {
        Some(maximum) if blob.size > maximum => {
            path.mistake(format!("must not be larger than {maximum} bytes (got {})", blob.size))
        }
        Some(_) | None => Ok(()),
    }
}

/// Whether `pattern`, such as `image/*`, covers a MIME type.
fn accepts(pattern: &str, mime_type: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some("*/") => true,
        Some(prefix) if prefix.ends_with('/') => mime_type.starts_with(prefix),
        Some(_) | None => pattern == mime_type,
    }
}

fn check_length(length: usize, minimum: Option<u32>, maximum: Option<u32>, unit: &str, path: &Path<'_>) -> Checked {
    if let Some(maximum) = maximum.filter(|&maximum| length > maximum as usize) {
        return path.mistake(format!("must not be longer than {maximum} {unit} (got {length})"));
    }
    if let Some(minimum) = minimum.filter(|&minimum| length < minimum as usize) {
        return path.mistake(format!("must not be shorter than {minimum} {unit} (got {length})"));
    }
    Ok(())
}

fn listed<T: fmt::Display>(values: &[T]) -> String {
    let mut text = String::new();
    for (at, value) in values.iter().enumerate() {
        let separator = if at == 0 { "" } else { "|" };
        write!(text, "{separator}{value}").expect("writing to memory cannot fail");
    }
    text
}

/// Quotes a client's text, shortened where it is long.
fn quoted(text: &str) -> String {
    match text.char_indices().nth(MAX_QUOTED_CHARS) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}
