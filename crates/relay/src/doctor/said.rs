//! What the doctor says: in English where the check is, and by a name, under which other languages have their own words.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::pages::texts::DoctorTexts;

/// A sentence or two, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    /// The name in the texts of other languages; `None` for what somebody else said.
    name: Option<&'static str>,
    english: String,
    /// What stands in it, by the names of its places, which are the same in every language.
    values: Vec<(&'static str, String)>,
}

impl Said {
    /// Says nothing.
    pub(in crate::doctor) const fn nothing() -> Self {
        Self { parts: Vec::new() }
    }

    /// Repeats what was said elsewhere, in whatever language.
    pub(in crate::doctor) fn as_told(text: impl Into<String>) -> Self {
        Self { parts: vec![Part { name: None, english: text.into(), values: Vec::new() }] }
    }

    /// For [`said`] alone.
    pub(in crate::doctor) fn new(name: &'static str, english: String, values: Vec<(&'static str, String)>) -> Self {
        Self { parts: vec![Part { name: Some(name), english, values }] }
    }

    /// Says something more.
    pub(in crate::doctor) fn then(mut self, more: Self) -> Self {
        self.parts.extend(more.parts);
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.parts.iter().all(|part| part.english.is_empty())
    }

    /// Returns it in the language of a page.
    pub(crate) fn in_words(&self, t: &DoctorTexts) -> String {
        let part = |part: &Part| match part.name.and_then(|name| t.find(name)) {
            Some(words) => fill(words, &part.values),
            None => part.english.clone(),
        };
        self.parts.iter().map(part).collect::<Vec<_>>().join(" ")
    }
}

/// Puts the values into their places, which stand in braces.
fn fill(words: &str, values: &[(&'static str, String)]) -> String {
    let mut text = String::new();
    let mut rest = words;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        text.push_str(before);
        text.push_str(values.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value));
        rest = after;
    }
    text.push_str(rest);
    text
}

/// English.
impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, part) in self.parts.iter().enumerate() {
            if nth > 0 {
                f.write_str(" ")?;
            }
            f.write_str(&part.english)?;
        }
        Ok(())
    }
}

/// English, which scripts and support read.
impl Serialize for Said {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Says something: its name, the English words, and what stands in their places, as in `format!`. Places have names.
macro_rules! said {
    (@value $key:ident) => { $key.to_string() };
    (@value $key:ident, $value:expr) => { $value.to_string() };
    ($name:literal, $english:literal $(,)?) => {
        $crate::doctor::said::Said::new($name, $english.to_owned(), Vec::new())
    };
    ($name:literal, $english:literal, $($key:ident $(= $value:expr)?),+ $(,)?) => {{
        $(let $key = $crate::doctor::said::said!(@value $key $(, $value)?);)+
        $crate::doctor::said::Said::new($name, format!($english), vec![$((stringify!($key), $key)),+])
    }};
}
pub(in crate::doctor) use said;

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::pages::Language;

    /// Every `said!` of the checks: its name, and the places in it.
    fn in_the_checks() -> BTreeMap<String, BTreeSet<String>> {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/doctor/check");
        let mut found = BTreeMap::new();
        for file in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            for said in text.split("said!(").skip(1) {
                let mut literals = said.split('"').skip(1).step_by(2);
                let name = literals.next().unwrap().to_owned();
                // What the English words have in quotes is escaped, and holds no places of its own.
                let english = said.split_once(',').unwrap().1.trim_start().replace("\\\"", "");
                let english = english.split('"').nth(1).unwrap().to_owned();
                assert_eq!(found.insert(name.clone(), places(&english)), None, "{name} is said twice");
            }
        }
        found
    }

    fn places(words: &str) -> BTreeSet<String> {
        words.split('{').skip(1).map(|rest| rest.split('}').next().unwrap().to_owned()).collect()
    }

    #[test]
    fn whatever_the_doctor_says_has_words_in_every_language() {
        let said = in_the_checks();
        assert!(said.len() > 100, "the checks were not found");
        for language in Language::ALL.into_iter().filter(|language| *language != Language::English) {
            let texts = &language.texts().doctor;
            let missing: Vec<_> = said.keys().filter(|name| texts.find(name).is_none()).collect();
            assert!(missing.is_empty(), "no words in {language:?}: {missing:?}");
            for (name, words) in texts.all() {
                let wanted = said.get(*name).unwrap_or_else(|| panic!("nobody says {name}"));
                assert_eq!(places(words), *wanted, "{name}: {words}");
            }
        }
    }

    #[test]
    fn values_take_their_places() {
        let (host, port) = ("pds.example.com", 443);
        let said = said!("a.name", "Port {port} of {host}.", host, port).then(Said::as_told("And more."));
        assert_eq!(said.to_string(), "Port 443 of pds.example.com. And more.");
        assert_eq!(
            said.in_words(&DoctorTexts::of(&[("a.name", "Bei {host} Port {port}.")])),
            "Bei pds.example.com Port 443. And more."
        );
        assert_eq!(said.in_words(&DoctorTexts::of(&[])), said.to_string());
        assert_eq!(serde_json::to_value(&said).unwrap(), "Port 443 of pds.example.com. And more.");
        assert!(Said::nothing().is_empty() && !said.is_empty());
    }
}
