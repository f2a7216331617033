//! What a person reads of a run: numbers, times, the live line and the closing summary. Pure: figures in, text out.

use std::fmt::Write;
use std::time::Duration;
use wasmill::metrics::{Progress, Summary};

/// A number with commas between thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 step`, `2 steps`.
pub(crate) fn counted(number: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// A duration in the unit that suits it.
pub(crate) fn lasting(duration: Duration) -> String {
    match duration.as_millis() {
        ms @ 0..1_000 => format!("{ms} ms"),
        ms @ 1_000..60_000 => format!("{:.1} s", ms as f64 / 1e3),
        ms if ms < 3_600_000 => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1_000),
        ms => format!("{} h {} min", ms / 3_600_000, ms % 3_600_000 / 60_000),
    }
}

/// A watermark as a time in UTC, to the second; `none` before the first, `end` when all input was read.
pub(crate) fn watermark(ms: Option<i64>) -> String {
    match ms {
        None | Some(i64::MIN) => "none".to_owned(),
        Some(i64::MAX) => "end".to_owned(),
        Some(ms) => {
            jiff::Timestamp::from_second(ms.div_euclid(1_000)).map_or_else(|_| format!("{ms} ms"), |it| it.to_string())
        }
    }
}

/// Records a second; 0 over no time.
pub(crate) fn rate(records: u64, over: Duration) -> u64 {
    if over.is_zero() { 0 } else { (records as f64 / over.as_secs_f64()).round() as u64 }
}

/// The live line: what happened `over` the time from `before` to `now`.
pub(crate) fn live_line(name: &str, before: &Progress, now: &Progress, over: Duration) -> String {
    let mut line = format!(
        "{name}  in {}/s  out {}/s",
        grouped(rate(now.records_in.saturating_sub(before.records_in), over)),
        grouped(rate(now.records_out.saturating_sub(before.records_out), over)),
    );
    if let Some(lag) = now.lag {
        let _ = write!(line, "  lag {}", grouped(lag));
    }
    let _ = write!(line, "  watermark {}", watermark(now.watermark));
    if let Some(age_ms) = now.checkpoint_age_ms {
        let _ = write!(line, "  checkpoint {} {} ago", grouped(now.epoch), lasting(Duration::from_millis(age_ms)));
        if let Some(ms) = now.checkpoint_ms {
            let _ = write!(line, " in {}", lasting(Duration::from_millis(ms)));
        }
    }
    let _ = write!(line, "  dead letters {}", grouped(now.dead_letters));
    if now.late > 0 {
        let _ = write!(line, "  late {}", grouped(now.late));
    }
    if now.dropped > 0 {
        let _ = write!(line, "  dropped {}", grouped(now.dropped));
    }
    if let Some(status) = &now.status {
        let _ = write!(line, "  ({status})");
    }
    line
}

