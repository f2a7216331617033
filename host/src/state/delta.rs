//! The changes of one worker's state in one epoch, as bytes.
//!
//! An entry is `table: u16, group: u16, key length: u32, value length: u32, key, value`, little-endian, end to end; a value
//! length of `u32::MAX` deletes. Later entries win over earlier ones of the same table and key.

use super::TableId;

/// Changes since the last barrier, in the order in which they were made.
#[derive(Clone, Debug, Default)]
pub struct Delta {
    bytes: Vec<u8>,
    entries: u64,
}

/// One change: the new value of a key in a table, or its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The operator's table.
    pub table: TableId,
    /// The key group that owns the entry.
    pub group: u16,
    /// The operator's key, in its own form.
    pub key: &'a [u8],
    /// The new value in the operator's own form; none deletes.
    pub value: Option<&'a [u8]>,
}

const HEADER_BYTES: usize = 12;

impl Delta {
    /// Sets `key` to `value`.
    pub fn put(&mut self, table: TableId, group: u16, key: &[u8], value: &[u8]) {
        self.push(Entry { table, group, key, value: Some(value) });
    }

    /// Deletes `key`.
    pub fn delete(&mut self, table: TableId, group: u16, key: &[u8]) {
        self.push(Entry { table, group, key, value: None });
    }

    /// Adds an entry.
    pub fn push(&mut self, entry: Entry<'_>) {
        self.bytes.extend_from_slice(&entry.table.0.to_le_bytes());
        self.bytes.extend_from_slice(&entry.group.to_le_bytes());
        self.bytes.extend_from_slice(&(entry.key.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(&entry.value.map_or(u32::MAX, |it| it.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(entry.key);
        self.bytes.extend_from_slice(entry.value.unwrap_or_default());
        self.entries += 1;
    }

    /// Adds all entries of `other` and leaves none there.
    pub fn append(&mut self, other: &mut Delta) {
        self.bytes.extend_from_slice(&other.bytes);
        self.entries += other.entries;
        *other = Delta::default();
    }

    /// How many entries there are.
    pub fn len(&self) -> u64 {
        self.entries
    }

    /// True when nothing changed.
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// The entries as they are stored.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads entries back. Ends early, with `None`, at bytes that no [`Delta`] wrote: callers check the checksum first.
#[derive(Clone, Debug)]
pub struct Entries<'a>(pub &'a [u8]);

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        let (head, rest) = self.0.split_first_chunk::<HEADER_BYTES>()?;
        let u16_at = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
        let u32_at = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (key, rest) = rest.split_at_checked(u32_at(4) as usize)?;
        let (value, rest) = match u32_at(8) {
            u32::MAX => (None, rest),
            len => {
                let (value, rest) = rest.split_at_checked(len as usize)?;
                (Some(value), rest)
            }
        };
        self.0 = rest;
        Some(Entry { table: TableId(u16_at(0)), group: u16_at(2), key, value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_as_written_and_a_torn_tail_is_not_read() {
        let mut delta = Delta::default();
        delta.put(TableId(1), 127, b"ann", b"");
        delta.delete(TableId(2), 0, b"");
        let read: Vec<_> = Entries(delta.bytes()).collect();
        assert_eq!(read[0], Entry { table: TableId(1), group: 127, key: b"ann", value: Some(b"") });
        assert_eq!(read[1], Entry { table: TableId(2), group: 0, key: b"", value: None });
        assert_eq!(Entries(&delta.bytes()[..delta.bytes().len() - 1]).count(), 1);
    }
}
