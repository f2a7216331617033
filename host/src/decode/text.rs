//! JSON texts of single values, read and written: shared by `decode`, which reads records, and `sink`, which writes
//! them.
//!
//! Canonical text: strings with the shortest escapes, integers in decimal, other numbers in the shortest form that
//! reads back the same, no whitespace outside strings.

use super::number;
use serde_json::ser::{CompactFormatter, Formatter};

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Of eight bytes of a string's text (the first in the lowest place), the lowest bit set marks the first quote,
/// backslash or control character; 0 for none. Bits above the lowest may be wrong: a borrow runs upwards only.
#[inline]
pub(super) fn stops(word: u64) -> u64 {
    let below = |word: u64, bound: u64| word.wrapping_sub(ONES * bound) & !word & HIGHS;
    below(word, 0x20) | below(word ^ (ONES * b'"' as u64), 1) | below(word ^ (ONES * b'\\' as u64), 1)
}

/// The first byte of `text` that is a quote, a backslash or a control character.
fn first_stop(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(chunk) = text[at..].first_chunk::<8>() {
        let stops = stops(u64::from_le_bytes(*chunk));
        if stops != 0 {
            return Some(at + stops.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    text[at..].iter().position(|&it| it < 0x20 || it == b'"' || it == b'\\').map(|it| at + it)
}

/// Writes `text` (UTF-8) as a JSON string, in quotes, with the shortest escapes.
pub fn write_string(out: &mut Vec<u8>, mut text: &[u8]) {
    out.push(b'"');
    while let Some(at) = first_stop(text) {
        out.extend_from_slice(&text[..at]);
        match text[at] {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x09 => out.extend_from_slice(b"\\t"),
            0x0a => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            0x0d => out.extend_from_slice(b"\\r"),
            control => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(control >> 4)]);
                out.push(HEX[usize::from(control & 15)]);
            }
        }
        text = &text[at + 1..];
    }
    out.extend_from_slice(text);
    out.push(b'"');
}

/// Writes an integer in decimal.
pub fn write_i64(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Writes a number in its shortest form, always with a fraction or an exponent; `null` where it is not finite.
pub fn write_f64(out: &mut Vec<u8>, value: f64) {
    if !value.is_finite() {
        out.extend_from_slice(b"null");
        return;
    }
    let written = CompactFormatter.write_f64(out, value);
    debug_assert!(written.is_ok(), "a vector takes every write");
}

/// A string that names no character: half of a surrogate pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoneSurrogate;

/// Adds the characters of a JSON string to `out`. `quoted` is a valid JSON string with its quotes.
///
/// # Errors
/// Where an escape is half of a surrogate pair, which is JSON but no text; `out` is then left as it was.
pub fn unescape(quoted: &[u8], out: &mut Vec<u8>) -> Result<(), LoneSurrogate> {
    let before = out.len();
    let mut rest = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        let Some((&escape, after)) = rest.split_first() else { break };
        rest = after;
        let plain = match escape {
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let Some(character) = unicode(&mut rest) else {
                    out.truncate(before);
                    return Err(LoneSurrogate);
                };
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            other => other,
        };
        out.push(plain);
    }
    out.extend_from_slice(rest);
    Ok(())
}

/// The character of a `\u` escape whose digits start `rest`, and of the second half of its pair.
fn unicode(rest: &mut &[u8]) -> Option<char> {
    let high = hex4(rest)?;
    if !(0xd800..0xe000).contains(&high) {
        return char::from_u32(high);
    }
    *rest = rest.strip_prefix(b"\\u")?;
    let low = hex4(rest)?;
    if high >= 0xdc00 || !(0xdc00..0xe000).contains(&low) {
        return None;
    }
    char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))
}

fn hex4(rest: &mut &[u8]) -> Option<u32> {
    let (digits, after) = rest.split_first_chunk::<4>()?;
    *rest = after;
    digits.iter().try_fold(0, |sum, &it| Some(sum * 16 + char::from(it).to_digit(16)?))
}

