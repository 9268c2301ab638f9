//! Takes out of a text what nobody else may read.
//!
//! What the configuration and the database name as secret is removed wherever it stands, in any spelling that we write; and
//! what looks like a secret or a mail address, since a log may hold those of others.

use std::borrow::Cow;

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};

/// What stands where something was removed.
pub(crate) const REMOVED: &str = "[removed]";
/// A secret that is shorter would be removed out of words.
const SHORTEST: usize = 4;

/// What is known to be secret.
#[derive(Debug)]
pub(crate) struct Scrubber {
    /// The longest first, for one may be part of another.
    secrets: Vec<String>,
}

impl Scrubber {
    pub(crate) fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        let mut spellings: Vec<String> = secrets.into_iter().flat_map(|secret| spellings(&secret)).collect();
        spellings.retain(|secret| secret.len() >= SHORTEST);
        spellings.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        spellings.dedup();
        Self { secrets: spellings }
    }

    /// Returns the text without what is secret.
    pub(crate) fn scrub(&self, text: &str) -> String {
        let mut text = Cow::Borrowed(text);
        for secret in &self.secrets {
            if text.contains(secret.as_str()) {
                text = Cow::Owned(text.replace(secret.as_str(), REMOVED));
            }
        }
        let mut out = String::with_capacity(text.len());
        let mut rest = &*text;
        while !rest.is_empty() {
            let word = rest.find(|c: char| !is_in_word(c)).unwrap_or(rest.len());
            out.push_str(&scrub_word(&rest[..word]));
            rest = &rest[word..];
            let gap = rest.find(is_in_word).unwrap_or(rest.len());
            out.push_str(&rest[..gap]);
            rest = &rest[gap..];
        }
        out
    }
}

/// Returns how a secret may be written: as it is, in JSON, in an address, encoded; and the parts of an address.
fn spellings(secret: &str) -> Vec<String> {
    let secret = secret.trim();
    let json = serde_json::Value::from(secret).to_string();
    let in_address: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let mut all = vec![
        secret.to_owned(),
        json[1..json.len() - 1].to_owned(),
        in_address.replace('+', "%20"),
        in_address,
        BASE64.encode(secret.as_bytes()).trim_end_matches('=').to_owned(),
        BASE64URL_NOPAD.encode(secret.as_bytes()),
        HEXLOWER.encode(secret.as_bytes()),
    ];
    if let Ok(url) = url::Url::parse(secret) {
        let decoded = |text: &str| {
            url::form_urlencoded::parse(format!("x={}", text.replace('+', "%2B")).as_bytes())
                .map(|(_, value)| value.into_owned())
                .collect::<Vec<_>>()
        };
        for part in [url.username(), url.password().unwrap_or_default(), url.path().trim_start_matches('/')] {
            all.push(part.to_owned());
            all.extend(decoded(part));
        }
    }
    all
}

fn is_in_word(c: char) -> bool {
    c.is_alphanumeric() || "-_.~+%/@:=".contains(c)
}

/// Removes what looks secret in a word: a run of characters as tokens, addresses and keys have.
fn scrub_word(word: &str) -> Cow<'_, str> {
    if let Some(at) = word.find('@')
        && let Some(scrubbed) = scrub_address(word, at)
    {
        return Cow::Owned(scrubbed);
    }
    let parts: Vec<&str> = word.split_inclusive(['/', ':', '=', '.']).collect();
    // A token that has points.
    if let Some(begin) = word.find("eyJ")
        && word[begin..].matches('.').count() >= 2
    {
        return Cow::Owned(format!("{}{REMOVED}", &word[..begin]));
    }
    if !parts.iter().any(|part| looks_secret(part.trim_end_matches(['/', ':', '=', '.']))) {
        return Cow::Borrowed(word);
    }
    let scrub = |part: &str| {
        let bare = part.trim_end_matches(['/', ':', '=', '.']);
        if looks_secret(bare) { format!("{REMOVED}{}", &part[bare.len()..]) } else { part.to_owned() }
    };
    Cow::Owned(parts.iter().map(|part| scrub(part)).collect())
}

/// Removes a mail address, or the user in a URL.
fn scrub_address(word: &str, at: usize) -> Option<String> {
    if let Some(scheme) = word[..at].find("://") {
        let begin = scheme + "://".len();
        return Some(format!("{}{REMOVED}{}", &word[..begin], scrub_word(&word[at..])));
    }
    let is_local = |c: char| c.is_alphanumeric() || "-_.~+%".contains(c);
    let begin = word[..at].rfind(|c| !is_local(c)).map_or(0, |before| before + 1);
    let is_domain = |c: char| c.is_alphanumeric() || "-.".contains(c);
    let end = word[at + 1..].find(|c| !is_domain(c)).map_or(word.len(), |after| at + 1 + after);
    if begin == at || end == at + 1 {
        return None;
    }
    Some(format!("{}{REMOVED}{}", scrub_word(&word[..begin]), scrub_word(&word[end..])))
}

