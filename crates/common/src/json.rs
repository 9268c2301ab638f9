//! The JSON view of the data model: `{"$link": ...}` and `{"$bytes": ...}` stand for links and bytes.
//!
//! Reading is strict where a mistake would change what a record means: a malformed `$link` or `$bytes` is refused (the
//! official server stores it as a plain map), and so is a malformed blob. Numbers are integers that JavaScript can hold.
//!
//! Spec: <https://atproto.com/specs/data-model>

use std::fmt;

use data_encoding::{BASE64, BASE64_NOPAD};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::Cid;
use crate::cbor::{self, Kind, Reader};
use crate::value::{MAX_DEPTH, Map, Value};

/// The largest magnitude of an integer that JSON readers agree on, 2^53 - 1.
pub const MAX_SAFE_INTEGER: i64 = (1 << 53) - 1;

/// Parses JSON text as one value of the data model.
pub fn parse(text: &[u8]) -> Result<Value, serde_json::Error> {
    serde_json::from_slice(text)
}

/// Parses JSON text as a record: an object, and neither a link nor bytes.
pub fn parse_record(text: &[u8]) -> Result<Map, serde_json::Error> {
    serde_json::from_slice(text)
}

/// Appends the JSON form of `value` to `out`.
pub fn write(value: &Value, out: &mut Vec<u8>) {
    serde_json::to_writer(out, value).expect("writing JSON to memory cannot fail");
}

/// Appends the JSON form of a DAG-CBOR value to `out`, without a tree in between: what reads of records are made of.
///
/// # Errors
///
/// When `block` is not DAG-CBOR; `out` then holds a part.
pub fn write_cbor(block: &[u8], out: &mut Vec<u8>) -> Result<(), cbor::Error> {
    let mut reader = Reader::new(block);
    transcode(&mut reader, out, MAX_DEPTH)?;
    reader.finish()
}

/// Appends `text` to `out` as a JSON string, with its quotes.
pub fn write_string(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let (plain, after) = rest.split_at(plain_length(rest));
        out.extend_from_slice(plain);
        let Some((&byte, after)) = after.split_first() else { break };
        rest = after;
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
        }
    }
    out.push(b'"');
}

/// Returns how many bytes at the beginning stand for themselves in a JSON string.
fn plain_length(bytes: &[u8]) -> usize {
    const fn is_escaped(byte: u8) -> bool {
        byte < 0x20 || byte == b'"' || byte == b'\\'
    }
    let mut length = 0;
    // All 16 are looked at, whatever the first say, which the compiler makes a few instructions of.
    while let Some(chunk) = bytes[length..].first_chunk::<16>()
        && !chunk.iter().fold(false, |found, byte| found | is_escaped(*byte))
    {
        length += 16;
    }
    length + bytes[length..].iter().take_while(|byte| !is_escaped(**byte)).count()
}

fn transcode(reader: &mut Reader<'_>, out: &mut Vec<u8>, depth: usize) -> Result<(), cbor::Error> {
    if depth == 0 {
        return Err(cbor::Error::TooDeep);
    }
    match reader.peek()? {
        Kind::Null => {
            reader.null()?;
            out.extend_from_slice(b"null");
        }
        Kind::Bool => out.extend_from_slice(if reader.bool()? { b"true" } else { b"false" }),
        Kind::Integer => {
            use std::io::Write as _;
            write!(out, "{}", reader.integer()?).expect("writing to memory cannot fail");
        }
        Kind::Text => write_string(reader.text()?, out),
        Kind::Bytes => {
            out.extend_from_slice(b"{\"$bytes\":\"");
            let bytes = reader.bytes()?;
            let start = out.len();
            out.resize(start + BASE64_NOPAD.encode_len(bytes.len()), 0);
            BASE64_NOPAD.encode_mut(bytes, &mut out[start..]);
            out.extend_from_slice(b"\"}");
        }
        Kind::Link => {
            out.extend_from_slice(b"{\"$link\":\"");
            reader.link()?.write_text(out);
            out.extend_from_slice(b"\"}");
        }
        Kind::Array => {
            out.push(b'[');
            for at in 0..reader.array()? {
                if at > 0 {
                    out.push(b',');
                }
                transcode(reader, out, depth - 1)?;
            }
            out.push(b']');
        }
        Kind::Map => {
            out.push(b'{');
            let mut entries = reader.map()?;
            let mut first = true;
            while let Some(key) = entries.key(reader)? {
                if !std::mem::take(&mut first) {
                    out.push(b',');
                }
                write_string(key, out);
                out.push(b':');
                transcode(reader, out, depth - 1)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(b) => serializer.serialize_bool(*b),
            Self::Integer(n) => serializer.serialize_i64(*n),
            Self::String(text) => serializer.serialize_str(text),
            Self::Bytes(bytes) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("$bytes", &BASE64_NOPAD.encode(bytes))?;
                map.end()
            }
            Self::Link(cid) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("$link", cid)?;
                map.end()
            }
            Self::Array(items) => serializer.collect_seq(items),
            Self::Map(map) => serializer.collect_map(map.iter()),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

impl Serialize for Map {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

/// Takes objects only, and neither links nor bytes, which look like objects: what a record has to be.
impl<'de> Deserialize<'de> for Map {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MapVisitor)
    }
}

struct MapVisitor;

impl<'de> Visitor<'de> for MapVisitor {
    type Value = Map;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<Map, A::Error> {
        match ValueVisitor.visit_map(access)? {
            Value::Map(map) => Ok(map),
            Value::Link(_) => Err(de::Error::custom("expected an object, found a link")),
            Value::Bytes(_) => Err(de::Error::custom("expected an object, found bytes")),
            Value::Null | Value::Bool(_) | Value::Integer(_) | Value::String(_) | Value::Array(_) => {
                unreachable!("a JSON object is a map, a link or bytes")
            }
        }
    }
}

/// 2^53, the first whole number that a float cannot tell from its neighbour.
const UNSAFE_FROM: f64 = 9_007_199_254_740_992.0;

struct ValueVisitor;

const EXPECTED: &str = "Expected one of null, boolean, integer, string, bytes, cid, array, object";

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of the AT Protocol data model")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        if value.unsigned_abs() > MAX_SAFE_INTEGER as u64 {
            return Err(E::custom(format_args!("integer {value} is outside the safe range of +-(2^53 - 1)")));
        }
        Ok(Value::Integer(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        let value = i64::try_from(value)
            .map_err(|_| E::custom(format_args!("integer {value} is outside the safe range of +-(2^53 - 1)")))?;
        self.visit_i64(value)
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        // `1.0` and `1e3` are integers to JavaScript, whose clients may send them.
        if value.fract() == 0.0 && value.abs() < UNSAFE_FROM {
            return Ok(Value::Integer(value as i64));
        }
        Err(E::custom(format_args!("{EXPECTED} (got {value})")))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry::<String, Value>()? {
            entries.push(entry);
        }
        from_json_map(Map::from_entries(entries)).map_err(de::Error::custom)
    }
}

