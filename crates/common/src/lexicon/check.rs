//! The rules that a document must keep beyond its shape, checked once while parsing.

use super::schema::{Def, Method, MethodKind, ObjectSchema, RecordSchema, Schema, StringSchema};
use crate::syntax::Nsid;

/// How long the name of a definition may be.
const MAX_NAME_BYTES: usize = 128;

impl Def {
    /// Makes the references absolute, and checks what the definition called `name` in the document `home` says.
    pub(super) fn finish(&mut self, home: &Nsid, name: &str) -> Result<(), String> {
        let is_name = name.len() <= MAX_NAME_BYTES && name.starts_with(|c: char| c.is_ascii_alphabetic());
        if !is_name || !name.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err("a name is letters and digits, and begins with a letter".to_owned());
        }
        let primary = match self {
            Self::Record(record) => {
                finish_record(record, home)?;
                true
            }
            Self::Method(method) => {
                finish_method(method, home)?;
                true
            }
            Self::PermissionSet(_) => true,
            Self::Type(Schema::Ref(_) | Schema::Union(_) | Schema::Unknown) => {
                return Err("a ref, a union or unknown has no name of its own".to_owned());
            }
            Self::Type(schema) => {
                finish_schema(schema, home)?;
                false
            }
        };
        if primary && name != "main" {
            return Err("a record, a method or a permission set is called main".to_owned());
        }
        Ok(())
    }
}

fn finish_record(record: &mut RecordSchema, home: &Nsid) -> Result<(), String> {
    if !matches!(record.record, Schema::Object(_)) {
        return Err("a record is an object".to_owned());
    }
    finish_schema(&mut record.record, home)
}

fn finish_method(method: &mut Method, home: &Nsid) -> Result<(), String> {
    let fits = match method.kind {
        MethodKind::Query => method.input.is_none() && method.message.is_none(),
        MethodKind::Procedure => method.message.is_none(),
        MethodKind::Subscription => method.input.is_none() && method.output.is_none(),
    };
    if !fits {
        return Err("queries have no input, and only subscriptions have messages".to_owned());
    }
    if let Some(parameters) = &mut method.parameters {
        finish_parameters(parameters, home)?;
    }
    for payload in [&mut method.input, &mut method.output].into_iter().flatten() {
        let Some(schema) = &mut payload.schema else { continue };
        if !matches!(schema, Schema::Object(_) | Schema::Ref(_) | Schema::Union(_)) {
            return Err("the schema of a body is an object, a ref or a union".to_owned());
        }
        finish_schema(schema, home)?;
    }
    if let Some(message) = &mut method.message {
        if !matches!(message.schema, Schema::Union(_)) {
            return Err("the schema of a message is a union".to_owned());
        }
        finish_schema(&mut message.schema, home)?;
    }
    Ok(())
}

/// Parameters travel in a query string, which holds no maps.
fn finish_parameters(parameters: &mut ObjectSchema, home: &Nsid) -> Result<(), String> {
    for property in &mut parameters.properties {
        let scalar = match &property.schema {
            Schema::Array(array) => is_parameter(&array.items),
            other => is_parameter(other),
        };
        if !scalar {
            return Err(format!(
                "the parameter {:?} is not a boolean, an integer, a string or an array of these",
                property.name
            ));
        }
        finish_schema(&mut property.schema, home)?;
    }
    Ok(())
}

const fn is_parameter(schema: &Schema) -> bool {
    matches!(schema, Schema::Boolean(_) | Schema::Integer(_) | Schema::String(_) | Schema::Unknown)
}

fn finish_schema(schema: &mut Schema, home: &Nsid) -> Result<(), String> {
    match schema {
        Schema::Null | Schema::Boolean(_) | Schema::CidLink | Schema::Unknown | Schema::Token => Ok(()),
        Schema::Integer(integer) => in_order("minimum", integer.minimum, integer.maximum),
        Schema::String(string) => finish_string(string),
        Schema::Bytes(bytes) => in_order("minLength", bytes.min_length, bytes.max_length),
        Schema::Blob(blob) => match blob.accept.iter().find(|accept| !is_mime_pattern(accept)) {
            None => Ok(()),
            Some(accept) => Err(format!("{accept:?} is not a MIME type, such as image/png, image/* or */*")),
        },
        Schema::Array(array) => {
            in_order("minLength", array.min_length, array.max_length)?;
            finish_schema(&mut array.items, home)
        }
        Schema::Object(object) => {
            object.properties.iter_mut().try_for_each(|property| finish_schema(&mut property.schema, home))
        }
        Schema::Ref(reference) => {
            reference.target.resolve(home);
            is_reference(reference.target.as_str())
        }
        Schema::Union(union) => {
            for reference in &mut union.refs {
                reference.resolve(home);
                is_reference(reference.as_str())?;
            }
            if union.closed && union.refs.is_empty() {
                return Err("a closed union has at least one type".to_owned());
            }
            Ok(())
        }
    }
}

fn finish_string(string: &StringSchema) -> Result<(), String> {
    in_order("minLength", string.min_length, string.max_length)?;
    in_order("minGraphemes", string.min_graphemes, string.max_graphemes)
}

fn in_order<T: PartialOrd>(what: &str, low: Option<T>, high: Option<T>) -> Result<(), String> {
    match (low, high) {
        (Some(low), Some(high)) if low > high => Err(format!("{what} is above its maximum")),
        (_, _) => Ok(()),
    }
}

fn is_mime_pattern(text: &str) -> bool {
    text.split_once('/').is_some_and(|(kind, subtype)| !kind.is_empty() && !subtype.is_empty())
}

fn is_reference(text: &str) -> Result<(), String> {
    let (nsid, name) = text.split_once('#').unwrap_or((text, "main"));
    if nsid.parse::<Nsid>().is_ok() && !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Ok(());
    }
    Err(format!("{text:?} is not a reference"))
}
