//! The questions that a reader asks, and the answers; `writing` has those of a producer.
//!
//! Each is spoken in one version, by hand: the crates that know every version of every message reserve memory for as many
//! elements as an answer claims. The tests compare with one of them.

mod writing;

use super::bytes::{put_compact_text, put_unsigned_varint};
use super::{Broken, Cursor};
use std::ops::Range;

/// A message's number and the version that is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Api {
    pub(super) name: &'static str,
    key: i16,
    version: i16,
    /// The first release that speaks it.
    since: &'static str,
}

pub(super) const API_VERSIONS: Api = Api { name: "ApiVersions", key: 18, version: 0, since: "0.10" };
pub(super) const METADATA: Api = Api { name: "Metadata", key: 3, version: 9, since: "2.4" };
pub(super) const FETCH: Api = Api { name: "Fetch", key: 1, version: 12, since: "2.7" };

pub(crate) use writing::*;

/// What a broker's log says who asks.
const CLIENT_ID: &str = "wasmill";
/// Only what is decided: records of open transactions are not sent, aborted ones are listed.
const READ_COMMITTED: i8 = 1;

/// Begins a request in `out`: its length is filled in by [`finish`].
pub(super) fn begin(out: &mut Vec<u8>, api: Api, correlation: i32) {
    out.clear();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&api.key.to_be_bytes());
    out.extend_from_slice(&api.version.to_be_bytes());
    out.extend_from_slice(&correlation.to_be_bytes());
    out.extend_from_slice(&(CLIENT_ID.len() as i16).to_be_bytes());
    out.extend_from_slice(CLIENT_ID.as_bytes());
    if api != API_VERSIONS {
        out.push(0); // No tagged fields.
    }
}

/// Fills in the length.
pub(super) fn finish(out: &mut [u8]) {
    let len = (out.len() - 4) as i32;
    if let Some(head) = out.first_chunk_mut::<4>() {
        *head = len.to_be_bytes();
    }
}

/// Checks the head of an answer; what follows is its body.
pub(super) fn body(bytes: &[u8], api: Api, correlation: i32) -> Result<Cursor<'_>, Broken> {
    let mut answer = Cursor::new(bytes, 0);
    if answer.i32()? != correlation {
        return Err(Broken("it answers another question"));
    }
    if api != API_VERSIONS {
        answer.no_tags()?;
    }
    Ok(answer)
}

/// Checks that the broker speaks what is needed; the reason where it does not.
pub(super) fn read_api_versions(mut answer: Cursor<'_>, needs: &[Api]) -> Result<Option<String>, Broken> {
    answer.i16()?; // An error is an empty list.
    let mut spoken = Vec::new();
    for _ in 0..answer.i32()? {
        spoken.push((answer.i16()?, answer.i16()?..=answer.i16()?));
    }
    let speaks = |api: &Api| spoken.iter().any(|(key, versions)| *key == api.key && versions.contains(&api.version));
    let missing = needs.iter().find(|it| !speaks(it));
    Ok(missing.map(|it| {
        format!("the broker does not speak {} version {} (Kafka {} and later do)", it.name, it.version, it.since)
    }))
}

/// Asks for some topics.
pub(super) fn write_metadata(out: &mut Vec<u8>, topics: &[String]) {
    put_unsigned_varint(out, topics.len() as u64 + 1);
    for topic in topics {
        put_compact_text(out, topic);
        out.push(0);
    }
    out.extend_from_slice(&[0, 0, 0]); // Do not create it; no authorized operations.
    out.push(0);
}

/// Who leads what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Metadata {
    pub(super) brokers: Vec<Broker>,
    /// The topics' error codes, in the order in which they were asked for; 0 for none.
    pub(super) errors: Vec<i16>,
    pub(super) leaders: Vec<PartitionLeader>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broker {
    pub(super) node: i32,
    pub(super) host: String,
    pub(super) port: u16,
}

