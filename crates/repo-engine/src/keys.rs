//! The sorted keys of one node, in one piece of memory.

/// A list of keys as one text and the ends of its parts: a node is copied or searched without touching the heap per key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Keys {
    text: String,
    ends: Vec<u32>,
}

impl Keys {
    pub(crate) const fn new() -> Self {
        Self { text: String::new(), ends: Vec::new() }
    }

    pub(crate) fn with_capacity(keys: usize, chars: usize) -> Self {
        Self { text: String::with_capacity(chars), ends: Vec::with_capacity(keys) }
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub(crate) const fn capacity_bytes(&self) -> usize {
        self.text.capacity() + self.ends.capacity() * size_of::<u32>()
    }

    pub(crate) fn chars(&self) -> usize {
        self.text.len()
    }

    pub(crate) fn get(&self, index: usize) -> &str {
        &self.text[self.start(index)..self.ends[index] as usize]
    }

    pub(crate) fn first(&self) -> Option<&str> {
        (!self.is_empty()).then(|| self.get(0))
    }

    pub(crate) fn last(&self) -> Option<&str> {
        self.len().checked_sub(1).map(|last| self.get(last))
    }

    /// Returns where `key` is, or else how many keys are less.
    pub(crate) fn search(&self, key: &str) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.get(middle).as_bytes().cmp(key.as_bytes()) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Ok(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    pub(crate) fn push(&mut self, key: &str) {
        self.text.push_str(key);
        self.ends.push(self.text.len() as u32);
    }

    /// Appends the first `prefix` characters of the last key, and `suffix`.
    pub(crate) fn push_compressed(&mut self, prefix: usize, suffix: &str) {
        if let Some(last) = self.len().checked_sub(1) {
            let start = self.start(last);
            self.text.extend_from_within(start..start + prefix);
        }
        self.push(suffix);
    }

    pub(crate) fn insert(&mut self, index: usize, key: &str) {
        let start = self.start(index);
        self.text.insert_str(start, key);
        self.ends.insert(index, start as u32);
        for end in &mut self.ends[index..] {
            *end += key.len() as u32;
        }
    }

    pub(crate) fn remove(&mut self, index: usize) {
        let (start, end) = (self.start(index), self.ends.remove(index));
        self.text.replace_range(start..end as usize, "");
        for later in &mut self.ends[index..] {
            *later -= end - start as u32;
        }
    }

    /// Keeps the first `index` keys and returns the others.
    pub(crate) fn split_off(&mut self, index: usize) -> Self {
        let start = self.start(index);
        let mut ends = self.ends.split_off(index);
        for end in &mut ends {
            *end -= start as u32;
        }
        Self { text: self.text.split_off(start), ends }
    }

    pub(crate) fn append(&mut self, other: &Self) {
        let start = self.text.len() as u32;
        self.text.push_str(&other.text);
        self.ends.extend(other.ends.iter().map(|end| end + start));
    }

    pub(crate) fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    fn start(&self, index: usize) -> usize {
        index.checked_sub(1).map_or(0, |before| self.ends[before] as usize)
    }
}

/// Returns how many bytes `a` and `b` share at their beginning.
pub(crate) fn common_prefix(a: &str, b: &str) -> usize {
    a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_keys_is_edited_like_a_vec() {
        let mut keys = Keys::default();
        for key in ["bb", "d", "ffff"] {
            keys.push(key);
        }
        keys.insert(0, "a");
        keys.insert(2, "ccc");
        keys.insert(5, "g");
        let list = |keys: &Keys| (0..keys.len()).map(|i| keys.get(i).to_owned()).collect::<Vec<_>>();
        assert_eq!(list(&keys), ["a", "bb", "ccc", "d", "ffff", "g"]);
        assert_eq!((keys.search("ccc"), keys.search("c"), keys.search("h")), (Ok(2), Err(2), Err(6)));
        keys.remove(1);
        let mut tail = keys.split_off(2);
        assert_eq!((list(&keys), list(&tail)), (vec!["a".into(), "ccc".into()], vec!["d".into(), "ffff".into(), "g".into()]));
        tail.append(&keys);
        tail.push_compressed(2, "z");
        assert_eq!(list(&tail), ["d", "ffff", "g", "a", "ccc", "ccz"]);
    }

    #[test]
    fn common_prefixes_are_those_of_the_interop_file() {
        for (left, right, expected) in
            [("", "", 0), ("abc", "abc", 3), ("ab", "abc", 2), ("abcde", "abc1", 3), ("abcde", "qbb", 0)]
        {
            assert_eq!(common_prefix(left, right), expected);
        }
    }
}
