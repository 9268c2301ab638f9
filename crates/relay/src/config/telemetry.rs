//! `[telemetry]`: traces for OpenTelemetry.

use http::{HeaderName, HeaderValue};
use url::Url;

use super::{
    error::Wrong,
    reader::Reader,
    secret::Secret,
    values::{parse_number, parse_text},
};

/// The section `[telemetry]`.
#[derive(Debug, Clone)]
pub struct Telemetry {
    /// Where traces are posted; `None` when there are none.
    pub traces_url: Option<Url>,
    /// Headers of each request there.
    pub headers: Vec<(HeaderName, Secret)>,
    /// What this server is called.
    pub service_name: String,
    /// Of how many requests in a hundred there is a trace.
    pub sample_percent: u8,
}

impl Telemetry {
    pub(super) fn read(reader: &mut Reader) -> Self {
        if !cfg!(feature = "otel") && reader.is_given("telemetry.otlp_endpoint") {
            reader.complain(
                "telemetry.otlp_endpoint",
                "is set, but this program was built without OpenTelemetry",
                "Remove it, or use a program that was built with `cargo build --release --features otel`.",
            );
        }
        Self {
            traces_url: reader.optional("telemetry.otlp_endpoint", parse_endpoint),
            headers: reader.optional("telemetry.otlp_headers", parse_headers).unwrap_or_default(),
            service_name: reader.value("telemetry.service_name", parse_text),
            sample_percent: reader.value("telemetry.sample_percent", |text| Ok(parse_number(text, &(1..=100))? as u8)),
        }
    }
}

/// Returns where traces are posted: collectors are named without the path of traces, or with it.
fn parse_endpoint(text: &str) -> Result<Url, Wrong> {
    let wrong = || Wrong::new("is not an http or https URL", "Write it as http://127.0.0.1:4318.");
    let mut url = Url::parse(text).map_err(|_| wrong())?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() || url.query().is_some() || url.fragment().is_some() {
        return Err(wrong());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Wrong::new("has a user name or a password", "Write it without, and put them into telemetry.otlp_headers."));
    }
    let path = url.path().trim_end_matches('/');
    let path = if path.ends_with("/v1/traces") { path.to_owned() } else { format!("{path}/v1/traces") };
    url.set_path(&path);
    Ok(url)
}

fn parse_headers(text: &str) -> Result<Vec<(HeaderName, Secret)>, Wrong> {
    let header = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        let name = HeaderName::try_from(name.trim()).ok()?;
        let value = value.trim();
        HeaderValue::from_str(value).ok()?;
        Some((name, Secret::new(value)))
    };
    let headers: Option<Vec<_>> = text.split(',').map(header).collect();
    headers.ok_or_else(|| Wrong::new("is not a list of headers", "Write name=value, several with commas between them."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints() {
        for (text, url) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("https://c.example/v1/traces", "https://c.example/v1/traces"),
            ("https://c.example/otlp/", "https://c.example/otlp/v1/traces"),
        ] {
            assert_eq!(parse_endpoint(text).unwrap().as_str(), url);
        }
        for text in ["c.example:4318", "grpc://c.example", "https://me:you@c.example", "https://c.example/?key=1"] {
            assert!(parse_endpoint(text).is_err(), "{text}");
        }
    }

    #[test]
    fn headers() {
        let headers = parse_headers("authorization=Basic YTpi=, X-Team = a").unwrap();
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
        assert_eq!(headers, [("authorization", "Basic YTpi="), ("x-team", "a")]);
        for text in ["", "a", "a b=c", "a=b,"] {
            assert!(parse_headers(text).is_err(), "{text}");
        }
    }
}