impl Broker {
    /// `host:port`.
    pub(super) fn address(&self) -> String {
        let Broker { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PartitionLeader {
    /// The topic's index in what was asked for.
    pub(super) topic: usize,
    pub(super) partition: i32,
    /// -1 for none.
    pub(super) node: i32,
    pub(super) epoch: i32,
}

pub(super) fn read_metadata(mut answer: Cursor<'_>, topics: &[String]) -> Result<Metadata, Broken> {
    answer.i32()?; // Throttled: one answer, and the next question is long away.
    let brokers = answer.compact_array(|it| {
        let (node, host, port) = (it.i32()?, it.compact_text()?, it.i32()?);
        it.compact_text()?; // Rack.
        it.no_tags()?;
        let port = u16::try_from(port).map_err(|_| Broken("a broker has an impossible port"))?;
        Ok(Broker { node, host, port })
    })?;
    answer.compact_text()?; // The cluster's id.
    answer.i32()?; // The controller.
    let found = answer.compact_array(|it| {
        let (error, name) = (it.i16()?, it.compact_text()?);
        it.i8()?; // Internal.
        let topic = topics.iter().position(|it| *it == name).unwrap_or(usize::MAX);
        let leaders = it.compact_array(|it| read_leader(it, topic))?;
        it.i32()?; // Operations.
        it.no_tags()?;
        Ok((topic, error, leaders))
    })?;
    let error = |topic| found.iter().find(|it| it.0 == topic).map(|it| it.1);
    let errors: Option<Vec<_>> = (0..topics.len()).map(error).collect();
    let errors = errors.ok_or(Broken("it does not have a topic that was asked for"))?;
    let leaders = found.into_iter().filter(|it| it.0 != usize::MAX).flat_map(|it| it.2).collect();
    Ok(Metadata { brokers, errors, leaders })
}

fn read_leader(it: &mut Cursor<'_>, topic: usize) -> Result<PartitionLeader, Broken> {
    it.i16()?; // Without a leader is all that it says.
    let leader = PartitionLeader { topic, partition: it.i32()?, node: it.i32()?, epoch: it.i32()? };
    for _ in ["replicas", "in sync", "offline"] {
        it.compact_array(|it| it.i32())?;
    }
    it.no_tags()?;
    Ok(leader)
}

/// What to fetch of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) partition: i32,
    /// The epoch of the leader that is asked, as known here: a broker that was replaced, or that does not know of its election
    /// yet, refuses.
    pub(super) leader_epoch: i32,
    pub(super) offset: i64,
    /// The epoch of the last batch that was fetched, -1 for none: a log that went another way since is told.
    pub(super) last_epoch: i32,
}

/// Limits of a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FetchLimits {
    pub(super) wait_ms: i32,
    pub(super) bytes_max: i32,
    pub(super) partition_bytes_max: i32,
}

/// Asks for records of `topic`, at least one byte of them.
pub(super) fn write_fetch(out: &mut Vec<u8>, topic: &str, wanted: &[Wanted], limits: FetchLimits) {
    out.extend_from_slice(&(-1i32).to_be_bytes()); // No replica.
    out.extend_from_slice(&limits.wait_ms.to_be_bytes());
    out.extend_from_slice(&1i32.to_be_bytes());
    out.extend_from_slice(&limits.bytes_max.to_be_bytes());
    out.extend_from_slice(&READ_COMMITTED.to_be_bytes());
    out.extend_from_slice(&0i32.to_be_bytes()); // No session: what is wanted changes with every request.
    out.extend_from_slice(&(-1i32).to_be_bytes());
    put_unsigned_varint(out, 2); // One topic.
    put_compact_text(out, topic);
    put_unsigned_varint(out, wanted.len() as u64 + 1);
    for it in wanted {
        out.extend_from_slice(&it.partition.to_be_bytes());
        out.extend_from_slice(&it.leader_epoch.to_be_bytes());
        out.extend_from_slice(&it.offset.to_be_bytes());
        out.extend_from_slice(&it.last_epoch.to_be_bytes());
        out.extend_from_slice(&(-1i64).to_be_bytes());
        out.extend_from_slice(&limits.partition_bytes_max.to_be_bytes());
        out.push(0);
    }
    out.push(0);
    put_unsigned_varint(out, 1); // Nothing is forgotten.
    put_compact_text(out, ""); // No rack: leaders only.
    out.push(0);
}

/// What a broker has of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PartitionAnswer {
    pub(super) partition: i32,
    /// 0 for none.
    pub(super) error: i16,
    pub(super) high: i64,
    pub(super) low: i64,
    /// Where the log that the records came from and this one part.
    pub(super) diverged_at: Option<i64>,
    pub(super) aborted: Vec<AbortedTransaction>,
    /// Where the batches are in the answer.
    pub(super) batches: Range<usize>,
}

/// An aborted transaction with records in what was fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AbortedTransaction {
    /// Whose.
    pub(crate) producer_id: i64,
    /// Its first record in the partition.
    pub(crate) first_offset: i64,
}

/// An answer with records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FetchAnswer {
    /// So long no further request is welcome, ms.
    pub(super) throttle_ms: i32,
    /// 0 for none.
    pub(super) error: i16,
    pub(super) partitions: Vec<PartitionAnswer>,
}

pub(super) fn read_fetch(mut answer: Cursor<'_>) -> Result<FetchAnswer, Broken> {
    let throttle_ms = answer.i32()?;
    let error = answer.i16()?;
    answer.i32()?; // Session.
    let topics = answer.compact_array(|it| {
        it.compact_text()?;
        let partitions = it.compact_array(read_partition)?;
        it.no_tags()?;
        Ok(partitions)
    })?;
    answer.no_tags()?;
    Ok(FetchAnswer { throttle_ms, error, partitions: topics.into_iter().flatten().collect() })
}

fn read_partition(it: &mut Cursor<'_>) -> Result<PartitionAnswer, Broken> {
    let (partition, error, high) = (it.i32()?, it.i16()?, it.i64()?);
    it.i64()?; // The last stable offset: nothing after it is sent.
    let low = it.i64()?;
    let aborted = it.compact_array(|it| {
        let aborted = AbortedTransaction { producer_id: it.i64()?, first_offset: it.i64()? };
        it.no_tags()?;
        Ok(aborted)
    })?;
    it.i32()?; // A replica that would be nearer.
    let len = it.compact_len()?.unwrap_or(0);
    let batches = it.skip(len)?;
    let mut diverged_at = None;
    it.tags(|tag, mut it| {
        if tag == 0 {
            it.i32()?; // The epoch.
            diverged_at = Some(it.i64()?).filter(|it| *it >= 0);
        }
        Ok(())
    })?;
    Ok(PartitionAnswer { partition, error, high, low, diverged_at, aborted, batches })
}

#[cfg(test)]
mod tests;
