//! Numbers of JSON: where one ends, and what it is.

use super::lanes;

const ZEROS: u64 = 0x3030_3030_3030_3030;

/// Powers of ten that a float holds exactly.
const TENS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// Powers of ten, as many as there are digits in a word.
const POWERS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// The high bit of each of eight bytes that is no digit.
#[inline]
fn no_digits(word: u64) -> u64 {
    let value = word ^ ZEROS; // 0 to 9 for a digit.
    (((value & 0x7f7f_7f7f_7f7f_7f7f) + 0x7676_7676_7676_7676) | value) & 0x8080_8080_8080_8080
}

/// The number that eight digits are, the first in the lowest place: pairs, then fours, then all (Johnny Lee, "Fast
/// numeric string to int").
#[inline]
fn eight_digits(word: u64) -> u64 {
    let pairs = (word ^ ZEROS).wrapping_mul(1 + (10 << 8)) >> 8 & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(1 + (100 << 16)) >> 16 & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul(1 + (10_000 << 32)) >> 32
}

/// Where the digits that start at `at` end.
#[inline]
fn digits_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..).and_then(|it| it.first_chunk()) {
        let others = no_digits(u64::from_le_bytes(*chunk));
        if others != 0 {
            return at + others.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|it| it.is_ascii_digit()).count()
}

/// Where the number that starts at `at` ends; none where there is none as JSON has them. What follows is not looked at.
#[inline]
pub(in crate::decode) fn end(bytes: &[u8], at: usize) -> Option<usize> {
    let first = at + usize::from(bytes.get(at) == Some(&b'-'));
    let mut at = digits_end(bytes, first);
    if at == first || (at > first + 1 && bytes[first] == b'0') {
        return None;
    }
    if bytes.get(at) == Some(&b'.') {
        let fraction = at + 1;
        at = digits_end(bytes, fraction);
        if at == fraction {
            return None;
        }
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        let exponent = at + 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        at = digits_end(bytes, exponent);
        if at == exponent {
            return None;
        }
    }
    Some(at)
}

/// Whether the bytes from `start` to `end` are a JSON number of 1 to 16 digits that has 16 bytes of the record up to its end, or of one digit;
/// false for any other, be it a number or none.
#[inline(always)]
pub(in crate::decode) fn is_short(record: &[u8], start: usize, end: usize) -> bool {
    let length = end.wrapping_sub(start);
    let Some(last) = record.get(..end).and_then(|it| it.last_chunk()) else {
        return length == 1 && record.get(start).is_some_and(u8::is_ascii_digit);
    };
    if length.wrapping_sub(1) >= lanes::LANES {
        return false;
    }
    // One bit for each byte of the number and none for what stands before it.
    let others = !lanes::digits(last) << 16 >> (32 - length as u32);
    others == 0 && (record[start] != b'0') | (length == 1)
}

/// As [`is_short`], for a text that is part of `bytes`.
#[inline(always)]
pub(in crate::decode) fn is_short_in(bytes: &[u8], text: &[u8]) -> bool {
    let start = text.as_ptr().addr().wrapping_sub(bytes.as_ptr().addr());
    is_short(bytes, start, start.wrapping_add(text.len()))
}

/// As [`integer`], for a text that is part of `bytes`: mostly in less time, since what stands before it makes up for the digits that
/// it lacks.
#[inline(always)]
pub(in crate::decode) fn integer_in(bytes: &[u8], text: &[u8]) -> Option<i64> {
    let end = text.as_ptr().addr().wrapping_sub(bytes.as_ptr().addr()).wrapping_add(text.len());
    if text.len().wrapping_sub(1) >= 8 {
        return integer(text);
    }
    let Some(last) = bytes.get(..end).and_then(|it| it.last_chunk()) else { return integer(text) };
    let others = u64::MAX.unbounded_shr(text.len() as u32 * 8);
    let word = u64::from_le_bytes(*last) & !others | ZEROS & others;
    if no_digits(word) == 0 { Some(eight_digits(word) as i64) } else { integer(text) }
}

/// One to eight bytes of text at the end of eight, behind zeros. Loads that overlap take less time than a loop whose end
/// nobody can predict.
#[inline]
fn padded(text: &[u8]) -> u64 {
    let word = match (text.first_chunk::<4>(), text.last_chunk::<4>(), text) {
        (Some(first), Some(last), _) => {
            u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << (8 * (text.len() - 4))
        }
        (_, _, [first, .., last]) => {
            let middle = text.len() / 2;
            u64::from(*first) | u64::from(text[middle]) << (8 * middle) | u64::from(*last) << (8 * (text.len() - 1))
        }
        (_, _, [only]) => u64::from(*only),
        (_, _, []) => 0,
    };
    let gap = 8 * (8 - text.len() as u32);
    word.unbounded_shl(gap) | (ZEROS & !u64::MAX.unbounded_shl(gap))
}

/// The number that at most 19 digits are, after those of `before`; none where one of them is no digit.
#[inline]
fn digits(before: u64, mut text: &[u8]) -> Option<u64> {
    let mut sum = before;
    while text.len() > 8 {
        let (chunk, rest) = text.split_first_chunk()?;
        let word = u64::from_le_bytes(*chunk);
        if no_digits(word) != 0 {
            return None;
        }
        sum = sum * 100_000_000 + eight_digits(word);
        text = rest;
    }
    let word = padded(text);
    (no_digits(word) == 0).then(|| sum * POWERS[text.len()] + eight_digits(word))
}

