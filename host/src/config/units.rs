//! Durations and sizes as written, with their unit.

/// The units of a duration with their length in ms.
const DURATIONS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// The longest duration: 100 years. Sums of a few with any time of the calendar stay within 64 bits.
const DURATION_MS_MAX: u64 = 36_525 * 86_400_000;

/// The units of a size with their bytes.
const SIZES: [(&str, u64); 7] = [
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// Milliseconds of a duration such as `250ms`, `5s`, `30m`, `1h` or `1d`.
///
/// # Errors
/// What was expected and what to write, for the end of a message.
pub fn duration_ms(text: &str) -> Result<u64, String> {
    let ms = quantity(text, &DURATIONS, "a duration", "5s")?;
    if ms > DURATION_MS_MAX { Err("a duration of at most 36525d".to_owned()) } else { Ok(ms) }
}

/// Bytes of a size such as `64KiB` or `256MiB`.
///
/// # Errors
/// What was expected and what to write, for the end of a message.
pub fn size_bytes(text: &str) -> Result<u64, String> {
    quantity(text, &SIZES, "a size", "64MiB")
}

fn quantity(text: &str, units: &[(&str, u64)], what: &str, example: &str) -> Result<u64, String> {
    let names = || units.iter().map(|(unit, _)| *unit).collect::<Vec<_>>().join(", ");
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start();
    if number.is_empty() {
        return Err(format!("{what}: a whole number and a unit ({}) such as \"{example}\"", names()));
    }
    if unit.is_empty() {
        let base = units.iter().find(|(unit, _)| example.ends_with(unit)).map_or("", |(unit, _)| unit);
        return Err(format!("{what} with its unit ({}); write \"{number}{base}\" if that is meant", names()));
    }
    let Some((_, scale)) = units.iter().find(|(name, _)| *name == unit) else {
        return Err(format!("{what} with one of the units {}", names()));
    };
    let number: Option<u64> = number.parse().ok();
    number.and_then(|it| it.checked_mul(*scale)).ok_or_else(|| format!("{what} that fits 64 bits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_whole_number_and_a_unit() {
        let read: Vec<_> = ["0s", "250ms", "5s", "30m", "1h", "1d", "5 s"].map(|it| duration_ms(it).unwrap()).into();
        assert_eq!(read, [0, 250, 5_000, 1_800_000, 3_600_000, 86_400_000, 5_000]);
        for wrong in ["", "5", "s", "-5s", "1.5s", "5sec", "1h30m", "5S", "36526d", "99999999999999999999s"] {
            assert!(duration_ms(wrong).is_err(), "{wrong:?} is not a duration");
        }
    }

    #[test]
    fn a_size_is_decimal_or_binary_by_its_unit() {
        assert_eq!(size_bytes("64KB"), Ok(64_000));
        assert_eq!(size_bytes("64KiB"), Ok(65_536));
        assert_eq!(size_bytes("2GiB"), Ok(2 << 30));
        assert!(size_bytes("64").is_err());
    }
}
