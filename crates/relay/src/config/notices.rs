//! `[notices]`: how the operator hears that something broke.

use std::time::Duration;

use url::Url;

use super::{
    error::Wrong,
    reader::Reader,
    secret::{Secret, parse_any},
    values::MailAddress,
};

/// The section `[notices]`.
#[derive(Debug, Clone)]
pub struct Notices {
    /// Who gets mail.
    pub mail_to: Option<MailAddress>,
    /// A topic of ntfy.
    pub ntfy_url: Option<Url>,
    /// What ntfy wants to know who publishes.
    pub ntfy_token: Option<Secret>,
    /// What gets JSON.
    pub webhook_url: Option<Url>,
    /// What is opened as long as all is well.
    pub ping_url: Option<Url>,
    /// How often.
    pub ping_interval: Duration,
    /// Less room on the disk than this is a problem.
    pub disk_free_below_bytes: u64,
    /// How patient the server is. There is no setting for it; tests are less patient.
    pub pace: Pace,
}

/// How often the server looks, and tries again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Time between two looks at the disk and the writer.
    pub look: Duration,
    /// The first wait after a notice was not delivered.
    pub first_retry: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { look: Duration::from_secs(15), first_retry: Duration::from_secs(30) }
    }
}

impl Notices {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self {
            mail_to: reader.optional("notices.mail_to", MailAddress::parse),
            ntfy_url: reader.optional("notices.ntfy_url", parse_url),
            ntfy_token: reader.optional("notices.ntfy_token", parse_any),
            webhook_url: reader.optional("notices.webhook_url", parse_url),
            ping_url: reader.optional("notices.ping_url", parse_url),
            ping_interval: reader.duration("notices.ping_interval", Duration::from_secs(1)..=Duration::from_secs(24 * 60 * 60)),
            disk_free_below_bytes: reader.size("notices.disk_free_below", 0),
            pace: Pace::default(),
        }
    }
}

fn parse_url(text: &str) -> Result<Url, Wrong> {
    let wrong = || Wrong::new("is not an http or https URL", "Write the whole URL, beginning with https://.");
    let url = Url::parse(text).map_err(|_| wrong())?;
    if matches!(url.scheme(), "http" | "https") && url.has_host() { Ok(url) } else { Err(wrong()) }
}
