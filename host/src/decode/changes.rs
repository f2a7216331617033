//! Change streams in Debezium's envelope: each record says how one row of a table changed, and what goes on is the row.
//!
//! | `op`                  | what the record becomes                                                    |
//! |-----------------------|----------------------------------------------------------------------------|
//! | `c`, `u`, `r`         | its `after`                                                                |
//! | `d`                   | a tombstone; where the record has no key, its `before` stands for one      |
//! | `t`, `m`              | nothing: a table emptied as a whole and a message are no change of a row   |
//! | none: a null value    | nothing: it follows a `d`, which has said so already                       |
//!
//! Its own time is when the database made the change (`source.ts_ms`), or when it was read (`ts_ms`). The envelope may stand in
//! a `payload` beside a `schema`. Rows are ranges of the bytes that were read: nothing is copied.

use super::Decoded;
use super::projection::{Projection, ProjectionError};
use super::scan::Scanner;
use crate::batch::{Batch, RawBatch, RawRecord, Reject, Span};
use crate::column::Kind;
use crate::config::{EventTimeOptions, Format, Late, TimeFormat};
use std::sync::Arc;

/// The parts of an envelope that are looked at, in this order; then the same in a `payload`.
const PARTS: [&str; 5] = ["op", "before", "after", "ts_ms", "source.ts_ms"];

/// Reads envelopes.
#[derive(Debug)]
pub(super) struct Envelopes {
    projection: Projection,
}

/// What a record becomes.
enum Change {
    /// This record, with its time where the envelope has one.
    Row(RawRecord, Option<i64>),
    Nothing,
}

impl Envelopes {
    pub(super) fn new() -> Result<Self, ProjectionError> {
        let own_time = EventTimeOptions {
            field: None,
            format: TimeFormat::EpochMs,
            delay_ms: 0,
            idle_timeout_ms: None,
            drift_ms_max: None,
            late: Late::Drop,
        };
        let bare = PARTS.iter().map(|it| Arc::from(*it));
        let wrapped = PARTS.iter().map(|it| Arc::from(format!("payload.{it}")));
        let wanted: Vec<_> = bare.chain(wrapped).map(|it| (it, Kind::Json)).collect();
        Ok(Envelopes { projection: Projection::plan(&wanted, &own_time, Format::Json)? })
    }

    /// The rows of a batch of envelopes; and those that are none, with why.
    pub(super) fn open(&self, raw: RawBatch) -> (RawBatch, Vec<Reject>, Option<Batch>) {
        let arena = Arc::clone(&raw.rows.arena);
        let mut opened = RawBatch {
            rows: crate::batch::RawRows { arena: Arc::clone(&arena), records: Vec::with_capacity(raw.offsets.len()) },
            offsets: Vec::with_capacity(raw.offsets.len()),
            timestamps: Vec::with_capacity(raw.offsets.len()),
            ..raw
        };
        let mut slots = vec![None; self.projection.slots];
        let mut rejects = Vec::new();
        for (row, record) in raw.rows.records.iter().enumerate() {
            match self.read(&arena, *record, &mut slots) {
                Ok(Change::Row(record, time)) => {
                    opened.rows.records.push(record);
                    opened.offsets.push(raw.offsets[row]);
                    opened.timestamps.push(time.unwrap_or(raw.timestamps[row]));
                }
                Ok(Change::Nothing) => {}
                Err(reason) => rejects.push(Reject { row: row as u32, reason }),
            }
        }
        let refused: Vec<u32> = rejects.iter().map(|it| it.row).collect();
        let rejected = (!refused.is_empty()).then(|| Batch {
            rows: refused.len(),
            origin: Some(raw.origin),
            offsets: refused.iter().map(|&it| raw.offsets[it as usize]).collect(),
            times: refused.iter().map(|&it| raw.timestamps[it as usize]).collect(),
            raw: Some(raw.rows.gather(&refused)),
            key: None,
            value: None,
            headers: Vec::new(),
            columns: Vec::new(),
        });
        (opened, rejects, rejected)
    }

