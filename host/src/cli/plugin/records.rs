//! JSON lines as batches of raw records. The offset of a record is the number of its line, from 1.

use std::io::{ErrorKind, Read};
use std::sync::Arc;
use wasmill::batch::{Origin, RawBatch, RawRecord, RawRows, Span, headers};

/// How much is read at once.
const READ_BYTES: usize = 256 << 10;
/// A longer line is an error: it is no record, but a file without line ends.
const LINE_BYTES_MAX: usize = 16 << 20;
/// A batch of more bytes takes no more lines.
const BATCH_BYTES: usize = 8 << 20;

/// Why lines cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// The system says so.
    #[error("the input cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// There is no end to it.
    #[error("line {0} is longer than {LINE_BYTES_MAX} bytes; expected one JSON object a line")]
    TooLong(i64),
}

/// Reads lines, some at a time: its memory does not grow with the input.
pub(crate) struct Records<R> {
    input: R,
    rows_max: usize,
    /// Read, and not yet handed over.
    unread: Vec<u8>,
    /// The number of the next line.
    line: i64,
    ended: bool,
}

impl<R: Read> Records<R> {
    /// Batches of at most `rows_max` records.
    pub(crate) fn new(input: R, rows_max: usize) -> Self {
        Records { input, rows_max: rows_max.max(1), unread: Vec::new(), line: 1, ended: false }
    }

    /// The next records; none at the end. Where a writer makes them slowly, those that are there.
    ///
    /// # Errors
    /// The input cannot be read, or a line has no end.
    pub(crate) fn next(&mut self) -> Result<Option<RawBatch>, ReadError> {
        let mut batch = BatchBuilder::default();
        loop {
            let filled = self.take_lines(&mut batch);
            if filled || (self.ended && self.unread.is_empty()) {
                return Ok((!batch.offsets.is_empty()).then(|| batch.finish()));
            }
            if self.unread.len() > LINE_BYTES_MAX {
                return Err(ReadError::TooLong(self.line));
            }
            let short = self.read()?;
            if short && !self.ended {
                // All that was there, so that whoever watches a slow writer sees what it made.
                self.take_lines(&mut batch);
                if !batch.offsets.is_empty() {
                    return Ok(Some(batch.finish()));
                }
            }
        }
    }

    /// Reads more; true when there was less than there could have been.
    fn read(&mut self) -> Result<bool, ReadError> {
        let before = self.unread.len();
        self.unread.resize(before + READ_BYTES, 0);
        let read = loop {
            match self.input.read(&mut self.unread[before..]) {
                Ok(read) => break read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        };
        self.unread.truncate(before + read);
        self.ended = read == 0;
        Ok(read < READ_BYTES)
    }

    /// Moves whole lines to `batch`; true when it is full.
    fn take_lines(&mut self, batch: &mut BatchBuilder) -> bool {
        let mut start = 0;
        while batch.offsets.len() < self.rows_max && batch.arena.len() < BATCH_BYTES {
            let rest = &self.unread[start..];
            let len = match memchr::memchr(b'\n', rest) {
                Some(end) => end + 1,
                None if self.ended && !rest.is_empty() => rest.len(),
                None => break,
            };
            batch.push(rest[..len].trim_ascii(), self.line);
            self.line += 1;
            start += len;
        }
        self.unread.drain(..start);
        batch.offsets.len() >= self.rows_max || batch.arena.len() >= BATCH_BYTES
    }
}

/// The records of `text`, one a line that is not empty, with the offsets 0, 1, 2 and so on and the headers `headers`.
pub(crate) fn of_text<'a>(text: &str, headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> RawBatch {
    let mut batch = BatchBuilder::default();
    for line in text.lines() {
        batch.push(line.trim().as_bytes(), batch.offsets.len() as i64);
    }
    let start = batch.arena.len() as u32;
    for (name, value) in headers {
        headers::push(&mut batch.arena, name.as_bytes(), Some(value.as_bytes()));
    }
    let len = batch.arena.len() as u32 - start;
    if len > 0 {
        batch.records.iter_mut().for_each(|it| it.headers = Span { start, len });
    }
    batch.finish()
}

#[derive(Default)]
struct BatchBuilder {
    arena: Vec<u8>,
    records: Vec<RawRecord>,
    offsets: Vec<i64>,
}

impl BatchBuilder {
    /// An empty line is no record.
    fn push(&mut self, line: &[u8], offset: i64) {
        if line.is_empty() {
            return;
        }
        let value = Span { start: self.arena.len() as u32, len: line.len() as u32 };
        self.arena.extend_from_slice(line);
        self.records.push(RawRecord { key: Span::NULL, value, headers: Span::NULL });
        self.offsets.push(offset);
    }

    fn finish(self) -> RawBatch {
        RawBatch {
            origin: Origin { source: 0, partition: 0 },
            timestamps: vec![-1; self.offsets.len()],
            next_offset: self.offsets.last().map_or(0, |it| it + 1),
            rows: RawRows { arena: Arc::new(self.arena), records: self.records },
            offsets: self.offsets,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(batch: &RawBatch) -> Vec<(i64, String)> {
        let value = |row| String::from_utf8(batch.rows.value(row).unwrap().to_vec()).unwrap();
        batch.offsets.iter().enumerate().map(|(row, &offset)| (offset, value(row))).collect()
    }

    /// A pipe: each read gives one of the pieces.
    struct Pieces(Vec<&'static [u8]>);

    impl Read for Pieces {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            if self.0.is_empty() {
                return Ok(0);
            }
            let piece = self.0.remove(0);
            buffer[..piece.len()].copy_from_slice(piece);
            Ok(piece.len())
        }
    }

    #[test]
    fn records_have_the_number_of_their_line_and_empty_lines_are_none() {
        let mut records = Records::new(&b"{\"a\":1}\n\n  {\"a\":2}\r\n{\"a\":3}"[..], 2);
        let first = records.next().unwrap().unwrap();
        assert_eq!(lines(&first), [(1, "{\"a\":1}".to_owned()), (3, "{\"a\":2}".to_owned())]);
        assert_eq!(lines(&records.next().unwrap().unwrap()), [(4, "{\"a\":3}".to_owned())]);
        assert!(records.next().unwrap().is_none());
    }

    #[test]
    fn what_a_slow_writer_made_is_handed_over_at_once_and_half_a_line_waits() {
        let mut records = Records::new(Pieces(vec![b"1\n2", b"3\n", b"4"]), 100);
        assert_eq!(lines(&records.next().unwrap().unwrap()), [(1, "1".to_owned())]);
        assert_eq!(lines(&records.next().unwrap().unwrap()), [(2, "23".to_owned())]);
        assert_eq!(lines(&records.next().unwrap().unwrap()), [(3, "4".to_owned())]);
        assert!(records.next().unwrap().is_none());
    }

    #[test]
    fn a_line_without_an_end_is_an_error_and_no_memory() {
        struct Endless;
        impl Read for Endless {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                buffer.fill(b'x');
                Ok(buffer.len())
            }
        }
        let mut records = Records::new(Endless, 10);
        assert!(matches!(records.next(), Err(ReadError::TooLong(1))));
        assert!(records.unread.len() <= LINE_BYTES_MAX + READ_BYTES);
    }

    #[test]
    fn records_of_a_text_share_its_headers() {
        let batch = of_text("{}\n\n{}\n", [("trace", "1")]);
        assert_eq!(batch.offsets, [0, 1]);
        assert_eq!(headers::iter(batch.rows.headers(1)).collect::<Vec<_>>(), [(&b"trace"[..], Some(&b"1"[..]))]);
    }
}
