//! Event time of one record: its own timestamp, or a field of it.

use super::number;
use crate::batch::EventTime;
use crate::config::TimeFormat;

/// The first millisecond of the year 1. An earlier time is a mistake in the data, and is refused.
pub const EVENT_TIME_MIN: EventTime = -62_135_596_800_000;
/// The last millisecond of the year 9999.
pub const EVENT_TIME_MAX: EventTime = 253_402_300_799_999;

const MS_PER_DAY: i64 = 86_400_000;

/// Why a field gives no event time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimeFault {
    Missing,
    OtherKind,
    OutOfRange,
}

impl TimeFault {
    /// The reason in words.
    #[cold]
    pub(super) fn reason(self, path: &str, text: Option<&[u8]>, format: TimeFormat) -> String {
        let expected = match format {
            TimeFormat::EpochMs => "a number of milliseconds since 1970 (epoch_ms)",
            TimeFormat::EpochS => "a number of seconds since 1970 (epoch_s)",
            TimeFormat::EpochUs => "a number of microseconds since 1970 (epoch_us)",
            TimeFormat::Rfc3339 => "a time like \"2026-01-31T12:00:00Z\" (rfc3339)",
        };
        let found = text.map(shown).unwrap_or_default();
        match self {
            TimeFault::Missing => format!("event time field `{path}` is missing, expected {expected}"),
            TimeFault::OtherKind => format!("event time field `{path}` is {found}, expected {expected}"),
            TimeFault::OutOfRange => {
                format!("event time field `{path}` is {found}, expected {expected} in the years 1 to 9999")
            }
        }
    }
}

/// A JSON text as a message shows it: at most 80 characters.
pub(super) fn shown(text: &[u8]) -> String {
    const CHARACTERS_MAX: usize = 80;
    let text = String::from_utf8_lossy(&text[..text.len().min(CHARACTERS_MAX * 4)]);
    match text.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.into_owned(),
    }
}

/// The record's own timestamp as its event time.
#[inline]
pub(super) fn of_record(timestamp: i64) -> Result<EventTime, String> {
    if (0..=EVENT_TIME_MAX).contains(&timestamp) { Ok(timestamp) } else { of_odd_record(timestamp) }
}

#[cold]
fn of_odd_record(timestamp: i64) -> Result<EventTime, String> {
    match timestamp {
        -1 => Err("the record has no timestamp of its own; name a field with event_time.field".into()),
        EVENT_TIME_MIN..=EVENT_TIME_MAX => Ok(timestamp),
        _ => Err(format!("the record's timestamp is {timestamp} ms, expected one in the years 1 to 9999")),
    }
}

/// The event time that the text of a field holds.
#[inline]
pub(super) fn of_field(text: Option<&[u8]>, format: TimeFormat) -> Result<EventTime, TimeFault> {
    let text = text.ok_or(TimeFault::Missing)?;
    let time = match format {
        TimeFormat::EpochMs => epoch(text, 0)?,
        TimeFormat::EpochS => epoch(text, 3)?,
        TimeFormat::EpochUs => epoch(text, 0)?.div_euclid(1000),
        TimeFormat::Rfc3339 => rfc3339(text)?,
    };
    if (EVENT_TIME_MIN..=EVENT_TIME_MAX).contains(&time) { Ok(time) } else { Err(TimeFault::OutOfRange) }
}

/// A number times 10^`shift`, rounded down, exactly where it has no exponent.
fn epoch(text: &[u8], shift: u32) -> Result<i64, TimeFault> {
    let scale = 10_i64.pow(shift);
    if let Some(value) = number::integer(text) {
        return value.checked_mul(scale).ok_or(TimeFault::OutOfRange);
    }
    let Some(b'-' | b'0'..=b'9') = text.first() else { return Err(TimeFault::OtherKind) };
    if let Some(dot) = memchr::memchr(b'.', text).filter(|_| memchr::memchr2(b'e', b'E', text).is_none()) {
        let (whole, fraction) = (&text[..dot], &text[dot + 1..]);
        let negative = whole[0] == b'-';
        let whole = number::integer(whole).and_then(|it| it.checked_mul(scale)).ok_or(TimeFault::OutOfRange)?;
        let (kept, rest) = fraction.split_at(fraction.len().min(shift as usize));
        let padded = kept.iter().chain(std::iter::repeat(&b'0')).take(shift as usize);
        let kept = padded.fold(0, |sum, &it| sum * 10 + i64::from(it - b'0'));
        let rounded = i64::from(negative && rest.iter().any(|&it| it != b'0'));
        let sum = if negative { whole.checked_sub(kept + rounded) } else { whole.checked_add(kept) };
        return sum.ok_or(TimeFault::OutOfRange);
    }
    let value = number::float(text).ok_or(TimeFault::OutOfRange)? * scale as f64;
    if value.abs() < 1e18 { Ok(value.floor() as i64) } else { Err(TimeFault::OutOfRange) }
}