/// Gives a JSON object its meaning in the data model.
fn from_json_map(map: Map) -> Result<Value, &'static str> {
    if map.get("__proto__").is_some() {
        return Err("the key __proto__ is not allowed");
    }
    if let Some(link) = map.get("$link") {
        let cid = link.as_str().and_then(|text| text.parse::<Cid>().ok());
        return match cid {
            Some(cid) if map.len() == 1 => Ok(Value::Link(cid)),
            _ => Err("$link must be the only key of its object, and hold a CID (version 1, SHA-256, DAG-CBOR or raw)"),
        };
    }
    if let Some(bytes) = map.get("$bytes") {
        let decoded = bytes.as_str().and_then(|text| {
            // Padding is optional in the wild.
            let unpadded = text.trim_end_matches('=');
            BASE64_NOPAD
                .decode(unpadded.as_bytes())
                .ok()
                .filter(|_| unpadded.len() == text.len() || BASE64.decode(text.as_bytes()).is_ok())
        });
        return match decoded {
            Some(bytes) if map.len() == 1 => Ok(Value::Bytes(bytes)),
            _ => Err("$bytes must be the only key of its object, and hold standard base64"),
        };
    }
    if let Some(kind) = map.get("$type") {
        match kind {
            Value::String(kind) if kind.is_empty() => return Err("$type must not be empty"),
            Value::String(kind) if kind == "blob" => check_blob(&map)?,
            Value::String(_) => {}
            _ => return Err("$type must be a string"),
        }
    }
    Ok(Value::Map(map))
}

fn check_blob(map: &Map) -> Result<(), &'static str> {
    let reference = map.get("ref").and_then(Value::as_link);
    let mime_type = map.get("mimeType").and_then(Value::as_str).filter(|text| !text.is_empty());
    let size = map.get("size").and_then(Value::as_integer).filter(|&size| size >= 0);
    if reference.is_some() && mime_type.is_some() && size.is_some() {
        return Ok(());
    }
    Err("a blob has a ref ({\"$link\": CID}), a mimeType and a size")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_must_be_escaped_is_found_wherever_it_stands() {
        for escaped in (0..0x20).chain(*b"\"\\").map(char::from) {
            for (before, after) in (0..40).flat_map(|before| [0, 1, 20].map(|after| (before, after))) {
                let text = format!("{}{escaped}{}ä", "x".repeat(before), "y".repeat(after));
                let mut out = Vec::new();
                write_string(&text, &mut out);
                assert_eq!(serde_json::from_slice::<String>(&out).ok(), Some(text), "{}", String::from_utf8_lossy(&out));
            }
        }
        let plain = "ß = 7, ~ \u{7f} and ✓: nothing to escape in any of these".repeat(2);
        let mut out = Vec::new();
        write_string(&plain, &mut out);
        assert_eq!(out, format!("\"{plain}\"").into_bytes());
    }
}
