//! Gives the sections their values, and remembers what was wrong and what holds.

use std::{collections::BTreeMap, ops::RangeInclusive, path::PathBuf, time::Duration};

use super::{
    error::{Mistake, Wrong, hide_userinfo},
    origin::Origin,
    registry::{self, Default, Kind, SETTINGS, Setting},
    sources::{Raw, Sources, Text, relative_to},
    values::{parse_bool, parse_duration_within, parse_number, parse_size},
};

/// The word that stands for no value, where there is a default to do without.
const NONE: &str = "none";

/// What holds for one setting, and who said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// The setting.
    pub setting: &'static Setting,
    /// Its value, as far as it may be shown.
    pub shown: Shown,
    /// Where the value comes from.
    pub origin: Origin,
}

/// A value as far as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// There is none.
    Unset,
    /// There is one, and it is a secret.
    Hidden,
    /// One text.
    One(String),
    /// Several texts.
    Many(Vec<String>),
}

/// The values for one load.
pub(super) struct Reader {
    given: BTreeMap<&'static str, Raw>,
    effective: BTreeMap<&'static str, (Shown, Origin)>,
    mistakes: Vec<Mistake>,
}

impl Reader {
    pub(super) fn new(sources: Sources) -> Self {
        Self { given: sources.given, effective: BTreeMap::new(), mistakes: sources.mistakes }
    }

    /// Returns what holds for all settings in the table's order, or what is wrong with them.
    pub(super) fn finish(mut self) -> Result<Vec<Effective>, Vec<Mistake>> {
        if !self.mistakes.is_empty() {
            // Mistakes without a place (something is missing) come last, for a misspelt name above may explain them.
            self.mistakes.sort_by_key(|mistake| match &mistake.origin {
                Origin::Default => (u8::MAX, 0),
                Origin::File { line, .. } => (mistake.origin.rank(), *line),
                Origin::Credential { .. } | Origin::Env { .. } | Origin::Flag { .. } => (mistake.origin.rank(), 0),
            });
            self.mistakes.dedup();
            return Err(self.mistakes);
        }
        let effective = SETTINGS.iter().map(|setting| {
            let (shown, origin) = self.effective.remove(setting.path).unwrap_or((Shown::Unset, Origin::Default));
            Effective { setting, shown, origin }
        });
        Ok(effective.collect())
    }

    /// Tells whether any source sets `path`.
    pub(super) fn is_given(&self, path: &str) -> bool {
        self.given.contains_key(path)
    }

    /// Notes a mistake that shows only when several settings are seen together, at the place of `path`.
    pub(super) fn complain(&mut self, path: &'static str, why: &str, remedy: &str) {
        let setting = lookup(path);
        let origin = self.given.get(path).map_or(Origin::Default, |raw| raw.origin().clone());
        let value = match self.given.get(path) {
            Some(Raw::One(text)) if !setting.secret => Some(hide_userinfo(&text.text).into_owned()),
            _ => None,
        };
        self.mistakes.push(Mistake { origin, path: path.to_owned(), value, why: why.to_owned(), remedy: remedy.to_owned() });
    }

    fn wrong(&mut self, setting: &Setting, text: &Text, wrong: Wrong) {
        self.mistakes.push(Mistake {
            origin: text.origin.clone(),
            path: setting.path.to_owned(),
            value: (!setting.secret).then(|| hide_userinfo(&text.text).into_owned()),
            why: wrong.why.into_owned(),
            remedy: wrong.remedy.into_owned(),
        });
    }

    fn hold(&mut self, setting: &Setting, shown: Shown, origin: Origin) {
        let shown = if setting.secret { Shown::Hidden } else { shown };
        self.effective.insert(setting.path, (shown, origin));
    }

    /// Notes the value that follows from other settings, when nobody set `path`.
    pub(super) fn derived(&mut self, path: &'static str, shown: Shown) {
        if !self.is_given(path) {
            self.hold(lookup(path), shown, Origin::Default);
        }
    }

    fn one(&mut self, setting: &Setting) -> Option<Text> {
        match self.given.get(setting.path)?.clone() {
            Raw::One(text) => Some(text),
            Raw::Many(_, origin) => {
                let text = Text { text: String::new(), origin };
                self.wrong(setting, &text, Wrong::new("is a list", "Write one value, without brackets."));
                None
            }
            Raw::FromFile(_) => None,
        }
    }

    /// Returns the value of a setting that need not have one.
    pub(super) fn optional<T>(&mut self, path: &'static str, parse: impl Fn(&str) -> Result<T, Wrong>) -> Option<T> {
        let setting = lookup(path);
        let default = match setting.default {
            Default::Value(default) => Some(default),
            Default::Derived(_) | Default::Unset | Default::Required => None,
        };
        let Some(text) = self.one(setting) else {
            let default = default?;
            if !self.is_given(path) {
                self.hold(setting, Shown::One(default.to_owned()), Origin::Default);
            }
            return Some(parse(default).expect("a default in the table can be parsed"));
        };
        if default.is_some() && text.text == NONE {
            self.hold(setting, Shown::One(text.text), text.origin);
            return None;
        }
        match parse(text.text.trim()) {
            Ok(value) => {
                self.hold(setting, Shown::One(text.text), text.origin);
                Some(value)
            }
            Err(wrong) => {
                self.wrong(setting, &text, wrong);
                None
            }
        }
    }

