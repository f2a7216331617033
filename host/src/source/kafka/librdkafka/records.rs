//! Copies messages out of librdkafka into one arena, and says where the position goes.

use crate::batch::{RawRecord, RawRows, Span};
use crate::kafka::ffi::{Reader, code};
use std::sync::Arc;

/// Bytes of a batch at most, whatever is asked for: spans are 32 bits wide.
const ARENA_BYTES_MAX: usize = 1 << 30;

/// What was taken out of a reader.
pub(super) struct Taken {
    pub(super) rows: RawRows,
    pub(super) offsets: Vec<i64>,
    pub(super) timestamps: Vec<i64>,
    /// Where reading goes on; at most the `end` asked for.
    pub(super) next_offset: i64,
    /// The next message is an error.
    pub(super) blocked: bool,
}

/// Takes the messages that are there, up to a limit, the `end`, or an error.
///
/// | next message                  | effect                                                            |
/// |-------------------------------|-------------------------------------------------------------------|
/// | a record before `end`         | copied; the position is behind it                                 |
/// | a record at or after `end`    | not taken; the position is `end`: what is between will never come |
/// | the partition's end at `n`    | the position is `n`, past markers, aborted and compacted records  |
/// | an error                      | left for the caller                                               |
pub(super) fn take(reader: &mut Reader, position: i64, end: Option<i64>, rows_max: usize, bytes_max: usize) -> Taken {
    let bytes_max = bytes_max.min(ARENA_BYTES_MAX);
    let rows = reader.len().min(rows_max);
    let mut arena = Vec::with_capacity(reader.bytes().min(bytes_max));
    let mut records = Vec::with_capacity(rows);
    let (mut offsets, mut timestamps) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
    let (mut next_offset, mut blocked) = (position, false);
    while let Some(message) = reader.peek() {
        if message.error == code::PARTITION_EOF {
            next_offset = next_offset.max(message.offset);
            reader.advance();
            continue;
        }
        if message.error != code::NONE {
            blocked = true;
            break;
        }
        if end.is_some_and(|end| message.offset >= end) {
            next_offset = message.offset;
            break;
        }
        let size = message.key.map_or(0, <[u8]>::len) + message.value.map_or(0, <[u8]>::len);
        if records.len() >= rows_max || !records.is_empty() && arena.len() + size > bytes_max {
            break;
        }
        let key = append(&mut arena, message.key);
        let value = append(&mut arena, message.value);
        offsets.push(message.offset);
        timestamps.push(message.timestamp);
        next_offset = message.offset + 1;
        let start = arena.len() as u32;
        let headers =
            if reader.headers(&mut arena) { Span { start, len: arena.len() as u32 - start } } else { Span::NULL };
        records.push(RawRecord { key, value, headers });
        reader.advance();
    }
    let next_offset = end.map_or(next_offset, |end| next_offset.min(end)).max(position);
    let rows = RawRows { arena: Arc::new(arena), records };
    Taken { rows, offsets, timestamps, next_offset, blocked }
}

fn append(arena: &mut Vec<u8>, bytes: Option<&[u8]>) -> Span {
    let Some(bytes) = bytes else { return Span::NULL };
    let start = arena.len() as u32;
    arena.extend_from_slice(bytes);
    Span { start, len: bytes.len() as u32 }
}
