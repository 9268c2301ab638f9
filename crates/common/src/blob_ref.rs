//! References from records to blobs.
//!
//! A blob is referred to by a map with `$type: "blob"`, wherever in the record it stands, known schema or not. Before that form
//! there was a map of `cid` and `mimeType` alone; old records hold it, and new ones must not.
//!
//! Spec: <https://atproto.com/specs/data-model#blob-type>

use std::fmt::Write as _;

use crate::{Cid, Map, Value};

/// A reference to a blob, as a record states it; whether the blob exists and is so is another question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobRef {
    pub cid: Cid,
    pub mime_type: String,
    /// In bytes.
    pub size: u64,
    /// Where in the record it stands, such as `embed/images/0/image`.
    pub path: String,
}

/// The fields of a blob, borrowed from its map.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlobFields<'a> {
    pub(crate) cid: Cid,
    pub(crate) mime_type: &'a str,
    pub(crate) size: u64,
}

/// Returns every reference to a blob in `record`, in the order of its DAG-CBOR; one blob may be referred to more than once.
pub fn blob_refs(record: &Value) -> Vec<BlobRef> {
    let mut found = Vec::new();
    walk(record, &mut String::new(), &mut |map, path| {
        if let Some(BlobFields { cid, mime_type, size }) = parse(map) {
            found.push(BlobRef { cid, mime_type: mime_type.to_owned(), size, path: path.to_owned() });
        }
    });
    found
}

/// Returns the CID of every blob that `record` names, be it in the old form, once each.
pub fn named_blobs(record: &Value) -> Vec<Cid> {
    let mut found = Vec::new();
    walk(record, &mut String::new(), &mut |map, _| {
        let legacy = || is_legacy(map).then(|| map.get("cid")?.as_str()?.parse().ok()).flatten();
        if let Some(cid) = parse(map).map(|blob| blob.cid).or_else(legacy)
            && !found.contains(&cid)
        {
            found.push(cid);
        }
    });
    found
}

/// Returns where the first legacy blob, a map of just `cid` and `mimeType`, stands in `record`.
pub fn find_legacy_blob(record: &Value) -> Option<String> {
    let mut found = None;
    walk(record, &mut String::new(), &mut |map, path| {
        if found.is_none() && is_legacy(map) {
            found = Some(path.to_owned());
        }
    });
    found
}

/// Reads a map as a reference to a blob; `None` when it is another map, or a malformed blob.
pub(crate) fn parse(map: &Map) -> Option<BlobFields<'_>> {
    if map.get("$type")?.as_str()? != "blob" {
        return None;
    }
    let cid = map.get("ref")?.as_link()?;
    let mime_type = map.get("mimeType")?.as_str().filter(|text| !text.is_empty())?;
    let size = u64::try_from(map.get("size")?.as_integer()?).ok()?;
    Some(BlobFields { cid, mime_type, size })
}

fn is_legacy(map: &Map) -> bool {
    let text = |key| map.get(key).and_then(Value::as_str);
    map.len() == 2
        && text("cid").is_some_and(|text| text.parse::<Cid>().is_ok())
        && text("mimeType").is_some_and(|text| !text.is_empty())
}

/// Visits every map below `value` with its path, the outer ones first.
fn walk(value: &Value, path: &mut String, visit: &mut impl FnMut(&Map, &str)) {
    let end = path.len();
    let separator = if end == 0 { "" } else { "/" };
    match value {
        Value::Map(map) => {
            visit(map, path);
            for (key, value) in map.iter().filter(|(_, value)| is_container(value)) {
                path.push_str(separator);
                path.push_str(key);
                walk(value, path, visit);
                path.truncate(end);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate().filter(|(_, item)| is_container(item)) {
                write!(path, "{separator}{index}").expect("writing to memory cannot fail");
                walk(item, path, visit);
                path.truncate(end);
            }
        }
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::String(_) | Value::Bytes(_) | Value::Link(_) => {}
    }
}

const fn is_container(value: &Value) -> bool {
    matches!(value, Value::Map(_) | Value::Array(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CID: &str = "bafkreiclp443lavogvhj3d2ob2cxbfuscni2k5jk7bebjzg7khl3esabwq";

    fn parse(text: &str) -> Value {
        crate::json::parse(text.replace("CID", CID).as_bytes()).unwrap()
    }

    #[test]
    fn blobs_are_found_wherever_they_stand() {
        let record = parse(
            r#"{
                "$type": "com.example.any",
                "avatar": {"$type": "blob", "ref": {"$link": "CID"}, "mimeType": "image/png", "size": 7},
                "list": [1, [{"x": {"$type": "blob", "ref": {"$link": "CID"}, "mimeType": "text/plain", "size": 0}}]],
                "link": {"$link": "CID"},
                "map": {"ref": {"$link": "CID"}, "mimeType": "image/png", "size": 7}
            }"#,
        );
        let found: Vec<_> = blob_refs(&record).into_iter().map(|blob| (blob.path, blob.mime_type, blob.size)).collect();
        let expected = [("list/1/0/x", "text/plain", 0), ("avatar", "image/png", 7)];
        assert_eq!(found, expected.map(|(path, mime_type, size)| (path.to_owned(), mime_type.to_owned(), size)));
        assert_eq!(blob_refs(&record)[0].cid.to_string(), CID);
    }

    #[test]
    fn legacy_blobs_are_told_from_maps_that_only_look_alike() {
        let legacy = parse(r#"{"a": [{"b": {"cid": "CID", "mimeType": "image/png"}}]}"#);
        assert_eq!(find_legacy_blob(&legacy).as_deref(), Some("a/0/b"));
        assert_eq!(find_legacy_blob(&parse(r#"{"cid": "CID", "mimeType": "image/png"}"#)).as_deref(), Some(""));
        for other in [
            r#"{"a": {"cid": "CID", "mimeType": "image/png", "size": 3}}"#,
            r#"{"a": {"cid": "CID", "uri": "at://did:web:example.com"}}"#,
            r#"{"a": {"cid": "nonsense", "mimeType": "image/png"}}"#,
        ] {
            assert_eq!(find_legacy_blob(&parse(other)), None, "{other}");
        }
    }

    #[test]
    fn a_malformed_blob_is_no_reference() {
        let mut map = Map::new();
        map.insert("$type", Value::from("blob"));
        map.insert("mimeType", Value::from("image/png"));
        map.insert("size", Value::from(3));
        assert_eq!(blob_refs(&Value::Map(map.clone())), []);
        map.insert("ref", Value::from(CID));
        assert_eq!(blob_refs(&Value::Map(map)), []);
    }
}
