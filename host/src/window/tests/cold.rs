//! Windows whose keys are on the disk, all of them or as many as do not fit: against the reference and against windows in memory.

use super::long::windows as long;
use super::properties::{Cuts, EVERY, config, cuts_of, expect, run_in, values};
use super::sliding::defined;
use super::{Harness, Record, builtin, row_times};
use crate::column::Number;
use crate::config::{Accumulate, CalendarUnit, Emit, Firing, LatePanes, Window};
use crate::window::{Accumulators, Operator};
use proptest::prelude::*;

const RECORDS_MAX: usize = 100;

/// Windows that the reference knows: those that are closed are closed one after the other, and so with many records between.
fn windows() -> impl Strategy<Value = Window> {
    let hopping = (2..24i64, 1..24i64).prop_flat_map(|(a, b)| (Just(a.max(b)), Just(a.min(b)), 0..a.min(b)));
    prop_oneof![
        2 => (1..60i64)
            .prop_flat_map(|size| (Just(size), 0..size))
            .prop_map(|(size_ms, offset_ms)| Window::Tumbling { size_ms, offset_ms }),
        2 => hopping.prop_map(|(size_ms, slide_ms, offset_ms)| Window::Hopping { size_ms, slide_ms, offset_ms }),
        1 => long(),
        3 => (1..20i64).prop_map(Window::session),
        2 => prop_oneof![1..24i64, 100..400i64].prop_map(|size_ms| Window::Rolling { size_ms }),
        1 => (1..6u64, 1..6u64).prop_map(|(a, b)| Window::Count { records: a.max(b), every: a.min(b) }),
    ]
}

/// Windows of all kinds, written in all ways but those that keep them in memory.
fn all() -> impl Strategy<Value = (Window, Emit)> {
    let session =
        |(gap_ms, own): (i64, bool)| Window::Session { gap_ms, touching: true, gap_field: own.then(|| "gap".into()) };
    let repeated = prop_oneof![
        3 => windows().prop_filter("they are answered on arrival", |it| !matches!(it, Window::Rolling { .. } | Window::Count { .. })),
        2 => (1..20i64, any::<bool>()).prop_map(session),
        1 => Just(day()),
        1 => Just(Window::Global),
    ];
    let sliding = (1..24i64).prop_map(|difference_ms| Window::Sliding { difference_ms });
    prop_oneof![
        4 => (windows(), emits()),
        1 => (sliding, prop_oneof![Just(Emit::OnClose), Just(Emit::OnUpdate)]),
        4 => (repeated, firings().prop_map(Emit::Repeatedly)),
    ]
}

fn day() -> Window {
    Window::Calendar { unit: CalendarUnit::Day, zone: "UTC".into() }
}

fn firings() -> impl Strategy<Value = Firing> {
    let accumulate = [Accumulate::Accumulating, Accumulate::Discarding, Accumulate::Retracting];
    let parts = (
        (prop::option::of(1..4u64), prop::option::of(1..40i64), prop::option::of(Just(1u64))),
        any::<bool>(),
        any::<bool>(),
        prop::sample::select(accumulate.to_vec()),
        prop_oneof![2 => Just(0), 3 => 1..60i64, 1 => Just(i64::MAX)],
        any::<bool>(),
    );
    parts.prop_map(|((records, event_time_ms, every_ms), at_expiry, unchanged, accumulate, lateness_ms, upsert)| {
        Firing {
            records,
            event_time_ms,
            every_ms,
            late: if at_expiry { LatePanes::AtExpiry } else { LatePanes::PerRecord },
            unchanged: unchanged && every_ms.is_none(),
            accumulate,
            lateness_ms,
            upsert: upsert && accumulate == Accumulate::Accumulating,
            ..Firing::ON_CLOSE
        }
    })
}

fn emits() -> impl Strategy<Value = Emit> {
    prop_oneof![3 => Just(Emit::OnClose), 1 => Just(Emit::OnUpdate), 1 => Just(EVERY)]
}

/// Records of so many keys that a window has several parts; some are behind, and some have the time of the one before.
fn records() -> impl Strategy<Value = Vec<Record>> {
    let step = prop_oneof![4 => Just(0i64), 4 => 0..4i64, 1 => 0..60i64];
    let back = prop_oneof![6 => Just(0i64), 1 => 0..8i64, 1 => 0..60i64];
    prop::collection::vec((0..12usize, step, back, values()), 20..RECORDS_MAX).prop_map(|steps| {
        let mut now = -100;
        let record = |(key, step, back, value): (usize, i64, i64, Option<Number>)| {
            now += step;
            Record { key: format!("key {key}"), time: now - back, value }
        };
        steps.into_iter().map(record).collect()
    })
}

