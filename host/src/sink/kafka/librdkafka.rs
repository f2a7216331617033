//! Writes with librdkafka: every version of the protocol, TLS and SASL, and an object a record.

use super::limits::{Limits, RECORD_BYTES_MAX};
use super::{Mode, Rows, SLICE_MS_MAX, Target, Timeouts, Unsent, batch_bytes, delivery_ms, other};
use crate::config::ClientProperties;
use crate::kafka::ffi::{Client, Fault, Offsets, Role, Topic, code};
use crate::kafka::{Deadline, KafkaError, metadata};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

/// Records that wait in the client, all topics together; then `append` takes fewer.
const QUEUE_RECORDS_MAX: usize = 250_000;
/// Bytes of values that wait in the client, KiB.
const QUEUE_KIB_MAX: usize = 128 << 10;
/// After the time for a commit is up, so long for the client to say so itself, ms.
const ANSWER_MS_MAX: u64 = 1_000;
/// How long a batch of a transaction waits to become full.
const LINGER_MS: u64 = 5_000;

/// A producer.
pub(super) struct Librdkafka {
    client: Arc<Client>,
    topics: Vec<Topic>,
    transactional_id: Option<String>,
    brokers: String,
}

impl Librdkafka {
    /// Opens a producer of `targets`; does not wait for a broker.
    pub(super) fn open(
        brokers: &str,
        properties: &ClientProperties,
        targets: &[Target],
        mode: &Mode,
        timeouts: Timeouts,
    ) -> Result<Self, KafkaError> {
        let limits: Vec<_> = targets.iter().map(|it| it.limits).collect();
        let client = Client::new(Role::Producer, &properties.after(settings(brokers, mode, timeouts, &limits)))
            .map_err(|it| other(format!("set up a producer for `{brokers}`"), it))?;
        let topic = |target: &Target| {
            let name = &target.options.topic;
            let topic = client.topic(name, &[("compression.codec", &target.options.compression)]);
            topic.map_err(|it| other(format!("open topic `{name}`"), it))
        };
        let topics = targets.iter().map(topic).collect::<Result<_, _>>()?;
        let transactional_id = mode.transactional_id().map(str::to_owned);
        Ok(Librdkafka { client, topics, transactional_id, brokers: brokers.to_owned() })
    }

    pub(super) fn init(&self, deadline: &Deadline) -> Result<(), KafkaError> {
        if self.transactional_id.is_none() {
            return Ok(());
        }
        match retry(deadline, |ms| self.client.init_transactions(ms)) {
            Ok(()) => Ok(()),
            Err(fault) if fault.retriable => Err(metadata::unreachable(&self.client, fault, &self.brokers, deadline)),
            Err(fault) => Err(self.error("start transactions", fault)),
        }
    }

    pub(super) fn begin(&self) -> Result<(), KafkaError> {
        if self.transactional_id.is_none() {
            return Ok(());
        }
        self.client.begin_transaction().map_err(|it| self.error("begin a transaction", it))
    }

    pub(super) fn append(&self, topic: usize, rows: &Rows<'_>) -> Result<usize, KafkaError> {
        let Some(handle) = self.topics.get(topic) else { return Ok(0) };
        for row in 0..rows.len() {
            let record = rows.record(row)?;
            match handle.produce(&record) {
                Ok(()) => {}
                Err(fault) if fault.code == code::QUEUE_FULL => return Ok(row),
                Err(fault) => return Err(self.error(&format!("write to `{}`", rows.topic()), fault)),
            }
        }
        Ok(rows.len())
    }

    /// An error for the first record that was not delivered since the last abort.
    pub(super) fn check(&self) -> Result<(), KafkaError> {
        self.client.poll();
        match self.client.events().undelivered() {
            None => Ok(()),
            Some(it) => {
                let reason = format!("a record was not written to `{}` [{}]: {}", it.topic, it.partition, it.reason);
                Err(KafkaError::MustAbort { reason })
            }
        }
    }