    fn read<'a>(&self, arena: &'a [u8], record: RawRecord, slots: &mut [Option<&'a [u8]>]) -> Result<Change, String> {
        let Some(value) = record.value.of(arena) else { return Ok(Change::Nothing) };
        slots.fill(None);
        Scanner::new(value)
            .and_then(|mut it| it.document(&self.projection.root, slots))
            .map_err(|fault| fault.reason(value))?;
        let parts: Vec<Option<&[u8]>> = self.projection.columns.iter().map(|it| slots[it.slot]).collect();
        let (bare, wrapped) = parts.split_at(PARTS.len());
        let parts = if bare[0].is_some() { bare } else { wrapped };
        let [op, before, after, read_ms, made_ms] = parts else { return Ok(Change::Nothing) };
        let object = |it: &Option<&'a [u8]>| it.filter(|it| it.first() == Some(&b'{')).map(|it| span(arena, it));
        let ms = |it: &Option<&[u8]>| super::number::integer((*it)?).filter(|it| *it > 0);
        let time = ms(made_ms).or_else(|| ms(read_ms));
        match *op {
            Some(br#""c""# | br#""u""# | br#""r""#) => match object(after) {
                Some(value) => Ok(Change::Row(RawRecord { value, ..record }, time)),
                None => Err("a change without its row: field `after` is not an object".to_owned()),
            },
            Some(br#""d""#) => {
                let key = if record.key.is_null() { object(before).unwrap_or(Span::NULL) } else { record.key };
                Ok(Change::Row(RawRecord { key, value: Span::NULL, ..record }, time))
            }
            Some(br#""t""# | br#""m""#) => Ok(Change::Nothing),
            Some(other) => Err(format!(
                "field `op` is {}, expected \"c\", \"u\", \"d\", \"r\", \"t\" or \"m\" of a change in Debezium's envelope",
                String::from_utf8_lossy(other)
            )),
            None => Err("field `op` is missing: the record is no change in Debezium's envelope".to_owned()),
        }
    }
}

/// Where `part` is in `arena`, which it is a range of.
fn span(arena: &[u8], part: &[u8]) -> Span {
    Span { start: (part.as_ptr().addr() - arena.as_ptr().addr()) as u32, len: part.len() as u32 }
}

/// Adds the records that were no envelopes to what was decoded of the others.
pub(super) fn with_refused(mut decoded: Decoded, mut rejects: Vec<Reject>, rejected: Option<Batch>) -> Decoded {
    let Some(mut first) = rejected else { return decoded };
    if let Some(second) = decoded.rejected.take() {
        first.rows += second.rows;
        first.offsets.extend(second.offsets);
        first.times.extend(second.times);
        if let (Some(first), Some(second)) = (&mut first.raw, second.raw) {
            first.records.extend(second.records); // Of the same arena.
        }
    }
    rejects.append(&mut decoded.rejects);
    Decoded { rejects, rejected: Some(first), ..decoded }
}

#[cfg(test)]
mod tests {
    use crate::batch::{Origin, RawBatch, RawRecord, RawRows, Span};
    use crate::column::{Kind, Values};
    use crate::config::{EventTimeOptions, Format, Late, TimeFormat};
    use crate::decode::{Decoder, Projection};
    use std::sync::Arc;

    fn raw(records: &[(Option<&str>, Option<&str>)]) -> RawBatch {
        let mut arena = Vec::new();
        let mut put = |text: Option<&str>| match text {
            None => Span::NULL,
            Some(text) => {
                let start = arena.len() as u32;
                arena.extend_from_slice(text.as_bytes());
                Span { start, len: text.len() as u32 }
            }
        };
        let spans =
            records.iter().map(|(key, value)| RawRecord { key: put(*key), value: put(*value), headers: Span::NULL });
        let records: Vec<_> = spans.collect();
        let rows = records.len();
        RawBatch {
            origin: Origin { source: 0, partition: 0 },
            rows: RawRows { arena: Arc::new(arena), records },
            offsets: (0..rows as i64).collect(),
            timestamps: vec![9_000; rows],
            next_offset: rows as i64,
        }
    }

    #[test]
    fn a_change_becomes_its_row_a_tombstone_or_nothing() {
        let own_time = EventTimeOptions {
            field: None,
            format: TimeFormat::EpochMs,
            delay_ms: 0,
            idle_timeout_ms: None,
            drift_ms_max: None,
            late: Late::Drop,
        };
        let projection = Projection::plan(&[("id".into(), Kind::S64)], &own_time, Format::Json).unwrap();
        let decoded = Decoder::new(projection).of_changes().unwrap().decode(raw(&[
            (None, Some(r#"{"before":null,"after":{"id":1},"op":"c","ts_ms":20,"source":{"ts_ms":10}}"#)),
            (Some("k"), Some(r#"{"schema":{},"payload":{"before":{"id":1},"after":{"id":2},"op":"u","ts_ms":30}}"#)),
            (None, Some(r#"{"before":{"id":3},"after":null,"op":"d","ts_ms":40}"#)),
            (Some("k"), None),
            (None, Some(r#"{"op":"t","ts_ms":50}"#)),
            (None, Some(r#"{"id":4}"#)),
            (None, Some(r#"{"op":"x","after":{"id":5}}"#)),
            (None, Some(r#"{"op":"u","after":null}"#)),
            (None, Some(r#"{"op":"r","after":{"id":6}}"#)),
            (None, Some("nonsense")),
        ]));
        let batch = decoded.batch;
        assert_eq!(batch.columns[0].values, Values::S64(vec![1, 2, 0, 6]));
        assert_eq!(batch.columns[0].nulls, [0, 0, 1, 0]);
        assert_eq!(batch.times, [10, 30, 40, 9_000]);
        assert_eq!(batch.offsets, [0, 1, 2, 8]);
        let rows = batch.raw.unwrap();
        let shown = |it: Option<&[u8]>| it.map(|it| String::from_utf8_lossy(it).into_owned());
        assert_eq!(shown(rows.value(1)).as_deref(), Some(r#"{"id":2}"#));
        assert_eq!((shown(rows.key(2)).as_deref(), rows.value(2)), (Some(r#"{"id":3}"#), None));
        let reasons: Vec<String> = decoded.rejects.into_iter().map(|it| format!("{}: {}", it.row, it.reason)).collect();
        expect_test::expect![[r#"
            5: field `op` is missing: the record is no change in Debezium's envelope
            6: field `op` is "x", expected "c", "u", "d", "r", "t" or "m" of a change in Debezium's envelope
            7: a change without its row: field `after` is not an object
            9: value is not JSON: found 'n' at byte 0, expected a value"#]]
        .assert_eq(&reasons.join("\n"));
        let rejected = decoded.rejected.unwrap();
        assert_eq!((rejected.rows, rejected.offsets), (4, vec![5, 6, 7, 9]));
    }
}
