//! Values as lines: what files and standard output hold.

use crate::batch::RawRows;
use crate::config::Format;

/// A value that would be two lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "row {row}: a value with a line break cannot be written as a line of format = \"raw\"; write it to Kafka, or read \
     it as format = \"json\""
)]
pub struct LineBreak {
    /// The row in the rows that were handed in.
    pub row: usize,
}

/// Adds one line a row. Keys and headers have no place in a line; a tombstone is `null`.
///
/// In JSON a raw line break can only be whitespace between tokens: it is left out.
///
/// # Errors
/// Where a raw value has a line break in it; `out` is then left as it was.
pub(super) fn write(out: &mut Vec<u8>, rows: &RawRows, format: Format) -> Result<(), LineBreak> {
    let before = out.len();
    for row in 0..rows.records.len() {
        let value = rows.value(row).unwrap_or(b"null");
        match format {
            _ if memchr::memchr2(b'\n', b'\r', value).is_none() => out.extend_from_slice(value),
            Format::Json => out.extend(value.iter().filter(|it| !matches!(it, b'\n' | b'\r'))),
            Format::Raw if memchr::memchr(b'\n', value).is_some() => {
                out.truncate(before);
                return Err(LineBreak { row });
            }
            Format::Raw => out.extend_from_slice(value),
        }
        out.push(b'\n');
    }
    Ok(())
}
