//! `com.atproto.temp.addReservedHandle`: keeps a handle back, so that only the operator can give it out.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/temp/addReservedHandle.json>
//!
//! A name without a domain keeps back every handle that begins with it.

use axum::Json;
use axum::extract::State;
use common::{Clock as _, Handle};
use serde::{Deserialize, Serialize};

use crate::auth::Admin;
use crate::error::XrpcError;
use crate::extract::XrpcJson;
use crate::state::AppState;
use crate::store::reserved_handle;

#[derive(Deserialize)]
pub(crate) struct Input {
    handle: String,
}

#[derive(Serialize)]
pub(crate) struct Output {}

pub(crate) async fn handler(
    State(app): State<AppState>,
    _admin: Admin,
    XrpcJson(input): XrpcJson<Input>,
) -> Result<Json<Output>, XrpcError> {
    let name = name(&input.handle)?;
    let now = app.clock.millis();
    app.db.write::<_, XrpcError>(move |tx| Ok(reserved_handle::insert(tx, &name, now)?)).await?;
    Ok(Json(Output {}))
}

/// Reads a handle, or what could be its first part.
fn name(text: &str) -> Result<String, XrpcError> {
    let name = text.trim().trim_start_matches('@').to_ascii_lowercase();
    let whole = if name.contains('.') { name.clone() } else { format!("{name}.test") };
    match whole.parse::<Handle>() {
        Ok(_) => Ok(name),
        Err(err) => Err(XrpcError::bad_request("InvalidHandle", format!("{err}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_handle_or_its_first_part() {
        assert_eq!(name("Alice.Example.com").unwrap(), "alice.example.com");
        assert_eq!(name("@alice").unwrap(), "alice");
        for bad in ["", "a b", "alice.", "-a", "älice"] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }
}
