//! How window state is laid out in a snapshot.
//!
//! | operator | key                                  | value                                                        |
//! |----------|--------------------------------------|--------------------------------------------------------------|
//! | panes    | canonical key, number of the pane    | flags `u8`, accumulator                                      |
//! | sessions | canonical key, first event time      | flags `u8`, last event time `i64`, accumulator               |
//! | rolling  | canonical key, number of the bucket  | for each record: time `i64`, length `varint`, accumulator    |
//! | sliding  | canonical key, event time            | for each record: number `varint`, length `varint`,           |
//! |          |                                      | accumulator                                                  |
//! | repeated | canonical key, start of the window   | see below                                                    |
//! | counted  | canonical key, 0                     | waiting `varint`, then for each part: first and last event   |
//! |          |                                      | time `i64`, records `varint`, length `varint`, accumulator   |
//!
//! A window that remembers what it wrote is: flags `u8` (bit 0: its pane on time was due), end, next early pane, first and last
//! time of its records `i64`, records since the last pane and panes `varint`, length `varint` and accumulator; then for each row that stands: start and end `i64`,
//! whether there is an accumulator `u8`, its length `varint`, it.
//!
//! The number in a key is 8 bytes, big-endian, with the sign bit flipped, so that the entries of a key sort by time; all
//! else is little-endian. A `varint` is LEB128: 7 bits a byte, the lowest first, the top bit set on all but the last; a
//! signed one is zigzag (0, -1, 1, -2, ...). Bit 0 of the flags: changed, and not yet reported by `emit = { every = ... }`. The watermark is
//! not part of it: the worker keeps one for all operators and hands it to `resume`.

use super::accumulators::{Accumulators, SlotId};
use crate::batch;
use crate::column::Strings;
use crate::state::{Delta, TableId};

/// Flag: the entry has changes that were not reported.
pub(super) const CHANGED: u8 = 1;

const SIGN: u64 = 1 << 63;
/// What an entry of a delta has besides its key and value, bytes, about.
const ENTRY_BYTES: usize = 16;

/// Scratch for an entry of a delta.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) name: Vec<u8>,
    pub(super) value: Vec<u8>,
    /// For an accumulator in the value.
    pub(super) accumulator: Vec<u8>,
}

/// State that cannot be read back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("window state: {what} has {found} bytes, expected {expected}; the snapshot is damaged or of another pipeline")]
pub struct StateError {
    /// Which part.
    pub what: &'static str,
    /// Its length.
    pub found: usize,
    /// What it should be.
    pub expected: &'static str,
}

/// Writes the key of an entry over `out`.
pub(super) fn key(out: &mut Vec<u8>, text: &[u8], number: i64) {
    out.clear();
    out.extend_from_slice(text);
    out.extend_from_slice(&((number as u64) ^ SIGN).to_be_bytes());
}

/// The canonical key and the number in the key of an entry.
pub(super) fn split(key: &[u8]) -> Result<(&[u8], i64), StateError> {
    let wrong = StateError { what: "key of an entry", found: key.len(), expected: "at least 8" };
    let (text, number) = key.split_last_chunk::<8>().ok_or(wrong)?;
    Ok((text, (u64::from_be_bytes(*number) ^ SIGN) as i64))
}

/// Takes the first `N` bytes off `bytes`.
pub(super) fn take<const N: usize>(bytes: &mut &[u8], what: &'static str) -> Result<[u8; N], StateError> {
    let wrong = StateError { what, found: bytes.len(), expected: "more" };
    let (head, rest) = bytes.split_first_chunk::<N>().ok_or(wrong)?;
    *bytes = rest;
    Ok(*head)
}

/// Writes `value` as a `varint`.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u128) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Takes a `varint` off `bytes`; of one that is too long, the excess is ignored.
pub(super) fn take_varint(bytes: &mut &[u8], what: &'static str) -> Result<u128, StateError> {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let [byte] = take(bytes, what)?;
        value |= u128::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte < 0x80 {
            break;
        }
    }
    Ok(value)
}