fn rfc3339(text: &[u8]) -> Result<i64, TimeFault> {
    let plain = text.strip_prefix(b"\"").and_then(|it| it.strip_suffix(b"\"")).ok_or(TimeFault::OtherKind)?;
    rfc3339_ms(plain).ok_or(TimeFault::OtherKind)
}

/// Milliseconds since the Unix epoch of an RFC 3339 time with an offset, rounded down; none where it is not one.
///
/// What is written as almost everyone writes it, `YYYY-MM-DDTHH:MM:SS[.f](Z|+hh:mm)`, is read here; anything else
/// (lower case, leap seconds, other offsets) goes to `jiff`.
pub fn rfc3339_ms(text: &[u8]) -> Option<i64> {
    plain_rfc3339_ms(text).or_else(|| any_rfc3339_ms(text))
}

#[inline]
fn plain_rfc3339_ms(text: &[u8]) -> Option<i64> {
    let (date_time, rest) = text.split_first_chunk::<19>()?;
    let two = |at: usize| -> Option<i64> {
        let (tens, ones) = (date_time[at].wrapping_sub(b'0'), date_time[at + 1].wrapping_sub(b'0'));
        (tens <= 9 && ones <= 9).then(|| i64::from(tens * 10 + ones))
    };
    let [_, _, _, _, b'-', _, _, b'-', _, _, b'T', _, _, b':', _, _, b':', _, _] = date_time else { return None };
    let (year, month, day) = (two(0)? * 100 + two(2)?, two(5)?, two(8)?);
    let (hour, minute, second) = (two(11)?, two(14)?, two(17)?);
    if year < 1 || !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (millis, zone) = fraction_ms(rest)?;
    let offset_minutes = match zone {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), h1 @ b'0'..=b'9', h2 @ b'0'..=b'9', b':', m1 @ b'0'..=b'5', m2 @ b'0'..=b'9'] => {
            let number = |tens: &u8, ones: &u8| i64::from(tens - b'0') * 10 + i64::from(ones - b'0');
            let (hours, minutes) = (number(h1, h2), number(m1, m2));
            if hours > 23 {
                return None;
            }
            if *sign == b'-' { -(hours * 60 + minutes) } else { hours * 60 + minutes }
        }
        _ => return None,
    };
    let seconds = hour * 3600 + (minute - offset_minutes) * 60 + second;
    Some(days_since_epoch(year, month, day) * MS_PER_DAY + seconds * 1000 + millis)
}

