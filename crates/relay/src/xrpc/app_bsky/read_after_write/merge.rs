//! Adding the caller's records to answers. What does not have the expected shape is left as it is.

use serde_json::{Value, json};

use super::local::{Local, LocalPost};
use super::view::{Viewer, kind};
use crate::extract::Params;

const THREAD_VIEW: &str = "app.bsky.feed.defs#threadViewPost";

/// What an answer looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Profile,
    Profiles,
    /// A feed of posts that the caller need not have written.
    Likes,
    AuthorFeed,
    Timeline,
    Thread,
}

/// What an answer is merged with.
pub(super) struct Merge<'a> {
    pub(super) viewer: Viewer<'a>,
    pub(super) local: &'a Local,
    pub(super) params: &'a Params,
}

impl Merge<'_> {
    /// Adds to an answer what it lacks.
    pub(super) fn add_to(&self, shape: Shape, body: &mut Value) {
        match shape {
            Shape::Profile => self.profile(body),
            Shape::Profiles => self.profiles(body),
            Shape::Likes => self.authors(body),
            Shape::AuthorFeed => self.author_feed(body),
            Shape::Timeline => self.timeline(body),
            Shape::Thread => self.thread(body),
        }
    }

    fn param(&self, name: &str) -> Option<String> {
        self.params.optional(name).ok().flatten()
    }

    fn profile(&self, body: &mut Value) {
        if self.local.profile_is_new {
            self.viewer.overlay(body, true);
        }
    }

    fn profiles(&self, body: &mut Value) {
        for profile in list(body, "profiles") {
            self.profile(profile);
        }
    }

    /// Shows the new profile in a feed, which gets no posts.
    fn authors(&self, body: &mut Value) {
        if !self.local.profile_is_new {
            return;
        }
        for item in list(body, "feed") {
            if let Some(author) = item.get_mut("post").and_then(|post| post.get_mut("author")) {
                self.viewer.overlay(author, false);
            }
        }
    }

    fn timeline(&self, body: &mut Value) {
        self.authors(body);
        self.insert_posts(body, |_| true);
    }

    fn author_feed(&self, body: &mut Value) {
        self.authors(body);
        let account = self.viewer.account;
        let actor = self.param("actor").unwrap_or_default();
        let own = actor == account.did.as_str()
            || account.handle.as_ref().is_some_and(|handle| actor.eq_ignore_ascii_case(handle.as_str()));
        if !own {
            return;
        }
        let own_repo = format!("at://{}/", account.did);
        let filter = self.param("filter");
        self.insert_posts(body, |record| {
            let root = record.pointer("/reply/root/uri").and_then(Value::as_str);
            let media = record.pointer("/embed/media").or_else(|| record.get("embed")).and_then(kind);
            match filter.as_deref() {
                Some("posts_no_replies") => root.is_none(),
                Some("posts_and_author_threads") => root.is_none_or(|root| root.starts_with(&own_repo)),
                Some("posts_with_media") => matches!(media, Some("app.bsky.embed.images" | "app.bsky.embed.video")),
                Some("posts_with_video") => media == Some("app.bsky.embed.video"),
                Some(_) | None => true,
            }
        });
    }

    /// Adds replies to a thread.
    fn thread(&self, body: &mut Value) {
        if let Some(thread) = body.get_mut("thread") {
            let mut posts: Vec<&LocalPost> = self.local.posts.iter().collect();
            self.add_replies(thread, &mut posts);
        }
    }

    /// Returns the thread of a post that the service did not know, with the ancestors that it did not know either, and the URI
    /// of the one above them.
    pub(super) fn own_thread<'p>(&'p self, uri: &str) -> Option<(Value, Option<&'p str>)> {
        let find = |uri: &str| self.local.posts.iter().find(|post| post.uri == uri);
        let above = |post: &'p LocalPost| post.record.pointer("/reply/parent/uri").and_then(Value::as_str);
        let post = find(uri)?;
        let mut thread = self.thread_view(post);
        let mut others: Vec<&LocalPost> = self.local.posts.iter().filter(|other| other.uri != uri).collect();
        self.add_replies(&mut thread, &mut others);
        let mut ancestors: Vec<&LocalPost> = Vec::new();
        let mut next = above(post);
        while let Some(parent) = next.and_then(find) {
            // A post may claim to answer itself, or an answer to itself.
            if parent.uri == uri || ancestors.iter().any(|seen| seen.uri == parent.uri) {
                next = None;
                break;
            }
            ancestors.push(parent);
            next = above(parent);
        }
        Some((self.with_ancestors(thread, &ancestors), next))
    }

    fn with_ancestors(&self, mut thread: Value, ancestors: &[&LocalPost]) -> Value {
        if let Some((parent, rest)) = ancestors.split_first() {
            let parent = self.thread_view(parent);
            thread["parent"] = self.with_ancestors(parent, rest);
        }
        thread
    }

    fn thread_view(&self, post: &LocalPost) -> Value {
        json!({ "$type": THREAD_VIEW, "post": self.viewer.post(post), "replies": [] })
    }

    /// Puts each of `posts` below the post that it answers; those that found their place are taken out.
    fn add_replies(&self, thread: &mut Value, posts: &mut Vec<&LocalPost>) {
        let Some(uri) = thread.pointer("/post/uri").and_then(Value::as_str).map(str::to_owned) else { return };
        if kind(thread) != Some(THREAD_VIEW) || posts.is_empty() {
            return;
        }
        let is_reply = |post: &&LocalPost| {
            post.uri != uri && post.record.pointer("/reply/parent/uri").and_then(Value::as_str) == Some(&uri)
        };
        let replies: Vec<&LocalPost> = posts.iter().copied().filter(is_reply).collect();
        posts.retain(|post| !is_reply(post));
        let Some(thread) = thread.as_object_mut() else { return };
        let Some(shown) = thread.entry("replies").or_insert_with(|| json!([])).as_array_mut() else { return };
        for reply in replies.iter().rev() {
            if !shown.iter().any(|shown| is_of(shown, &reply.uri)) {
                shown.insert(0, self.thread_view(reply));
            }
        }
        for reply in shown {
            self.add_replies(reply, posts);
        }
    }

    /// Inserts posts where their time has them. Later pages have no place for what is new.
    fn insert_posts(&self, body: &mut Value, wanted: impl Fn(&Value) -> bool) {
        if self.param("cursor").is_some() {
            return;
        }
        let Some(feed) = body.get_mut("feed").and_then(Value::as_array_mut) else { return };
        let last = feed.last().map(|item| time(item).to_owned()).unwrap_or_default();
        let posts = self.local.posts.iter().filter(|post| post.indexed_at > last && wanted(&post.record));
        for post in posts {
            if feed.iter().any(|item| is_of(item, &post.uri)) {
                continue;
            }
            let is_before = |item: &Value| !is_pinned(item) && *time(item) < *post.indexed_at;
            let at = feed.iter().position(is_before).unwrap_or(feed.len());
            feed.insert(at, json!({ "post": self.viewer.post(post) }));
        }
    }
}

fn list<'b>(body: &'b mut Value, key: &str) -> impl Iterator<Item = &'b mut Value> + use<'b> {
    body.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten()
}

fn is_of(item: &Value, uri: &str) -> bool {
    item.pointer("/post/uri").and_then(Value::as_str) == Some(uri)
}

fn is_pinned(item: &Value) -> bool {
    item.get("reason").and_then(kind) == Some("app.bsky.feed.defs#reasonPin")
}

/// Returns when an item came into its feed: when it was reposted, or else written.
fn time(item: &Value) -> &str {
    let time = item.pointer("/reason/indexedAt").or_else(|| item.pointer("/post/indexedAt"));
    time.and_then(Value::as_str).unwrap_or_default()
}