    /// As [`super::KafkaSink::trouble`].
    pub(super) fn trouble(&self) -> Option<String> {
        self.client.events().take_trouble()
    }

    /// Waits until everything appended is acknowledged.
    pub(super) fn drain(&self, deadline: &Deadline) -> Result<(), KafkaError> {
        loop {
            let done = self.client.flush(deadline.left_ms(SLICE_MS_MAX));
            self.check()?;
            if done {
                return Ok(());
            }
            if deadline.passed() {
                return Err(super::not_acknowledged(deadline, self.trouble()));
            }
        }
    }

    /// Adds positions to the open transaction.
    ///
    /// The call is made by a thread of its own, because librdkafka 2.12 can be lost in it: where a broker answers
    /// `COORDINATOR_NOT_AVAILABLE` three times (an election of the offsets topic's leader is enough) it asks no more and
    /// waits without a limit. The thread then keeps the client; what it may do later is fenced by the next producer.
    pub(super) fn send_positions(&self, list: Offsets, group: &str, deadline: &Deadline) -> Result<(), Unsent> {
        let (client, until) = (Arc::clone(&self.client), *deadline);
        let named = group.to_owned();
        let send = move || retry(&until, |_| client.send_offsets(&list, &named, until.left_ms(u64::MAX).max(1)));
        match bounded(deadline.left_ms(u64::MAX) as u64, send) {
            Some(Ok(())) => Ok(()),
            Some(Err(fault)) => Err(Unsent::Refused(self.error("add positions to the transaction", fault))),
            None => Err(Unsent::Silence(format!("the coordinator of group `{group}` did not answer"))),
        }
    }

    /// A commit that was asked for and failed: only a refusal of the first request says that nothing holds. A later one
    /// may answer to a request whose first copy has taken effect.
    pub(super) fn commit(&self, deadline: &Deadline) -> Result<(), Unsent> {
        let mut tries = 0;
        let mut call = |ms| {
            tries += 1;
            self.client.commit_transaction(ms)
        };
        let committed = match retry(deadline, &mut call) {
            // A process that was stopped for a while may find the deadline passed before it has looked at the answer.
            Err(fault) if fault.retriable => call(SLICE_MS_MAX as i32),
            result => result,
        };
        committed.map_err(|fault| {
            let refused = (fault.requires_abort && tries == 1) || code::FENCED.contains(&fault.code);
            match self.error("commit", fault) {
                error if refused => Unsent::Refused(error),
                error => Unsent::Silence(error.to_string()),
            }
        })
    }

    /// Aborts the open transaction, or drops what was not sent where there is none.
    pub(super) fn abort(&self, deadline: &Deadline) -> Result<(), KafkaError> {
        if self.transactional_id.is_some() {
            let aborted = retry(deadline, |ms| self.client.abort_transaction(ms));
            aborted.map_err(|it| self.error("abort the transaction", it))?;
        } else {
            self.client.purge();
            self.client.flush(SLICE_MS_MAX as i32);
        }
        self.client.poll();
        self.client.events().forget_undelivered();
        Ok(())
    }

    /// The typed error for a fault of the producer.
    fn error(&self, doing: &str, fault: Fault) -> KafkaError {
        match &self.transactional_id {
            Some(id) if code::FENCED.contains(&fault.code) => KafkaError::Fenced { transactional_id: id.clone() },
            _ if fault.requires_abort => KafkaError::MustAbort { reason: format!("could not {doing}: {}", fault.text) },
            _ => other(doing.to_owned(), fault),
        }
    }
}

