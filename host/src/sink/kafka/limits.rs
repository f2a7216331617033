//! What a topic accepts. The broker refuses a whole batch for one record that it does not accept, and would refuse it
//! again after every replay, so each record is checked before it is queued.

use super::{RECORD_OVERHEAD_BYTES, other};
use crate::config::ClientProperties;
use crate::kafka::ffi::{Client, Role};
use crate::kafka::{Deadline, KafkaError, Outgoing, metadata};
use std::time::{SystemTime, UNIX_EPOCH};

/// Size of one record, whatever the topic takes: far below the client's queue, which holds it whole.
pub(super) const RECORD_BYTES_MAX: usize = 64 << 20;
/// How far this machine's clock may be from the broker's, ms.
const CLOCK_SKEW_MS: i64 = 10_000;
/// One question about a topic's configuration, ms.
const ASK_MS_MAX: u64 = 2_000;

/// The configuration of a topic as far as it can refuse a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// `max.message.bytes`. It bounds a batch after compression; here it bounds one record before it.
    pub(super) bytes_max: usize,
    /// `message.timestamp.before.max.ms`: the oldest timestamp, as an age.
    age_ms_max: i64,
    /// `message.timestamp.after.max.ms`: the newest, as time from now.
    ahead_ms_max: i64,
}

impl Limits {
    /// Kafka 4's defaults, for brokers that do not say.
    const DEFAULT: Limits = Limits { bytes_max: 1_048_588, age_ms_max: i64::MAX, ahead_ms_max: 3_600_000 };

    /// From a topic's configuration. Brokers before 3.6 do not bound timestamps by these names.
    fn of(config: &[(String, String)]) -> Limits {
        let value = |name: &str| config.iter().find(|it| it.0 == name).map(|it| it.1.as_str());
        let number = |name: &str| value(name).and_then(|it| it.parse::<i64>().ok());
        let by_broker = value("message.timestamp.type") == Some("LogAppendTime");
        let time = |name| if by_broker { i64::MAX } else { number(name).unwrap_or(i64::MAX) };
        let bytes_max = number("max.message.bytes").and_then(|it| usize::try_from(it).ok());
        Limits {
            bytes_max: bytes_max.unwrap_or(Limits::DEFAULT.bytes_max).min(RECORD_BYTES_MAX),
            age_ms_max: time("message.timestamp.before.max.ms"),
            ahead_ms_max: time("message.timestamp.after.max.ms"),
        }
    }

    /// The timestamps that are accepted at `now`.
    pub(super) fn times(&self, now: i64) -> Times {
        Times {
            first: now.saturating_sub(self.age_ms_max).saturating_add(CLOCK_SKEW_MS),
            last: now.saturating_add(self.ahead_ms_max).saturating_sub(CLOCK_SKEW_MS),
        }
    }
}

/// The timestamps that a topic accepts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    first: i64,
    last: i64,
}

impl Times {
    /// The timestamp to write for a row's time, in the client's terms: 0 is now.
    pub(super) fn timestamp(&self, time: Option<i64>) -> i64 {
        match time {
            Some(time) if time != -1 && (self.first..=self.last).contains(&time) => time.max(1),
            _ => 0,
        }
    }
}

/// The present, ms since the Unix epoch.
#[expect(
    clippy::disallowed_methods,
    reason = "the broker compares record timestamps with the wall clock; once a batch"
)]
pub(super) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_millis() as i64)
}

/// The size that counts against [`Limits::bytes_max`].
pub(super) fn size(record: &Outgoing<'_>) -> usize {
    let key_and_value = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
    key_and_value + record.headers.len() + RECORD_OVERHEAD_BYTES
}

/// Asks for the partitions and the limits of `topics`, which must exist. A broker that does not tell (it may not be allowed) has defaults.
pub(super) fn ask(
    brokers: &str,
    properties: &ClientProperties,
    topics: &[&str],
    deadline: &Deadline,
) -> Result<Vec<(Vec<i32>, Limits)>, KafkaError> {
    let settings = [("bootstrap.servers", brokers.to_owned()), ("enable.metrics.push", "false".to_owned())];
    let settings = properties.after(settings);
    let client =
        Client::new(Role::Consumer, &settings).map_err(|it| other(format!("set up a client of `{brokers}`"), it))?;
    let limits = |topic: &&str| {
        let handle = client.topic(topic, &[]).map_err(|it| other(format!("open topic `{topic}`"), it))?;
        let partitions = metadata::partitions_of(&client, &handle, topic, brokers, deadline)?;
        let limits = match client.topic_config(topic, deadline.left_ms(ASK_MS_MAX).max(1)) {
            Ok(config) => Limits::of(&config),
            Err(fault) => {
                let reason = fault.text;
                tracing::info!(topic, reason, "the topic's limits are not known: Kafka's defaults are assumed");
                Limits::DEFAULT
            }
        };
        Ok((partitions, limits))
    };
    topics.iter().map(limits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> Limits {
        Limits::of(&pairs.iter().map(|it| (it.0.to_owned(), it.1.to_owned())).collect::<Vec<_>>())
    }

    #[test]
    fn a_time_that_the_topic_refuses_is_written_as_now() {
        let now = 1_700_000_000_000;
        let times = config(&[("message.timestamp.after.max.ms", "3600000")]).times(now);
        assert_eq!(times.timestamp(Some(now + 3_500_000)), now + 3_500_000);
        assert_eq!(times.timestamp(Some(now + 3_700_000)), 0);
        assert_eq!(times.timestamp(Some(5)), 5, "the past is not bounded");
        let times = config(&[("message.timestamp.before.max.ms", "60000")]).times(now);
        assert_eq!([times.timestamp(Some(now - 40_000)), times.timestamp(Some(now - 70_000))], [now - 40_000, 0]);
    }

    #[test]
    fn the_broker_s_own_time_bounds_nothing() {
        let pairs = [("message.timestamp.type", "LogAppendTime"), ("message.timestamp.after.max.ms", "1")];
        assert_eq!(config(&pairs).times(0).timestamp(Some(1 << 60)), 1 << 60);
    }

    #[test]
    fn only_minus_one_and_none_are_now() {
        let times = config(&[]).times(1_700_000_000_000);
        assert_eq!([None, Some(-1), Some(0), Some(7)].map(|it| times.timestamp(it)), [0, 0, 1, 7]);
    }

    #[test]
    fn a_topic_that_takes_more_than_the_client_queues_is_held_to_the_client() {
        assert_eq!(config(&[("max.message.bytes", "2147483647")]).bytes_max, RECORD_BYTES_MAX);
        assert_eq!(config(&[("max.message.bytes", "1000")]).bytes_max, 1_000);
    }
}
