//! What every page has around its own content.

use super::texts::Texts;
use super::{Language, assets};
use crate::state::App;

/// The parts of a page that `templates/layout.html` uses.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) t: &'static Texts,
    pub(crate) language: Language,
    /// The token of this page's forms.
    pub(crate) csrf: String,
    pub(crate) service_name: String,
    /// The host name of the server.
    pub(crate) host: String,
    /// Where to come back to after choosing another language.
    pub(crate) here: String,
    pub(crate) links: Links,
}

/// What the operator links to.
#[derive(Clone, Debug)]
pub(crate) struct Links {
    pub(crate) home: Option<String>,
    pub(crate) support: Option<String>,
    pub(crate) privacy_policy: Option<String>,
    pub(crate) terms: Option<String>,
    pub(crate) contact_email: Option<String>,
}

impl Frame {
    pub(super) fn new(app: &App, language: Language, csrf: String, here: &str) -> Self {
        let (server, links) = (&app.config.server, &app.config.server.links);
        let text = |url: &Option<url::Url>| url.as_ref().map(ToString::to_string);
        Self {
            t: language.texts(),
            language,
            csrf,
            service_name: server.service_name.clone(),
            host: server.public_url.host().to_owned(),
            here: here.to_owned(),
            links: Links {
                home: text(&links.home),
                support: text(&links.support),
                privacy_policy: text(&links.privacy_policy),
                terms: text(&links.terms),
                contact_email: links.contact_email.as_ref().map(|address| address.as_str().to_owned()),
            },
        }
    }

    /// Returns the frame of a page that is not of a server yet.
    pub(crate) fn of_set_up(language: Language, csrf: String, here: String) -> Self {
        let links = Links { home: None, support: None, privacy_policy: None, terms: None, contact_email: None };
        let t = language.texts();
        Self { t, language, csrf, service_name: t.setup.brand.to_owned(), host: String::new(), here, links }
    }

    /// Returns the address of a file that pages load.
    #[expect(clippy::unused_self, reason = "templates reach functions through what they have")]
    pub(crate) fn asset(&self, name: &str) -> String {
        assets::url(name)
    }

    /// Returns the languages that this page could be in besides.
    pub(crate) fn other_languages(&self) -> impl Iterator<Item = Language> {
        let own = self.language;
        Language::ALL.into_iter().filter(move |language| *language != own)
    }
}
