//! What whoever helps an operator has to know, in one file, without secrets.
//!
//! Everything goes through a [`Scrubber`] last, whatever it is and wherever it comes from. What cannot be gathered is said in
//! place of it: a bundle is wanted above all when something is broken.

mod database;
mod scrub;

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

pub(crate) use database::{describe, private_words};
pub(crate) use scrub::Scrubber;

const README: &str = "README.txt";

/// The parts of a bundle: names of files, what they are, and their texts.
#[derive(Debug, Default)]
pub(crate) struct Bundle(Vec<Part>);

#[derive(Debug)]
struct Part {
    name: &'static str,
    what: &'static str,
    text: String,
}

impl Bundle {
    /// Adds a part, or why there is none.
    pub(crate) fn add(&mut self, name: &'static str, what: &'static str, text: Result<String, String>) {
        let text = text.unwrap_or_else(|why| format!("This could not be gathered: {why}\n"));
        self.0.push(Part { name, what, text });
    }

    /// Writes the bundle to a new file that only its owner can read, and returns what is in it.
    pub(crate) fn write(&self, path: &Path, scrubber: &Scrubber) -> io::Result<Vec<(&'static str, usize)>> {
        let file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
        let mut zip = ZipWriter::new(file);
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored).unix_permissions(0o600);
        let mut written = Vec::new();
        let mut begin = |name: &'static str, text: &str| {
            let text = scrubber.scrub(text);
            zip.start_file(name, options)?;
            zip.write_all(text.as_bytes())?;
            written.push((name, text.len()));
            Ok::<_, io::Error>(())
        };
        begin(README, &self.readme())?;
        for part in &self.0 {
            begin(part.name, &part.text)?;
        }
        zip.finish()?.sync_all()?;
        Ok(written)
    }

    fn readme(&self) -> String {
        let mut text = format!(
            "What is known of a server, for whoever helps its operator. Made by relay {}.\n\n\
             Passwords, keys, tokens, codes and mail addresses were removed from all files; handles, DIDs, names of hosts, and \
             addresses of machines were not. Read it before you hand it on.\n\n",
            env!("CARGO_PKG_VERSION")
        );
        for part in &self.0 {
            writeln!(text, "{:<16}{}", part.name, part.what).expect("a String takes all text");
        }
        text
    }
}
