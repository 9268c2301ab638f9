//! JSON answers that are written straight into bytes: those of records, whose values are DAG-CBOR in the store.

use axum::response::{IntoResponse, Response};
use common::json::write_string;
use common::{Cid, cbor};
use http::HeaderValue;
use http::header::CONTENT_TYPE;

/// A JSON object while it is written.
#[derive(Debug)]
pub(crate) struct ObjectWriter {
    out: Vec<u8>,
    first: bool,
}

impl ObjectWriter {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self { out: Vec::with_capacity(bytes), first: true }
    }

    /// Begins an object, at the top or in an array.
    pub(crate) fn begin(&mut self) {
        self.out.push(b'{');
        self.first = true;
    }

    pub(crate) fn end(&mut self) {
        self.out.push(b'}');
        self.first = false;
    }

    pub(crate) fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        write_string(value, &mut self.out);
    }

    pub(crate) fn cid(&mut self, key: &str, cid: &Cid) {
        self.key(key);
        self.out.push(b'"');
        cid.write_text(&mut self.out);
        self.out.push(b'"');
    }

    /// Writes the JSON form of a DAG-CBOR value.
    pub(crate) fn cbor(&mut self, key: &str, block: &[u8]) -> Result<(), cbor::Error> {
        self.key(key);
        common::json::write_cbor(block, &mut self.out)
    }

    /// Begins an array; [`ObjectWriter::item`] goes before each of its objects.
    pub(crate) fn begin_array(&mut self, key: &str) {
        self.key(key);
        self.out.push(b'[');
        self.first = true;
    }

    pub(crate) fn item(&mut self) {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        self.begin();
    }

    pub(crate) fn end_array(&mut self) {
        self.out.push(b']');
        self.first = false;
    }

    fn key(&mut self, key: &str) {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        write_string(key, &mut self.out);
        self.out.push(b':');
    }
}

impl IntoResponse for ObjectWriter {
    fn into_response(self) -> Response {
        ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], self.out).into_response()
    }
}
