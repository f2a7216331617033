//! Holds what was found against what is expected.

use super::play::Found;
use super::scenario::{Expected, Order, Row, Scenario};
use serde_json::{Map, Value};
use std::fmt::Write;

/// What differs, a line each; `+` was written and is not expected, `-` the other way round.
pub(super) fn compare(scenario: &Scenario, found: &[Found]) -> Result<(), String> {
    let mut diff = String::new();
    match &scenario.expected {
        Expected::Times(times) => {
            for (step, watermark, idle) in times {
                for time in found.get(*step).iter().flat_map(|it| &it.times) {
                    if watermark
                        .is_some_and(|it| Some(it) != time.watermark && (it != i64::MIN || time.watermark.is_some()))
                        || idle.is_some_and(|it| it != time.idle)
                    {
                        let _ =
                            writeln!(diff, "after step {step}: expected {watermark:?}, idle {idle:?}; found {time:?}");
                    }
                }
            }
        }
        Expected::Rows { rows, order, more_late_panes, late, dropped } => {
            compare_rows(&mut diff, (rows, *order, *more_late_panes), scenario.since_1970, found);
            if let Some(late) = late {
                compare_late(&mut diff, late, found);
            }
            compare_counts(&mut diff, dropped, found);
        }
        Expected::Late(counts) => compare_counts(&mut diff, counts, found),
    }
    if diff.is_empty() { Ok(()) } else { Err(diff) }
}

fn compare_counts(diff: &mut String, counts: &[(usize, usize)], found: &[Found]) {
    for (step, count) in counts {
        let so_far: usize = found.iter().take(step + 1).map(|it| it.late.len()).sum();
        if so_far != *count {
            let _ = writeln!(diff, "after step {step}: expected {count} late records, found {so_far}");
        }
    }
}

fn compare_rows(
    diff: &mut String,
    (rows, order, more_late_panes): (&[Row], Order, bool),
    since_1970: bool,
    found: &[Found],
) {
    let mut expected: Vec<Row> = rows.to_vec();
    // A step counts as the one up to which it is compared.
    let until = |step: usize| match order {
        Order::Step | Order::Sequence => step,
        Order::Any => found.len().saturating_sub(1),
        Order::Block => rows.iter().map(|it| it.after_step).filter(|it| *it >= step).min().unwrap_or(step),
    };
    expected.iter_mut().for_each(|it| it.after_step = until(it.after_step));
    for (step, row) in found.iter().enumerate().flat_map(|(step, it)| it.rows.iter().map(move |row| (step, row))) {
        let step = until(step);
        let fits =
            |it: &Row| it.after_step == step && it.fields.iter().all(|(name, value)| same(field(row, name), value));
        let at = match order {
            // The first that is left of the step must be it.
            Order::Sequence => expected.iter().position(|it| it.after_step == step).filter(|&at| fits(&expected[at])),
            _ => expected.iter().position(fits),
        };
        match at {
            Some(at) => {
                expected.remove(at);
            }
            None if since_1970 && row.get("window_start").and_then(Value::as_i64).is_some_and(|it| it < 0) => {}
            None if more_late_panes && row.get("pane").is_some_and(|it| it == "late") => {}
            None => {
                let _ = writeln!(diff, "+ after step {step}: {}", shown(row));
            }
        }
    }
    for row in expected {
        let fields: Map<String, Value> = row.fields.into_iter().collect();
        let _ = writeln!(diff, "- after step {}: {}", row.after_step, shown(&fields));
    }
}

/// The field `name`, or `left.name` and `right.name` of a joined row.
fn field<'a>(row: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    match name.split_once('.') {
        Some((side, name)) => row.get(side)?.get(name),
        None => row.get(name),
    }
}

/// Numbers are the same by value, and what is not there is null.
fn same(found: Option<&Value>, expected: &Value) -> bool {
    match (found, expected) {
        (Some(Value::Number(a)), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Some(found), expected) => found == expected,
        (None, expected) => expected.is_null(),
    }
}

fn compare_late(diff: &mut String, late: &[(usize, Value)], found: &[Found]) {
    let mut expected: Vec<&(usize, Value)> = late.iter().collect();
    for (step, record) in found.iter().enumerate().flat_map(|(step, it)| it.late.iter().map(move |late| (step, late))) {
        match expected.iter().position(|it| it.0 == step && it.1 == *record) {
            Some(at) => {
                expected.remove(at);
            }
            None => {
                let _ = writeln!(diff, "+ after step {step}, late: {record}");
            }
        }
    }
    for (step, record) in expected {
        let _ = writeln!(diff, "- after step {step}, late: {record}");
    }
}

fn shown(fields: &Map<String, Value>) -> String {
    Value::Object(fields.clone()).to_string()
}
