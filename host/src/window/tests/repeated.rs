//! Windows that remember what they wrote: by example, and against panes computed anew from the records of each window.

use super::{Harness, Record, row_times};
use crate::batch::RowTimes;
use crate::column::Number;
use crate::config::{Accumulate, Emit, Firing, LatePanes, Window};
use expect_test::{Expect, expect};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// One step a line: `TIME` a record of ann's with the value 1, `watermark W`, `changed` or `restart`.
fn check(window: Window, firing: Firing, script: &str, expected: Expect) {
    let straight = run(&window, firing, script, false);
    // A new start writes a complete result again.
    if !firing.complete {
        assert_eq!(run(&window, firing, script, true), straight, "with a new start after each step");
    }
    expected.assert_eq(&straight);
}

fn run(window: &Window, firing: Firing, script: &str, restarts: bool) -> String {
    let mut harness = Harness::new(window.clone(), Emit::Repeatedly(firing));
    harness.shows_panes = true;
    for line in script.lines() {
        harness.lines.push(format!("> {line}"));
        match line.split_once(' ') {
            Some((_, watermark)) => harness.advance(watermark.parse().unwrap()),
            None if line == "changed" => harness.changed(),
            None => {
                let (time, now, late) = (line.parse().unwrap(), harness.watermark, harness.late.len());
                let stragglers = if time <= now { vec![(0, now)] } else { Vec::new() };
                let record = Record { key: "ann".to_owned(), time, value: Some(Number::Int(1)) };
                harness.feed(&[record], &RowTimes { before: now, stragglers, after: now });
                if harness.late.len() > late {
                    harness.lines.push("late".to_owned());
                }
            }
        }
        if restarts {
            harness.restart();
        }
    }
    harness.lines.iter().map(|it| short(it) + "\n").collect()
}

/// A row without its key and all aggregates but the count.
fn short(line: &str) -> String {
    let Some((row, pane)) = line.split_once(" | ") else { return line.to_owned() };
    let row = row.split(" sum=").next().unwrap().trim_start_matches("ann ");
    format!("{row} {pane}")
}

const TUMBLING: Window = Window::Tumbling { size_ms: 10, offset_ms: 0 };