    /// Returns the value of a setting that the server needs. After a mistake it is the default, so that reading can go on.
    pub(super) fn value<T>(&mut self, path: &'static str, parse: impl Fn(&str) -> Result<T, Wrong>) -> T {
        let setting = lookup(path);
        let Default::Value(default) = setting.default else { unreachable!("{path} is read as one that has a default") };
        let parsed = match self.one(setting) {
            None => {
                self.derived(path, Shown::One(default.to_owned()));
                None
            }
            Some(text) => match parse(text.text.trim()) {
                Ok(value) => {
                    self.hold(setting, Shown::One(text.text), text.origin);
                    Some(value)
                }
                Err(wrong) => {
                    self.wrong(setting, &text, wrong);
                    None
                }
            },
        };
        parsed.unwrap_or_else(|| parse(default).expect("a default in the table can be parsed"))
    }

    /// Returns a list, or `None` after a mistake and when nobody set it and there is no default.
    pub(super) fn list<T>(&mut self, path: &'static str, parse: impl Fn(&str) -> Result<T, Wrong>) -> Option<Vec<T>> {
        let setting = lookup(path);
        debug_assert!(matches!(setting.kind, Kind::List(_)), "{path} is read as a list");
        let (texts, origin) = match (self.given.get(path).cloned(), setting.default) {
            (Some(Raw::Many(texts, origin)), _) => (texts, origin),
            (Some(Raw::One(text)), _) => (split(&text), text.origin),
            (_, Default::Value(default)) => {
                let text = Text { text: default.to_owned(), origin: Origin::Default };
                (split(&text), Origin::Default)
            }
            (Some(Raw::FromFile(_)) | None, Default::Derived(_) | Default::Unset | Default::Required) => return None,
        };
        let mut values = Vec::with_capacity(texts.len());
        for text in &texts {
            match parse(text.text.trim()) {
                Ok(value) => values.push(value),
                Err(wrong) => self.wrong(setting, text, wrong),
            }
        }
        let all_fine = values.len() == texts.len();
        self.hold(setting, Shown::Many(texts.into_iter().map(|text| text.text).collect()), origin);
        all_fine.then_some(values)
    }

    pub(super) fn flag(&mut self, path: &'static str) -> bool {
        debug_assert!(lookup(path).kind == Kind::Bool, "{path} is read as a flag");
        self.value(path, parse_bool)
    }

    pub(super) fn number(&mut self, path: &'static str, range: RangeInclusive<u64>) -> u64 {
        debug_assert!(lookup(path).kind == Kind::Integer, "{path} is read as a number");
        self.value(path, |text| parse_number(text, &range))
    }

    pub(super) fn size(&mut self, path: &'static str, at_least: u64) -> u64 {
        debug_assert!(lookup(path).kind == Kind::Size, "{path} is read as a size");
        self.value(path, |text| match parse_size(text)? {
            size if size >= at_least => Ok(size),
            _ => Err(Wrong::new("is too small", format!("Write a size of at least {at_least} bytes."))),
        })
    }

    pub(super) fn duration(&mut self, path: &'static str, range: RangeInclusive<Duration>) -> Duration {
        debug_assert!(lookup(path).kind == Kind::Duration, "{path} is read as a duration");
        self.value(path, |text| parse_duration_within(text, &range))
    }

    pub(super) fn choice<T: Copy>(&mut self, path: &'static str, words: &[(&str, T)]) -> T {
        self.value(path, |text| choose(path, text, words))
    }

    pub(super) fn optional_choice<T: Copy>(&mut self, path: &'static str, words: &[(&str, T)]) -> Option<T> {
        self.optional(path, |text| choose(path, text, words))
    }

    /// Returns a path; one in the configuration file is relative to that file.
    pub(super) fn path(&mut self, path: &'static str) -> PathBuf {
        let parse = self.path_parser(path);
        self.value(path, parse)
    }

    pub(super) fn optional_path(&mut self, path: &'static str) -> Option<PathBuf> {
        let parse = self.path_parser(path);
        self.optional(path, parse)
    }

    fn path_parser(&self, path: &str) -> impl Fn(&str) -> Result<PathBuf, Wrong> + use<> {
        debug_assert!(lookup(path).kind == Kind::Path, "{path} is read as a path");
        let config_file = match self.given.get(path).map(Raw::origin) {
            Some(Origin::File { file, .. }) => Some(file.clone()),
            _ => None,
        };
        move |text: &str| {
            Ok(match &config_file {
                Some(file) => relative_to(file, text),
                None => PathBuf::from(text),
            })
        }
    }
}

fn lookup(path: &str) -> &'static Setting {
    registry::find(path).expect("a setting that is read is in the table")
}

fn choose<T: Copy>(path: &str, text: &str, words: &[(&str, T)]) -> Result<T, Wrong> {
    let Kind::Choice(known) = lookup(path).kind else { unreachable!("{path} is read as a choice") };
    debug_assert!(words.iter().map(|(word, _)| *word).eq(known.iter().copied()), "{path} has the words of the table");
    let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
    found
        .map(|(_, value)| *value)
        .ok_or_else(|| Wrong::new("is not one of the choices", format!("Write one of: {}.", known.join(", "))))
}

/// Splits `a, b` at commas; `none` is the empty list.
fn split(text: &Text) -> Vec<Text> {
    if text.text.trim() == NONE {
        return Vec::new();
    }
    let parts = text.text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| Text { text: part.to_owned(), origin: text.origin.clone() }).collect()
}
