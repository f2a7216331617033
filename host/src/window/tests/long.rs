//! Hopping windows of many slides, which are merged from sums: against the reference, to the last bit of a float, and in how many merges.

use super::properties::{Cuts, EVERY, config, cuts_of, expect, run, values};
use super::trace::Trace;
use super::{Harness, Record, canonical, row_times};
use crate::batch::{self, Keys};
use crate::column::Number;
use crate::config::{Emit, Window};
use crate::state::{Delta, Entries, Entry, TableId};
use crate::window::{Input, Operator};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const RECORDS_MAX: usize = 250;

/// Windows of 5 to 60 slides, some of which they are no multiple of.
pub(super) fn windows() -> impl Strategy<Value = Window> {
    let parts = (1..5i64, 5..=60i64).prop_flat_map(|(slide, times)| (Just(slide), Just(times), 0..slide, 0..slide));
    parts.prop_map(|(slide_ms, times, more, offset_ms)| {
        let size_ms = slide_ms * times + more;
        Window::Hopping { size_ms, slide_ms, offset_ms }
    })
}

/// Records of two keys in most panes, a few of them a little behind and a few so far that some of their windows have closed.
fn records() -> impl Strategy<Value = Vec<Record>> {
    let back = prop_oneof![6 => Just(0i64), 1 => 0..8i64, 1 => 0..200i64];
    prop::collection::vec((0..2usize, 0..4i64, back, values()), 100..RECORDS_MAX).prop_map(|steps| {
        let mut now = -150;
        let record = |(key, step, back, value): (usize, i64, i64, Option<Number>)| {
            now += step;
            Record { key: ["ann", "bob"][key].to_owned(), time: now - back, value }
        };
        steps.into_iter().map(record).collect()
    })
}

proptest! {
    #![proptest_config(config(500))]

    #[test]
    fn rows_of_long_windows_are_the_references_for_any_batches_and_restarts(
        window in windows(), emit in prop_oneof![Just(Emit::OnClose), Just(EVERY)], delay in 0..20i64, records in records(),
        cuts in cuts_of(RECORDS_MAX),
    ) {
        let (lines, late) = run(&window, emit, delay, &records, &cuts);
        let (expected, expected_late) = expect(&window, emit, delay, &records, &cuts);
        prop_assert_eq!(late, expected_late);
        prop_assert_eq!(lines, expected);
    }

    #[test]
    fn floats_in_long_windows_are_the_same_to_the_last_bit_for_any_batches_and_restarts(
        window in windows(), emit in prop_oneof![Just(Emit::OnClose), Just(EVERY)], delay in 0..20i64, mut records in records(),
        floats in prop::collection::vec(-1e9..1e9f64, RECORDS_MAX), first in cuts_of(RECORDS_MAX), second in cuts_of(RECORDS_MAX),
    ) {
        for (record, float) in records.iter_mut().zip(floats) {
            record.value = Some(Number::Float(float));
        }
        // What is asked for between is asked for in both.
        let second = second.0.iter().zip(&first.0).map(|(it, first)| (it.0, first.1, it.2));
        let second = Cuts(second.collect());
        prop_assert_eq!(run(&window, emit, delay, &records, &first), run(&window, emit, delay, &records, &second));
    }

    #[test]
    fn long_windows_are_merged_in_the_order_of_their_panes_and_always_alike(
        window in windows(), delay in 0..15i64, records in records(), rows in 1..40usize, others in 1..40usize,
    ) {
        let folded = folded(&window, delay, &records, rows, false);
        let plain = folded.iter().map(|it| (it.0.clone(), it.1.replace(['(', ')', '+'], "")));
        prop_assert_eq!(plain.collect::<Vec<_>>(), naive(&window, delay, &records));
        let mut restored = self::folded(&window, delay, &records, others, true);
        let mut folded = folded;
        folded.sort();
        restored.sort();
        prop_assert_eq!(folded, restored);
    }
}

/// End and start of a window, and its key.
type Name = (i64, i64, String);

/// What each row said was merged with what, with a batch of so many `rows` each; with `restarts`, after each batch.
fn folded(window: &Window, delay: i64, records: &[Record], rows: usize, restarts: bool) -> Vec<(Name, String)> {
    let new = || Operator::new(window, Emit::OnClose, Trace::strict());
    let mut operator = new();
    let (mut out, mut snapshot, mut watermark) = (Vec::new(), BTreeMap::new(), i64::MIN);
    for records in records.chunks(rows) {
        for fired in feed(&mut operator, delay, records, &mut watermark) {
            out.extend(fired);
        }
        if restarts {
            let mut delta = Delta::default();
            operator.seal(TableId(0), &mut delta);
            for entry in Entries(delta.bytes()) {
                match entry.value {
                    Some(value) => snapshot.insert(entry.key.to_vec(), value.to_vec()),
                    None => snapshot.remove(entry.key),
                };
            }
            operator = new();
            for (key, value) in &snapshot {
                operator.restore(Entry { table: TableId(0), group: 0, key, value: Some(value) }).unwrap();
            }
            operator.resume(watermark);
        }
    }
    let Ok(fired) = operator.advance(i64::MAX);
    out.extend(named(&fired));
    assert_eq!(operator.accumulators().used(), 0, "every slot is freed");
    out
}

