//! Which batches a reader of committed records leaves out.
//!
//! A broker lists the aborted transactions of what it sends, each with its producer and its first offset. From there on the
//! producer's transactional batches are aborted, up to its next marker that says so; after it the producer's records count
//! again until its next listed transaction. (As the Java client's `CompletedFetch`.)

use crate::kafka::wire::{AbortedTransaction, Batch, Cursor};
use std::collections::HashSet;

/// Follows the aborted transactions of one piece, batch by batch.
#[derive(Debug, Default)]
pub(super) struct Aborted {
    /// Those that have not begun, the next one last.
    ahead: Vec<AbortedTransaction>,
    /// Producers with one that is under way.
    open: HashSet<i64>,
}

impl Aborted {
    /// For a piece with this list.
    pub(super) fn new(mut list: Vec<AbortedTransaction>) -> Aborted {
        list.sort_unstable_by_key(|it| std::cmp::Reverse(it.first_offset));
        Aborted { ahead: list, open: HashSet::new() }
    }

    /// True when the records of `batch` are of an aborted transaction. Batches come in the order of the log; one may come
    /// twice.
    pub(super) fn has(&mut self, batch: &Batch) -> bool {
        while let Some(next) = self.ahead.pop_if(|it| it.first_offset <= batch.last_offset) {
            self.open.insert(next.producer_id);
        }
        batch.is_transactional() && self.open.contains(&batch.producer_id)
    }

    /// Passes the control batch `batch`, whose records are `records`: one that ends an aborted transaction ends it here.
    pub(super) fn pass_control(&mut self, batch: &Batch, records: &[u8]) {
        self.has(batch);
        if is_abort(records) {
            self.open.remove(&batch.producer_id);
        }
    }
}

/// True where the first record's key says: a transaction ends here, and is aborted (version 0 or later, type 0).
fn is_abort(records: &[u8]) -> bool {
    let mut record = Cursor::new(records, 0);
    let mut kind = || {
        record.varint()?; // Length.
        record.i8()?;
        record.varint()?; // Timestamp.
        record.varint()?; // Offset.
        record.varint()?; // The key's length.
        record.i16()?; // Version.
        record.i16()
    };
    kind() == Ok(0)
}