/// Adds a JSON text without the whitespace outside its strings.
pub fn write_compact(out: &mut Vec<u8>, mut text: &[u8]) {
    while let Some(at) = text.iter().position(|&it| matches!(it, b'"' | b' ' | b'\n' | b'\r' | b'\t')) {
        out.extend_from_slice(&text[..at]);
        let end = if text[at] == b'"' { at + string_len(&text[at..]) } else { at + 1 };
        if text[at] == b'"' {
            out.extend_from_slice(&text[at..end]);
        }
        text = &text[end..];
    }
    out.extend_from_slice(text);
}

/// The length of the string that starts `text`, quotes included.
fn string_len(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(found) = text.get(at..).and_then(|it| memchr::memchr2(b'"', b'\\', it)) {
        if text[at + found] == b'"' {
            return at + found + 1;
        }
        at += found + 2;
    }
    text.len()
}

/// Adds any JSON value in canonical form: scalars as the module says, arrays and objects without whitespace. A number
/// that no float holds, and a string that is no text, are added as they are.
pub fn write_canonical(out: &mut Vec<u8>, text: &[u8]) {
    match text.first() {
        Some(b'"') if memchr::memchr(b'\\', text).is_some() => {
            let mut plain = Vec::new();
            match unescape(text, &mut plain) {
                Ok(()) => write_string(out, &plain),
                Err(LoneSurrogate) => out.extend_from_slice(text),
            }
        }
        Some(b'{' | b'[') => write_compact(out, text),
        Some(b'-' | b'0'..=b'9') => write_number(out, text),
        _ => out.extend_from_slice(text),
    }
}

fn write_number(out: &mut Vec<u8>, text: &[u8]) {
    match number::integer(text) {
        Some(0) => out.push(b'0'),              // Also of `-0`.
        Some(_) => out.extend_from_slice(text), // JSON has one text for each integer.
        None => match number::float(text) {
            Some(value) => write_f64(out, value),
            None => out.extend_from_slice(text),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn canonical(text: &str) -> String {
        let mut out = Vec::new();
        write_canonical(&mut out, text.as_bytes());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn canonical_text_is_one_for_each_value() {
        assert_eq!(canonical(r#""\u0041\/\u00e9\u001f\n\ud83d\ude00""#), "\"A/é\\u001f\\n😀\"");
        assert_eq!(canonical("-0"), "0");
        assert_eq!(canonical("1e2"), "100.0");
        assert_eq!(canonical("9223372036854775808"), canonical("9.223372036854775808e18"));
        assert_eq!(canonical("1e999"), "1e999");
        assert_eq!(canonical(r#"{ "a b" : [ 1 ,"\" ,  " ] }"#), r#"{"a b":[1,"\" ,  "]}"#);
        assert_eq!(canonical(r#""\ud800""#), r#""\ud800""#);
    }

    #[test]
    fn half_a_surrogate_pair_is_no_text_and_leaves_no_trace() {
        let mut out = b"x".to_vec();
        assert_eq!(unescape(br#""ab\udc00""#, &mut out), Err(LoneSurrogate));
        assert_eq!(unescape(br#""ab\ud800\u0041""#, &mut out), Err(LoneSurrogate));
        assert_eq!(out, b"x");
    }

    proptest! {
        #[test]
        fn a_string_is_written_as_serde_json_writes_it_and_reads_back(text: String) {
            let mut out = Vec::new();
            write_string(&mut out, text.as_bytes());
            prop_assert_eq!(std::str::from_utf8(&out).unwrap(), serde_json::to_string(&text).unwrap());
            let mut back = Vec::new();
            prop_assert_eq!(unescape(&out, &mut back), Ok(()));
            prop_assert_eq!(back, text.as_bytes());
        }

        #[test]
        fn a_float_is_written_as_serde_json_writes_it(value: f64) {
            let mut out = Vec::new();
            write_f64(&mut out, value);
            prop_assert_eq!(std::str::from_utf8(&out).unwrap(), serde_json::to_string(&value).unwrap());
        }
    }
}
