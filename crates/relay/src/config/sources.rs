//! Reads the sources (file, credentials, environment, flags) into one table of texts by setting.
//!
//! What a text means is decided by the sections; here it is only found, named and ranked.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use toml::de::{DeTable, DeValue};

use super::secret::Secret;
use super::{
    error::{Mistake, Wrong},
    origin::Origin,
    registry::{self, SECTIONS, SETTINGS, Setting, env_name},
    suggest::nearest,
};

/// A configuration or secret file larger than this is a mistake.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Variables that begin with `RELAY_` and are no settings.
const OTHER_VARIABLES: [&str; 1] = ["RELAY_CONFIG"];

/// A value set by an argument of the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// The flag as the user wrote it, for messages: `--public-url`.
    pub flag: String,
    /// The setting: `server.public_url`.
    pub path: String,
    /// The value, as in an environment variable.
    pub value: String,
}

/// One text with its place.
#[derive(Clone)]
pub(super) struct Text {
    pub(super) text: String,
    pub(super) origin: Origin,
}

/// What a source says about one setting.
#[derive(Clone)]
pub(super) enum Raw {
    One(Text),
    /// A TOML array, with the place of the whole.
    Many(Vec<Text>, Origin),
    /// The path of a file that has the secret.
    FromFile(Text),
}

impl Raw {
    pub(super) fn origin(&self) -> &Origin {
        match self {
            Self::One(text) | Self::FromFile(text) => &text.origin,
            Self::Many(_, origin) => origin,
        }
    }
}

/// The texts that hold, and what was wrong on the way.
#[derive(std::default::Default)]
pub(super) struct Sources {
    pub(super) given: BTreeMap<&'static str, Raw>,
    pub(super) mistakes: Vec<Mistake>,
}

impl Sources {
    /// Reads `relay.toml`.
    pub(super) fn add_file(&mut self, file: &Path) {
        let whole = |why: String, remedy: &str| Mistake {
            origin: Origin::File { file: file.to_owned(), line: 0 },
            path: String::new(),
            value: None,
            why,
            remedy: remedy.to_owned(),
        };
        match read_bounded(file) {
            Ok(text) => self.add_toml(file, &text),
            Err(err) if err.kind() == io::ErrorKind::NotFound => {
                self.mistakes
                    .push(whole("there is no such file".to_owned(), "Check the path that --config or RELAY_CONFIG gives."));
            }
            Err(err) => self.mistakes.push(whole(format!("cannot be read: {err}"), "Check the file and its permissions.")),
        }
    }

    /// Reads the text of `relay.toml`.
    pub(super) fn add_toml(&mut self, file: &Path, text: &str) {
        let at = |offset: usize| Origin::File { file: file.to_owned(), line: line_of(text, offset) };
        let (document, syntax_errors) = DeTable::parse_recoverable(text);
        for err in &syntax_errors {
            self.mistakes.push(Mistake {
                origin: at(err.span().map_or(0, |span| span.start)),
                path: String::new(),
                value: None,
                why: format!("is not TOML: {}", err.message()),
                remedy: "Text stands in quotes, as in name = \"value\"; see https://toml.io for the rest.".to_owned(),
            });
        }
        // What the parser makes of broken lines are guesses, perhaps with parts of a secret as keys: say nothing of those.
        let well_formed = syntax_errors.is_empty();
        for (section, value) in document.get_ref() {
            let name: &str = section.get_ref();
            let known = SECTIONS.iter().any(|(known, _)| *known == name);
            match value.get_ref() {
                DeValue::Table(table) if known => {
                    for (key, value) in table {
                        let path = format!("{name}.{}", key.get_ref());
                        self.add_toml_value(&path, &at(key.span().start), value.get_ref(), &|offset| at(offset), well_formed);
                    }
                }
                _ if !well_formed => {}
                _ if known => self.mistakes.push(Mistake {
                    origin: at(section.span().start),
                    path: name.to_owned(),
                    value: None,
                    why: "is a section, not a setting".to_owned(),
                    remedy: format!("Write [{name}] on a line of its own, and its settings below."),
                }),
                _ => self.mistakes.push(unknown(name, at(section.span().start))),
            }
        }
    }

    fn add_toml_value(
        &mut self,
        path: &str,
        key_origin: &Origin,
        value: &DeValue<'_>,
        at: &dyn Fn(usize) -> Origin,
        well_formed: bool,
    ) {
        let raw = match value {
            DeValue::Array(items) => {
                let texts: Option<Vec<_>> = items
                    .iter()
                    .map(|item| scalar(item.get_ref()).map(|text| Text { text, origin: at(item.span().start) }))
                    .collect();
                texts.map(|texts| Raw::Many(texts, key_origin.clone()))
            }
            other => scalar(other).map(|text| Raw::One(Text { text, origin: key_origin.clone() })),
        };
        match raw {
            Some(raw) => self.put(path, raw, well_formed),
            None if well_formed => self.mistakes.push(Mistake {
                origin: key_origin.clone(),
                path: path.to_owned(),
                value: None,
                why: "has a value of a kind that no setting has".to_owned(),
                remedy: "Write text, a number, true or false, or a list of these.".to_owned(),
            }),
            None => {}
        }
    }

