//! `app.bsky.actor.*`: preferences.

pub(crate) mod get_preferences;
pub(crate) mod put_preferences;

const NAMESPACE: &str = "app.bsky";
/// Holds the birth date, which is for the account's own session alone.
const PERSONAL_DETAILS: &str = "app.bsky.actor.defs#personalDetailsPref";
/// What everyone may know of the birth date; made of it, and never stored.
const DECLARED_AGE: &str = "app.bsky.actor.defs#declaredAgePref";
