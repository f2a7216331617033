//! Writes with a producer of our own: records go from the rows' memory into batches as they are sent, without an object a record.
//!
//! Here is how much goes into a batch and when it is handed over; `kafka::wire` sends it and keeps the order.

use super::limits;
use super::{KafkaError, Mode, OffsetCommit, Rows, Target, Timeouts, Unsent, batch_bytes, delivery_ms, other_reason};
use crate::kafka::Deadline;
use crate::kafka::wire::{Codec, Position, Producer, Producing, Trouble, Writing, addresses};

/// Bytes that wait for a broker's word, all topics together, but for the batches that are being written; then `append` takes
/// fewer. As many as the partitions that are written can have under way.
const QUEUED_BYTES: std::ops::RangeInclusive<usize> = 16 << 20..=64 << 20;
const QUEUED_BYTES_PER_PARTITION: usize = 4 << 20;
/// Bytes of the batches that are being written, all partitions together, as far as the least size of a batch allows.
const WRITING_BYTES_MAX: usize = 16 << 20;
const BATCH_BYTES_MIN: usize = 64 << 10;
/// What is worth a request of its own before a transaction's end, bytes: a commit then finds little that is not yet written.
const EARLY_BYTES_MIN: usize = 256 << 10;

/// A producer.
#[derive(Debug)]
pub(super) struct Native {
    producer: Producer,
    topics: Vec<Topic>,
    /// What is being written, partition by partition, topic by topic.
    writing: Vec<Writing>,
    transactional_id: Option<String>,
    /// Whose positions the last transaction had.
    group: Option<String>,
    timeouts: Timeouts,
    /// Of [`QUEUED_BYTES`].
    queued_bytes_max: usize,
}

#[derive(Clone, Copy, Debug)]
struct Topic {
    /// The index of its first partition.
    first: usize,
    batch_bytes: usize,
    codec: Codec,
}

impl Native {
    /// Opens a producer of `targets`; does not wait for a broker.
    pub(super) fn open(brokers: &str, targets: &[Target], mode: &Mode, timeouts: Timeouts) -> std::io::Result<Self> {
        let partitions: usize = targets.iter().map(|it| it.partitions.len()).sum();
        let share = (WRITING_BYTES_MAX / partitions.max(1)).max(BATCH_BYTES_MIN);
        let mut first = 0;
        let topic = |target: &Target| {
            let codec = Codec::named(&target.options.compression).unwrap_or(Codec::None); // The configuration is checked.
            let topic = Topic { first, batch_bytes: batch_bytes(&target.limits).min(share), codec };
            first += target.partitions.len();
            topic
        };
        let transactional_id = mode.transactional_id().map(str::to_owned);
        let topics = targets.iter().map(topic).collect();
        let producer = Producer::start(Producing {
            brokers: addresses(brokers),
            topics: targets.iter().map(|it| (it.options.topic.clone(), it.partitions.clone())).collect(),
            transactional_id: transactional_id.clone(),
            transaction_ms: super::transaction_ms(timeouts) as i32,
            request_ms: delivery_ms(timeouts).min(super::REQUEST_MS_MAX) as i32,
        })?;
        let writing = std::iter::repeat_with(Writing::default).take(partitions).collect();
        let queued_bytes_max =
            (partitions * QUEUED_BYTES_PER_PARTITION).clamp(*QUEUED_BYTES.start(), *QUEUED_BYTES.end());
        Ok(Native { producer, topics, writing, transactional_id, group: None, timeouts, queued_bytes_max })
    }

    pub(super) fn init(&mut self, deadline: &Deadline) -> Result<(), Trouble> {
        self.producer.init(deadline)
    }

    pub(super) fn append(&mut self, topic: usize, rows: &Rows<'_>) -> Result<usize, KafkaError> {
        let Some(&Topic { first, batch_bytes, .. }) = self.topics.get(topic) else { return Ok(0) };
        if self.is_full()? {
            return Ok(0);
        }
        let now = limits::now();
        for row in 0..rows.len() {
            let record = rows.record(row)?;
            let index = first + record.partition as usize;
            let Some(writing) = self.writing.get_mut(index) else { return Ok(row) };
            if writing.is_empty() {
                *writing = self.producer.batch(batch_bytes);
            } else if writing.bytes() + limits::size(&record) > batch_bytes {
                self.hand_over(|it| it == index)?;
                if self.is_full()? {
                    return Ok(row);
                }
                let Some(writing) = self.writing.get_mut(index) else { return Ok(row) };
                *writing = self.producer.batch(batch_bytes);
            }
            if let Some(writing) = self.writing.get_mut(index) {
                writing.push(&record, if record.timestamp == 0 { now } else { record.timestamp });
            }
        }
        self.tick()?;
        Ok(rows.len())
    }

    fn is_full(&self) -> Result<bool, KafkaError> {
        let bytes = self.producer.bytes().map_err(|it| self.error("write", it.into()))?;
        Ok(bytes >= self.queued_bytes_max)
    }

    /// While a broker has nothing else of a partition to do: sends what is worth it, within a transaction, and whatever there is without one. The first
    /// batch of a partition in a transaction costs more than those after it, and goes at once: its commit then finds it done.
    pub(super) fn tick(&mut self) -> Result<(), KafkaError> {
        let goes = |it: &usize| {
            self.producer.may_begin(*it) || self.writing.get(*it).is_some_and(|it| it.bytes() >= EARLY_BYTES_MIN)
        };
        let mut waiting = written(&self.writing).filter(goes).peekable();
        if waiting.peek().is_none() {
            return Ok(());
        }
        let idle = self.producer.idle(waiting);
        if idle.is_empty() {
            return Ok(());
        }
        self.hand_over(|it| idle.contains(&it))?;
        self.add_group()
    }