/// The closing summary: why it ended, what was read and written, and what became of the rest.
pub(crate) fn summary(name: &str, summary: &Summary) -> String {
    let progress = &summary.progress;
    let per_second = grouped(rate(progress.records_in, summary.elapsed));
    let mut lines = vec![("read".to_owned(), grouped(progress.records_in), format!("records, {per_second} a second"))];
    for (step, records_in, records_out) in &summary.per_step {
        lines.push((format!("step {step}"), grouped(*records_out), format!("out of {}", grouped(*records_in))));
    }
    for (sink, records) in &summary.per_sink {
        lines.push((format!("sink {sink}"), grouped(*records), "records written".to_owned()));
    }
    let mut rest = |count: u64, what: &str, meaning: &str| {
        if count > 0 {
            lines.push((what.to_owned(), grouped(count), meaning.to_owned()));
        }
    };
    let lateness = format!("records came after their windows had closed: {}", progress.lateness);
    rest(progress.late, "late", &lateness);
    rest(progress.dead_letters, "dead letters", "records could not be processed and were set aside");
    rest(progress.dropped, "dropped", "bad records were dropped");
    rest(progress.filtered, "filtered", "records did not meet the `where` of a step");
    rest(progress.state_keys, "state", "keys are kept for the next run");
    rest(progress.commits.count(), "commits", &progress.commits.to_string());
    rest(progress.epoch, "checkpoint", "is the last one committed");

    let first = lines.iter().map(|it| it.0.len()).max().unwrap_or_default();
    let second = lines.iter().map(|it| it.1.len()).max().unwrap_or_default();
    let mut text = format!("{name}: {} after {}\n", summary.reason, lasting(summary.elapsed));
    for (what, count, meaning) in lines {
        let _ = writeln!(text, "  {what:<first$}  {count:>second$}  {meaning}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use wasmill::metrics::{Commits, LatenessRead};

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let shown = [0, 999, 1_000, 1_234_567].map(grouped);
        assert_eq!(shown, ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn a_duration_is_shown_in_the_unit_that_suits_it() {
        let shown = [0, 999, 1_000, 59_949, 61_000, 3_725_000].map(|ms| lasting(Duration::from_millis(ms)));
        assert_eq!(shown, ["0 ms", "999 ms", "1.0 s", "59.9 s", "1 min 1 s", "1 h 2 min"]);
    }

    #[test]
    fn a_watermark_is_a_time_or_says_why_not() {
        let shown = [None, Some(i64::MIN), Some(i64::MAX), Some(1_769_860_800_999), Some(-1), Some(i64::MAX - 1)]
            .map(watermark);
        expect![[r#"
            [
                "none",
                "none",
                "end",
                "2026-01-31T12:00:00Z",
                "1969-12-31T23:59:59Z",
                "9223372036854775806 ms",
            ]
        "#]]
        .assert_debug_eq(&shown);
    }

    #[test]
    fn the_live_line_shows_rates_since_the_last_one() {
        let before = Progress { records_in: 1_000, records_out: 10, ..Progress::default() };
        let now = Progress {
            records_in: 26_000,
            records_out: 35,
            lag: Some(1_200),
            watermark: Some(1_769_860_800_000),
            epoch: 12,
            checkpoint_ms: Some(4),
            checkpoint_age_ms: Some(350),
            dead_letters: 3,
            ..Progress::default()
        };
        let line = live_line("fraud", &before, &now, Duration::from_millis(250));
        expect!["fraud  in 100,000/s  out 100/s  lag 1,200  watermark 2026-01-31T12:00:00Z  checkpoint 12 350 ms ago in 4 ms  dead letters 3"].assert_eq(&line);
        let status = Progress { status: Some("restoring state".into()), late: 1, dropped: 2, ..Progress::default() };
        let line = live_line("fraud", &status, &status, Duration::ZERO);
        expect!["fraud  in 0/s  out 0/s  watermark none  dead letters 0  late 1  dropped 2  (restoring state)"]
            .assert_eq(&line);
    }

    #[test]
    fn the_summary_says_what_became_of_every_record() {
        let lateness = LatenessRead { records: [0, 0, 2, 0, 1, 0, 0, 0, 0], sum_ms: 40_000 };
        let commits = Commits::default();
        [3, 4, 4, 5, 20].into_iter().for_each(|ms| commits.add(Duration::from_millis(ms)));
        let progress = Progress {
            records_in: 100_000,
            records_out: 812,
            late: 3,
            lateness,
            dead_letters: 3,
            epoch: 5,
            commits: commits.read(),
            ..Progress::default()
        };
        let done = Summary {
            progress,
            elapsed: Duration::from_millis(2_100),
            per_sink: vec![("alerts".into(), 812)],
            per_step: vec![("velocity".into(), 100_000, 100_000), ("rules".into(), 100_000, 812)],
            reason: "end of input".into(),
        };
        expect![[r#"
            fraud: end of input after 2.1 s
              read           100,000  records, 47,619 a second
              step velocity  100,000  out of 100,000
              step rules         812  out of 100,000
              sink alerts        812  records written
              late                 3  records came after their windows had closed: 2 by up to 1 s, 1 by up to 1 min
              dead letters         3  records could not be processed and were set aside
              commits              5  half of them within 4 ms, 99 in 100 within 20 ms
              checkpoint           5  is the last one committed
        "#]]
        .assert_eq(&summary("fraud", &done));
    }
}