/// Bytes that keys in memory may take: none, some, or about half.
fn room() -> impl Strategy<Value = usize> {
    prop_oneof![Just(0), Just(1_500), Just(4_000)]
}

proptest! {
    #![proptest_config(config(80))]

    #[test]
    fn rows_and_late_records_are_the_references_wherever_keys_are(
        window in windows(), emit in emits(), delay in 0..20i64, records in records(), cuts in cuts_of(RECORDS_MAX), bytes in room(),
    ) {
        let mut harness = Harness::new(window.clone(), emit).spilling(bytes);
        run_in(&mut harness, delay, &records, &cuts);
        let (expected, expected_late) = expect(&window, emit, delay, &records, &cuts);
        prop_assert_eq!(harness.late, expected_late);
        prop_assert_eq!(harness.lines, expected);
    }

    #[test]
    fn sliding_windows_are_those_of_the_definition_wherever_keys_are(
        difference_ms in 1..24i64, on_update in any::<bool>(), delay in 0..20i64, records in records(), cuts in cuts_of(RECORDS_MAX), bytes in room(),
    ) {
        let emit = if on_update { Emit::OnUpdate } else { Emit::OnClose };
        let mut harness = Harness::new(Window::Sliding { difference_ms }, emit).spilling(bytes);
        run_in(&mut harness, delay, &records, &cuts);
        prop_assert_eq!((harness.lines, harness.late), defined(difference_ms, on_update, delay, &records));
    }

    #[test]
    fn floats_and_snapshots_are_the_same_to_the_last_bit_wherever_keys_are(
        (window, emit) in all(), delay in 0..20i64, mut records in records(),
        floats in prop::collection::vec(-1e9..1e9f64, RECORDS_MAX), cuts in cuts_of(RECORDS_MAX), bytes in room(),
    ) {
        for (record, float) in records.iter_mut().zip(floats) {
            record.value = Some(Number::Float(float));
        }
        let mut in_memory = Harness::new(window.clone(), emit);
        in_memory.shows_panes = true;
        run_in(&mut in_memory, delay, &records, &cuts);
        let mut harness = Harness::new(window.clone(), emit).spilling(bytes);
        harness.shows_panes = true;
        run_in(&mut harness, delay, &records, &cuts);
        prop_assert_eq!(harness.late, in_memory.late);
        prop_assert_eq!(harness.lines, in_memory.lines);
        prop_assert_eq!(harness.begun, in_memory.begun, "a snapshot does not say which keys were on the disk");
    }
}

fn record(key: usize, time: i64) -> Record {
    Record { key: format!("key {key}"), time, value: Some(Number::Int(1)) }
}

/// An operator with `keys` keys, all of them on the disk.
fn all_cold(window: Window, emit: Emit, keys: usize) -> Harness {
    let mut harness = Harness::new(window, emit).spilling(0);
    let records: Vec<Record> = (0..keys).map(|it| record(it, 5)).collect();
    harness.feed(&records, &row_times(&vec![5; keys], 0, i64::MIN));
    assert_eq!(cold_keys(&harness), keys);
    harness
}

fn cold_keys(harness: &Harness) -> usize {
    harness.operator.spills().map_or(0, |it| it.cold_keys())
}

/// A window of each kind, long ones where they have a length; one record of a key makes one row of it, by the end of time.
fn kinds() -> [Window; 9] {
    [
        Window::Tumbling { size_ms: 1_000, offset_ms: 0 },
        Window::Hopping { size_ms: 1_000, slide_ms: 1_000, offset_ms: 0 },
        Window::session(1_000),
        Window::Session { gap_ms: 1_000, touching: true, gap_field: None },
        Window::Rolling { size_ms: 1_000 },
        Window::Sliding { difference_ms: 1_000 },
        Window::Count { records: 2, every: 1 },
        day(),
        Window::Global,
    ]
}