#[inline]
fn sign(text: &[u8]) -> (bool, &[u8]) {
    match text.split_first() {
        Some((b'-', digits)) => (true, digits),
        _ => (false, text),
    }
}

/// The integer that a number's text is, where it has no fraction and no exponent and fits 64 bits.
#[inline(never)]
pub(in crate::decode) fn integer(text: &[u8]) -> Option<i64> {
    let (negative, text) = sign(text);
    if text.is_empty() || text.len() > 19 {
        return None;
    }
    let sum = digits(0, text)?; // 19 digits fit.
    if negative { 0_i64.checked_sub_unsigned(sum) } else { i64::try_from(sum).ok() }
}

/// The number that a number's text is, where a float can hold it: the nearest float, as `str::parse` has it.
#[inline]
pub(in crate::decode) fn float(text: &[u8]) -> Option<f64> {
    match text.first()? {
        b'-' | b'0'..=b'9' => short_float(text).or_else(|| any_float(text)),
        _ => None,
    }
}

/// A number of few digits with a fraction and no exponent. Its digits and the power of ten are exact as floats, so that
/// one division rounds once (Clinger, "How to read floating point numbers accurately").
#[inline]
fn short_float(text: &[u8]) -> Option<f64> {
    let (negative, text) = sign(text);
    let dot = digits_end(text, 0);
    let (whole, fraction) = (text.get(..dot)?, text.get(dot..)?.strip_prefix(b".")?);
    if whole.is_empty() || fraction.is_empty() || whole.len() + fraction.len() > 19 {
        return None; // 19 digits fit 64 bits.
    }
    let sum = digits(digits(0, whole)?, fraction)?;
    if sum > 1 << 53 {
        return None;
    }
    let value = sum as f64 / TENS.get(fraction.len())?;
    Some(if negative { -value } else { value })
}

#[inline(never)]
fn any_float(text: &[u8]) -> Option<f64> {
    std::str::from_utf8(text).ok()?.parse().ok().filter(|it: &f64| it.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_integer_is_exact_to_the_ends_of_its_range() {
        assert_eq!(integer(b"9223372036854775807"), Some(i64::MAX));
        assert_eq!(integer(b"9223372036854775808"), None);
        assert_eq!(integer(b"-9223372036854775808"), Some(i64::MIN));
        assert_eq!(integer(b"-9223372036854775809"), None);
        assert_eq!(integer(b"9999999999999999999"), None);
        assert_eq!(integer(b"12345678"), Some(12_345_678));
        assert_eq!(integer(b"1.0"), None);
        assert_eq!(integer(b"1234567:"), None);
        assert_eq!(integer(b"-"), None);
    }

    #[test]
    fn a_number_ends_where_json_says() {
        for (text, expected) in [
            ("0", Some(1)),
            ("-0,", Some(2)),
            ("01", None),
            ("-", None),
            ("-a", None),
            ("1.", None),
            ("1.5.6", Some(3)),
            ("1e", None),
            ("1e+", None),
            ("12345678901.25E-10}", Some(18)),
            ("123456789", Some(9)),
        ] {
            assert_eq!(end(text.as_bytes(), 0), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_float_is_read_as_the_library_reads_it(text in "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,24})?([eE][+-]?[0-9]{1,3})?") {
            prop_assert_eq!(end(text.as_bytes(), 0), Some(text.len()));
            let expected = text.parse::<f64>().ok().filter(|it| it.is_finite());
            prop_assert_eq!(float(text.as_bytes()).map(f64::to_bits), expected.map(f64::to_bits));
        }

        #[test]
        fn a_float_as_it_is_mostly_written_is_read_as_the_library_reads_it(text in "-?[0-9]{1,10}\\.[0-9]{1,10}") {
            prop_assert_eq!(float(text.as_bytes()).map(f64::to_bits), text.parse::<f64>().ok().map(f64::to_bits));
        }

        #[test]
        fn an_integer_is_the_same_whatever_it_is_part_of(
            before in "[0-9a-z:-]{0,24}", text in "-?[0-9]{1,20}[.a]?", after in "[0-9a-z]{0,4}"
        ) {
            let whole = format!("{before}{text}{after}");
            let (start, end) = (before.len(), before.len() + text.len());
            prop_assert_eq!(integer_in(whole.as_bytes(), &whole.as_bytes()[start..end]), integer(text.as_bytes()));
            prop_assert_eq!(integer_in(b"another", text.as_bytes()), integer(text.as_bytes()));
            prop_assert!(!is_short_in(b"a text of which it is no part: 0123456789012345", text.as_bytes()));
            let is_short = is_short(whole.as_bytes(), start, end);
            prop_assert_eq!(is_short_in(whole.as_bytes(), &whole.as_bytes()[start..end]), is_short);
            let expected = (text.len() <= 16 && end >= 16 || text.len() == 1) && !text.starts_with('-') && super::end(text.as_bytes(), 0) == Some(text.len());
            prop_assert_eq!(is_short, expected && text.parse::<u64>().is_ok());
        }

        #[test]
        fn an_integer_is_read_as_the_library_reads_it(text in "-?[0-9]{1,19}[0-9.:/]?") {
            let expected = text.parse::<i64>().ok().filter(|_| text.trim_start_matches('-').len() <= 19);
            prop_assert_eq!(integer(text.as_bytes()), expected);
        }
    }
}