    /// Takes secrets out of the folder that a service manager puts them into, each under the path of its setting.
    pub(super) fn add_credentials(&mut self, dir: &Path) {
        for setting in SETTINGS.iter().filter(|setting| setting.secret) {
            let file = dir.join(setting.path);
            if file.exists() {
                let origin = Origin::Credential { file: file.clone() };
                let text = file.to_string_lossy().into_owned();
                self.put(&format!("{}_file", setting.path), Raw::FromFile(Text { text, origin }), true);
            }
        }
    }

    /// Takes the variables that begin with `RELAY_`.
    pub(super) fn add_env(&mut self, env: &BTreeMap<String, String>) {
        for (name, value) in env {
            if !name.starts_with("RELAY_") || OTHER_VARIABLES.contains(&name.as_str()) || is_service_link(name, value) {
                continue;
            }
            let path = SETTINGS.iter().find_map(|setting| {
                let own = env_name(setting.path);
                if *name == own {
                    return Some(setting.path.to_owned());
                }
                (setting.secret && name.strip_suffix("_FILE") == Some(&own)).then(|| format!("{}_file", setting.path))
            });
            let origin = Origin::Env { name: name.clone() };
            match path {
                Some(path) => self.put(&path, Raw::One(Text { text: value.clone(), origin }), true),
                None => self.mistakes.push(unknown_env(name)),
            }
        }
    }

    /// Takes the arguments of the command.
    pub(super) fn add_overrides(&mut self, overrides: &[Override]) {
        for Override { flag, path, value } in overrides {
            self.put(path, Raw::One(Text { text: value.clone(), origin: Origin::Flag { flag: flag.clone() } }), true);
        }
    }

    fn put(&mut self, path: &str, raw: Raw, report_unknown: bool) {
        let slot = registry::find(path).map(|setting| (setting, false)).or_else(|| {
            let setting = path.strip_suffix("_file").and_then(registry::find).filter(|setting| setting.secret)?;
            Some((setting, true))
        });
        let Some((setting, from_file)) = slot else {
            if report_unknown {
                self.mistakes.push(unknown(path, raw.origin().clone()));
            }
            return;
        };
        let raw = match raw {
            // An empty variable is how compose files and shells say "not set".
            Raw::One(text) if text.text.trim().is_empty() => return,
            Raw::One(text) if from_file => Raw::FromFile(text),
            raw => raw,
        };
        if let Some(earlier) = self.given.get(setting.path) {
            let same_source = earlier.origin().rank() == raw.origin().rank();
            if same_source && matches!(earlier, Raw::FromFile(_)) != matches!(raw, Raw::FromFile(_)) {
                self.mistakes.push(Mistake {
                    origin: raw.origin().clone(),
                    path: setting.path.to_owned(),
                    value: None,
                    why: "is set twice: as a value and as a file".to_owned(),
                    remedy: format!("Keep either {0} or {0}_file.", setting.path),
                });
                return;
            }
        }
        self.given.insert(setting.path, raw);
    }

    /// Replaces the paths of secret files by what is in them.
    /// Returns the values of all settings that are secret, or tell who writes to a store.
    pub(super) fn secrets(&self) -> Vec<Secret> {
        let is_secret = |path: &str| {
            path.ends_with("access_key") || registry::find(path).is_some_and(|setting| setting.secret) || path == "mail.user"
        };
        let given = self.given.iter().filter(|(path, _)| is_secret(path));
        let texts = given.filter_map(|(_, raw)| match raw {
            Raw::One(text) => Some(Secret::new(&*text.text)),
            Raw::Many(..) | Raw::FromFile(_) => None,
        });
        texts.collect()
    }

    /// Puts the content in place of files that hold secrets, and returns those files.
    pub(super) fn read_secret_files(&mut self) -> Vec<PathBuf> {
        let mut read = Vec::new();
        for (path, raw) in &mut self.given {
            let Raw::FromFile(text) = raw else { continue };
            let file = match &text.origin {
                Origin::File { file, .. } => relative_to(file, &text.text),
                Origin::Default | Origin::Credential { .. } | Origin::Env { .. } | Origin::Flag { .. } => {
                    PathBuf::from(&text.text)
                }
            };
            let content = read_bounded(&file).map(|content| content.trim_end_matches(['\r', '\n']).to_owned());
            let wrong = match content {
                Ok(content) if content.trim().is_empty() => {
                    Wrong::new(format!("names {}, which is empty", file.display()), "Write the secret into the file.")
                }
                Ok(content) => {
                    *raw = Raw::One(Text { text: content, origin: text.origin.clone() });
                    read.push(file);
                    continue;
                }
                Err(err) => Wrong::new(
                    format!("names {}, which cannot be read: {err}", file.display()),
                    "Check the path, and that the user of the server may read the file.",
                ),
            };
            self.mistakes.push(Mistake {
                origin: text.origin.clone(),
                path: format!("{path}_file"),
                value: None,
                why: wrong.why.into_owned(),
                remedy: wrong.remedy.into_owned(),
            });
        }
        self.given.retain(|_, raw| !matches!(raw, Raw::FromFile(_)));
        read
    }
}

