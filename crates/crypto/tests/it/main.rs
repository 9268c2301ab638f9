//! One test binary: the crate from outside, a file per subject.

mod jwt;
mod keys;
mod keys_interop;
mod plc_limits;
mod plc_log;
mod plc_operation;
mod plc_vectors;
mod support;
