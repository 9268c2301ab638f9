//! DAG-CBOR, strictly: one byte string for one value.
//!
//! [`Writer`] and [`Reader`] are for typed blocks (tree nodes, commits, frames); [`encode`] and [`decode`] are for [`Value`].
//! The reader refuses what the writer would not have written: longer integers than needed, indefinite lengths, keys out of
//! order or twice, floats, tags other than 42, and anything after the value.
//!
//! Spec: <https://ipld.io/specs/codecs/dag-cbor/spec/> and <https://atproto.com/specs/data-model>

mod reader;
mod writer;

pub use reader::{Error, Kind, MapReader, Reader};
pub use writer::Writer;

use crate::Value;
use crate::value::{MAX_DEPTH, Map};

/// Encodes a value as its one DAG-CBOR form.
pub fn encode(value: &Value) -> Vec<u8> {
    let mut writer = Writer::with_capacity(256);
    write_value(&mut writer, value);
    writer.into_vec()
}

/// Decodes the whole of `bytes` as one value.
pub fn decode(bytes: &[u8]) -> Result<Value, Error> {
    let mut reader = Reader::new(bytes);
    let value = read_value(&mut reader, MAX_DEPTH)?;
    reader.finish()?;
    Ok(value)
}

/// Appends `value` to what `writer` holds.
pub fn write_value(writer: &mut Writer, value: &Value) {
    match value {
        Value::Null => writer.null(),
        Value::Bool(b) => writer.bool(*b),
        Value::Integer(n) => writer.integer(*n),
        Value::String(text) => writer.text(text),
        Value::Bytes(bytes) => writer.bytes(bytes),
        Value::Link(cid) => writer.link(cid),
        Value::Array(items) => {
            writer.array(items.len());
            for item in items {
                write_value(writer, item);
            }
        }
        Value::Map(map) => {
            writer.map(map.len());
            for (key, item) in map.iter() {
                writer.text(key);
                write_value(writer, item);
            }
        }
    }
}

fn read_value(reader: &mut Reader<'_>, depth: usize) -> Result<Value, Error> {
    if depth == 0 {
        return Err(Error::TooDeep);
    }
    Ok(match reader.peek()? {
        Kind::Null => {
            reader.null()?;
            Value::Null
        }
        Kind::Bool => Value::Bool(reader.bool()?),
        Kind::Integer => Value::Integer(reader.integer()?),
        Kind::Text => Value::String(reader.text()?.to_owned()),
        Kind::Bytes => Value::Bytes(reader.bytes()?.to_vec()),
        Kind::Link => Value::Link(reader.link()?),
        Kind::Array => {
            let len = reader.array()?;
            let mut items = Vec::with_capacity(len.min(64));
            for _ in 0..len {
                items.push(read_value(reader, depth - 1)?);
            }
            Value::Array(items)
        }
        Kind::Map => {
            let mut entries = reader.map()?;
            let mut map = Map::new();
            while let Some(key) = entries.key(reader)? {
                let value = read_value(reader, depth - 1)?;
                let in_order = map.push_last(key, value);
                debug_assert!(in_order, "the map reader checks the order of keys");
            }
            Value::Map(map)
        }
    })
}