/// Returns `path` as seen from the folder of the configuration file.
pub(super) fn relative_to(config_file: &Path, path: &str) -> PathBuf {
    config_file.parent().unwrap_or(Path::new("")).join(path)
}

/// Reads a text file that is not larger than a configuration or secret may be.
pub(super) fn read_bounded(file: &Path) -> io::Result<String> {
    if fs::metadata(file)?.len() > MAX_FILE_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 MiB"));
    }
    fs::read_to_string(file)
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.clone().into_owned()),
        DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number.to_string()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(flag) => Some(flag.to_string()),
        DeValue::Datetime(time) => Some(time.to_string()),
        DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = &text.as_bytes()[..offset.min(text.len())];
    1 + before.split(|b| *b == b'\n').count().saturating_sub(1)
}

fn unknown(path: &str, origin: Origin) -> Mistake {
    let moved = SETTINGS
        .iter()
        .find(|setting| setting.key() == path || Some(setting.key()) == path.split_once('.').map(|(_, key)| key));
    let meant = if path.contains('.') {
        nearest(path, known_paths())
    } else {
        nearest(path, SECTIONS.map(|(name, _)| name.to_owned())).map(|name| format!("[{name}]"))
    };
    let remedy = match meant.or_else(|| moved.map(|setting| setting.path.to_owned())) {
        Some(meant) => format!("Did you mean {meant}?"),
        None => "`relay config docs` lists all settings.".to_owned(),
    };
    Mistake { origin, path: path.to_owned(), value: None, why: "is not a setting".to_owned(), remedy }
}

fn unknown_env(name: &str) -> Mistake {
    // Names without their section are what people try first.
    let bare = |setting: &&Setting| name.strip_prefix("RELAY_") == Some(&setting.key().to_ascii_uppercase());
    let without_section = SETTINGS.iter().find(bare).map(Setting::env);
    let known = known_paths().map(|path| env_name(&path));
    let remedy = match without_section.or_else(|| nearest(name, known)) {
        Some(meant) => format!("Did you mean {meant}?"),
        None => "`relay config docs` lists all settings; other variables must not begin with RELAY_.".to_owned(),
    };
    let origin = Origin::Env { name: name.to_owned() };
    Mistake { origin, path: String::new(), value: None, why: "is not a setting".to_owned(), remedy }
}

fn known_paths() -> impl Iterator<Item = String> {
    SETTINGS.iter().flat_map(|setting| {
        let file = setting.secret.then(|| format!("{}_file", setting.path));
        [setting.path.to_owned()].into_iter().chain(file)
    })
}

/// Tells whether a variable is one that Kubernetes and Docker set for a service that happens to be called `relay` or
/// `relay-...`: `RELAY_SERVICE_HOST`, `RELAY_PORT=tcp://...`, `RELAY_PORT_2583_TCP_ADDR`.
fn is_service_link(name: &str, value: &str) -> bool {
    let numbered = name.split("_PORT_").skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    numbered
        || name.contains("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || (name.ends_with("_PORT") && value.contains("://"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_links_are_no_settings_and_near_misses_are_mistakes() {
        for (name, value) in [
            ("RELAY_SERVICE_HOST", "10.0.0.1"),
            ("RELAY_SERVICE_PORT_HTTP", "80"),
            ("RELAY_PORT", "tcp://10.0.0.1:80"),
            ("RELAY_SERVER_PORT_2583_TCP_PROTO", "tcp"),
        ] {
            assert!(is_service_link(name, value), "{name}");
        }
        assert!(!is_service_link("RELAY_PORT", "3000"));
        assert!(SETTINGS.iter().all(|setting| !is_service_link(&setting.env(), setting.example)));
        assert_eq!(unknown_env("RELAY_PUBLIC_URL").remedy, "Did you mean RELAY_SERVER_PUBLIC_URL?");
        assert_eq!(unknown_env("RELAY_SECRETS_ADMIN_PASWORD_FILE").remedy, "Did you mean RELAY_SECRETS_ADMIN_PASSWORD_FILE?");
    }

    #[test]
    fn lines_are_counted_from_one() {
        assert_eq!(["", "a\nb", "a\n\nb"].map(|text| line_of(text, text.len())), [1, 2, 3]);
        assert_eq!(line_of("a\nb", 1), 1);
    }
}