#[test]
fn a_window_is_early_then_on_time_then_late_and_then_it_is_gone() {
    let firing = Firing { records: Some(2), lateness_ms: 5, ..Firing::ON_CLOSE };
    check(
        TUMBLING,
        firing,
        "1\n2\n3\nwatermark 9\n4\nwatermark 13\n5\nwatermark 14\n6",
        expect![[r#"
        > 1
        > 2
        [0,10) n=2 early#0
        > 3
        > watermark 9
        [0,10) n=3 on-time#1
        > 4
        [0,10) n=4 late#2
        > watermark 13
        > 5
        [0,10) n=5 late#3
        > watermark 14
        > 6
        late
    "#]],
    );
}

#[test]
fn discarding_panes_add_up_and_an_empty_one_is_not_written() {
    let firing = Firing { records: Some(2), accumulate: Accumulate::Discarding, lateness_ms: 5, ..Firing::ON_CLOSE };
    check(
        TUMBLING,
        firing,
        "1\n2\nwatermark 9\n4\nwatermark 14",
        expect![[r#"
        > 1
        > 2
        [0,10) n=2 early#0
        > watermark 9
        > 4
        [0,10) n=1 late#1
        > watermark 14
    "#]],
    );
}

#[test]
fn a_retracting_pane_takes_back_the_one_before() {
    let firing = Firing { accumulate: Accumulate::Retracting, lateness_ms: 5, ..Firing::ON_CLOSE };
    check(
        TUMBLING,
        firing,
        "1\nwatermark 9\n4\n5",
        expect![[r#"
        > 1
        > watermark 9
        [0,10) n=1 on-time#0
        > 4
        [0,10) n=1 late#1 retraction
        [0,10) n=2 late#1
        > 5
        [0,10) n=2 late#2 retraction
        [0,10) n=3 late#2
    "#]],
    );
}

#[test]
fn late_records_are_written_together_when_the_window_expires() {
    let firing = Firing { late: LatePanes::AtExpiry, lateness_ms: 5, ..Firing::ON_CLOSE };
    check(
        TUMBLING,
        firing,
        "1\nwatermark 9\n4\n5\nwatermark 14",
        expect![[r#"
        > 1
        > watermark 9
        [0,10) n=1 on-time#0
        > 4
        > 5
        > watermark 14
        [0,10) n=3 late#1
    "#]],
    );
}

#[test]
fn a_session_that_grows_or_merges_away_leaves_a_tombstone() {
    let firing = Firing { records: Some(1), upsert: true, ..Firing::ON_CLOSE };
    check(
        Window::session(5),
        firing,
        "0\n1\n8\n4\nwatermark 20",
        expect![[r#"
        > 0
        [0,5) n=1 early#0
        > 1
        [0,5) n=2 early#1 tombstone
        [0,6) n=2 early#1
        > 8
        [8,13) n=1 early#0
        > 4
        [0,6) n=4 early#2 tombstone
        [8,13) n=4 early#2 tombstone
        [0,13) n=4 early#2
        > watermark 20
    "#]],
    );
}

#[test]
fn sessions_that_touch_are_one_where_the_boundary_is_inclusive() {
    let touching = Window::Session { gap_ms: 5, touching: true, gap_field: None };
    check(
        touching,
        Firing::ON_CLOSE,
        "0\n5\nwatermark 20",
        expect![[r#"
        > 0
        > 5
        > watermark 20
        [0,10) n=2 on-time#0
    "#]],
    );
    check(
        Window::session(5),
        Firing::ON_CLOSE,
        "0\n5\nwatermark 20",
        expect![[r#"
        > 0
        > 5
        > watermark 20
        [0,5) n=1 on-time#0
        [5,10) n=1 on-time#0
    "#]],
    );
}

#[test]
fn a_merge_of_sessions_that_were_written_is_written_anew() {
    let firing = Firing { lateness_ms: 100, accumulate: Accumulate::Retracting, ..Firing::ON_CLOSE };
    check(
        Window::session(5),
        firing,
        "0\n8\nwatermark 12\n4\nwatermark 200",
        expect![[r#"
        > 0
        > 8
        > watermark 12
        [0,5) n=1 on-time#0
        [8,13) n=1 on-time#0
        > 4
        [0,5) n=1 late#1 retraction
        [8,13) n=1 late#1 retraction
        [0,13) n=3 late#1
        > watermark 200
    "#]],
    );
}

#[test]
fn an_interval_of_event_time_is_aligned_and_writes_what_changed() {
    let firing = Firing { event_time_ms: Some(10), ..Firing::ON_CLOSE };
    let script = "3\nwatermark 9\nwatermark 10\nwatermark 25\n27\nwatermark 29\nwatermark 30";
    check(
        Window::Global,
        firing,
        script,
        expect![[r#"
            > 3
            > watermark 9
            > watermark 10
            [3,4) n=1 early#0
            > watermark 25
            > 27
            > watermark 29
            > watermark 30
            [3,28) n=2 early#1
        "#]],
    );
    check(
        Window::Global,
        Firing { unchanged: true, ..firing },
        script,
        expect![[r#"
            > 3
            > watermark 9
            > watermark 10
            [3,4) n=1 early#0
            > watermark 25
            [3,4) n=1 early#1
            > 27
            > watermark 29
            > watermark 30
            [3,28) n=2 early#2
        "#]],
    );
}

#[test]
fn complete_results_are_all_windows_that_are_held_whenever_one_changed() {
    let firing = Firing { every_ms: Some(1), complete: true, lateness_ms: 10, ..Firing::ON_CLOSE };
    check(
        TUMBLING,
        firing,
        "1\n11\nchanged\nchanged\n12\nwatermark 9\nchanged\nwatermark 19\nchanged",
        expect![[r#"
        > 1
        > 11
        > changed
        [0,10) n=1 early#0
        [10,20) n=1 early#0
        > changed
        > 12
        > watermark 9
        > changed
        [0,10) n=1 late#1
        [10,20) n=2 early#1
        > watermark 19
        > changed
        [10,20) n=2 late#2
    "#]],
    );
}

/// A window's records so far and what was written of it.
#[derive(Default)]
struct Naive {
    records: usize,
    since: usize,
    panes: usize,
    written: Option<usize>,
    closed: bool,
}

/// The panes of windows of `size` by their definition, record by record.
fn naive(size: i64, firing: Firing, delay: i64, records: &[i64]) -> Vec<String> {
    let mut windows: BTreeMap<i64, Naive> = BTreeMap::new();
    let (mut watermark, mut lines) = (i64::MIN, Vec::new());
    let write = |lines: &mut Vec<String>, start: i64, it: &mut Naive, timing: &str| {
        let end = start + size;
        if let (Accumulate::Retracting, Some(written)) = (firing.accumulate, it.written) {
            lines.push(format!("[{start},{end}) n={written} {timing}#{} retraction", it.panes));
        }
        let n = if firing.accumulate == Accumulate::Discarding { it.since } else { it.records };
        lines.push(format!("[{start},{end}) n={n} {timing}#{}", it.panes));
        (it.since, it.panes, it.written) = (0, it.panes + 1, Some(n));
    };
    let advance = |lines: &mut Vec<String>, windows: &mut BTreeMap<i64, Naive>, watermark: i64| {
        windows.retain(|&start, it| {
            let last = start + size - 1;
            if !it.closed && last <= watermark {
                it.closed = true;
                let new = it.since > 0 || firing.unchanged;
                let always = firing.accumulate != Accumulate::Discarding && firing.records != Some(1);
                if new || always {
                    write(lines, start, it, "on-time");
                }
            }
            let expired = last.saturating_add(firing.lateness_ms) <= watermark;
            if expired && firing.lateness_ms > 0 && (it.since > 0 || firing.unchanged) {
                write(lines, start, it, "late");
            }
            !expired
        });
    };
    for &time in records {
        let start = time.div_euclid(size) * size;
        let last = start + size - 1;
        if last.saturating_add(firing.lateness_ms) > watermark {
            let it = windows.entry(start).or_default();
            it.closed |= last <= watermark;
            (it.records, it.since) = (it.records + 1, it.since + 1);
            if it.closed && firing.late == LatePanes::PerRecord {
                write(&mut lines, start, it, "late");
            } else if !it.closed && firing.records.is_some_and(|n| it.since as u64 >= n) {
                write(&mut lines, start, it, "early");
            }
        }
        watermark = row_times(&[time], delay, watermark).after;
        advance(&mut lines, &mut windows, watermark);
    }
    advance(&mut lines, &mut windows, i64::MAX);
    lines
}

fn firings() -> impl Strategy<Value = Firing> {
    let accumulate = vec![Accumulate::Accumulating, Accumulate::Discarding, Accumulate::Retracting];
    let parts = (
        prop::option::of(1..4u64),
        any::<bool>(),
        any::<bool>(),
        prop::sample::select(accumulate),
        prop_oneof![Just(0), 1..30i64],
    );
    parts.prop_map(|(records, at_expiry, unchanged, accumulate, lateness_ms)| Firing {
        records,
        late: if at_expiry { LatePanes::AtExpiry } else { LatePanes::PerRecord },
        unchanged,
        accumulate,
        lateness_ms,
        panes: true,
        ..Firing::ON_CLOSE
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) })]

    #[test]
    fn panes_are_those_of_a_computation_from_the_records_of_each_window(
        size in 1..20i64, firing in firings(), delay in 0..15i64,
        steps in prop::collection::vec((0..6i64, 0..25i64), 1..50), batch in 1..8usize, restarts in any::<bool>(),
    ) {
        let mut now = 0;
        let times: Vec<i64> = steps.into_iter().map(|(ahead, back)| { now += ahead; now - back }).collect();
        let window = Window::Tumbling { size_ms: size, offset_ms: 0 };
        let mut harness = Harness::new(window, Emit::Repeatedly(firing));
        harness.shows_panes = true;
        let mut watermark = i64::MIN;
        for times in times.chunks(batch) {
            let clock = row_times(times, delay, watermark);
            watermark = clock.after;
            let record = |time: &i64| Record { key: "ann".to_owned(), time: *time, value: None };
            let records: Vec<Record> = times.iter().map(record).collect();
            harness.feed(&records, &clock);
            if restarts {
                harness.restart();
            }
        }
        harness.advance(i64::MAX);
        // By window: between windows, what a record makes due comes before what its batch's watermark does.
        let by_window = |lines: Vec<String>| {
            let mut windows: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for line in lines {
                windows.entry(line.split(' ').next().unwrap().to_owned()).or_default().push(line);
            }
            windows
        };
        let found = harness.lines.iter().map(|it| short(it)).collect();
        prop_assert_eq!(by_window(found), by_window(naive(size, firing, delay, &times)));
    }
}
