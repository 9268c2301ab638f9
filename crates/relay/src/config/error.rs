//! What is wrong with a configuration: every mistake with its place, its reason and its remedy.

use std::{borrow::Cow, fmt};

use super::Origin;

/// How many characters of a wrong value are quoted.
const QUOTED_CHARS: usize = 120;

/// Why one text is not a value, as a parser sees it. Neither part quotes the text, so that a secret's can be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    /// Continues a sentence that begins with the setting: "is not a duration".
    pub(super) why: Cow<'static, str>,
    /// Tells what to write instead, as a sentence.
    pub(super) remedy: Cow<'static, str>,
}

impl Wrong {
    pub(super) fn new(why: impl Into<Cow<'static, str>>, remedy: impl Into<Cow<'static, str>>) -> Self {
        Self { why: why.into(), remedy: remedy.into() }
    }
}

/// One mistake in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Where the wrong value comes from; [`Origin::Default`] when the mistake is that something is missing.
    pub origin: Origin,
    /// The dotted path of the setting; empty when the mistake is about a whole file.
    pub path: String,
    /// The wrong value, without the password that a URL may have; `None` for secrets and where there is no value.
    pub value: Option<String>,
    /// Continues a sentence that begins with the setting and its value.
    pub why: String,
    /// Tells what to do, as a sentence.
    pub remedy: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::File { file, line } => {
                write!(f, "{}:", file.display())?;
                if *line > 0 {
                    write!(f, "{line}:")?;
                }
                if !self.path.is_empty() {
                    write!(f, " {}", self.path)?;
                }
            }
            Origin::Credential { file } => write!(f, "credential {}", file.display())?,
            Origin::Env { name } => f.write_str(name)?,
            Origin::Flag { flag } => f.write_str(flag)?,
            Origin::Default => f.write_str(&self.path)?,
        }
        if let Some(value) = &self.value {
            write!(f, " = {}", quote(value))?;
        }
        write!(f, " {}\n    {}", self.why, self.remedy)
    }
}

/// Quotes a value for a terminal: control characters escaped, long texts cut.
fn quote(value: &str) -> String {
    if value.chars().count() <= QUOTED_CHARS {
        return format!("{value:?}");
    }
    let start: String = value.chars().take(QUOTED_CHARS).collect();
    format!("{start:?}...")
}

/// Replaces what stands between `//` and the last `@` before the path, for people paste passwords into URLs.
pub(super) fn hide_userinfo(value: &str) -> Cow<'_, str> {
    let Some(start) = value.find("//").map(|at| at + 2) else { return Cow::Borrowed(value) };
    match value[start..].rfind('@') {
        Some(at) => Cow::Owned(format!("{}***{}", &value[..start], &value[start + at..])),
        None => Cow::Borrowed(value),
    }
}

/// Everything that is wrong with a configuration, never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors(Vec<Mistake>);

impl ConfigErrors {
    pub(super) fn new(mistakes: Vec<Mistake>) -> Self {
        debug_assert!(!mistakes.is_empty(), "an error has a mistake");
        Self(mistakes)
    }

    /// Returns the mistakes in the order of the sources.
    pub fn mistakes(&self) -> &[Mistake] {
        &self.0
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{mistake}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_a_url_is_not_quoted() {
        assert_eq!(hide_userinfo("smtps://me:pa@ss@mail.example"), "smtps://***@mail.example");
        assert_eq!(hide_userinfo("https://example.com"), "https://example.com");
    }

    #[test]
    fn long_values_are_cut_and_control_characters_escaped() {
        assert_eq!(quote("a\u{1b}[2J"), "\"a\\u{1b}[2J\"");
        assert!(quote(&"x".repeat(5000)).len() < 200);
    }
}
