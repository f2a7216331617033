//! The values between the literals: where one ends, everything in it checked.

use super::super::lanes;
use super::super::number;
use super::super::scan::Scanner;

/// Where the value that starts at `at` ends; none where it is no value, or an array or an object.
#[inline]
pub(super) fn scalar_end(record: &[u8], at: usize) -> Option<usize> {
    let literal = |text: &[u8]| record.get(at..)?.starts_with(text).then_some(at + text.len());
    match record.get(at)? {
        b'"' => string_end(record, at),
        b'-' | b'0'..=b'9' => number::end(record, at),
        b't' => literal(b"true"),
        b'f' => literal(b"false"),
        b'n' => literal(b"null"),
        _ => None,
    }
}

#[inline]
fn string_end(record: &[u8], at: usize) -> Option<usize> {
    let stop = lanes::first_stop(record, at + 1)?;
    if record.get(stop) == Some(&b'"') { Some(stop + 1) } else { odd_string_end(record, at) }
}

/// The end of a string with an escape, a character beyond ASCII, or a fault in it.
#[inline(never)]
fn odd_string_end(record: &[u8], at: usize) -> Option<usize> {
    let mut scanner = Scanner::within(record, at);
    scanner.string().ok()?;
    utf8_end(record, at, &scanner)
}

/// Where `scanner` is, if all that it went past from `at` on is UTF-8.
pub(super) fn utf8_end(record: &[u8], at: usize, scanner: &Scanner<'_>) -> Option<usize> {
    let end = scanner.at();
    std::str::from_utf8(record.get(at..end)?).is_ok().then_some(end)
}
