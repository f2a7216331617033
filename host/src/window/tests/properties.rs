//! The operators against the reference, for any split into batches and any restart between them.

use super::long::windows as long;
use super::reference::Reference;
use super::{Harness, Record, row_times};
use crate::batch::RowTimes;
use crate::column::Number;
use crate::config::{Accumulate, Emit, Firing, Window};
use proptest::prelude::*;
use std::collections::HashMap;

pub(super) const EVERY: Emit = Emit::Every { interval_ms: 1 };

fn windows() -> impl Strategy<Value = Window> {
    let hopping = (2..24i64, 1..24i64).prop_flat_map(|(a, b)| (Just(a.max(b)), Just(a.min(b)), 0..a.min(b)));
    prop_oneof![
        (1..24i64)
            .prop_flat_map(|size| (Just(size), 0..size))
            .prop_map(|(size_ms, offset_ms)| Window::Tumbling { size_ms, offset_ms }),
        hopping.prop_map(|(size_ms, slide_ms, offset_ms)| Window::Hopping { size_ms, slide_ms, offset_ms }),
        long(),
        (1..12i64).prop_map(Window::session),
        prop_oneof![1..24i64, 100..400i64].prop_map(|size_ms| Window::Rolling { size_ms }),
    ]
}

fn emits() -> impl Strategy<Value = Emit> {
    prop_oneof![Just(Emit::OnClose), Just(Emit::OnUpdate), Just(EVERY)]
}

/// Numbers whose sums are exact as floats.
pub(super) fn values() -> impl Strategy<Value = Option<Number>> {
    prop_oneof![
        1 => Just(None),
        5 => (-50..50i64).prop_map(|it| Some(Number::Int(it))),
        1 => (-50..50i64).prop_map(|it| Some(Number::Float(it as f64 / 4.0))),
    ]
}

/// Records whose times wander upwards from `base`, each with a step ahead and a way back from there.
pub(super) fn records(base: i64) -> impl Strategy<Value = Vec<Record>> {
    let record = (0..3usize, -2..7i64, prop_oneof![2 => Just(0i64), 1 => 0..40i64], values());
    prop::collection::vec(record, 1..60).prop_map(move |steps| {
        let mut now = base;
        let record = |(key, step, back, value): (usize, i64, i64, Option<Number>)| {
            now = now.saturating_add(step);
            Record { key: ["ann", "bob", "cyd"][key].to_owned(), time: now.saturating_sub(back), value }
        };
        steps.into_iter().map(record).collect()
    })
}

/// What happens after each record: a batch ends, `changed` is called (and a batch ends), the operator restarts.
#[derive(Clone)]
pub(super) struct Cuts(pub(super) Vec<(bool, bool, bool)>);

impl std::fmt::Debug for Cuts {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mark = |(at, cut): (usize, &(bool, bool, bool))| {
            let marks = [(cut.0, "|"), (cut.1, "c"), (cut.2, "r")];
            let marks: String = marks.iter().filter(|it| it.0).map(|it| it.1).collect();
            format!("{at}{marks}")
        };
        write!(out, "{}", self.0.iter().enumerate().map(mark).collect::<Vec<_>>().join(" "))
    }
}

pub(super) fn cuts() -> impl Strategy<Value = Cuts> {
    cuts_of(60)
}

/// After each of so many records.
pub(super) fn cuts_of(records: usize) -> impl Strategy<Value = Cuts> {
    let cut = |often: f64| (prop::bool::weighted(often), prop::bool::weighted(0.2), prop::bool::weighted(0.3));
    prop_oneof![prop::collection::vec(cut(0.2), records), prop::collection::vec(cut(0.8), records)].prop_map(Cuts)
}

/// Lines and late records of the operator.
pub(super) fn run(
    window: &Window,
    emit: Emit,
    delay: i64,
    records: &[Record],
    cuts: &Cuts,
) -> (Vec<String>, Vec<usize>) {
    let mut harness = Harness::new(window.clone(), emit);
    run_in(&mut harness, delay, records, cuts);
    (harness.lines, harness.late)
}

/// The same of an operator that is made, which is empty then.
pub(super) fn run_in(harness: &mut Harness, delay: i64, records: &[Record], cuts: &Cuts) {
    let unused = harness.operator.accumulators().used();
    let (mut from, mut watermark) = (0, i64::MIN);
    for (at, &(cut, changed, restart)) in cuts.0.iter().enumerate().take(records.len()) {
        if !(cut || changed || at + 1 == records.len()) {
            continue;
        }
        let batch = &records[from..=at];
        let times: Vec<i64> = batch.iter().map(|it| it.time).collect();
        let clock = row_times(&times, delay, watermark);
        (from, watermark) = (at + 1, clock.after);
        harness.feed(batch, &clock);
        if changed {
            harness.changed();
        }
        if restart {
            harness.restart();
        }
    }
    harness.advance(i64::MAX);
    if matches!(harness.window, Window::Count { .. }) {
        return; // No time closes them.
    }
    assert_eq!(harness.operator.keys(), 0, "the last watermark closes everything");
    assert_eq!(harness.operator.accumulators().used(), unused, "every slot is freed");
    harness.seal();
    assert!(harness.snapshot.is_empty(), "what was freed is deleted from the snapshot");
}