/// A batch, then the watermark after it, in the smallest parts.
fn feed(
    operator: &mut Operator<Trace>,
    delay: i64,
    records: &[Record],
    watermark: &mut i64,
) -> Vec<Vec<(Name, String)>> {
    let mut keys = Keys::default();
    for record in records {
        let text = canonical(&record.key);
        keys.texts.push(text.as_bytes());
        keys.hashes.push(batch::hash(text.as_bytes()));
    }
    let times: Vec<i64> = records.iter().map(|it| it.time).collect();
    let clock = row_times(&times, delay, *watermark);
    *watermark = clock.after;
    let Ok(processed) = operator.process(&Input { keys: &keys, times: &times, columns: &[], clock: &clock, gaps: &[] });
    let mut out = vec![named(&processed.fired)];
    loop {
        let Ok((fired, done)) = operator.advance_some(*watermark, 1);
        out.push(named(&fired));
        if done {
            return out;
        }
    }
}

fn named(fired: &crate::window::Fired<crate::column::Strings>) -> Vec<(Name, String)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let name = |row: usize| (fired.ends[row], fired.starts[row], text(fired.keys.get(row)));
    (0..fired.len()).map(|row| (name(row), text(fired.values.get(row)))).collect()
}

/// The records of each window by its definition: those that came before it closed, by pane and then as they came.
fn naive(window: &Window, delay: i64, records: &[Record]) -> Vec<(Name, String)> {
    let Window::Hopping { size_ms, slide_ms, offset_ms } = *window else { unreachable!() };
    let pane = (1..=slide_ms).rev().find(|it| size_ms % it == 0 && slide_ms % it == 0).unwrap();
    let (mut watermark, mut rows) = (i64::MIN, BTreeMap::<_, Vec<(i64, usize, i64)>>::new());
    for (at, record) in records.iter().enumerate() {
        let key = canonical(&record.key);
        let mut start = (record.time - offset_ms).div_euclid(slide_ms) * slide_ms + offset_ms;
        while start + size_ms > record.time {
            if start + size_ms - 1 > watermark {
                let name = (start + size_ms, start, batch::hash(key.as_bytes()), key.clone());
                let pane = (record.time - offset_ms).div_euclid(pane);
                rows.entry(name).or_default().push((pane, at, record.time));
            }
            start -= slide_ms;
        }
        watermark = watermark.max(record.time - delay - 1);
    }
    let row = |((end, start, _, key), mut records): (_, Vec<(i64, usize, i64)>)| {
        records.sort_unstable();
        ((end, start, key), records.iter().map(|it| format!("{} ", it.2)).collect())
    };
    rows.into_iter().map(row).collect()
}

/// A record of a key in each slide of a second, and one `behind` by so many slides where that is not 0. Answers merges, calls of them
/// and most accumulators for each row, of the slides after the first windows.
fn cost(slides: i64, behind: i64) -> (f64, f64, f64) {
    let window = Window::Hopping { size_ms: slides * 1_000, slide_ms: 1_000, offset_ms: 0 };
    let mut operator = Operator::new(&window, Emit::OnClose, Trace::default());
    let (mut watermark, mut rows, mut used) = (i64::MIN, 0, 0);
    for slide in 0..3 * slides {
        if slide == slides {
            let folds = operator.accumulators();
            (folds.merges, folds.merge_calls, rows) = (0, 0, 0);
        }
        let record = |slide: i64| Record { key: "ann".to_owned(), time: slide * 1_000, value: None };
        let mut records = vec![record(slide)];
        records.extend((behind > 0).then(|| record(slide - behind)));
        rows += feed(&mut operator, 0, &records, &mut watermark).concat().len();
        used = used.max(operator.accumulators().used());
    }
    let folds = operator.accumulators();
    let each = |count: usize| count as f64 / rows as f64;
    (each(folds.merges), each(folds.merge_calls), used as f64 / slides as f64)
}

#[test]
fn a_row_costs_a_few_merges_however_many_slides_its_window_has() {
    for slides in [60, 600, 3_600] {
        let (merges, calls, used) = cost(slides, 0);
        assert!(merges < 8.0, "{merges} merges a row of {slides} slides");
        assert!(calls < 8.0, "{calls} calls a row of {slides} slides");
        assert!(used < 1.6, "{used} accumulators a cell of {slides} slides");
    }
    assert!(cost(3_600, 0).2 < 1.1, "sums are few where cells are many");
}

#[test]
fn a_record_that_comes_late_costs_a_part_of_what_its_window_has() {
    for behind in [1, 5, 100, 300, 599] {
        let (merges, ..) = cost(600, behind);
        assert!(merges < 120.0, "{merges} merges a row with a record {behind} slides late");
    }
}

#[test]
fn the_sums_of_a_key_are_counted_as_memory_and_may_be_forgotten_at_any_time() {
    let window = Window::Hopping { size_ms: 60, slide_ms: 1, offset_ms: 0 };
    let mut harness = Harness::new(window, Emit::OnClose);
    let mut rows = BTreeSet::new();
    for forgets in [false, true] {
        harness = Harness::new(harness.window, harness.emit);
        for time in 0..200 {
            let record = Record { key: "ann".to_owned(), time, value: Some(Number::Float(1.1)) };
            let clock = row_times(&[time], 0, time - 2);
            harness.feed(&[record], &clock);
            if forgets {
                harness.operator.forget_sums();
            }
        }
        rows.insert(harness.lines.clone());
    }
    assert_eq!(rows.len(), 1);
    let without = (harness.operator.bytes(), harness.operator.accumulators().used());
    harness.advance(harness.watermark + 1);
    let with = (harness.operator.bytes(), harness.operator.accumulators().used());
    assert!(with.0 > without.0 + 200, "{with:?}, {without:?} without");
    assert!(with.1 > without.1 + 4, "{with:?}, {without:?} without");
    harness.restart();
    assert_eq!(harness.operator.accumulators().used(), without.1 - 1, "one cell went as the watermark moved");
}
