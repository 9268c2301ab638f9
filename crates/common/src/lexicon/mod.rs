//! Lexicon: the schema language of records and methods, and the check of data against it.
//!
//! A [`Document`] is one parsed schema file, and a [`Catalog`] a set of them that refer to each other. [`Catalog::facts`] are the
//! record schemas that every PDS knows, compiled in. Validation reads and never changes: no defaults are filled in, fields that
//! the schema does not name are kept, and an open union accepts types that are not known yet.
//!
//! **Invariant:** a definition of a [`Document`] is never itself a reference, so every reference that validation follows leads
//! to a concrete type, and the recursion is bounded by the depth of the data.
//!
//! Spec: <https://atproto.com/specs/lexicon>

mod catalog;
mod check;
mod document;
mod format;
mod schema;
mod validate;

pub use catalog::{Catalog, KNOWN_RECORDS, Outcome};
pub use document::{Document, ParseError};
pub use format::Format;
pub use schema::{
    ArraySchema, BlobSchema, BooleanSchema, BytesSchema, Def, IntegerSchema, MessageBody, Method, MethodError, MethodKind,
    ObjectSchema, Payload, Permission, PermissionSet, Property, RecordKeyRule, RecordSchema, Reference, Schema, StringSchema,
    UnionSchema,
};
pub use validate::ValidationError;
