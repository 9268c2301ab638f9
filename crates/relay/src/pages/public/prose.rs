//! Text of the operator: plain, or in a small part of Markdown.
//!
//! It becomes a tree whose leaves are text, which the template escapes: there is no way for HTML of the text into a page. What is
//! not understood is shown as it stands.

use url::Url;

/// A text that is to be shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Prose {
    /// The heading at its beginning.
    pub(super) title: Option<String>,
    pub(super) blocks: Vec<Block>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// A heading below the title.
    Heading(Vec<Span>),
    /// One below that.
    Subheading(Vec<Span>),
    Paragraph(Vec<Span>),
    List(Vec<Vec<Span>>),
    Numbers(Vec<Vec<Span>>),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Span {
    Text(String),
    Strong(String),
    Emphasis(String),
    Link { text: String, url: String },
}

/// What a line begins.
enum Line<'a> {
    Empty,
    Heading(usize, &'a str),
    Item(&'a str),
    Number(&'a str),
    Text(&'a str),
}

impl Prose {
    pub(super) fn parse(text: &str) -> Self {
        let mut prose = Self { title: None, blocks: Vec::new() };
        // The block that is being read: which, and its text so far. Further lines of text belong to it.
        let mut open: Option<(Kind, String)> = None;
        for line in text.lines() {
            let (kind, text) = match Line::of(line) {
                Line::Empty => {
                    prose.close(open.take());
                    continue;
                }
                Line::Heading(level, text) => {
                    prose.close(open.take());
                    prose.heading(level, text);
                    continue;
                }
                Line::Text(text) => {
                    if let Some((_, so_far)) = &mut open {
                        so_far.push(' ');
                        so_far.push_str(text);
                        continue;
                    }
                    (Kind::Paragraph, text)
                }
                Line::Item(text) => (Kind::Item, text),
                Line::Number(text) => (Kind::Number, text),
            };
            prose.close(open.replace((kind, text.to_owned())));
        }
        prose.close(open);
        prose
    }

    fn heading(&mut self, level: usize, text: &str) {
        if self.title.is_none() && self.blocks.is_empty() {
            self.title = Some(text.to_owned());
            return;
        }
        // A level is not left out, whatever the text does: screen readers lead by them.
        let below = self.blocks.iter().any(|block| matches!(block, Block::Heading(_)));
        self.blocks.push(if level > 2 && below { Block::Subheading(spans(text)) } else { Block::Heading(spans(text)) });
    }

    fn close(&mut self, open: Option<(Kind, String)>) {
        let Some((kind, text)) = open else { return };
        let spans = spans(&text);
        match (kind, self.blocks.last_mut()) {
            (Kind::Paragraph, _) => self.blocks.push(Block::Paragraph(spans)),
            (Kind::Item, Some(Block::List(items))) | (Kind::Number, Some(Block::Numbers(items))) => items.push(spans),
            (Kind::Item, _) => self.blocks.push(Block::List(vec![spans])),
            (Kind::Number, _) => self.blocks.push(Block::Numbers(vec![spans])),
        }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Paragraph,
    Item,
    Number,
}

impl<'a> Line<'a> {
    fn of(line: &'a str) -> Self {
        let line = line.trim();
        if line.is_empty() {
            return Self::Empty;
        }
        let level = line.bytes().take_while(|byte| *byte == b'#').count();
        if (1..=6).contains(&level)
            && let Some(text) = line[level..].strip_prefix(' ')
        {
            return Self::Heading(level, text.trim());
        }
        if let Some(text) = ["- ", "* ", "+ "].iter().find_map(|mark| line.strip_prefix(mark)) {
            return Self::Item(text.trim());
        }
        let digits = line.bytes().take_while(u8::is_ascii_digit).count();
        if (1..=3).contains(&digits)
            && let Some(text) = line[digits..].strip_prefix(". ").or_else(|| line[digits..].strip_prefix(") "))
        {
            return Self::Number(text.trim());
        }
        Self::Text(line)
    }
}

/// Takes a text apart into what is plain and what is not.
fn spans(text: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        if let Some((span, len)) = special(rest, plain.chars().next_back()) {
            if !plain.is_empty() {
                spans.push(Span::Text(std::mem::take(&mut plain)));
            }
            spans.push(span);
            rest = &rest[len..];
        } else {
            plain.push(char);
            rest = &rest[char.len_utf8()..];
        }
    }
    if !plain.is_empty() {
        spans.push(Span::Text(plain));
    }
    spans
}

/// Returns what stands at the beginning of a text if it is not plain, and its length. `before` is the character before it.
fn special(text: &str, before: Option<char>) -> Option<(Span, usize)> {
    if let Some(inner) = between(text, "**", "**") {
        return Some((Span::Strong(inner.to_owned()), inner.len() + 4));
    }
    if let Some(inner) = between(text, "*", "*").filter(|inner| !inner.starts_with([' ', '*']) && !inner.ends_with(' ')) {
        return Some((Span::Emphasis(inner.to_owned()), inner.len() + 2));
    }
    if let Some(label) = between(text, "[", "]")
        && let Some(target) = between(&text[label.len() + 2..], "(", ")")
        && let Some(url) = link(target)
    {
        return Some((Span::Link { text: label.to_owned(), url }, label.len() + target.len() + 4));
    }
    if let Some(target) = between(text, "<", ">")
        && let Some(url) = link(target)
    {
        return Some((Span::Link { text: target.to_owned(), url }, target.len() + 2));
    }
    if (text.starts_with("https://") || text.starts_with("http://")) && !before.is_some_and(char::is_alphanumeric) {
        let end = text.find(|char: char| char.is_whitespace() || "<>()\"'".contains(char)).unwrap_or(text.len());
        let target = text[..end].trim_end_matches(['.', ',', ';', ':', '!', '?']);
        return link(target).map(|url| (Span::Link { text: target.to_owned(), url }, target.len()));
    }
    None
}

fn between<'a>(text: &'a str, begin: &str, end: &str) -> Option<&'a str> {
    let (inner, _) = text.strip_prefix(begin)?.split_once(end)?;
    (!inner.is_empty()).then_some(inner)
}

/// Returns a link that a page may have: none that runs anything.
fn link(target: &str) -> Option<String> {
    let url = Url::parse(target.trim()).ok()?;
    matches!(url.scheme(), "https" | "http" | "mailto").then(|| url.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Span {
        Span::Text(text.to_owned())
    }

    #[test]
    fn a_text_has_a_title_headings_paragraphs_and_lists() {
        let prose =
            Prose::parse("# Terms\n\nBe kind\nto all.\n\n### Rules\n1. One\n2) Two,\n   at length\n\n#### More\n- a\n* b\n");
        assert_eq!(prose.title.as_deref(), Some("Terms"));
        assert_eq!(
            prose.blocks,
            [
                Block::Paragraph(vec![text("Be kind to all.")]),
                Block::Heading(vec![text("Rules")]),
                Block::Numbers(vec![vec![text("One")], vec![text("Two, at length")]]),
                Block::Subheading(vec![text("More")]),
                Block::List(vec![vec![text("a")], vec![text("b")]]),
            ]
        );
        let plain = Prose::parse("Just text.\r\n\r\nIn two parts #1.");
        assert_eq!(plain.title, None);
        assert_eq!(plain.blocks.len(), 2);
    }

    #[test]
    fn some_of_it_stands_out_and_leads_elsewhere() {
        let link = |text: &str, url: &str| Span::Link { text: text.to_owned(), url: url.to_owned() };
        assert_eq!(
            spans("**No** spam, *please*: see [rules](https://example.com/a?b=c) or https://example.org/x."),
            [
                Span::Strong("No".into()),
                text(" spam, "),
                Span::Emphasis("please".into()),
                text(": see "),
                link("rules", "https://example.com/a?b=c"),
                text(" or "),
                link("https://example.org/x", "https://example.org/x"),
                text("."),
            ]
        );
        assert_eq!(spans("<mailto:me@example.com>"), [link("mailto:me@example.com", "mailto:me@example.com")]);
    }

    #[test]
    fn what_would_run_or_is_not_understood_is_text() {
        for hostile in [
            "[click](javascript:alert(1))",
            "[click](data:text/html,x)",
            "<script>alert(1)</script>",
            "![picture](//evil.example/x.png)",
            "2 * 3 * 4",
            "**open",
            "[no](",
            "`code` ~~x~~",
        ] {
            assert_eq!(spans(hostile), [text(hostile)], "{hostile}");
        }
        Prose::parse(&"[".repeat(20_000));
    }
}
