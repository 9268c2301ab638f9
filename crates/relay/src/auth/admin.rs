//! The operator, by password.

use axum::extract::FromRequestParts;
use data_encoding::BASE64;
use http::request::Parts;
use subtle::ConstantTimeEq as _;

use super::{Credentials, credentials};
use crate::error::XrpcError;
use crate::state::AppState;

/// A caller that knows the admin password: `Basic admin:<password>`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Admin(());

impl FromRequestParts<AppState> for Admin {
    type Rejection = XrpcError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, XrpcError> {
        let refused = || XrpcError::unauthorized("AuthenticationRequired", "Admin authentication required");
        match credentials(&parts.headers)? {
            Credentials::Basic(encoded) => {
                let given = BASE64.decode(encoded.as_bytes()).map_err(|_| refused())?;
                // The password may hold colons itself.
                let given = given.strip_prefix(b"admin:").ok_or_else(refused)?;
                let password = app.config.secrets.admin_password.as_ref().ok_or_else(refused)?;
                if bool::from(given.ct_eq(password.expose().as_bytes())) { Ok(Self(())) } else { Err(refused()) }
            }
            Credentials::None | Credentials::Bearer(_) | Credentials::Dpop(_) => Err(refused()),
        }
    }
}