#[test]
fn a_window_that_closes_holds_few_of_its_keys_at_once() {
    for (window, watermark, stay) in [
        (Window::Tumbling { size_ms: 100, offset_ms: 0 }, 120, 0),
        (Window::Hopping { size_ms: 100, slide_ms: 50, offset_ms: 0 }, 60, 200),
        (Window::session(100), 120, 0),
        (Window::Rolling { size_ms: 100 }, 120, 0), // It is evicted from then.
        (Window::Sliding { difference_ms: 100 }, 120, 0),
        (day(), 86_400_000, 0),
        (Window::Global, i64::MAX, 0),
    ] {
        let mut harness = all_cold(window, Emit::OnClose, 200);
        let (mut most, mut done) = (0, false);
        while !done {
            harness.operator.warm_due(watermark).unwrap();
            most = most.max(harness.operator.accumulators().used());
            let (fired, all) = harness.operator.advance_some(watermark, usize::MAX).unwrap();
            harness.write(fired);
            done = all;
        }
        assert_eq!(harness.lines.len(), 200);
        assert!(most <= 8, "{most} accumulators at once");
        assert_eq!(harness.operator.keys(), stay, "whose last window is still open");
    }
}

#[test]
fn what_closes_at_once_is_written_in_parts_of_as_many_rows_as_are_asked_for() {
    for (window, watermark) in [
        (Window::Tumbling { size_ms: 100, offset_ms: 0 }, 120),
        (Window::Hopping { size_ms: 100, slide_ms: 50, offset_ms: 0 }, 60),
        (Window::session(100), 120),
        (Window::Session { gap_ms: 100, touching: true, gap_field: None }, 120),
        (Window::Sliding { difference_ms: 100 }, 120),
        (day(), 86_400_000),
        (Window::Global, i64::MAX),
    ] {
        let run = |rows_max: usize, on_the_disk: bool| {
            let mut harness = if on_the_disk {
                all_cold(window.clone(), Emit::OnClose, 200)
            } else {
                let mut harness = Harness::new(window.clone(), Emit::OnClose);
                let records: Vec<Record> = (0..200).map(|it| record(it, 5)).collect();
                harness.feed(&records, &row_times(&[5; 200], 0, i64::MIN));
                harness
            };
            let (mut parts, mut done) = (Vec::new(), false);
            while !done {
                harness.operator.warm_due(watermark).unwrap();
                let (fired, all) = harness.operator.advance_some(watermark, rows_max).unwrap();
                parts.push(fired.len());
                harness.write(fired);
                done = all;
            }
            (harness.lines, parts)
        };
        let (lines, parts) = run(usize::MAX, false);
        assert_eq!((lines.len(), parts), (200, vec![200]), "{window:?}");
        let (in_parts, parts) = run(16, false);
        assert_eq!(in_parts, lines, "{window:?}");
        assert_eq!(parts.iter().filter(|it| **it == 16).count(), 12, "{window:?}: {parts:?}");
        assert!(parts.iter().all(|it| *it <= 16), "{window:?}: {parts:?}");
        let (in_parts, parts) = run(1, true);
        assert_eq!(in_parts, lines, "{window:?}, from the disk");
        assert!(parts.iter().all(|it| *it <= 1), "{window:?}, from the disk: {parts:?}");
    }
}

#[test]
fn what_waits_to_be_reported_stays_in_memory_until_it_is() {
    let firing = Firing { every_ms: Some(1), accumulate: Accumulate::Discarding, ..Firing::ON_CLOSE };
    for (window, emit) in [
        (Window::Tumbling { size_ms: 100, offset_ms: 0 }, EVERY),
        (Window::session(100), EVERY),
        (Window::Global, Emit::Repeatedly(firing)),
    ] {
        let mut harness = Harness::new(window, emit).spilling(0);
        harness.feed(&[record(0, 5), record(1, 5)], &row_times(&[5, 5], 0, i64::MIN));
        harness.restart();
        harness.shrink();
        assert_eq!(cold_keys(&harness), 0);
        harness.changed();
        harness.shrink();
        assert_eq!((cold_keys(&harness), harness.lines.len()), (2, 2));
        harness.feed(&[record(1, 6)], &row_times(&[6], 0, 4));
        harness.changed();
        harness.advance(i64::MAX);
        assert_eq!(harness.lines.len(), 3, "{:?}", harness.lines);
    }
}

#[test]
fn windows_that_are_written_whole_whenever_somebody_asks_stay_in_memory() {
    let every = Firing { every_ms: Some(1), ..Firing::ON_CLOSE };
    for (firing, moves) in [
        (every, true),
        (Firing { unchanged: true, ..every }, false),
        (Firing { complete: true, ..every }, false),
        (Firing { unchanged: true, ..Firing::ON_CLOSE }, true),
    ] {
        let operator = Operator::new(&Window::Global, Emit::Repeatedly(firing), builtin());
        assert_eq!(operator.spills().is_some(), moves, "{firing:?}");
    }
}

