//! A mail before it is addressed, as text and as HTML from the same parts.

use super::Html;

/// A subject and paragraphs.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    subject: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Paragraph(String),
    /// What the reader types into an app.
    Code(String),
    /// Who writes, below the rest.
    Footer(String),
}

impl Letter {
    pub(super) fn new(subject: impl Into<String>) -> Self {
        Self { subject: subject.into(), parts: Vec::new() }
    }

    /// Makes a letter of text that someone wrote, a blank line between paragraphs.
    pub(crate) fn plain(subject: &str, text: &str) -> Self {
        let paragraphs = text.replace("\r\n", "\n");
        let paragraphs = paragraphs.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty());
        paragraphs.fold(Self::new(subject), Self::paragraph)
    }

    pub(super) fn paragraph(mut self, text: impl Into<String>) -> Self {
        self.parts.push(Part::Paragraph(text.into()));
        self
    }

    pub(super) fn code(mut self, code: impl Into<String>) -> Self {
        self.parts.push(Part::Code(code.into()));
        self
    }

    pub(super) fn footer(mut self, text: impl Into<String>) -> Self {
        self.parts.push(Part::Footer(text.into()));
        self
    }

    /// Returns the subject, which is one line whatever was written.
    pub(crate) fn subject(&self) -> String {
        self.subject.split(char::is_control).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    }

    /// Returns the code in it, if there is one.
    pub(crate) fn the_code(&self) -> Option<&str> {
        self.parts.iter().find_map(|part| match part {
            Part::Code(code) => Some(code.as_str()),
            Part::Paragraph(_) | Part::Footer(_) => None,
        })
    }

    pub(crate) fn as_text(&self) -> String {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Paragraph(text) => out.push_str(text),
                Part::Code(code) => {
                    out.push_str("    ");
                    out.push_str(code);
                }
                Part::Footer(text) => {
                    out.push_str("-- \n");
                    out.push_str(text);
                }
            }
            out.push_str("\n\n");
        }
        out.truncate(out.trim_end().len());
        out.push('\n');
        out
    }

    pub(crate) fn as_html(&self) -> String {
        let mut out = Html::default();
        out.markup("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>").text(&self.subject());
        out.markup("</title></head><body style=\"font-family:sans-serif;line-height:1.5;max-width:36em;margin:2em auto\">\n");
        for part in &self.parts {
            match part {
                Part::Paragraph(text) => out.markup("<p style=\"white-space:pre-line\">").text(text).markup("</p>\n"),
                Part::Code(code) => out
                    .markup("<p style=\"font-family:monospace;font-size:1.6em;letter-spacing:.1em\"><strong>")
                    .text(code)
                    .markup("</strong></p>\n"),
                Part::Footer(text) => {
                    out.markup("<p style=\"color:#666;font-size:.9em;white-space:pre-line\">").text(text).markup("</p>\n")
                }
            };
        }
        out.markup("</body></html>\n");
        out.into_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_html_say_the_same() {
        let letter =
            Letter::new("A <b>subject</b>\r\nBcc: x@example.com").paragraph("1 < 2 & \"3\"").code("ABCDE-FGHIJ").footer("us");
        assert_eq!(letter.subject(), "A <b>subject</b> Bcc: x@example.com");
        assert_eq!(letter.as_text(), "1 < 2 & \"3\"\n\n    ABCDE-FGHIJ\n\n-- \nus\n");
        let html = letter.as_html();
        assert!(html.contains(">1 &lt; 2 &amp; &quot;3&quot;</p>") && !html.contains("<b>"), "{html}");
        assert_eq!(letter.the_code(), Some("ABCDE-FGHIJ"));
    }

    #[test]
    fn what_a_moderator_writes_stays_text() {
        let letter = Letter::plain("Hello", "One\r\nline.\r\n\r\n\r\n\r\n<script>alert(1)</script>\n");
        assert_eq!(letter.as_text(), "One\nline.\n\n<script>alert(1)</script>\n");
        assert!(!letter.as_html().contains("<script>"));
    }
}
