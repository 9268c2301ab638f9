//! `[services]`: the other services that this server calls or passes requests on to.

use std::time::Duration;

use common::Did;

use super::{
    error::Wrong,
    reader::{Reader, Shown},
    values::{ServiceUrl, parse_did},
};

/// Where reports go unless the operator says otherwise: Bluesky's moderation.
const DEFAULT_REPORT_URL: &str = "https://mod.bsky.app";
const DEFAULT_REPORT_DID: &str = "did:plc:ar7c4by46qjdydhdevvrndac";

/// The section `[services]`.
#[derive(Debug, Clone)]
pub struct Services {
    /// The AppView that app.bsky requests are passed on to.
    pub appview: Option<Service>,
    /// Where the AppView serves pictures.
    pub appview_cdn: Option<CdnPattern>,
    /// A moderation service that may act on accounts here.
    pub moderation: Option<Service>,
    /// The service that gets reports.
    pub report: Option<Service>,
    /// The Relays that are told about new commits.
    pub crawlers: Vec<ServiceUrl>,
    /// How often. There is no setting for it; tests are less patient.
    pub crawl_pace: CrawlPace,
}

/// How often crawlers are spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrawlPace {
    /// A crawler that was told is not told again before.
    pub at_most_every: Duration,
    /// How often it is looked whether there are new events since.
    pub look_every: Duration,
    /// The first wait after a failure, doubled with each.
    pub first_retry: Duration,
    /// How often a crawler is asked how far it has read.
    pub ask_every: Duration,
}

impl Default for CrawlPace {
    fn default() -> Self {
        Self {
            at_most_every: Duration::from_secs(20 * 60),
            look_every: Duration::from_secs(10),
            first_retry: Duration::from_secs(30),
            ask_every: Duration::from_secs(5 * 60),
        }
    }
}

/// A service with its address and identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its address.
    pub url: ServiceUrl,
    /// Its DID, the audience of tokens for it.
    pub did: Did,
}

/// A URL with three `%s`, for the preset, the DID and the CID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CdnPattern(String);

impl CdnPattern {
    fn parse(text: &str) -> Result<Self, Wrong> {
        if text.starts_with("http") && text.matches("%s").count() == 3 {
            return Ok(Self(text.to_owned()));
        }
        Err(Wrong::new("is not a URL with three %s", "Write it as \"https://cdn.example.com/img/%s/plain/%s/%s@jpeg\"."))
    }

    /// Returns the URL of a picture.
    pub fn url(&self, preset: &str, did: &str, cid: &str) -> String {
        let mut url = String::with_capacity(self.0.len() + did.len() + cid.len() + preset.len());
        let mut values = [preset, did, cid].into_iter();
        for (index, part) in self.0.split("%s").enumerate() {
            if index > 0 {
                url.push_str(values.next().expect("the pattern has three places"));
            }
            url.push_str(part);
        }
        url
    }
}

impl Services {
    pub(super) fn read(reader: &mut Reader, allow_plain: bool) -> Self {
        let appview = pair(reader, "services.appview_url", "services.appview_did", allow_plain);
        let moderation = pair(reader, "services.moderation_url", "services.moderation_did", allow_plain);
        Self {
            appview,
            appview_cdn: reader.optional("services.appview_cdn_url_pattern", CdnPattern::parse),
            report: report(reader, moderation.as_ref(), allow_plain),
            moderation,
            crawlers: reader.list("services.crawlers", |text| ServiceUrl::parse(text, allow_plain)).unwrap_or_default(),
            crawl_pace: CrawlPace::default(),
        }
    }
}

/// Reads a service's address and DID, of which nobody may set only one.
fn pair(reader: &mut Reader, url_path: &'static str, did_path: &'static str, allow_plain: bool) -> Option<Service> {
    let url = reader.optional(url_path, |text| ServiceUrl::parse(text, allow_plain));
    let did = reader.optional(did_path, parse_did);
    match (reader.is_given(url_path), reader.is_given(did_path)) {
        // "none" for the address alone is enough.
        (true, false) if url.is_some() => {
            reader.complain(url_path, "is set without its DID", &format!("Set {did_path} as well."));
        }
        (false, true) if did.is_some() => {
            reader.complain(did_path, "is set without its URL", &format!("Set {url_path} as well."));
        }
        _ => {}
    }
    Some(Service { url: url?, did: did? })
}

fn report(reader: &mut Reader, moderation: Option<&Service>, allow_plain: bool) -> Option<Service> {
    const URL: &str = "services.report_url";
    const DID: &str = "services.report_did";
    if reader.is_given(URL) || reader.is_given(DID) {
        let none = reader.optional(URL, |text| match text {
            "none" => Ok(None),
            text => ServiceUrl::parse(text, allow_plain).map(Some),
        });
        let did = reader.optional(DID, parse_did);
        return match (none, did) {
            (Some(None), _) => None,
            (Some(Some(url)), Some(did)) => Some(Service { url, did }),
            (Some(Some(_)), None) => {
                if !reader.is_given(DID) {
                    reader.complain(URL, "is set without its DID", "Set services.report_did as well.");
                }
                None
            }
            (None, _) => {
                if !reader.is_given(URL) {
                    reader.complain(DID, "is set without its URL", "Set services.report_url as well.");
                }
                None
            }
        };
    }
    let service = moderation.cloned().unwrap_or_else(|| Service {
        url: ServiceUrl::parse(DEFAULT_REPORT_URL, false).expect("the default is a URL"),
        did: parse_did(DEFAULT_REPORT_DID).expect("the default is a DID"),
    });
    reader.derived(URL, Shown::One(service.url.to_string()));
    reader.derived(DID, Shown::One(service.did.to_string()));
    Some(service)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cdn_pattern_fills_its_three_places() {
        let pattern = CdnPattern::parse("https://cdn.example/img/%s/plain/%s/%s@jpeg").unwrap();
        assert_eq!(pattern.url("avatar", "did:plc:a", "bafy"), "https://cdn.example/img/avatar/plain/did:plc:a/bafy@jpeg");
        assert!(CdnPattern::parse("https://cdn.example/%s").is_err());
    }
}
