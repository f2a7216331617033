//! The questions of a producer: whose number it has, what its transaction holds, and how that ends.
//!
//! They are those of the protocol's first transactions (Kafka calls them version 1): partitions are added to a transaction before
//! they are written, and one producer's transactions share an epoch.

use super::super::bytes::{put_compact_bytes_len, put_compact_text, put_unsigned_varint};
use super::{Api, Broken, Broker, Cursor};

pub(crate) const PRODUCE: Api = Api { name: "Produce", key: 0, version: 9, since: "2.8" };
pub(crate) const FIND_COORDINATOR: Api = Api { name: "FindCoordinator", key: 10, version: 3, since: "2.4" };
pub(crate) const INIT_PRODUCER_ID: Api = Api { name: "InitProducerId", key: 22, version: 4, since: "2.7" };
pub(crate) const ADD_PARTITIONS: Api = Api { name: "AddPartitionsToTxn", key: 24, version: 3, since: "2.8" };
pub(crate) const ADD_OFFSETS: Api = Api { name: "AddOffsetsToTxn", key: 25, version: 3, since: "2.8" };
pub(crate) const END_TRANSACTION: Api = Api { name: "EndTxn", key: 26, version: 3, since: "2.8" };
pub(crate) const COMMIT_OFFSETS: Api = Api { name: "TxnOffsetCommit", key: 28, version: 3, since: "2.5" };

/// Everything is on every replica that is in sync before it counts.
const ACKS_ALL: i16 = -1;
/// No member of a group, and no generation of it.
const NO_GENERATION: i32 = -1;
/// The epoch of the leader that a position was read from is not told.
const NO_EPOCH: i32 = -1;

/// Who writes: what tells a producer from those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// -1 for none yet.
    pub(crate) id: i64,
    /// -1 for none yet.
    pub(crate) epoch: i16,
}

impl Identity {
    /// Nobody's yet.
    pub(crate) const NONE: Identity = Identity { id: -1, epoch: -1 };

    fn put(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.id.to_be_bytes());
        out.extend_from_slice(&self.epoch.to_be_bytes());
    }
}

/// What there is a coordinator of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coordinated {
    Group = 0,
    Transaction = 1,
}

/// Asks which broker coordinates `key`.
pub(crate) fn write_find_coordinator(out: &mut Vec<u8>, kind: Coordinated, key: &str) {
    put_compact_text(out, key);
    out.push(kind as u8);
    out.push(0);
}

/// The error code, and the broker where it is 0.
pub(crate) fn read_coordinator(mut answer: Cursor<'_>) -> Result<(i16, Broker), Broken> {
    answer.i32()?; // Throttled: one answer.
    let error = answer.i16()?;
    answer.compact_text()?;
    let (node, host, port) = (answer.i32()?, answer.compact_text()?, answer.i32()?);
    let port = if error == 0 { port } else { 0 };
    let port = u16::try_from(port).map_err(|_| Broken("a broker has an impossible port"))?;
    Ok((error, Broker { node, host, port }))
}

/// Asks for a number; `known` is the one that there is, where it is to be raised.
pub(crate) fn write_init(out: &mut Vec<u8>, transactional_id: Option<&str>, timeout_ms: i32, known: Identity) {
    put_nullable(out, transactional_id);
    out.extend_from_slice(&timeout_ms.to_be_bytes());
    known.put(out);
    out.push(0);
}

/// The error code, and the number where it is 0.
pub(crate) fn read_init(mut answer: Cursor<'_>) -> Result<(i16, Identity), Broken> {
    answer.i32()?;
    let error = answer.i16()?;
    let identity = Identity { id: answer.i64()?, epoch: answer.i16()? };
    if error == 0 && (identity.id < 0 || identity.epoch < 0) {
        return Err(Broken("a producer has an impossible number"));
    }
    Ok((error, identity))
}

/// Adds partitions, sorted by topic, to the transaction.
pub(crate) fn write_add_partitions(
    out: &mut Vec<u8>,
    transactional_id: &str,
    identity: Identity,
    partitions: &[(&str, i32)],
) {
    put_compact_text(out, transactional_id);
    identity.put(out);
    put_topics(out, partitions, |out, partition| out.extend_from_slice(&partition.1.to_be_bytes()), |it| it.0);
    out.push(0);
}

/// The first error code of a partition that says why; 0 for none.
pub(crate) fn read_partition_errors(mut answer: Cursor<'_>) -> Result<(i16, ()), Broken> {
    answer.i32()?;
    let mut worst = 0;
    answer.compact_array(|it| {
        it.compact_text()?;
        it.compact_array(|it| {
            it.i32()?;
            let error = it.i16()?;
            if worst == 0 || worst == NOT_ATTEMPTED {
                worst = if error == 0 { worst } else { error };
            }
            it.no_tags()
        })?;
        it.no_tags()
    })?;
    Ok((worst, ()))
}

/// Not tried, because of another partition.
const NOT_ATTEMPTED: i16 = 55;

/// Adds the positions of `group` to the transaction, which its coordinator gets then.
pub(crate) fn write_add_offsets(out: &mut Vec<u8>, transactional_id: &str, identity: Identity, group: &str) {
    put_compact_text(out, transactional_id);
    identity.put(out);
    put_compact_text(out, group);
    out.push(0);
}

