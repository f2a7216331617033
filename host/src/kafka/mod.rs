//! The Kafka client: what the Kafka source and the Kafka sink share, and the only place that knows librdkafka.
//!
//! `ffi` holds every call into librdkafka (and all `unsafe`) behind owned handles; `metadata` finds topics and waits
//! for brokers; `wire` reads and writes record batches without librdkafka. Nothing of librdkafka appears in a public signature,
//! so that another client can take its place. This module knows no record format, no batch and no pipeline.

pub(crate) mod ffi;
pub(crate) mod metadata;
pub(crate) mod wire;

use std::time::{Duration, Instant};

/// What went wrong with a broker or a topic. Callers branch on the variant, never on the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KafkaError {
    /// No broker answered in the time given.
    #[error(
        "no broker of `{brokers}` answered within {waited_ms} ms ({reason}): check the address and that Kafka runs"
    )]
    Unreachable {
        /// As configured.
        brokers: String,
        /// How long was waited, ms.
        waited_ms: u64,
        /// The client's last word.
        reason: String,
    },
    /// The brokers answer, and do not have the topic.
    #[error("topic `{topic}` does not exist at `{brokers}`{}: create it or correct the name", did_you_mean(similar))]
    TopicMissing {
        /// The topic asked for.
        topic: String,
        /// As configured.
        brokers: String,
        /// Topics with a name like it, nearest first; at most 3.
        similar: Vec<String>,
    },
    /// A partition does not hold the offset to start from: retention has removed it, or the topic was made anew.
    #[error(
        "partition {partition} of `{topic}` has no offset {offset} (it holds {low} to {high}): records between the \
         committed position and {low} are gone; reset the position to go on"
    )]
    OffsetOutOfRange {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The offset asked for.
        offset: i64,
        /// The oldest offset kept; -1 for not known.
        low: i64,
        /// The end of the partition; -1 for not known.
        high: i64,
    },
    /// A record batch that does not match its checksum, or that cannot be read.
    #[error("partition {partition} of `{topic}` cannot be read from offset {offset}: {reason}")]
    Unreadable {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The first offset that was not read.
        offset: i64,
        /// The client's word for it.
        reason: String,
    },
    /// A row that the topic does not accept. The rows before it were taken, it and those after it were not.
    #[error("row {row} is {bytes} bytes, and topic `{topic}` takes at most {bytes_max}: raise its max.message.bytes")]
    RowTooLarge {
        /// The topic.
        topic: String,
        /// Index in the rows that were handed in.
        row: usize,
        /// Size of key, value and headers with the batch's overhead.
        bytes: usize,
        /// The topic's `max.message.bytes`.
        bytes_max: usize,
    },
    /// A newer producer with the same transactional id exists.
    #[error(
        "another instance of this pipeline took over (transactional id `{transactional_id}`), or a transaction was open \
         for longer than transaction_timeout: only one instance may run"
    )]
    Fenced {
        /// The id that both use.
        transactional_id: String,
    },
    /// The open transaction cannot be committed any more: abort it and replay from the last checkpoint.
    #[error("the transaction has to be aborted: {reason}")]
    MustAbort {
        /// The first failure.
        reason: String,
    },
    /// Anything else.
    #[error("could not {doing}: {reason}")]
    Other {
        /// What was tried, with the names involved.
        doing: String,
        /// The client's word for it.
        reason: String,
    },
}

fn did_you_mean(similar: &[String]) -> String {
    if similar.is_empty() { String::new() } else { format!(" (there is `{}`)", similar.join("`, `")) }
}

/// A record to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outgoing<'a> {
    pub(crate) partition: i32,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    /// As [`headers`](crate::batch::headers) writes them.
    pub(crate) headers: &'a [u8],
    /// Ms since the Unix epoch; 0 is now.
    pub(crate) timestamp: i64,
}

/// A point in time until which a call may be tried again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    started: Instant,
    limit: Duration,
}

impl Deadline {
    /// `limit_ms` from now.
    #[expect(clippy::disallowed_methods, reason = "waiting for a broker is bounded in real time, never in event time")]
    pub(crate) fn after(limit_ms: u64) -> Self {
        Deadline { started: Instant::now(), limit: Duration::from_millis(limit_ms) }
    }

    /// Milliseconds that are left, at most `slice`; 0 when it has passed.
    pub(crate) fn left_ms(&self, slice: u64) -> i32 {
        let left = self.limit.saturating_sub(self.started.elapsed());
        // Rounded up, so that a last try is not a busy loop of zero waits.
        let left_ms = left.as_micros().div_ceil(1000) as u64;
        left_ms.min(slice).min(i32::MAX as u64) as i32
    }

    /// True when nothing is left.
    pub(crate) fn passed(&self) -> bool {
        self.started.elapsed() >= self.limit
    }

    /// How long it has been going on, ms.
    pub(crate) fn waited_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_topic_is_reported_with_the_names_that_are_there() {
        let missing = |similar: &[&str]| {
            let similar = similar.iter().map(ToString::to_string).collect();
            KafkaError::TopicMissing { topic: "orders".into(), brokers: "localhost:9092".into(), similar }.to_string()
        };
        assert_eq!(
            missing(&["order", "orders-1"]),
            "topic `orders` does not exist at `localhost:9092` (there is `order`, `orders-1`): create it or correct the name"
        );
        assert_eq!(missing(&[]), "topic `orders` does not exist at `localhost:9092`: create it or correct the name");
    }

    #[test]
    fn a_deadline_of_nothing_has_passed() {
        let deadline = Deadline::after(0);
        assert!(deadline.passed());
        assert_eq!(deadline.left_ms(100), 0);
        assert!(Deadline::after(60_000).left_ms(20) == 20);
    }
}
