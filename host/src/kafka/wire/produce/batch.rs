//! A record batch being written (format 2; the header is that of [`super::super::Batch`]), and the bytes that it is sent as.

use super::super::bytes::{put_varint, varint_len};
use super::super::messages::Identity;
use super::codec::{Codec, Codecs};
use crate::batch::headers;
use crate::kafka::{Deadline, Outgoing};
use std::sync::OnceLock;

/// Bytes before the records of a batch.
pub(super) const HEADER_BYTES: usize = 61;
/// Where the bytes begin that the checksum covers.
const CHECKED_FROM: usize = 21;
/// Bytes before what the length counts.
const LENGTH_END: usize = 12;
/// Records of a transaction.
const TRANSACTIONAL: i16 = 1 << 4;
/// What a record has at most beside key, value and headers: seven numbers.
const RECORD_OVERHEAD_BYTES: usize = 5 + 1 + 10 + 5 + 5 + 5 + 5;

/// Records that go to one partition, as they are written one after the other.
#[derive(Debug, Default)]
pub(crate) struct Writing {
    records: Vec<u8>,
    count: i32,
    base_timestamp: i64,
    max_timestamp: i64,
}

impl Writing {
    /// An empty batch in the memory of `records`, with room for `bytes`.
    pub(super) fn within(mut records: Vec<u8>, bytes: usize) -> Writing {
        records.clear();
        records.reserve(bytes);
        Writing { records, ..Writing::default() }
    }

    /// True while there is no record.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of the whole batch, not compressed.
    pub(crate) fn bytes(&self) -> usize {
        HEADER_BYTES + self.records.len()
    }

    /// Adds a record, with its time.
    #[inline]
    pub(crate) fn push(&mut self, record: &Outgoing<'_>, timestamp: i64) {
        if self.count == 0 {
            (self.base_timestamp, self.max_timestamp) = (timestamp, timestamp);
        }
        self.max_timestamp = self.max_timestamp.max(timestamp);
        let (since, offset) = (timestamp.wrapping_sub(self.base_timestamp), i64::from(self.count));
        self.count += 1;
        let headers_len = if record.headers.is_empty() { 1 } else { headers_len(record.headers) };
        let len = 1 + varint_len(since) + varint_len(offset) + len(record.key) + len(record.value) + headers_len;
        let out = &mut self.records;
        out.reserve(len + RECORD_OVERHEAD_BYTES);
        put_varint(out, len as i64);
        out.push(0); // Attributes: none is defined.
        put_varint(out, since);
        put_varint(out, offset);
        put(out, record.key);
        put(out, record.value);
        if record.headers.is_empty() {
            out.push(0);
        } else {
            put_headers(out, record.headers);
        }
    }

    /// What was written, to be sent by `producer` with its records numbered from `sequence` on.
    pub(super) fn seal(self, partition: usize, codec: Codec, producer: Sender, sequence: i32) -> Sealed {
        let ready = OnceLock::new();
        Sealed { partition, written: self, codec, producer, sequence, ready, queued: Deadline::after(0) }
    }
}

/// Whose batch it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sender {
    pub(super) identity: Identity,
    pub(super) transactional: bool,
}

/// A batch that is not written to any more. It is sent as the same bytes however often it is sent.
#[derive(Debug)]
pub(super) struct Sealed {
    /// The partition's index in its producer.
    pub(super) partition: usize,
    written: Writing,
    codec: Codec,
    producer: Sender,
    sequence: i32,
    ready: OnceLock<Ready>,
    /// Since when it waits.
    pub(super) queued: Deadline,
}

#[derive(Debug)]
struct Ready {
    header: [u8; HEADER_BYTES],
    /// None where the records are sent as they are.
    compressed: Option<Vec<u8>>,
}

impl Sealed {
    /// Bytes that it takes in memory.
    pub(super) fn bytes(&self) -> usize {
        self.written.bytes()
    }

    /// How many records there are.
    pub(super) fn count(&self) -> i32 {
        self.written.count
    }

    /// The header and the records, which are compressed when they are first asked for.
    pub(super) fn parts(&self, codecs: &mut Codecs) -> (&[u8], &[u8]) {
        let ready = self.ready.get_or_init(|| {
            let compressed = codecs.compress(self.codec, &self.written.records);
            let codec = if compressed.is_some() { self.codec } else { Codec::None };
            let header = self.header(codec, compressed.as_deref().unwrap_or(&self.written.records));
            Ready { header, compressed }
        });
        (&ready.header, ready.compressed.as_deref().unwrap_or(&self.written.records))
    }

    fn header(&self, codec: Codec, records: &[u8]) -> [u8; HEADER_BYTES] {
        let Sealed { written, producer, .. } = self;
        let attributes = codec as i16 | if producer.transactional { TRANSACTIONAL } else { 0 };
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend_from_slice(&0i64.to_be_bytes()); // The log gives the offset.
        header.extend_from_slice(&((HEADER_BYTES - LENGTH_END + records.len()) as i32).to_be_bytes());
        header.extend_from_slice(&(-1i32).to_be_bytes()); // The leader gives its epoch.
        header.push(2);
        header.extend_from_slice(&[0; 4]); // The checksum, below.
        header.extend_from_slice(&attributes.to_be_bytes());
        header.extend_from_slice(&(written.count - 1).to_be_bytes());
        header.extend_from_slice(&written.base_timestamp.to_be_bytes());
        header.extend_from_slice(&written.max_timestamp.to_be_bytes());
        header.extend_from_slice(&producer.identity.id.to_be_bytes());
        header.extend_from_slice(&producer.identity.epoch.to_be_bytes());
        header.extend_from_slice(&self.sequence.to_be_bytes());
        header.extend_from_slice(&written.count.to_be_bytes());
        let checked = header.get(CHECKED_FROM..).unwrap_or_default();
        let crc = crc32c::crc32c_append(crc32c::crc32c(checked), records).to_be_bytes();
        for (at, byte) in header.iter_mut().skip(CHECKED_FROM - crc.len()).zip(crc) {
            *at = byte;
        }
        header.try_into().unwrap_or([0; HEADER_BYTES]) // As many were written.
    }

    /// The memory of the records, to be used again.
    pub(super) fn memory(self) -> Vec<u8> {
        self.written.records
    }
}

/// The sequence number that comes `count` records after `sequence`: after the largest comes 0.
pub(super) fn sequence_after(sequence: i32, count: i32) -> i32 {
    ((i64::from(sequence) + i64::from(count)) & i64::from(i32::MAX)) as i32
}

fn len(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(1, |it| varint_len(it.len() as i64) + it.len())
}

#[inline]
fn put(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => {
            put_varint(out, bytes.len() as i64);
            out.extend_from_slice(bytes);
        }
        None => out.push(1), // -1
    }
}

#[cold]
fn headers_len(encoded: &[u8]) -> usize {
    let (mut count, mut bytes) = (0, 0);
    for (name, value) in headers::iter(encoded) {
        count += 1;
        bytes += len(Some(name)) + len(value);
    }
    varint_len(count) + bytes
}

#[cold]
fn put_headers(out: &mut Vec<u8>, encoded: &[u8]) {
    put_varint(out, headers::iter(encoded).count() as i64);
    for (name, value) in headers::iter(encoded) {
        put(out, Some(name));
        put(out, value);
    }
}

#[cfg(test)]
mod tests;