/// An error code and nothing else.
pub(crate) fn read_error(mut answer: Cursor<'_>) -> Result<(i16, ()), Broken> {
    answer.i32()?;
    Ok((answer.i16()?, ()))
}

/// A position that becomes true with a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) metadata: &'a str,
}

/// Hands the positions, sorted by topic, to the group's coordinator.
pub(crate) fn write_commit_offsets(
    out: &mut Vec<u8>,
    transactional_id: &str,
    group: &str,
    identity: Identity,
    positions: &[Position<'_>],
) {
    put_compact_text(out, transactional_id);
    put_compact_text(out, group);
    identity.put(out);
    out.extend_from_slice(&NO_GENERATION.to_be_bytes());
    put_compact_text(out, ""); // No member,
    out.push(0); // and no static one.
    let position = |out: &mut Vec<u8>, it: &Position<'_>| {
        out.extend_from_slice(&it.partition.to_be_bytes());
        out.extend_from_slice(&it.offset.to_be_bytes());
        out.extend_from_slice(&NO_EPOCH.to_be_bytes());
        put_compact_text(out, it.metadata);
        out.push(0);
    };
    put_topics(out, positions, position, |it| it.topic);
    out.push(0);
}

/// Ends the transaction.
pub(crate) fn write_end(out: &mut Vec<u8>, transactional_id: &str, identity: Identity, commit: bool) {
    put_compact_text(out, transactional_id);
    identity.put(out);
    out.push(u8::from(commit));
    out.push(0);
}

fn put_nullable(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => put_compact_text(out, text),
        None => out.push(0),
    }
}

/// A list of topics, each with a list of the elements that follow one another with its name.
fn put_topics<T>(out: &mut Vec<u8>, elements: &[T], element: impl Fn(&mut Vec<u8>, &T), topic: impl Fn(&T) -> &str) {
    let runs = || elements.chunk_by(|a, b| topic(a) == topic(b));
    put_unsigned_varint(out, runs().count() as u64 + 1);
    for run in runs() {
        put_compact_text(out, run.first().map_or("", &topic));
        put_unsigned_varint(out, run.len() as u64 + 1);
        for it in run {
            element(out, it);
        }
        out.push(0);
    }
}

/// A request that is sent in pieces: batches stay where they are, and lie between the pieces of `small`.
#[derive(Debug, Default)]
pub(crate) struct ProduceRequest {
    /// Everything but the batches' records.
    pub(crate) small: Vec<u8>,
    /// Before which bytes of `small` the records of each batch belong.
    pub(crate) cuts: Vec<usize>,
}

/// A batch as it is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) header: &'a [u8],
    pub(crate) records: &'a [u8],
}

impl ProduceRequest {
    /// Writes the request for `pieces`, sorted by topic, one a partition, behind what [`super::begin`] has begun.
    pub(crate) fn write(&mut self, transactional_id: Option<&str>, timeout_ms: i32, pieces: &[Piece<'_>]) {
        let ProduceRequest { small: out, cuts } = self;
        cuts.clear();
        put_nullable(out, transactional_id);
        out.extend_from_slice(&ACKS_ALL.to_be_bytes());
        out.extend_from_slice(&timeout_ms.to_be_bytes());
        put_unsigned_varint(out, pieces.chunk_by(|a, b| a.topic == b.topic).count() as u64 + 1);
        let mut records = 0;
        for run in pieces.chunk_by(|a, b| a.topic == b.topic) {
            put_compact_text(out, run.first().map_or("", |it| it.topic));
            put_unsigned_varint(out, run.len() as u64 + 1);
            for it in run {
                out.extend_from_slice(&it.partition.to_be_bytes());
                put_compact_bytes_len(out, it.header.len() + it.records.len());
                out.extend_from_slice(it.header);
                cuts.push(out.len());
                records += it.records.len();
                out.push(0);
            }
            out.push(0);
        }
        out.push(0);
        let len = (out.len() - 4 + records) as i32;
        if let Some(head) = out.first_chunk_mut::<4>() {
            *head = len.to_be_bytes();
        }
    }
}

/// What became of one partition's batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    /// 0 for none.
    pub(crate) error: i16,
    /// What the broker says beside the error; empty for nothing.
    pub(crate) message: String,
}

/// What became of the batches of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProduceAnswer {
    pub(crate) written: Vec<Written>,
    /// So long no further request is welcome, ms.
    pub(crate) throttle_ms: i32,
}

pub(crate) fn read_produce(mut answer: Cursor<'_>) -> Result<ProduceAnswer, Broken> {
    let topics = answer.compact_array(|it| {
        let topic = it.compact_text()?;
        let written = it.compact_array(|it| read_written(it, &topic))?;
        it.no_tags()?;
        Ok(written)
    })?;
    let throttle_ms = answer.i32()?;
    answer.no_tags()?;
    Ok(ProduceAnswer { written: topics.into_iter().flatten().collect(), throttle_ms })
}

fn read_written(it: &mut Cursor<'_>, topic: &str) -> Result<Written, Broken> {
    let (partition, error) = (it.i32()?, it.i16()?);
    for _ in ["offset", "time of the log", "start of the log"] {
        it.i64()?;
    }
    it.compact_array(|it| {
        it.i32()?; // Which record.
        it.compact_text()?;
        it.no_tags()
    })?;
    let message = it.compact_text()?;
    it.no_tags()?;
    Ok(Written { topic: topic.to_owned(), partition, error, message })
}

#[cfg(test)]
mod tests;
