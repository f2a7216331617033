//! The live line at the bottom of the terminal, which log lines push up instead of breaking.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// Erases the line, and turns wrapping off so that a narrow terminal cuts it rather than scrolls.
const REDRAW: &str = "\r\x1b[2K\x1b[?7l";
/// Turns wrapping on again.
const DRAWN: &str = "\x1b[?7h";
const ERASE: &str = "\r\x1b[2K";

/// The live line. Clones are the same line.
#[derive(Clone, Default)]
pub(crate) struct LiveLine {
    /// What is on the terminal now; empty for none. Held while anything is written, so that lines do not mix.
    shown: Arc<Mutex<String>>,
}

impl LiveLine {
    /// Draws the line in place of the one that is there.
    pub(crate) fn show(&self, line: String) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        // A terminal that is gone is no reason to stop a pipeline.
        let _ = io::stderr().write_all(format!("{REDRAW}{line}{DRAWN}").as_bytes());
        *shown = line;
    }

    /// Removes the line, where there is one.
    pub(crate) fn clear(&self) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if !shown.is_empty() {
            let _ = io::stderr().write_all(ERASE.as_bytes());
            shown.clear();
        }
    }

    /// Writes whole lines above the live one.
    pub(crate) fn print_above(&self, lines: &[u8]) -> io::Result<()> {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let mut stderr = io::stderr().lock();
        if shown.is_empty() {
            return stderr.write_all(lines);
        }
        let mut bytes = ERASE.as_bytes().to_vec();
        bytes.extend_from_slice(lines);
        bytes.extend_from_slice(format!("{REDRAW}{shown}{DRAWN}").as_bytes());
        stderr.write_all(&bytes)
    }
}

/// Collects one log line and writes it above the live line when it is dropped.
pub(crate) struct Above {
    line: LiveLine,
    bytes: Vec<u8>,
}

impl Write for Above {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Above {
    fn drop(&mut self) {
        let _ = self.line.print_above(&self.bytes);
    }
}

impl<'a> tracing_subscriber::fmt::MakeWriter<'a> for LiveLine {
    type Writer = Above;

    fn make_writer(&'a self) -> Above {
        Above { line: self.clone(), bytes: Vec::new() }
    }
}
