//! The old server's settings: `pds.env`, as Docker Compose reads it, and `PDS_` variables of the environment.

use std::collections::BTreeMap;
use std::path::Path;

use super::AdoptError;

/// A file larger than this is none of settings.
const MAX_BYTES: u64 = 1 << 20;
/// The file in the data folder of the usual installation.
const USUAL: &str = "pds.env";

/// The variables of the official PDS that are set.
#[derive(Clone, Default)]
pub(crate) struct EnvFile(BTreeMap<String, String>);

impl std::fmt::Debug for EnvFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Values are secrets, some of them.
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl EnvFile {
    /// Reads `file`, or else `pds.env` in `dir` if there is one, over the variables in `env`.
    pub(crate) fn read(file: Option<&Path>, dir: &Path, env: &[(String, String)]) -> Result<Self, AdoptError> {
        let usual = dir.join(USUAL);
        let file = file.map(Path::to_owned).or_else(|| usual.is_file().then_some(usual));
        let is_official = |name: &str| name.starts_with("PDS_") || name.starts_with("LOG_");
        let mut values: BTreeMap<String, String> = env.iter().filter(|(name, _)| name.starts_with("PDS_")).cloned().collect();
        if let Some(file) = file {
            let length = std::fs::metadata(&file).map_err(AdoptError::io(&file))?.len();
            if length > MAX_BYTES {
                return Err(AdoptError::EnvFile { path: file, line: 0, why: "it is larger than 1 MiB" });
            }
            let text = std::fs::read_to_string(&file).map_err(AdoptError::io(&file))?;
            let wrong = |(line, why)| AdoptError::EnvFile { path: file.clone(), line, why };
            values.extend(parse(&text).map_err(wrong)?.into_iter().filter(|(name, _)| is_official(name)));
        }
        values.retain(|_, value| !value.is_empty());
        Ok(Self(values))
    }

    /// Returns a variable that is set to something.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    #[cfg(test)]
    pub(super) fn of(values: &[(&str, &str)]) -> Self {
        Self(values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }
}

/// Reads lines of `NAME=value`, with or without quotes. Errors have the number of their line, and nothing of what is in it.
fn parse(text: &str) -> Result<Vec<(String, String)>, (usize, &'static str)> {
    let mut values = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) = line.split_once('=').ok_or((at + 1, "it is not NAME=value"))?;
        let value = value.trim();
        let value = match value.as_bytes().first() {
            Some(quote @ (b'"' | b'\'')) => {
                let quote = char::from(*quote);
                let (inner, _) = value[1..].split_once(quote).ok_or((at + 1, "a quote is not closed"))?;
                inner
            }
            // A comment begins after a space.
            _ => value.split_once(" #").map_or(value, |(value, _)| value.trim_end()),
        };
        values.push((name.trim().to_owned(), value.to_owned()));
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_compose_reads_them() {
        let text = "# a comment\n\nPDS_HOSTNAME=pds.example.com\nexport PDS_JWT_SECRET='a#b = c'\nPDS_PORT=\"3000\" # the port\n\
                    PDS_CRAWLERS=https://a.example,https://b.example # two\nPDS_EMAIL_SMTP_URL=smtps://u:p@h:465/#x\n";
        let values = parse(text).unwrap();
        let lines: Vec<_> = values.iter().map(|(name, value)| format!("{name}|{value}")).collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        PDS_HOSTNAME|pds.example.com
        PDS_JWT_SECRET|a#b = c
        PDS_PORT|3000
        PDS_CRAWLERS|https://a.example,https://b.example
        PDS_EMAIL_SMTP_URL|smtps://u:p@h:465/#x
        ");
        assert_eq!(parse("PDS_A=1\nsecret"), Err((2, "it is not NAME=value")));
        assert_eq!(parse("PDS_A='1"), Err((1, "a quote is not closed")));
    }
}
