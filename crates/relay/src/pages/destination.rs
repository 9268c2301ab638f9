//! Where someone goes once they are signed in: a page of the account, or on to an app that sent them here.

use url::form_urlencoded;

use super::local_path;

/// Where to go next.
#[derive(Clone, Debug)]
pub(crate) struct Destination {
    /// A path of a page.
    pub(crate) path: String,
}

impl Destination {
    /// Reads where a link or form says to go; the account's pages where that is nowhere.
    pub(crate) fn of(next: Option<&str>) -> Self {
        Self { path: next.and_then(local_path).unwrap_or("/account").to_owned() }
    }

    /// Returns the address of a page that leads on to there, with `parameters` of its own.
    pub(crate) fn via(&self, page: &str, parameters: &[(&str, &str)]) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(parameters).append_pair("next", &self.path);
        format!("{page}?{}", query.finish())
    }
}