/// Writes `bytes` with their length before them, a `varint`.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u128);
    out.extend_from_slice(bytes);
}

/// Writes an accumulator with its length before it, a `varint`. `scratch` is overwritten.
pub(super) fn put_accumulator<A: Accumulators>(out: &mut Vec<u8>, folds: &A, slot: SlotId, scratch: &mut Vec<u8>) {
    scratch.clear();
    folds.encode(slot, scratch);
    put_bytes(out, scratch);
}

/// Takes off `bytes` what [`put_bytes`] wrote.
pub(super) fn take_bytes<'a>(bytes: &mut &'a [u8], what: &'static str) -> Result<&'a [u8], StateError> {
    let len = usize::try_from(take_varint(bytes, what)?).unwrap_or(usize::MAX);
    let wrong = StateError { what, found: bytes.len(), expected: "more" };
    let (head, rest) = bytes.split_at_checked(len).ok_or(wrong)?;
    *bytes = rest;
    Ok(head)
}

/// A signed number as one that is small where it is near 0.
pub(super) fn zigzag(value: i128) -> u128 {
    ((value << 1) ^ (value >> 127)) as u128
}

/// The inverse of [`zigzag`].
pub(super) fn unzigzag(value: u128) -> i128 {
    (value >> 1) as i128 ^ -((value & 1) as i128)
}

/// Entries that a snapshot holds and that are gone since.
#[derive(Debug, Default)]
pub(super) struct Removed {
    keys: Strings,
    groups: Vec<u16>,
}

impl Removed {
    /// Notes that the entry of `text` and `number` is gone.
    pub(super) fn push(&mut self, hash: u64, text: &[u8], number: i64) {
        self.keys.data.extend_from_slice(text);
        self.keys.data.extend_from_slice(&((number as u64) ^ SIGN).to_be_bytes());
        self.keys.finish();
        self.groups.push(batch::key_group(hash));
    }

    /// What the deletions take in a snapshot, bytes, about.
    pub(super) fn bytes(&self) -> usize {
        self.keys.data.len() + self.groups.len() * ENTRY_BYTES
    }

    /// Writes the deletions. They come before what the same seal puts: an entry may be gone and back.
    pub(super) fn seal(&mut self, table: TableId, delta: &mut Delta) {
        if self.groups.is_empty() {
            return;
        }
        for (key, &group) in self.keys.iter().zip(&self.groups) {
            delta.delete(table, group, key);
        }
        *self = Removed::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_a_key_sort_by_number() {
        let numbers = [i64::MIN, -1, 0, 1, i64::MAX];
        let keys = numbers.map(|it| {
            let mut out = Vec::new();
            key(&mut out, b"\"ann\"", it);
            out
        });
        assert!(keys.is_sorted());
        assert_eq!(keys.each_ref().map(|it| split(it).unwrap()), numbers.map(|it| (&b"\"ann\""[..], it)));
    }

    #[test]
    fn numbers_of_any_size_come_back_and_small_ones_are_short() {
        for value in [0, -1, 63, -64, 64, i128::from(i64::MIN), i128::MAX, i128::MIN] {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, zigzag(value));
            assert_eq!(bytes.len() == 1, (-64..64).contains(&value));
            assert_eq!(unzigzag(take_varint(&mut &bytes[..], "a number").unwrap()), value);
            assert!(take_varint(&mut &bytes[..bytes.len() - 1], "a number").is_err());
        }
        assert_eq!(take_bytes(&mut &b"\x03ann."[..], "a text"), Ok(&b"ann"[..]));
        assert!(take_bytes(&mut &b"\x03an"[..], "a text").is_err());
        assert!(take_varint(&mut &[0xff; 40][..], "a number").is_err(), "it never ends");
    }

    #[test]
    fn a_key_that_is_too_short_is_refused_with_its_length() {
        assert_eq!(
            split(b"ann").unwrap_err().to_string(),
            "window state: key of an entry has 3 bytes, expected at least 8; the snapshot is damaged or of another pipeline"
        );
    }
}
