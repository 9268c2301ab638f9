//! `GET /assets/{file}`: what the pages load, built into the program.

use axum::extract::Path;
use axum::response::{IntoResponse as _, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

use crate::web;

/// A file that pages load.
struct Asset {
    name: &'static str,
    content_type: &'static str,
    text: &'static str,
}

const ASSETS: &[Asset] = &[
    asset("account-passkeys.js", "text/javascript; charset=utf-8", include_str!("../../assets/account-passkeys.js")),
    asset("pages.css", "text/css; charset=utf-8", include_str!("../../assets/pages.css")),
    asset("setup.js", "text/javascript; charset=utf-8", include_str!("../../assets/setup.js")),
    asset("sign-in.js", "text/javascript; charset=utf-8", include_str!("../../assets/sign-in.js")),
    asset("sign-in-link.js", "text/javascript; charset=utf-8", include_str!("../../assets/sign-in-link.js")),
    asset("sign-up.js", "text/javascript; charset=utf-8", include_str!("../../assets/sign-up.js")),
];

const fn asset(name: &'static str, content_type: &'static str, text: &'static str) -> Asset {
    Asset { name, content_type, text }
}

/// Returns the address of a file, which changes with its text, so that browsers may keep it for good.
pub(crate) fn url(name: &str) -> String {
    let text = ASSETS.iter().find(|asset| asset.name == name).map_or("", |asset| asset.text);
    // FNV-1a: nobody else writes these files.
    let hash =
        text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("/assets/{name}?v={hash:016x}")
}

pub(crate) async fn handler(Path(file): Path<String>) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == file) else {
        return web::not_found::handler().await.into_response();
    };
    let headers = [(CONTENT_TYPE, asset.content_type), (CACHE_CONTROL, "public, max-age=31536000, immutable")];
    (headers, asset.text).into_response()
}
