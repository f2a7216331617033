//! Days, weeks, months and years of a time zone, as ms since the Unix epoch.
//!
//! A day begins with its first instant in the zone, which is not midnight where the clocks are set forward then. The rules of
//! the zones are compiled in: the same record is in the same window on every machine.

use crate::config::CalendarUnit;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// The windows of one unit and zone.
#[derive(Debug)]
pub(super) struct Calendar {
    unit: CalendarUnit,
    zone: TimeZone,
    /// The window of the last record: most are in the same.
    recent: (i64, i64),
}

impl Calendar {
    /// `zone` has been checked to be there; UTC otherwise.
    pub(super) fn new(unit: CalendarUnit, zone: &str) -> Self {
        Calendar { unit, zone: TimeZone::get(zone).unwrap_or(TimeZone::UTC), recent: (0, 0) }
    }

    /// Start and end, exclusive, of the window that `time` is in. Beyond the years -9999 to 9999 it is all that is left of time.
    pub(super) fn window(&mut self, time: i64) -> (i64, i64) {
        let (start, end) = self.recent;
        if start <= time && time < end {
            return self.recent;
        }
        self.recent = self.find(time).unwrap_or(if time < 0 { (i64::MIN, time + 1) } else { (time, i64::MAX) });
        self.recent
    }

    fn find(&self, time: i64) -> Option<(i64, i64)> {
        let date = self.zone.to_datetime(Timestamp::from_millisecond(time).ok()?).date();
        let (first, next) = self.dates(date)?;
        let (start, end) = (self.begin(first)?, self.begin(next)?);
        // A time that the zone has twice may begin a date anew: the window that began it holds the time.
        (start <= time && time < end).then_some((start, end))
    }

    /// The first date of the unit that `date` is in, and of the next one.
    fn dates(&self, date: Date) -> Option<(Date, Date)> {
        match self.unit {
            CalendarUnit::Day => Some((date, date.tomorrow().ok()?)),
            CalendarUnit::Week => {
                let monday = date.checked_sub(i64::from(date.weekday().to_monday_zero_offset()).days()).ok()?;
                Some((monday, monday.checked_add(7.days()).ok()?))
            }
            CalendarUnit::Month => Some((date.first_of_month(), date.last_of_month().tomorrow().ok()?)),
            CalendarUnit::Year => Some((date.first_of_year(), date.last_of_year().tomorrow().ok()?)),
        }
    }

    /// The first instant of `date` in the zone.
    fn begin(&self, date: Date) -> Option<i64> {
        let start = date.to_zoned(self.zone.clone()).ok()?.start_of_day().ok()?;
        Some(start.timestamp().as_millisecond())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(unit: CalendarUnit, zone: &str, time: &str) -> (String, String) {
        let ms = time.parse::<Timestamp>().unwrap().as_millisecond();
        let (start, end) = Calendar::new(unit, zone).window(ms);
        let text = |ms| Timestamp::from_millisecond(ms).unwrap().to_string();
        (text(start), text(end))
    }

    fn bounds(start: &str, end: &str) -> (String, String) {
        (start.to_owned(), end.to_owned())
    }

    #[test]
    fn a_day_is_as_long_as_the_clocks_make_it() {
        let paris = |time| window(CalendarUnit::Day, "Europe/Paris", time);
        let (summer, winter) = ("2026-03-29T12:00:00Z", "2026-10-25T12:00:00Z");
        assert_eq!(paris(summer), bounds("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"), "23 hours");
        assert_eq!(paris(winter), bounds("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"), "25 hours");
        assert_eq!(paris("2026-03-29T21:59:59.999Z"), paris(summer));
        assert_ne!(paris("2026-03-29T22:00:00Z"), paris(summer));
    }

    #[test]
    fn a_day_that_has_no_midnight_begins_with_its_first_instant() {
        let cairo = window(CalendarUnit::Day, "Africa/Cairo", "2026-04-24T12:00:00Z");
        assert_eq!(cairo, bounds("2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z"), "from 01:00 to midnight");
    }

    #[test]
    fn weeks_begin_on_monday_and_months_and_years_on_the_first() {
        let of = |unit, time| window(unit, "America/New_York", time);
        assert_eq!(
            of(CalendarUnit::Week, "2026-03-09T03:00:00Z"),
            bounds("2026-03-02T05:00:00Z", "2026-03-09T04:00:00Z")
        );
        assert_eq!(
            of(CalendarUnit::Month, "2026-03-01T04:59:59Z"),
            bounds("2026-02-01T05:00:00Z", "2026-03-01T05:00:00Z")
        );
        assert_eq!(
            of(CalendarUnit::Year, "2026-07-01T00:00:00Z"),
            bounds("2026-01-01T05:00:00Z", "2027-01-01T05:00:00Z")
        );
    }

    #[test]
    fn every_time_is_in_the_window_that_it_is_given_and_windows_are_end_to_end() {
        for unit in [CalendarUnit::Day, CalendarUnit::Week, CalendarUnit::Month, CalendarUnit::Year] {
            for zone in
                ["UTC", "Asia/Kolkata", "Africa/Cairo", "America/Sao_Paulo", "Pacific/Apia", "Australia/Lord_Howe"]
            {
                let mut calendar = Calendar::new(unit, zone);
                let mut time = 1_262_304_000_000_i64; // 2010: with the day that Apia left out.
                for _ in 0..900 {
                    let (start, end) = calendar.window(time);
                    assert!(start <= time && time < end, "{zone} {unit:?} {time}: [{start}, {end})");
                    assert_eq!(Calendar::new(unit, zone).window(end - 1), (start, end), "{zone} {unit:?}");
                    assert_eq!(Calendar::new(unit, zone).window(end).0, end, "{zone} {unit:?}");
                    time = end;
                }
            }
        }
    }

    #[test]
    fn times_beyond_the_calendar_are_in_some_window() {
        for time in [i64::MIN, -400_000_000_000_000, 400_000_000_000_000, i64::MAX - 1] {
            let (start, end) = Calendar::new(CalendarUnit::Month, "UTC").window(time);
            assert!(start <= time && time < end);
        }
    }
}