/// Whether a word is like a key, a token or a code.
fn looks_secret(word: &str) -> bool {
    let count = |is: fn(&char) -> bool| word.chars().filter(is).count();
    let (lower, upper, digits) =
        (count(char::is_ascii_lowercase), count(char::is_ascii_uppercase), count(char::is_ascii_digit));
    let is_hex = word.len() >= 40 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    // A public key begins so.
    let is_public = ["zQ3s", "zDn"].iter().any(|begin| word.starts_with(begin));
    let is_random = word.len() >= 32 && lower > 2 && upper > 2 && digits > 0 && !is_public;
    word.starts_with("AGE-SECRET-KEY-") || is_hex || is_random || is_code(word)
}

/// Whether a word is like an app password (`abcd-efgh-ijkl-mnop`), a code in a mail (`ABCDE-FGHIJ`), or an invite code, which ends
/// as such a code does.
fn is_code(word: &str) -> bool {
    let parts: Vec<&str> = word.split('-').collect();
    let all = |parts: &[&str], length: usize| {
        parts.iter().all(|part| {
            part.len() == length && part.bytes().all(|byte| byte.is_ascii_lowercase() || (b'2'..=b'7').contains(&byte))
        })
    };
    let lower: Vec<String> = parts.iter().map(|part| part.to_ascii_lowercase()).collect();
    let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
    match lower.len() {
        4 if all(&lower, 4) => true,
        2 => all(&lower, 5) && word.bytes().all(|byte| !byte.is_ascii_lowercase()),
        0 | 1 => false,
        count => all(&lower[count - 2..], 5) && lower[..count - 2].iter().all(|part| !part.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_secrets_are_removed_in_every_spelling() {
        let secrets = ["pass \"word\"+/?", "smtps://user:p%40ss%2Bword@mail.example.com", "abc"];
        let scrubber = Scrubber::new(secrets.map(str::to_owned));
        let text = "a=pass \"word\"+/? b=\"pass \\\"word\\\"+/?\" c=pass+%22word%22%2B%2F%3F d=pass%20%22word%22%2B%2F%3F \
                    e=cGFzcyAid29yZCIrLz8= f=p@ss+word g=p%40ss%2Bword abc";
        assert_eq!(
            scrubber.scrub(text),
            "a=[removed] b=\"[removed]\" c=[removed] d=[removed] e=[removed]= f=[removed] g=[removed] abc"
        );
    }

    #[test]
    fn what_looks_secret_is_removed_and_what_is_public_stays() {
        let scrubber = Scrubber::new([]);
        for (text, scrubbed) in [
            ("mail to alice.b+c@example.com, please", "mail to [removed], please"),
            ("<alice@example.com>", "<[removed]>"),
            ("from:alice@example.com:25", "from:[removed]:25"),
            ("smtp://user:pass@mail.example.com:25/x", "smtp://[removed]@mail.example.com:25/x"),
            ("@alice.test wrote", "@alice.test wrote"),
            ("Bearer eyJ0eXAiOiJhdCtqd3QifQ.eyJzdWIiOiJkaWQi.c2lnbmF0dXJl!", "Bearer [removed]!"),
            ("key=AGE-SECRET-KEY-1QQPQ", "key=[removed]"),
            ("abcd-efgh-ijkl-mnop", "[removed]"),
            ("code ABCDE-23456.", "code [removed]."),
            ("invite pds-example-com-abcde-fgh23", "invite [removed]"),
            ("0000000000000000000000000000000000000000000000000000000000000000", "[removed]"),
            ("tok-AbCdEfGhIjKlMnOpQrStUvWxYz0123456789", "[removed]"),
            ("did:plc:ewvi7nxzyoun6zhxrhs64oiz", "did:plc:ewvi7nxzyoun6zhxrhs64oiz"),
            (
                "did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme",
                "did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme",
            ),
            (
                "bafyreidfayvfuwqa7qlnopdjiqrxzs6blmoeu4rujcjtnci5beludirz2a",
                "bafyreidfayvfuwqa7qlnopdjiqrxzs6blmoeu4rujcjtnci5beludirz2a",
            ),
            ("com.atproto.repo.createRecord 200 in 3 ms", "com.atproto.repo.createRecord 200 in 3 ms"),
            ("2026-05-01T12:00:00.000Z relay::server", "2026-05-01T12:00:00.000Z relay::server"),
        ] {
            assert_eq!(scrubber.scrub(text), scrubbed);
        }
    }
}
