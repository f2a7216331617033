//! A reader of Kafka's own protocol: batches of one topic, as the brokers keep them, fetched ahead by threads of its own.
//!
//! It speaks three messages, each in one version: `ApiVersions` 0, `Metadata` 9 and `Fetch` 12 (Kafka 2.7 and later), without
//! encryption and without passwords; whoever needs more reads with librdkafka. What it hands over are record batches as they
//! came over the wire: their records, codecs and transactions are the source's business.
//!
//! Threads: one keeper a reader, which asks who leads which partition (`cluster`), and one a broker that leads some
//! (`fetcher`). They and the reader's owner meet in `shared`, and nowhere else. What is fetched ahead is bounded there.
//!
//! Nothing that a broker says is believed: lengths are checked before they are used, and no count reserves memory.

mod arenas;
mod batches;
mod bytes;
mod cluster;
mod connection;
mod fetcher;
mod messages;
mod shared;
#[cfg(test)]
mod tests;

pub(crate) use arenas::Arenas;
pub(crate) use batches::Batch;
pub(crate) use bytes::Cursor;
pub(crate) use cluster::{Reader, Reading};
pub(crate) use messages::AbortedTransaction;
pub(crate) use shared::{Failure, Fetched, Span, Taken};

/// Bytes that are not what they should be, with what was found wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Broken(pub(crate) &'static str);
