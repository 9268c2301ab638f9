//! Domain types from columns. Their crates know no SQL, so the conversions live here.

use std::str::FromStr;

use common::{Cid, Codec, Tid};
use rusqlite::Row;

use super::StoreError;

/// Parses a text column.
pub(crate) fn parse<T>(row: &Row<'_>, table: &'static str, column: &'static str) -> Result<T, StoreError>
where
    T: FromStr,
    T::Err: std::fmt::Display,
{
    let value = row.get_ref(column)?;
    let text = value.as_str().map_err(|err| corrupt(table, column, &err))?;
    text.parse().map_err(|err| corrupt(table, column, &err))
}

/// Parses a text column that may be null.
pub(crate) fn parse_optional<T>(row: &Row<'_>, table: &'static str, column: &'static str) -> Result<Option<T>, StoreError>
where
    T: FromStr,
    T::Err: std::fmt::Display,
{
    let value = row.get_ref(column)?;
    let text = value.as_str_or_null().map_err(|err| corrupt(table, column, &err))?;
    text.map(|text| text.parse().map_err(|err| corrupt(table, column, &err))).transpose()
}

/// Reads a digest column as a CID of `codec`.
pub(crate) fn cid(row: &Row<'_>, table: &'static str, column: &'static str, codec: Codec) -> Result<Cid, StoreError> {
    let value = row.get_ref(column)?;
    let digest = value.as_blob().map_err(|err| corrupt(table, column, &err))?;
    let digest = digest.try_into().map_err(|err| corrupt(table, column, &err))?;
    Ok(Cid::new(codec, digest))
}

/// Reads a rev column.
pub(crate) fn rev(row: &Row<'_>, table: &'static str, column: &'static str) -> Result<Tid, StoreError> {
    let value: i64 = row.get(column)?;
    tid(value).ok_or_else(|| corrupt(table, column, &"not a TID"))
}

/// Returns a TID as it is stored.
pub(crate) fn rev_value(rev: Tid) -> i64 {
    rev.as_u64() as i64
}

pub(crate) fn tid(value: i64) -> Option<Tid> {
    Tid::from_u64(u64::try_from(value).ok()?)
}

pub(crate) fn corrupt(table: &'static str, column: &'static str, reason: &dyn std::fmt::Display) -> StoreError {
    StoreError::Corrupt { table, column, reason: reason.to_string() }
}