fn settings(brokers: &str, mode: &Mode, timeouts: Timeouts, limits: &[Limits]) -> Vec<(&'static str, String)> {
    let delivery_ms = delivery_ms(timeouts);
    // One for all topics. A larger record goes alone.
    let batch_bytes = limits.iter().map(batch_bytes).min().unwrap_or(super::BATCH_BYTES_MAX);
    let mut settings = vec![
        ("bootstrap.servers", brokers.to_owned()),
        ("client.id", "wasmill".to_owned()),
        ("enable.idempotence", "true".to_owned()),
        ("delivery.report.only.error", "true".to_owned()),
        ("message.timeout.ms", delivery_ms.to_string()),
        ("request.timeout.ms", delivery_ms.min(super::REQUEST_MS_MAX).to_string()),
        ("allow.auto.create.topics", "false".to_owned()),
        ("message.max.bytes", (2 * RECORD_BYTES_MAX).to_string()),
        ("batch.size", batch_bytes.to_string()),
        ("queue.buffering.max.messages", QUEUE_RECORDS_MAX.to_string()),
        ("queue.buffering.max.kbytes", QUEUE_KIB_MAX.to_string()),
        // The broker answers "concurrent transactions" while it still writes the last one's markers; the default wait of
        // 100 ms before the next try would be most of a commit.
        ("retry.backoff.ms", "5".to_owned()),
        ("retry.backoff.max.ms", "20".to_owned()),
        ("reconnect.backoff.max.ms", "1000".to_owned()),
        ("enable.metrics.push", "false".to_owned()),
    ];
    match mode {
        // Nothing is visible before the commit, which does not linger: large batches cost no latency. And while the oldest
        // record is past its linger but may not be sent yet, librdkafka's broker thread spins.
        Mode::Transactional { transactional_id } => settings.extend([
            ("transactional.id", transactional_id.clone()),
            ("transaction.timeout.ms", super::transaction_ms(timeouts).to_string()),
            ("linger.ms", LINGER_MS.min(delivery_ms / 2).to_string()),
        ]),
        Mode::Idempotent => settings.push(("linger.ms", "5".to_owned())),
    }
    settings
}

/// Makes a call again until it succeeds, cannot succeed, or the deadline has passed.
pub(super) fn retry(deadline: &Deadline, mut call: impl FnMut(i32) -> Result<(), Fault>) -> Result<(), Fault> {
    loop {
        match call(deadline.left_ms(SLICE_MS_MAX).max(1)) {
            Err(fault) if fault.retriable && !deadline.passed() => {}
            result => return result,
        }
    }
}

/// The answer of `work`, or none when it takes longer than `limit_ms` and [`ANSWER_MS_MAX`]; then it goes on without anybody waiting
/// for it. The two are waited for one after the other: a process that is stopped for a while has lost the first when it goes on, and `work`
/// may be about to hear that another has taken its place.
fn bounded<T: Send + 'static>(limit_ms: u64, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, receiver) = sync_channel(1);
    let worker = std::thread::Builder::new().name("kafka-positions".to_owned());
    let started = worker.spawn(move || {
        let _ = sender.send(work()); // Nobody waits any more: nothing to tell.
    });
    started.ok()?;
    let wait = |ms| receiver.recv_timeout(Duration::from_millis(ms)).ok();
    wait(limit_ms).or_else(|| wait(ANSWER_MS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_given_up_before_the_broker_ends_its_transaction() {
        let mode = Mode::Transactional { transactional_id: "t".into() };
        let settings = settings("b:1", &mode, Timeouts { wait_ms: 1, transaction_ms: 60_000 }, &[]);
        let value = |name| settings.iter().find(|it| it.0 == name).map(|it| it.1.as_str());
        assert_eq!(value("message.timeout.ms"), Some("54000"));
        assert_eq!(value("transaction.timeout.ms"), Some("60000"));
    }

    #[test]
    fn work_is_heard_a_little_after_its_time_is_up() {
        let work = || {
            let until = Deadline::after(20);
            while !until.passed() {
                std::thread::yield_now();
            }
            7
        };
        assert_eq!(bounded(0, work), Some(7));
    }

    #[test]
    fn work_that_never_ends_is_left_alone_when_its_time_is_up() {
        let (keep, never) = sync_channel::<()>(0);
        assert_eq!(bounded(20, move || never.recv().is_ok()), None);
        drop(keep);
        assert_eq!(bounded(60_000, || 7), Some(7));
    }
}