    /// Tells the transaction that positions will come, where they did in the one before.
    fn add_group(&mut self) -> Result<(), KafkaError> {
        let Some(group) = &self.group else { return Ok(()) };
        let added = self.producer.add_group(group, &Deadline::after(delivery_ms(self.timeouts)));
        added.map_err(|it| self.error("add positions to the transaction", it))
    }

    /// Hands over what was written for the partitions that are `wanted`.
    fn hand_over(&mut self, wanted: impl Fn(usize) -> bool) -> Result<(), KafkaError> {
        if written(&self.writing).any(|it| wanted(it) && !self.producer.is_enlisted(it)) {
            let deadline = Deadline::after(delivery_ms(self.timeouts));
            // All that something was written for: one question for all of them.
            let enlisted = self.producer.enlist(written(&self.writing), &deadline);
            enlisted.map_err(|it| self.error("add partitions to the transaction", it))?;
        }
        let Native { producer, topics, writing, .. } = self;
        let ready = writing.iter_mut().enumerate().filter(|(index, it)| !it.is_empty() && wanted(*index));
        producer.push(ready.map(|(index, it)| {
            let topic = topics.iter().rfind(|it| it.first <= index);
            (index, std::mem::take(it), topic.map_or(Codec::None, |it| it.codec))
        }));
        Ok(())
    }

    /// An error where something was not written, or waits for too long.
    pub(super) fn check(&mut self) -> Result<(), KafkaError> {
        if let Some(refusal) = self.producer.refusal() {
            return Err(self.error("write", refusal.into()));
        }
        let waited_ms = self.producer.oldest_ms();
        if waited_ms < delivery_ms(self.timeouts) {
            return Ok(());
        }
        let trouble = self.producer.take_trouble().unwrap_or_else(|| "no answer".to_owned());
        Err(KafkaError::MustAbort { reason: format!("a batch was not acknowledged within {waited_ms} ms: {trouble}") })
    }

    /// As [`super::KafkaSink::trouble`].
    pub(super) fn trouble(&self) -> Option<String> {
        self.producer.take_trouble()
    }

    /// As [`super::KafkaSink::begin_commit`].
    pub(super) fn begin_commit(&mut self, group: Option<&str>) -> Result<(), KafkaError> {
        self.hand_over(|_| true)?;
        if self.group.as_deref() != group {
            self.group = group.map(str::to_owned);
        }
        self.add_group()
    }

    /// Waits until everything appended is acknowledged.
    pub(super) fn drain(&mut self, deadline: &Deadline) -> Result<(), KafkaError> {
        self.hand_over(|_| true)?;
        match self.producer.drain(deadline) {
            Ok(true) => Ok(()),
            Ok(false) => Err(super::not_acknowledged(deadline, self.producer.take_trouble())),
            Err(refusal) => Err(self.error("write", refusal.into())),
        }
    }

    /// Adds positions to the open transaction. Without an answer nothing of it holds: the transaction is not ended.
    pub(super) fn send_positions(
        &mut self,
        offsets: &[OffsetCommit],
        group: &str,
        deadline: &Deadline,
    ) -> Result<(), KafkaError> {
        let mut offsets: Vec<_> = offsets.iter().collect();
        offsets.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
        let positions: Vec<_> = offsets.into_iter().map(position).collect();
        let sent = self.producer.send_positions(group, &positions, deadline);
        sent.map_err(|it| self.error("add positions to the transaction", it))
    }

    pub(super) fn commit(&mut self, deadline: &Deadline) -> Result<(), Unsent> {
        self.producer.commit(deadline).map_err(|(trouble, certain)| match self.error("commit", trouble.clone()) {
            error @ KafkaError::Fenced { .. } => Unsent::Refused(error),
            error if certain && matches!(trouble, Trouble::Refused(_)) => Unsent::Refused(error),
            error => Unsent::Silence(error.to_string()),
        })
    }

    /// Aborts the open transaction, or drops what is not acknowledged where there is none.
    pub(super) fn abort(&mut self, deadline: &Deadline) -> Result<(), KafkaError> {
        self.writing.fill_with(Writing::default);
        self.producer.begin_anew(deadline).map_err(|it| match self.error("abort", it) {
            KafkaError::MustAbort { reason } => other_reason("abort the transaction".to_owned(), reason),
            error => error,
        })
    }

    /// The typed error for a trouble of the producer.
    pub(super) fn error(&self, doing: &str, trouble: Trouble) -> KafkaError {
        let reason = match (trouble, &self.transactional_id) {
            (Trouble::Fenced, Some(id)) => return KafkaError::Fenced { transactional_id: id.clone() },
            (Trouble::Fenced, None) => "the producer's number is not the newest".to_owned(),
            (Trouble::Refused(reason) | Trouble::Silence(reason) | Trouble::Unsupported(reason), _) => reason,
        };
        KafkaError::MustAbort { reason: format!("could not {doing}: {reason}") }
    }
}

fn position(it: &OffsetCommit) -> Position<'_> {
    Position { topic: &it.topic, partition: it.partition, offset: it.offset, metadata: &it.metadata }
}

/// The partitions that something was written for.
fn written(writing: &[Writing]) -> impl Iterator<Item = usize> {
    writing.iter().enumerate().filter(|it| !it.1.is_empty()).map(|it| it.0)
}
