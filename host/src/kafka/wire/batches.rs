//! The header of a record batch (format 2: Kafka 0.11 and later), and where the next one begins.

use super::{Broken, Cursor};
use std::ops::Range;

/// Bytes before the records of a batch.
const HEADER_BYTES: usize = 61;
/// Bytes before what `length` counts.
const LENGTH_END: usize = 12;
/// Where the bytes begin that the checksum covers.
const CHECKED_FROM: usize = 21;

/// The header of a batch.
///
/// | bytes | field                                                                        |
/// |-------|------------------------------------------------------------------------------|
/// | 0-7   | base offset                                                                  |
/// | 8-11  | length of what follows                                                       |
/// | 12-15 | epoch of the leader that wrote it                                            |
/// | 16    | format (2)                                                                   |
/// | 17-20 | CRC-32C of all that follows                                                  |
/// | 21-22 | attributes: codec (0-2), time of the log (3), transactional (4), control (5) |
/// | 23-26 | last offset delta                                                            |
/// | 27-34 | base timestamp, ms                                                           |
/// | 35-42 | largest timestamp, ms                                                        |
/// | 43-50 | producer's id, -1 for none                                                   |
/// | 51-56 | producer's epoch and base sequence                                           |
/// | 57-60 | how many records                                                             |
///
/// Compaction keeps `base offset` and `last offset delta` when it takes records out; a batch may be left without any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    /// Offsets are relative to this.
    pub(crate) base_offset: i64,
    /// The last offset that the batch accounts for.
    pub(crate) last_offset: i64,
    /// Of the leader.
    pub(crate) epoch: i32,
    /// Timestamps are relative to this.
    pub(crate) base_timestamp: i64,
    /// Every record's timestamp where the log sets it.
    pub(crate) max_timestamp: i64,
    /// -1 for none.
    pub(crate) producer_id: i64,
    /// As the header says; not checked.
    pub(crate) count: i32,
    attributes: i16,
    crc: u32,
    /// The whole batch.
    pub(crate) range: Range<usize>,
}

/// Why there is no batch to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoBatch {
    /// The bytes end, between two batches or within one: brokers cut where the limit of a fetch is.
    End,
    /// Written in a format that is not read here.
    Format(i8),
    /// No batch at all.
    Broken(Broken),
}

impl Batch {
    /// The batch that begins at `at`, with all its bytes there.
    pub(crate) fn at(bytes: &[u8], at: usize) -> Result<Batch, NoBatch> {
        let mut header = Cursor::new(bytes, at);
        let read = |header: &mut Cursor<'_>| {
            let (base_offset, length) = (header.i64()?, header.i32()?);
            let (epoch, format) = (header.i32()?, header.i8()?);
            Ok::<_, Broken>((base_offset, length, epoch, format))
        };
        let Ok((base_offset, length, epoch, format)) = read(&mut header) else { return Err(NoBatch::End) };
        // Older formats have the length and the format's number in the same places.
        if format != 2 {
            return Err(NoBatch::Format(format));
        }
        let broken = |it| NoBatch::Broken(Broken(it));
        let length = usize::try_from(length).ok().filter(|it| it + LENGTH_END >= HEADER_BYTES);
        let length = length.ok_or(broken("a batch is shorter than its header"))?;
        if length > bytes.len() - at - LENGTH_END {
            return Err(NoBatch::End);
        }
        let mut batch = Batch {
            base_offset,
            last_offset: -1,
            epoch,
            base_timestamp: -1,
            max_timestamp: -1,
            producer_id: -1,
            count: 0,
            attributes: 0,
            crc: 0,
            range: at..at + LENGTH_END + length,
        };
        let delta = batch.rest(&mut header).map_err(NoBatch::Broken)?;
        let last = u32::try_from(delta).ok().and_then(|it| base_offset.checked_add(i64::from(it)));
        batch.last_offset = last.filter(|_| base_offset >= 0).ok_or(broken("a batch has impossible offsets"))?;
        if batch.last_offset == i64::MAX || batch.count < 0 {
            return Err(broken("a batch has impossible offsets"));
        }
        Ok(batch)
    }

    fn rest(&mut self, header: &mut Cursor<'_>) -> Result<i32, Broken> {
        self.crc = header.u32()?;
        self.attributes = header.i16()?;
        let delta = header.i32()?;
        self.base_timestamp = header.i64()?;
        self.max_timestamp = header.i64()?;
        self.producer_id = header.i64()?;
        header.i16()?;
        header.i32()?;
        self.count = header.i32()?;
        Ok(delta)
    }

    /// The offset after the batch.
    pub(crate) fn next_offset(&self) -> i64 {
        self.last_offset + 1 // Less than the largest number, see `at`.
    }

    /// Which codec: 0 is none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.
    pub(crate) fn codec(&self) -> u8 {
        (self.attributes & 7) as u8
    }

    /// True where the log sets the timestamps.
    pub(crate) fn is_log_append_time(&self) -> bool {
        self.attributes & 8 != 0
    }

    /// True for records of a transaction.
    pub(crate) fn is_transactional(&self) -> bool {
        self.attributes & 16 != 0
    }

    /// True for a batch that ends a transaction, or says something else that is no record of anybody's.
    pub(crate) fn is_control(&self) -> bool {
        self.attributes & 32 != 0
    }

    /// Where the records are.
    pub(crate) fn records(&self) -> Range<usize> {
        self.range.start + HEADER_BYTES..self.range.end
    }

    /// Compares the checksum.
    pub(crate) fn check(&self, bytes: &[u8]) -> Result<(), Broken> {
        let checked = bytes.get(self.range.start + CHECKED_FROM..self.range.end).unwrap_or_default();
        if crc32c::crc32c(checked) == self.crc { Ok(()) } else { Err(Broken("a batch does not match its checksum")) }
    }
}
