//! Times as text.

/// Milliseconds since the Unix epoch of `YYYY-MM-DDTHH:MM:SS.mmmZ`, the only form that the generators write.
pub fn rfc3339_ms(text: &str) -> i64 {
    let part = |range: std::ops::Range<usize>| -> i64 {
        let digits = text.get(range).unwrap_or_else(|| panic!("not a time: {text}"));
        digits.parse().unwrap_or_else(|_| panic!("not a time: {text}"))
    };
    let (year, month, day) = (part(0..4), part(5..7), part(8..10));
    let seconds = (part(11..13) * 60 + part(14..16)) * 60 + part(17..19);
    let ms = if text.len() == 24 { part(20..23) } else { 0 };
    assert!(text.ends_with('Z') && matches!(text.len(), 20 | 24), "not a time in UTC: {text}");
    // Days of the civil calendar, counted from March so that a leap day is the last of its year (Hinnant's algorithm).
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted - era * 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468;
    days * 86_400_000 + seconds * 1_000 + ms
}
