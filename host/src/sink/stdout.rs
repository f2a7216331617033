//! Standard output as a sink: one line a record, written as soon as a batch is made, and not undone by a failure.

use super::LineBreak;
use super::lines;
use crate::batch::RawRows;
use crate::config::Format;
use std::io::Write;

/// Why standard output takes no more.
#[derive(Debug, thiserror::Error)]
pub enum StdoutError {
    /// The reader has gone (`| head`): a reason to stop, not a failure.
    #[error("standard output was closed by its reader")]
    Closed,
    /// The operating system refused.
    #[error("cannot write to standard output: {0}")]
    Io(#[source] std::io::Error),
    /// See [`LineBreak`].
    #[error(transparent)]
    LineBreak(#[from] LineBreak),
}

/// Writes lines to `W`, which is standard output but for tests.
#[derive(Debug)]
pub struct StdoutSink<W> {
    writer: W,
    format: Format,
    buffer: Vec<u8>,
}

impl<W: Write> StdoutSink<W> {
    /// A sink over `writer`. It needs no buffer of its own: a batch is one write.
    pub fn new(writer: W, format: Format) -> Self {
        StdoutSink { writer, format, buffer: Vec::new() }
    }

    /// Writes the rows and flushes.
    ///
    /// # Errors
    /// Where the reader has gone, or a raw value is no line; nothing of the rows is written then.
    pub fn append(&mut self, rows: &RawRows) -> Result<(), StdoutError> {
        self.buffer.clear();
        lines::write(&mut self.buffer, rows, self.format)?;
        let written = self.writer.write_all(&self.buffer).and_then(|()| self.writer.flush());
        written.map_err(|fault| match fault.kind() {
            std::io::ErrorKind::BrokenPipe => StdoutError::Closed,
            _ => StdoutError::Io(fault),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{RawRecord, Span};
    use std::sync::Arc;

    fn rows(values: &[Option<&str>]) -> RawRows {
        let mut arena = Vec::new();
        let mut records = Vec::new();
        for value in values {
            let value = value.map_or(Span::NULL, |it| {
                arena.extend_from_slice(it.as_bytes());
                Span { start: (arena.len() - it.len()) as u32, len: it.len() as u32 }
            });
            records.push(RawRecord { key: Span::NULL, value, headers: Span::NULL });
        }
        RawRows { arena: Arc::new(arena), records }
    }

    #[test]
    fn a_record_is_a_line_and_a_tombstone_is_null() {
        let mut sink = StdoutSink::new(Vec::new(), Format::Json);
        sink.append(&rows(&[Some("{\"a\":1}"), None, Some("{\r\n \"b\" : 2\n}")])).unwrap();
        assert_eq!(String::from_utf8(sink.writer).unwrap(), "{\"a\":1}\nnull\n{ \"b\" : 2}\n");
    }

    #[test]
    fn a_raw_value_of_two_lines_is_refused_and_none_of_its_batch_written() {
        let mut sink = StdoutSink::new(Vec::new(), Format::Raw);
        let fault = sink.append(&rows(&[Some("a"), Some("b\nc")])).unwrap_err();
        assert!(matches!(fault, StdoutError::LineBreak(LineBreak { row: 1 })), "{fault}");
        sink.append(&rows(&[Some("d\r")])).unwrap();
        assert_eq!(sink.writer, b"d\r\n");
    }

    #[test]
    fn a_reader_that_has_gone_is_said_so() {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut sink = StdoutSink::new(writer, Format::Json);
        assert!(matches!(sink.append(&rows(&[Some("1")])), Err(StdoutError::Closed)));
    }
}