/// The same of the reference.
pub(super) fn expect(
    window: &Window,
    emit: Emit,
    delay: i64,
    records: &[Record],
    cuts: &Cuts,
) -> (Vec<String>, Vec<usize>) {
    let mut reference = Reference::new(window.clone(), emit);
    let mut watermark = i64::MIN;
    for (record, &(_, changed, _)) in records.iter().zip(&cuts.0) {
        reference.record(record);
        watermark = row_times(&[record.time], delay, watermark).after;
        reference.advance(watermark);
        if changed {
            reference.changed();
        }
    }
    reference.advance(i64::MAX);
    (reference.lines, reference.late)
}

pub(super) fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) }
}

proptest! {
    #![proptest_config(config(2_000))]

    #[test]
    fn rows_and_late_records_are_the_references_for_any_batches_and_restarts(
        window in windows(), emit in emits(), delay in 0..20i64, records in records(0), cuts in cuts(),
    ) {
        let (lines, late) = run(&window, emit, delay, &records, &cuts);
        let (expected, expected_late) = expect(&window, emit, delay, &records, &cuts);
        prop_assert_eq!(late, expected_late);
        prop_assert_eq!(lines, expected);
    }
}

proptest! {
    #![proptest_config(config(500))]

    #[test]
    fn the_ends_of_time_are_no_exception(
        window in windows().prop_filter("a slide of 1 ms has windows that no i64 names", |it| {
            !matches!(it, Window::Hopping { slide_ms: 1, .. })
        }),
        emit in emits(),
        delay in 0..20i64,
        (low, high) in (records(i64::MIN + 1), records(i64::MAX - 40)),
        cuts in cuts(),
    ) {
        for records in [low, high] {
            let (lines, late) = run(&window, emit, delay, &records, &cuts);
            let (expected, expected_late) = expect(&window, emit, delay, &records, &cuts);
            prop_assert_eq!(late, expected_late);
            prop_assert_eq!(lines, expected);
        }
    }

    #[test]
    fn a_window_closes_with_the_row_that_its_last_update_had(
        window in windows().prop_filter("answers have no windows", |it| !matches!(it, Window::Rolling { .. })),
        delay in 0..20i64, records in records(0), cuts in cuts(),
    ) {
        let (closed, late) = run(&window, Emit::OnClose, delay, &records, &cuts);
        let (updates, late_too) = run(&window, Emit::OnUpdate, delay, &records, &cuts);
        prop_assert_eq!(late, late_too);
        let bounds = |line: &str| line[..line.find(')').unwrap()].to_owned();
        let last: HashMap<String, &String> = updates.iter().map(|it| (bounds(it), it)).collect();
        for line in &closed {
            prop_assert_eq!(Some(&line), last.get(&bounds(line)));
        }
    }

    #[test]
    fn windows_that_remember_what_they_wrote_write_the_same_as_those_that_share_panes(
        window in windows().prop_filter("answers are no results", |it| !matches!(it, Window::Rolling { .. })),
        delay in 0..20i64, records in records(0), cuts in cuts(),
    ) {
        let (closed, late) = run(&window, Emit::OnClose, delay, &records, &cuts);
        prop_assert_eq!((closed, late), run(&window, Emit::Repeatedly(Firing::ON_CLOSE), delay, &records, &cuts));
        let (updates, late) = run(&window, Emit::OnUpdate, delay, &records, &cuts);
        let every_record = Firing { records: Some(1), ..Firing::ON_CLOSE };
        prop_assert_eq!((updates, late), run(&window, Emit::Repeatedly(every_record), delay, &records, &cuts));
        let (intervals, late) = run(&window, EVERY, delay, &records, &cuts);
        let every = Firing { every_ms: Some(1), accumulate: Accumulate::Discarding, ..Firing::ON_CLOSE };
        let (parts, late_too) = run(&window, Emit::Repeatedly(every), delay, &records, &cuts);
        prop_assert_eq!((intervals.len(), late), (parts.len(), late_too), "a part for each time that there was a whole");
    }

    #[test]
    fn floats_come_out_the_same_to_the_last_bit_for_any_batches_and_restarts(
        window in windows(), emit in prop_oneof![Just(Emit::OnClose), Just(Emit::OnUpdate)], delay in 0..20i64,
        mut records in records(0), floats in prop::collection::vec(-1e9..1e9f64, 60), first in cuts(), second in cuts(),
    ) {
        for (record, float) in records.iter_mut().zip(floats) {
            record.value = Some(Number::Float(float));
        }
        prop_assert_eq!(run(&window, emit, delay, &records, &first), run(&window, emit, delay, &records, &second));
    }
}

#[test]
fn the_clock_of_a_batch_lists_the_rows_behind_the_prefix_maximum() {
    let clock = row_times(&[10, 4, 5, 30, 24, 25], 5, i64::MIN);
    assert_eq!(clock, RowTimes { before: i64::MIN, stragglers: vec![(1, 4), (4, 24)], after: 24 });
}
