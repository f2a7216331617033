//! Goes through the records of a batch: where each one's key, value and headers are.

use crate::batch::{RawRecord, Span, headers};
use crate::kafka::wire::{Batch, Broken, Cursor};
use std::ops::Range;

/// No record takes fewer bytes.
const RECORD_BYTES_MIN: usize = 7;

/// Records in columns, as they are handed over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Records {
    /// Ranges of the arena.
    pub(super) records: Vec<RawRecord>,
    /// Increasing.
    pub(super) offsets: Vec<i64>,
    /// Ms since the Unix epoch; -1 for none.
    pub(super) timestamps: Vec<i64>,
}

impl Records {
    /// Drops the rows from `len` on.
    fn truncate(&mut self, len: usize) {
        self.records.truncate(len);
        self.offsets.truncate(len);
        self.timestamps.truncate(len);
    }
}

/// Where headers are put in the form that batches have them in.
#[derive(Debug)]
pub(super) struct Encoded<'a> {
    /// The index in the arena of the first byte of `bytes`.
    pub(super) base: usize,
    pub(super) bytes: &'a mut Vec<u8>,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Walked {
    /// Its records were added; so many bytes of keys, values and headers.
    Added(usize),
    /// There are headers, and no place to put them. Nothing was added.
    Headers,
}

/// Adds the records of `batch`, which are the bytes `range` of `arena`, from the offset `from` on and up to `end`.
///
/// On an error nothing is added. Records are taken as they are only where every length, count and offset fits.
pub(super) fn walk(
    batch: &Batch,
    arena: &[u8],
    range: Range<usize>,
    (from, end): (i64, i64),
    mut encoded: Option<Encoded<'_>>,
    out: &mut Records,
) -> Result<Walked, Broken> {
    let before = out.records.len();
    let walked = Walk { batch, from, end }.all(arena, range, encoded.as_mut(), out);
    if !matches!(walked, Ok(Walked::Added(_))) {
        out.truncate(before);
    }
    walked
}

struct Walk<'a> {
    batch: &'a Batch,
    from: i64,
    end: i64,
}

impl Walk<'_> {
    fn all(
        &self,
        arena: &[u8],
        range: Range<usize>,
        mut encoded: Option<&mut Encoded<'_>>,
        out: &mut Records,
    ) -> Result<Walked, Broken> {
        let batch = self.batch;
        let bytes = arena.get(..range.end).ok_or(Broken("its records end too early"))?;
        let mut cursor = Cursor::new(bytes, range.start);
        let count = batch.count as usize; // Not negative, see `Batch::at`.
        if count > cursor.left() / RECORD_BYTES_MIN {
            return Err(Broken("a batch claims more records than it has room for"));
        }
        out.records.reserve(count);
        out.offsets.reserve(count);
        out.timestamps.reserve(count);
        let last_delta = batch.last_offset - batch.base_offset;
        let (mut previous, mut payload) = (-1, 0);
        for _ in 0..count {
            let record = Record::read(&mut cursor)?;
            if record.offset_delta <= previous || record.offset_delta > last_delta {
                return Err(Broken("a record has an offset outside of its batch"));
            }
            previous = record.offset_delta;
            let offset = batch.base_offset + record.offset_delta;
            let wanted = (self.from..self.end).contains(&offset);
            let headers = record.headers(&mut cursor, if wanted { encoded.as_deref_mut() } else { None })?;
            if cursor.at() != record.end {
                return Err(Broken("a record has another length than it says"));
            }
            if !wanted {
                continue;
            }
            let Some(headers) = headers else { return Ok(Walked::Headers) };
            payload += [record.key, record.value, headers].iter().map(|it| len(*it)).sum::<usize>();
            out.records.push(RawRecord { key: record.key, value: record.value, headers });
            out.offsets.push(offset);
            out.timestamps.push(if batch.is_log_append_time() {
                batch.max_timestamp
            } else {
                batch.base_timestamp.wrapping_add(record.timestamp_delta)
            });
        }
        if cursor.left() > 0 {
            Err(Broken("a batch has more records than it says"))
        } else {
            Ok(Walked::Added(payload))
        }
    }
}

/// A record up to its headers.
struct Record {
    /// Where it ends, by its own word.
    end: usize,
    timestamp_delta: i64,
    offset_delta: i64,
    key: Span,
    value: Span,
    headers: u64,
}

impl Record {
    #[inline]
    fn read(cursor: &mut Cursor<'_>) -> Result<Record, Broken> {
        let len = cursor.varint()?;
        let len = usize::try_from(len).ok().filter(|it| *it <= cursor.left());
        let end = cursor.at() + len.ok_or(Broken("a record is longer than its batch"))?;
        cursor.i8()?; // Attributes: none is defined.
        let (timestamp_delta, offset_delta) = (cursor.varint()?, cursor.varint()?);
        let (key, value) = (span(cursor)?, span(cursor)?);
        let headers = u64::try_from(cursor.varint()?).map_err(|_| Broken("a record has fewer than no headers"))?;
        Ok(Record { end, timestamp_delta, offset_delta, key, value, headers })
    }

    /// Reads the headers, and puts them into `encoded`. None when there are some and no place for them.
    #[inline]
    fn headers(&self, cursor: &mut Cursor<'_>, encoded: Option<&mut Encoded<'_>>) -> Result<Option<Span>, Broken> {
        if self.headers == 0 {
            return Ok(Some(Span::NULL));
        }
        self.some_headers(cursor, encoded)
    }

    #[cold]
    fn some_headers(&self, cursor: &mut Cursor<'_>, encoded: Option<&mut Encoded<'_>>) -> Result<Option<Span>, Broken> {
        let mut encoded = encoded;
        let before = encoded.as_ref().map_or(0, |it| it.bytes.len());
        for _ in 0..self.headers {
            let len = u64::try_from(cursor.varint()?).map_err(|_| Broken("a header has no name"))?;
            let name = cursor.take(len)?;
            let value = match cursor.varint()? {
                ..0 => None,
                len => Some(cursor.take(len.unsigned_abs())?),
            };
            if let Some(encoded) = &mut encoded {
                headers::push(encoded.bytes, name, value);
            }
        }
        let Some(encoded) = encoded else { return Ok(None) };
        let start = narrow(encoded.base + before)?;
        Ok(Some(Span { start, len: narrow(encoded.bytes.len() - before)? }))
    }
}

/// A length and so many bytes; a negative length is null.
#[inline]
fn span(cursor: &mut Cursor<'_>) -> Result<Span, Broken> {
    let len = cursor.varint()?;
    if len < 0 {
        return Ok(Span::NULL);
    }
    let range = cursor.skip(len.unsigned_abs())?;
    Ok(Span { start: narrow(range.start)?, len: narrow(range.len())? })
}

/// Spans are 32 bits wide, and the largest number is null.
#[inline]
fn narrow(value: usize) -> Result<u32, Broken> {
    u32::try_from(value).ok().filter(|it| *it < u32::MAX).ok_or(Broken("it is larger than 4 GiB"))
}

/// Bytes of a span.
#[inline]
pub(super) fn len(span: Span) -> usize {
    if span.is_null() { 0 } else { span.len as usize }
}
