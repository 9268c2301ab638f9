//! The data model: what a record may hold.
//!
//! Spec: <https://atproto.com/specs/data-model>

use std::cmp::Ordering;

use crate::Cid;

/// How deep arrays and maps may nest, in every decoder of this crate; it bounds the stack.
pub const MAX_DEPTH: usize = 128;

/// A value of the AT Protocol data model. There are no floats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    String(String),
    Bytes(Vec<u8>),
    Link(Cid),
    Array(Vec<Value>),
    Map(Map),
}

/// A map with text keys, each once, in the order of DAG-CBOR: by length, then by bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Map(Vec<(String, Value)>);

/// Compares two map keys as DAG-CBOR orders them.
pub fn key_order(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.as_bytes().cmp(b.as_bytes()))
}

impl Map {
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Makes a map of entries in any order; of entries with one key the last wins, as in JSON.
    pub fn from_entries(mut entries: Vec<(String, Value)>) -> Self {
        if !entries.is_sorted_by(|a, b| key_order(&a.0, &b.0).is_lt()) {
            // The sort is stable, so the last of equal keys is the one that stands last.
            entries.sort_by(|a, b| key_order(&a.0, &b.0));
            entries.dedup_by(|later, earlier| {
                let same = later.0 == earlier.0;
                if same {
                    std::mem::swap(later, earlier);
                }
                same
            });
        }
        Self(entries)
    }

    /// Appends an entry whose key sorts after all that are there; `false` (and no change) when it does not.
    pub(crate) fn push_last(&mut self, key: &str, value: Value) -> bool {
        let in_order = self.0.last().is_none_or(|(last, _)| key_order(last, key).is_lt());
        if in_order {
            self.0.push((key.to_owned(), value));
        }
        in_order
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn get(&self, key: &str) -> Option<&Value> {
        let at = self.0.binary_search_by(|(k, _)| key_order(k, key)).ok()?;
        Some(&self.0[at].1)
    }

    /// Sets `key`, and returns what it held.
    pub fn insert(&mut self, key: impl Into<String>, value: Value) -> Option<Value> {
        let key = key.into();
        match self.0.binary_search_by(|(k, _)| key_order(k, &key)) {
            Ok(at) => Some(std::mem::replace(&mut self.0[at].1, value)),
            Err(at) => {
                self.0.insert(at, (key, value));
                None
            }
        }
    }

    /// Removes `key`, and returns what it held.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let at = self.0.binary_search_by(|(k, _)| key_order(k, key)).ok()?;
        Some(self.0.remove(at).1)
    }

    /// Visits the entries in DAG-CBOR order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v))
    }
}

impl FromIterator<(String, Value)> for Map {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(entries: I) -> Self {
        Self::from_entries(entries.into_iter().collect())
    }
}

impl Value {
    pub fn as_map(&self) -> Option<&Map> {
        if let Self::Map(map) = self { Some(map) } else { None }
    }

    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    pub fn as_integer(&self) -> Option<i64> {
        if let Self::Integer(number) = self { Some(*number) } else { None }
    }

    pub fn as_array(&self) -> Option<&[Value]> {
        if let Self::Array(items) = self { Some(items) } else { None }
    }

    pub fn as_link(&self) -> Option<Cid> {
        if let Self::Link(cid) = self { Some(*cid) } else { None }
    }

    /// Returns what a map holds under `key`; `None` for other values too.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_map()?.get(key)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<bool> for Value {
    fn from(bool: bool) -> Self {
        Self::Bool(bool)
    }
}

impl From<Cid> for Value {
    fn from(cid: Cid) -> Self {
        Self::Link(cid)
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Self {
        Self::Map(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_equal_keys_wins_and_order_is_by_length_first() {
        let map = Map::from_entries(vec![
            ("bb".into(), 1.into()),
            ("a".into(), 2.into()),
            ("bb".into(), 3.into()),
            ("aa".into(), 4.into()),
        ]);
        let entries: Vec<_> = map.iter().map(|(k, v)| (k, v.as_integer().expect("integers"))).collect();
        assert_eq!(entries, [("a", 2), ("aa", 4), ("bb", 3)]);
    }
}
