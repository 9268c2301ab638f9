//! `[logging]`: what the server writes to standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use super::{error::Wrong, reader::Reader};

/// The section `[logging]`.
#[derive(Debug, Clone)]
pub struct Logging {
    /// The shape of a line.
    pub format: LogFormat,
    /// What is logged: directives that [`EnvFilter`] takes.
    pub level: String,
}

/// The shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Human,
    /// One JSON object per line.
    Json,
}

impl Logging {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let words = [("auto", LogFormat::Auto), ("human", LogFormat::Human), ("json", LogFormat::Json)];
        Self { format: reader.choice("logging.format", &words), level: reader.value("logging.level", parse_level) }
    }

    /// Tells whether lines are JSON, given what standard error is.
    pub fn is_json(&self) -> bool {
        match self.format {
            LogFormat::Auto => !std::io::stderr().is_terminal(),
            LogFormat::Human => false,
            LogFormat::Json => true,
        }
    }

    /// Builds the filter for `tracing`.
    pub fn filter(&self) -> EnvFilter {
        EnvFilter::try_new(&self.level).expect("the level was checked when it was read")
    }
}

fn parse_level(text: &str) -> Result<String, Wrong> {
    let wrong =
        || Wrong::new("is not a log level", "Write error, warn, info, debug or trace, or \"info,relay::firehose=debug\".");
    let directives: Vec<_> = text.split(',').map(str::trim).collect();
    for directive in &directives {
        // To the filter a bare word that is no level is a module to trace: a misspelt level would log everything.
        let level = directive.rsplit_once('=').map_or(*directive, |(_, level)| level);
        if !["off", "error", "warn", "info", "debug", "trace"].contains(&level.to_ascii_lowercase().as_str()) {
            return Err(wrong());
        }
    }
    let text = directives.join(",");
    EnvFilter::try_new(&text).map_err(|_| wrong())?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels() {
        for text in ["info", "WARN", "info,relay::firehose=debug", "info, hyper=off"] {
            assert!(parse_level(text).is_ok(), "{text}");
        }
        for text in ["infoo", "", "relay=loud", "info,,"] {
            assert!(parse_level(text).is_err(), "{text}");
        }
    }
}
