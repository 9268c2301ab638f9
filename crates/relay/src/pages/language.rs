//! In which language a page is: as chosen by hand, or else as the browser asks.

use http::HeaderMap;
use http::header::ACCEPT_LANGUAGE;

use super::cookies;
use super::texts::{self, Texts};

/// The cookie of the language that was chosen by hand.
pub(crate) const COOKIE: &str = "language";

/// A language that the pages speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Language {
    #[default]
    English,
    German,
}

impl Language {
    pub(crate) const ALL: [Self; 2] = [Self::English, Self::German];

    /// Returns the language tag.
    pub(crate) const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
        }
    }

    /// Returns what speakers of the language call it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::German => "Deutsch",
        }
    }

    pub(crate) fn texts(self) -> &'static Texts {
        match self {
            Self::English => &texts::ENGLISH,
            Self::German => &texts::GERMAN,
        }
    }

    pub(crate) fn from_tag(tag: &str) -> Option<Self> {
        let primary = tag.trim().split('-').next()?;
        Self::ALL.into_iter().find(|language| language.tag().eq_ignore_ascii_case(primary))
    }

    /// Returns the language that a request asks for.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let by_hand = cookies::find(headers, COOKIE).and_then(Self::from_tag);
        let by_browser = || headers.get(ACCEPT_LANGUAGE)?.to_str().ok().and_then(preferred);
        by_hand.or_else(by_browser).unwrap_or_default()
    }
}

/// Returns the language with the highest weight in an `Accept-Language` header; the first of those with the same weight.
fn preferred(header: &str) -> Option<Language> {
    let mut best: Option<(Language, f32)> = None;
    for part in header.split(',').take(50) {
        let (tag, parameters) = part.split_once(';').unwrap_or((part, ""));
        let weight = parameters.trim().strip_prefix("q=").map_or(1.0, |weight| weight.trim().parse().unwrap_or(0.0));
        if let Some(language) = Language::from_tag(tag)
            && weight > 0.0
            && best.is_none_or(|(_, highest)| weight > highest)
        {
            best = Some((language, weight));
        }
    }
    best.map(|(language, _)| language)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_browser_is_asked_and_the_choice_by_hand_wins() {
        let of = |accept: &str, cookie: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_LANGUAGE, accept.parse().unwrap());
            headers.insert(http::header::COOKIE, cookie.parse().unwrap());
            Language::of(&headers)
        };
        assert_eq!(of("de-AT,de;q=0.9,en;q=0.8", ""), Language::German);
        assert_eq!(of("fr-FR, en;q=0.3, de;q=0.7", ""), Language::German);
        assert_eq!(of("en, de", ""), Language::English);
        assert_eq!(of("fr", ""), Language::English);
        assert_eq!(of("de;q=0", ""), Language::English);
        assert_eq!(of("de", "language=en"), Language::English);
        assert_eq!(of("en", "a=b; language=de"), Language::German);
        assert_eq!(of("de", "language=xx"), Language::German);
        assert_eq!(of(";;q=,,=;q=nan", ""), Language::English);
    }
}
