//! Kafka's own protocol, spoken without encryption and without passwords; whoever needs more uses librdkafka.
//!
//! A reader (`cluster`, `fetcher`, `shared`) hands over record batches of one topic as they came over the wire, fetched ahead: their
//! records, codecs and transactions are the source's business. It speaks `ApiVersions` 0, `Metadata` 9 and `Fetch` 12 (Kafka 2.7
//! and later). A producer (`produce`) writes batches of some topics, in transactions where it is asked to; it speaks some
//! questions more (Kafka 2.8 and later). Each is spoken in one version.
//!
//! Threads: one keeper a client, which asks who leads which partition (`cluster`), and one a broker that leads some (`fetcher`,
//! `produce::sender`). They and the client's owner meet in one place (`shared`, `produce::queue`), and nowhere else. What is
//! fetched ahead is bounded there; what waits to be written is bounded by who writes it.
//!
//! Nothing that a broker says is believed: lengths are checked before they are used, and no count reserves memory.

mod arenas;
mod batches;
mod bytes;
mod cluster;
mod connection;
mod fetcher;
mod messages;
mod produce;
mod shared;
mod sockets;
#[cfg(test)]
mod tests;

use crate::config::ClientProperties;
pub(crate) use arenas::Arenas;
pub(crate) use batches::Batch;
pub(crate) use bytes::Cursor;
pub(crate) use cluster::{Reader, Reading};
pub(crate) use messages::{AbortedTransaction, Position};
pub(crate) use produce::{Codec, Producer, Producing, Trouble, Writing};
pub(crate) use shared::{Failure, Fetched, Span, Taken};

/// Bytes that are not what they should be, with what was found wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Broken(pub(crate) &'static str);

/// The addresses that are listed, each with its port.
pub(crate) fn addresses(brokers: &str) -> Vec<String> {
    let one = |it: &str| {
        let it = it.split_once("://").map_or(it, |(_, address)| address);
        let has_port = it.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
        if has_port { it.to_owned() } else { format!("{it}:9092") }
    };
    brokers.split(',').map(str::trim).filter(|it| !it.is_empty()).map(one).collect()
}

/// Why what speaks this protocol cannot be used with a connection, if it cannot.
pub(crate) fn refusal(brokers: &str, properties: &ClientProperties) -> Option<String> {
    let plain = |name: &str, value: &str| name == "security.protocol" && value.eq_ignore_ascii_case("plaintext");
    if let Some((name, _)) = properties.0.iter().find(|(name, value)| !plain(name, value)) {
        return Some(format!("the connection sets `{name}`"));
    }
    let schemes = brokers.split(',').filter_map(|it| it.trim().split_once("://"));
    let secured = schemes.map(|it| it.0).find(|it| !it.eq_ignore_ascii_case("plaintext"));
    secured.map(|it| format!("`brokers` asks for {it}"))
}