/// The fraction of a second that may start `rest`, in ms rounded down, and what follows it.
fn fraction_ms(rest: &[u8]) -> Option<(i64, &[u8])> {
    let Some((b'.', digits)) = rest.split_first() else { return Some((0, rest)) };
    let count = digits.iter().take_while(|it| it.is_ascii_digit()).count();
    if !(1..=9).contains(&count) {
        return None;
    }
    let padded = digits[..count].iter().chain(&[b'0'; 3]).take(3);
    Some((padded.fold(0, |sum, &it| sum * 10 + i64::from(it - b'0')), &digits[count..]))
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar (Howard Hinnant, `days_from_civil`: years start in March,
/// so that the day that comes and goes is the last).
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cold]
fn any_rfc3339_ms(text: &[u8]) -> Option<i64> {
    let timestamp: jiff::Timestamp = std::str::from_utf8(text).ok()?.parse().ok()?;
    i64::try_from(timestamp.as_nanosecond().div_euclid(1_000_000)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn time(text: &str, format: TimeFormat) -> Result<i64, TimeFault> {
        of_field(Some(text.as_bytes()), format)
    }

    #[test]
    fn epochs_of_every_unit_are_exact_and_rounded_down() {
        assert_eq!(time("1700000000123", TimeFormat::EpochMs), Ok(1_700_000_000_123));
        assert_eq!(time("1700000000.1239", TimeFormat::EpochS), Ok(1_700_000_000_123));
        assert_eq!(time("1700000000.1", TimeFormat::EpochS), Ok(1_700_000_000_100));
        assert_eq!(time("-0.0001", TimeFormat::EpochS), Ok(-1));
        assert_eq!(time("-1.5", TimeFormat::EpochMs), Ok(-2));
        assert_eq!(time("-1001", TimeFormat::EpochUs), Ok(-2));
        assert_eq!(time("1.7e12", TimeFormat::EpochMs), Ok(1_700_000_000_000));
    }

    #[test]
    fn a_time_out_of_the_years_1_to_9999_is_refused() {
        assert_eq!(time("253402300799999", TimeFormat::EpochMs), Ok(EVENT_TIME_MAX));
        assert_eq!(time("253402300800000", TimeFormat::EpochMs), Err(TimeFault::OutOfRange));
        assert_eq!(time("9467077920000000000", TimeFormat::EpochMs), Err(TimeFault::OutOfRange)); // Year 300,000,000.
        assert_eq!(time("9467077920000000", TimeFormat::EpochS), Err(TimeFault::OutOfRange));
        assert_eq!(time("-62135596800001", TimeFormat::EpochMs), Err(TimeFault::OutOfRange));
        assert_eq!(time("1e300", TimeFormat::EpochMs), Err(TimeFault::OutOfRange));
        assert_eq!(time("\"0000-12-31T23:59:59Z\"", TimeFormat::Rfc3339), Err(TimeFault::OutOfRange));
        assert!(time("\"300000000-01-01T00:00:00Z\"", TimeFormat::Rfc3339).is_err());
        assert_eq!(time("\"9999-12-31T23:59:59.999Z\"", TimeFormat::Rfc3339), Ok(EVENT_TIME_MAX));
        assert_eq!(time("\"0001-01-01T00:00:00Z\"", TimeFormat::Rfc3339), Ok(EVENT_TIME_MIN));
    }

    #[test]
    fn a_number_in_quotes_is_no_epoch_and_a_number_is_no_rfc3339() {
        assert_eq!(time("\"1700000000123\"", TimeFormat::EpochMs), Err(TimeFault::OtherKind));
        assert_eq!(time("1700000000123", TimeFormat::Rfc3339), Err(TimeFault::OtherKind));
        assert_eq!(time("\"2026-01-01T00:00:00\"", TimeFormat::Rfc3339), Err(TimeFault::OtherKind));
        assert_eq!(time("null", TimeFormat::EpochS), Err(TimeFault::OtherKind));
        assert_eq!(of_field(None, TimeFormat::EpochS), Err(TimeFault::Missing));
    }

    #[test]
    fn rarer_spellings_are_read_by_the_fallback() {
        assert_eq!(rfc3339_ms(b"2026-01-01t00:00:00z"), Some(1_767_225_600_000));
        assert_eq!(rfc3339_ms(b"2016-12-31T23:59:60Z"), Some(1_483_228_799_000)); // A leap second.
        assert_eq!(plain_rfc3339_ms(b"2023-02-29T00:00:00Z"), None);
        assert_eq!(rfc3339_ms(b"2023-02-29T00:00:00Z"), None);
    }

    proptest! {
        #[test]
        fn the_fast_path_agrees_with_jiff(
            ms in -62_100_000_000_000_i64..253_300_000_000_000,
            digits in 0..10_usize,
            offset in -1439..1440_i64,
            zulu: bool,
        ) {
            let offset = if zulu { 0 } else { offset };
            let local = jiff::Timestamp::from_millisecond(ms + offset * 60_000).unwrap();
            let fraction = format!("{:09}", local.as_nanosecond().rem_euclid(1_000_000_000));
            let mut text = local.to_string()[..19].to_owned();
            if digits > 0 {
                text.push('.');
                text.push_str(&fraction[..digits]);
            }
            let sign = if offset < 0 { '-' } else { '+' };
            match zulu {
                true => text.push('Z'),
                false => text.push_str(&format!("{sign}{:02}:{:02}", offset.abs() / 60, offset.abs() % 60)),
            }
            prop_assert_eq!(plain_rfc3339_ms(text.as_bytes()), any_rfc3339_ms(text.as_bytes()), "{}", text);
        }

        #[test]
        fn what_the_fast_path_takes_of_a_damaged_time_jiff_takes_too(at in 0..24_usize, byte in 0x20..0x7f_u8) {
            let mut text = b"2024-02-29T23:59:59.999Z".to_vec();
            text[at] = byte;
            if let Some(ms) = plain_rfc3339_ms(&text) {
                prop_assert_eq!(any_rfc3339_ms(&text), Some(ms));
            }
        }
    }
}
