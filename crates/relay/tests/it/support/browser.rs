//! A browser without scripts: it keeps cookies and sends forms, but follows redirects only when told to.

use std::collections::BTreeMap;

use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};

use super::{Client, Reply, TestPds};

/// A browser.
#[derive(Clone)]
pub(crate) struct Browser {
    client: Client,
    origin: String,
    cookies: BTreeMap<String, String>,
    /// Where it has been, and where it was led to.
    pub(crate) addresses: Vec<String>,
    pub(crate) language: &'static str,
}

/// A page, with the path that it was loaded from.
pub(crate) struct Page {
    pub(crate) path: String,
    pub(crate) reply: Reply,
}

impl Browser {
    pub(crate) fn new(pds: &TestPds) -> Self {
        let origin = format!("http://localhost:{}", pds.address().port());
        Self {
            client: Client::without_redirects(pds.url()),
            origin,
            cookies: BTreeMap::new(),
            addresses: Vec::new(),
            language: "en",
        }
    }

    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.get(name).map(String::as_str)
    }

    pub(crate) fn set_cookie(&mut self, name: &str, value: &str) {
        self.cookies.insert(name.to_owned(), value.to_owned());
    }

    /// A request with this browser's cookies.
    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        self.client.request(method, path).header(COOKIE, cookies.join("; ")).header("accept-language", self.language)
    }

    /// Sends a request, and keeps the cookies of its answer.
    pub(crate) async fn send(&mut self, path: &str, request: reqwest::RequestBuilder) -> Page {
        let reply = self.client.send(request).await;
        self.addresses.push(path.to_owned());
        self.addresses.extend(reply.headers.get(LOCATION).map(|location| location.to_str().unwrap().to_owned()));
        for header in reply.headers.get_all(SET_COOKIE) {
            let pair = header.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        Page { path: path.to_owned(), reply }
    }

    /// Opens a page.
    pub(crate) async fn open(&mut self, path: &str) -> Page {
        let request = self.request("GET", path);
        self.send(path, request).await
    }

    /// Sends a form of a page: the one that goes to `action`, with its hidden fields and these.
    pub(crate) async fn submit(&mut self, page: &Page, action: &str, fields: &[(&str, &str)]) -> Page {
        let mut form = page.hidden_fields(action);
        form.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        self.post(action, &form).await
    }

    /// Sends fields as a form of this site does.
    pub(crate) async fn post(&mut self, action: &str, form: &[(String, String)]) -> Page {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self.request("POST", action).header("origin", &self.origin);
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
        self.send(action, request).await
    }

    /// Goes where a page leads on to.
    pub(crate) async fn follow(&mut self, page: &Page) -> Page {
        let path = page.leads_to();
        self.open(&path).await
    }

    /// Signs in to the account's pages.
    pub(crate) async fn sign_in(&mut self, identifier: &str, password: &str) -> Page {
        let page = self.open("/account/sign-in?another=1").await;
        self.submit(&page, "/account/sign-in", &[("identifier", identifier), ("password", password)]).await
    }
}

impl Page {
    pub(crate) fn status(&self) -> u16 {
        self.reply.status
    }

    pub(crate) fn text(&self) -> String {
        self.reply.text()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.reply.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Returns where a redirect leads to.
    #[track_caller]
    pub(crate) fn leads_to(&self) -> String {
        assert_eq!(self.status(), 303, "{}", self.text());
        self.reply.headers[LOCATION].to_str().unwrap().to_owned()
    }

    /// Asserts that the page was shown.
    #[track_caller]
    pub(crate) fn good(self) -> Self {
        assert_eq!(self.status(), 200, "{}", self.text());
        self
    }

    /// Returns the hidden fields of the form that goes to `action`.
    #[track_caller]
    pub(crate) fn hidden_fields(&self, action: &str) -> Vec<(String, String)> {
        let text = self.text();
        let start = format!("action=\"{action}\"");
        let (_, form) = text.split_once(&start).unwrap_or_else(|| panic!("{} has no form to {action}: {text}", self.path));
        let form = form.split_once("</form>").unwrap().0;
        form.split("<input ")
            .filter(|input| input.starts_with("type=\"hidden\""))
            .map(|input| (attribute(input, "name"), attribute(input, "value")))
            .collect()
    }
}

/// Returns an attribute of a tag, unescaped.
fn attribute(tag: &str, name: &str) -> String {
    let value = tag.split_once(&format!("{name}=\"")).unwrap().1.split('"').next().unwrap();
    value.replace("&#38;", "&").replace("&amp;", "&").replace("&#34;", "\"").replace("&#60;", "<").replace("&#62;", ">")
}
