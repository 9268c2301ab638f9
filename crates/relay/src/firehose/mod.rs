//! The firehose: `com.atproto.sync.subscribeRepos`.
//!
//! [`frames`] encodes events, the store's writer gives them their `seq` and keeps them, [`ring`] holds the newest in memory,
//! and [`subscriber`] serves one consumer from the ring or, when it is behind, from the store.

pub(crate) mod frames;
pub(crate) mod ring;
pub(crate) mod subscriber;

pub(crate) use ring::Firehose;
