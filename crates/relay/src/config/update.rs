//! `[update]`: where releases are, and whose they have to be.

use super::{
    error::Wrong,
    reader::{Reader, Shown},
    values::parse_text,
};
use crate::update::ReleaseKey;

/// The section `[update]`.
#[derive(Debug, Clone)]
pub struct Update {
    /// The index of releases: a URL or a path. `None` when it is not known.
    pub source: Option<String>,
    /// The key that releases are signed with.
    pub public_key: Option<ReleaseKey>,
}

/// What whoever builds the program may compile in, so that their users have nothing to set.
const BUILT_IN_SOURCE: Option<&str> = option_env!("RELAY_UPDATE_SOURCE");
const BUILT_IN_KEY: Option<&str> = option_env!("RELAY_UPDATE_KEY");

impl Update {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let built_in = |value: Option<&'static str>| value.filter(|value| !value.is_empty());
        let source = reader.optional("update.source", parse_text);
        if let Some(built_in) = built_in(BUILT_IN_SOURCE) {
            reader.derived("update.source", Shown::One(built_in.to_owned()));
        }
        let public_key = reader.optional("update.public_key", parse_key);
        if let Some(built_in) = built_in(BUILT_IN_KEY) {
            reader.derived("update.public_key", Shown::One(built_in.to_owned()));
        }
        Self {
            source: source.or_else(|| built_in(BUILT_IN_SOURCE).map(ToOwned::to_owned)),
            public_key: public_key.or_else(|| ReleaseKey::parse(built_in(BUILT_IN_KEY)?)),
        }
    }
}

fn parse_key(text: &str) -> Result<ReleaseKey, Wrong> {
    ReleaseKey::parse(text).ok_or_else(|| {
        Wrong::new("is not a public key of minisign", "Write the second line of the file minisign.pub; it begins with RW.")
    })
}