#[test]
fn what_is_kept_of_each_record_is_counted_until_it_is_gone() {
    let count = Window::Count { records: 1_000, every: 1 };
    for window in [Window::Rolling { size_ms: 10_000 }, Window::Sliding { difference_ms: 10_000 }, count] {
        let mut harness = Harness::new(window.clone(), Emit::OnUpdate);
        // Besides accumulators, which count themselves.
        let bytes = |it: &mut Harness| it.operator.bytes() - it.operator.accumulators().bytes();
        harness.feed(&[record(0, 5)], &row_times(&[5], 0, i64::MIN));
        let one = bytes(&mut harness);
        let times: Vec<i64> = (6..506).collect();
        let records: Vec<Record> = times.iter().map(|it| record(0, *it)).collect();
        harness.feed(&records, &row_times(&times, 0, 4));
        let all = bytes(&mut harness);
        assert!(all >= one + 500 * 16, "{window:?}: {one} B of one record, {all} B of 501");
        harness.advance(i64::MAX);
        let left = bytes(&mut harness);
        let expected = if matches!(window, Window::Count { .. }) { all } else { 0 };
        assert_eq!(left, expected, "{window:?}");
    }
}

#[test]
fn a_key_of_which_a_window_took_all_is_nowhere() {
    let mut harness = all_cold(Window::Count { records: 2, every: 2 }, Emit::OnClose, 10);
    harness.restart();
    assert_eq!((harness.snapshot.len(), harness.lines.len()), (10, 0));
    let records: Vec<Record> = (0..10).map(|it| record(it, 6)).collect();
    harness.feed(&records, &row_times(&[6; 10], 0, 4));
    assert_eq!((harness.operator.keys(), harness.lines.len()), (0, 10));
    harness.seal();
    assert!(harness.snapshot.is_empty());
}

#[test]
fn keys_that_are_too_long_for_the_disk_stay_in_memory() {
    for window in kinds() {
        let mut harness = Harness::new(window, Emit::OnClose).spilling(0);
        let long = Record { key: "x".repeat(70_000), ..record(0, 5) };
        harness.feed(&[record(1, 5), long], &row_times(&[5, 5], 0, i64::MIN));
        assert_eq!((cold_keys(&harness), harness.operator.keys()), (1, 2));
        harness.advance(i64::MAX);
        assert_eq!(harness.lines.len(), 2, "{:?}", harness.window);
    }
}

#[test]
fn a_restore_brings_no_more_into_memory_than_fits() {
    for window in kinds() {
        // Those that there always are, and those of a key.
        let (always, each) = match window {
            Window::Rolling { .. } => (1, 2),
            Window::Sliding { .. } => (1, 1),
            _ => (0, 1),
        };
        let mut harness = all_cold(window, Emit::OnClose, 100);
        harness.restart();
        let used = harness.operator.accumulators().used();
        assert!(used <= always + 2 * each, "{used} accumulators of {:?} in memory", harness.window);
        assert!(cold_keys(&harness) >= 98);
        harness.advance(i64::MAX);
        assert_eq!(harness.lines.len(), 100, "{:?}", harness.window);
    }
}

/// One batch, and others, in which windows of many keys close before a record that is late for them.
#[test]
fn a_straggler_finds_the_windows_closed_that_were_on_the_disk() {
    let tumbling = Window::Tumbling { size_ms: 10, offset_ms: 0 };
    for (window, emit) in [
        (tumbling.clone(), Emit::OnClose),
        (tumbling, Emit::Repeatedly(Firing::ON_CLOSE)),
        (Window::session(10), Emit::OnClose),
        (Window::Sliding { difference_ms: 10 }, Emit::OnClose),
    ] {
        let records: Vec<Record> =
            (0..10).map(|it| record(it, 5)).chain([record(0, 40), record(3, 6), record(1, 41)]).collect();
        let cuts = |at: usize| Cuts((0..records.len()).map(|it| (it == at, false, false)).collect());
        for at in [9, 11, 12] {
            let mut harness = Harness::new(window.clone(), emit).spilling(0);
            run_in(&mut harness, 0, &records, &cuts(at));
            assert_eq!(harness.late, [11], "{window:?} cut after {at}");
            assert_eq!(harness.lines.len(), 12);
        }
    }
}
