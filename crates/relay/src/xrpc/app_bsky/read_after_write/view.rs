//! How the caller and their posts look in answers of an AppView.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::local::LocalPost;
use crate::state::App;
use crate::store::account::Account;

/// Shows the caller's records as an AppView would.
#[derive(Debug)]
pub(super) struct Viewer<'a> {
    pub(super) app: &'a App,
    pub(super) account: &'a Account,
    pub(super) profile: Option<&'a Value>,
    /// Views of the posts that the caller's posts quote, by URI.
    pub(super) quoted: HashMap<String, Value>,
}

impl Viewer<'_> {
    /// Writes the caller's profile over a view of an actor, if it is of the caller.
    pub(super) fn overlay(&self, view: &mut Value, detailed: bool) {
        let Some(view) = view.as_object_mut() else { return };
        if view.get("did").and_then(Value::as_str) != Some(self.account.did.as_str()) {
            return;
        }
        let mut set = |key: &str, value: Option<Value>| match value {
            Some(value) => drop(view.insert(key.to_owned(), value)),
            None => drop(view.remove(key)),
        };
        let text = |key: &str| self.profile.and_then(|profile| profile.get(key)).filter(|value| value.is_string()).cloned();
        set("displayName", text("displayName"));
        set("avatar", self.profile_image("avatar"));
        if detailed {
            set("description", text("description"));
            set("banner", self.profile_image("banner"));
        }
    }

    /// Returns a post as a feed shows it.
    pub(super) fn post(&self, post: &LocalPost) -> Value {
        let mut view = json!({
            "uri": post.uri, "cid": post.cid, "author": self.author(), "record": post.record, "indexedAt": post.indexed_at,
            "replyCount": 0, "repostCount": 0, "likeCount": 0, "quoteCount": 0, "labels": [],
        });
        if let Some(embed) = post.record.get("embed").and_then(|embed| self.embed(embed)) {
            view["embed"] = embed;
        }
        view
    }

    fn author(&self) -> Value {
        let handle = self.account.handle.as_ref().map_or("handle.invalid", |handle| handle.as_str());
        let mut author = json!({ "did": self.account.did, "handle": handle, "labels": [] });
        self.overlay(&mut author, false);
        author
    }

    /// Returns what a post shows below its text; `None` when only the AppView can tell.
    fn embed(&self, embed: &Value) -> Option<Value> {
        match kind(embed)? {
            "app.bsky.embed.images" => self.images(embed),
            "app.bsky.embed.external" => self.external(embed),
            "app.bsky.embed.record" => self.quote(embed),
            "app.bsky.embed.recordWithMedia" => Some(json!({
                "$type": "app.bsky.embed.recordWithMedia#view",
                "media": self.embed(embed.get("media").filter(|media| kind(media) != Some("app.bsky.embed.recordWithMedia"))?)?,
                "record": self.quote(embed.get("record")?)?,
            })),
            _ => None,
        }
    }

    fn images(&self, embed: &Value) -> Option<Value> {
        let view = |image: &Value| {
            let cid = link(image.get("image")?)?;
            let mut view = Map::new();
            view.insert("thumb".to_owned(), self.image_url("feed_thumbnail", cid).into());
            view.insert("fullsize".to_owned(), self.image_url("feed_fullsize", cid).into());
            view.insert("alt".to_owned(), image.get("alt").cloned().unwrap_or_else(|| "".into()));
            if let Some(ratio) = image.get("aspectRatio") {
                view.insert("aspectRatio".to_owned(), ratio.clone());
            }
            Some(Value::Object(view))
        };
        let images: Option<Vec<Value>> = embed.get("images")?.as_array()?.iter().map(view).collect();
        Some(json!({ "$type": "app.bsky.embed.images#view", "images": images? }))
    }

    fn external(&self, embed: &Value) -> Option<Value> {
        let external = embed.get("external")?;
        let mut view = json!({
            "uri": external.get("uri")?, "title": external.get("title")?, "description": external.get("description")?,
        });
        if let Some(cid) = external.get("thumb").and_then(link) {
            view["thumb"] = self.image_url("feed_thumbnail", cid).into();
        }
        Some(json!({ "$type": "app.bsky.embed.external#view", "external": view }))
    }

    fn quote(&self, embed: &Value) -> Option<Value> {
        let post = self.quoted.get(embed.get("record")?.get("uri")?.as_str()?)?;
        let mut view = post.as_object()?.clone();
        view.insert("$type".to_owned(), "app.bsky.embed.record#viewRecord".into());
        let value = view.remove("record")?;
        view.insert("value".to_owned(), value);
        view.remove("viewer");
        if let Some(embed) = view.remove("embed") {
            view.insert("embeds".to_owned(), json!([embed]));
        }
        Some(json!({ "$type": "app.bsky.embed.record#view", "record": view }))
    }

    fn profile_image(&self, key: &str) -> Option<Value> {
        let cid = self.profile?.get(key).and_then(link)?;
        Some(self.image_url(key, cid).into())
    }

    /// Returns where a picture is to be had: at the AppView, or here.
    fn image_url(&self, preset: &str, cid: &str) -> String {
        let did = self.account.did.as_str();
        if let Some(pattern) = &self.app.config.services.appview_cdn {
            return pattern.url(preset, did, cid);
        }
        let query =
            url::form_urlencoded::Serializer::new(String::new()).append_pair("did", did).append_pair("cid", cid).finish();
        format!("{}/xrpc/com.atproto.sync.getBlob?{query}", self.app.config.server.public_url.as_str())
    }
}

/// Returns the URI of the post that a post quotes.
pub(super) fn quoted_uri(record: &Value) -> Option<&str> {
    let embed = record.get("embed")?;
    let quote = match kind(embed)? {
        "app.bsky.embed.record" => embed,
        "app.bsky.embed.recordWithMedia" => embed.get("record")?,
        _ => return None,
    };
    quote.get("record")?.get("uri")?.as_str().filter(|uri| uri.contains("/app.bsky.feed.post/"))
}

pub(super) fn kind(value: &Value) -> Option<&str> {
    value.get("$type")?.as_str()
}

fn link(blob: &Value) -> Option<&str> {
    blob.get("ref")?.get("$link")?.as_str()
}
