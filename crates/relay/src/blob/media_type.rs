//! Media types: what bytes look like, and what clients say.

use infer::MatcherType;

/// The longest media type that is kept; registered ones have at most 127 characters on either side of the slash.
const MAX_CHARS: usize = 255;

/// Returns the media type whose signature `head`, the first bytes of a blob, begins with.
///
/// Only binary formats have signatures. What looks like HTML or XML is what its sender says: it could be any of many kinds of
/// text, and SVG images among them.
pub(super) fn sniff(head: &[u8]) -> Option<&'static str> {
    let found = infer::get(head)?;
    let is_vague = found.matcher_type() == MatcherType::Text || found.mime_type() == "application/octet-stream";
    (!is_vague).then(|| found.mime_type())
}

/// Whether `text` has the form of a media type without parameters, such as `image/png`.
pub(crate) fn is_media_type(text: &str) -> bool {
    let is_token =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
    text.len() <= MAX_CHARS && text.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x01";
    const SIGNATURES: [(&[u8], &str); 8] = [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF\0", "image/jpeg"),
        (b"GIF89a\x01\0\x01\0", "image/gif"),
        (b"RIFF\x24\0\0\0WEBPVP8 ", "image/webp"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "video/mp4"),
        (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf", "image/avif"),
        (b"%PDF-1.7\n", "application/pdf"),
        (b"PK\x03\x04\x14\0\0\0", "application/zip"),
    ];

    #[test]
    fn binary_formats_are_recognised() {
        for (head, expected) in SIGNATURES {
            assert_eq!(sniff(head), Some(expected));
        }
    }

    #[test]
    fn text_is_what_its_sender_says() {
        for head in [&b""[..], b"{}", b"<html>", b"<?xml version=\"1.0\"?><svg/>", b"#!/bin/sh\n", b"WEBVTT\n\n"] {
            assert_eq!(sniff(head), None, "{:?}", String::from_utf8_lossy(head));
        }
    }

    /// The official PDS answered 500 to an upload of a PNG that was cut off.
    #[test]
    fn a_truncated_image_is_no_error() {
        for (head, _) in SIGNATURES {
            for len in 0..head.len() {
                sniff(&head[..len]);
            }
        }
        assert_eq!(sniff(&PNG[..8]), Some("image/png"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_sniffing_panic(signature in 0..SIGNATURES.len(), cut in 0_usize..32, tail in prop::collection::vec(any::<u8>(), 0..600)) {
            let head = SIGNATURES[signature].0;
            let mut bytes = head[..cut.min(head.len())].to_vec();
            bytes.extend_from_slice(&tail);
            sniff(&bytes);
        }
    }

    #[test]
    fn media_types_have_two_tokens() {
        for good in ["image/png", "application/vnd.ms-excel", "*/*", "image/svg+xml", "a/b"] {
            assert!(is_media_type(good), "{good}");
        }
        for bad in ["", "image", "image/", "/png", "image/png/x", "image/p ng", "image/\"", "bild/ä", &"a/".repeat(200)] {
            assert!(!is_media_type(bad), "{bad}");
        }
    }
}
