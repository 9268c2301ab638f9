//! `GET /account`: the account at a glance.

use askama::Template;
use axum::extract::Query;
use axum::response::Response;
use http::StatusCode;

use super::Person;
use super::shell::{DoneParams, Section, Shell, day, moment};
use crate::account::{counts, sign_ins};
use crate::error::XrpcError;
use crate::pages::{Frame, SignedIn, signed_in_accounts};
use crate::store::account;

/// Sign-ins that are shown.
const SIGN_INS: usize = 5;

#[derive(Template)]
#[template(path = "account.html")]
struct Page {
    frame: Frame,
    shell: Shell,
    did: String,
    email: Option<String>,
    email_confirmed: bool,
    since: String,
    records: String,
    blobs: String,
    blob_bytes: String,
    sign_ins: Vec<SignIn>,
    others: Vec<Person>,
}

struct SignIn {
    device: String,
    ip: String,
    at: String,
}

pub(crate) async fn handler(who: SignedIn, Query(params): Query<DoneParams>) -> Result<Response, XrpcError> {
    let (frame, shell) = Shell::of(&who, Section::Overview, params.done).await?;
    let (app, account) = (&who.visitor.app, &who.account);
    let id = account.id;
    let accounts = signed_in_accounts(app, &who.visitor.device).await?;
    let others = accounts.iter().filter(|(other, _)| other.id != id).map(|(other, _)| Person::of(other)).collect();
    let usage = counts(app, id).await?.map(|(_, usage)| usage);
    let blob_bytes = app.db.scan::<_, XrpcError>(move |conn| Ok(account::blob_bytes(conn, id)?)).await?;
    let sign_ins = sign_ins::list(app, id, SIGN_INS).await?.into_iter().map(|sign_in| SignIn {
        device: sign_ins::describe(&sign_in.user_agent),
        ip: sign_in.ip,
        at: moment(sign_in.at),
    });
    let page = Page {
        frame,
        shell,
        did: account.did.to_string(),
        email: account.email.clone(),
        email_confirmed: account.email_confirmed_at.is_some(),
        since: day(account.created_at),
        records: usage.map_or(0, |usage| usage.records).to_string(),
        blobs: usage.map_or(0, |usage| usage.stored_blobs).to_string(),
        blob_bytes: size(blob_bytes),
        sign_ins: sign_ins.collect(),
        others,
    };
    who.visitor.page(StatusCode::OK, &page)
}

/// Writes a size for people.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let (mut value, mut unit) = (bytes, 0);
    while value >= 10_000 && unit + 1 < UNITS.len() {
        value /= 1000;
        unit += 1;
    }
    format!("{value} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_are_written_for_people() {
        assert_eq!([0, 9_999, 10_000, 123_456_789].map(size), ["0 B", "9999 B", "10 kB", "123 MB"].map(str::to_owned));
    }
}
