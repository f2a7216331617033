//! Behaviours by example.

use super::{Harness, Record};
use crate::batch::RowTimes;
use crate::column::Number;
use crate::config::{Emit, Window};
use expect_test::{Expect, expect};

fn parse(spec: &str) -> (Window, Emit) {
    let mut emit = Emit::OnClose;
    let mut numbers = Vec::new();
    for word in spec.split_whitespace().skip(1) {
        match word {
            "on-update" => emit = Emit::OnUpdate,
            "every" => emit = Emit::Every { interval_ms: 1 },
            _ => numbers.push(word.parse::<i64>().unwrap()),
        }
    }
    let at = |index: usize| numbers.get(index).copied().unwrap_or(0);
    let window = match spec.split_whitespace().next() {
        Some("tumbling") => Window::Tumbling { size_ms: at(0), offset_ms: at(1) },
        Some("hopping") => Window::Hopping { size_ms: at(0), slide_ms: at(1), offset_ms: at(2) },
        Some("session") => Window::session(at(0)),
        Some("rolling") => Window::Rolling { size_ms: at(0) },
        Some("sliding") => Window::Sliding { difference_ms: at(0) },
        other => panic!("no such window: {other:?}"),
    };
    (window, emit)
}

/// One step a line: `KEY t=TIME [v=VALUE]`, `watermark W`, `changed`, or `restart`. A record is a batch of its own; the
/// watermark moves only when the script says so.
pub(super) fn check(spec: &str, script: &str, expected: Expect) {
    let (window, emit) = parse(spec);
    let mut harness = Harness::new(window, emit);
    for line in script.lines() {
        let words: Vec<&str> = line.split('#').next().unwrap_or("").split_whitespace().collect();
        match words[..] {
            [] => {}
            ["changed"] => harness.changed(),
            ["restart"] => harness.restart(),
            ["watermark", watermark] => harness.advance(watermark.parse().unwrap()),
            [key, time, ..] => {
                let time: i64 = time.trim_start_matches("t=").parse().unwrap();
                let value = words.get(2).map(|it| {
                    let text = it.trim_start_matches("v=");
                    text.parse().map_or_else(|_| Number::Float(text.parse().unwrap()), Number::Int)
                });
                let now = harness.watermark;
                let stragglers = if time <= now { vec![(0, now)] } else { Vec::new() };
                let late = harness.late.len();
                let record = Record { key: key.to_owned(), time, value };
                harness.feed(&[record], &RowTimes { before: now, stragglers, after: now });
                if harness.late.len() > late {
                    harness.lines.push(format!("{key} t={time} late"));
                }
            }
            _ => panic!("no such step: {line}"),
        }
    }
    expected.assert_eq(&(harness.lines.join("\n") + "\n"));
}

#[test]
fn a_window_closes_when_the_watermark_reaches_its_last_millisecond() {
    check(
        "tumbling 10",
        "
        ann t=3 v=1
        ann t=9 v=2.5
        watermark 8
        ann t=0 v=4       # old, but its window is open
        bob t=10
        watermark 9
        ann t=9           # late
        watermark 19
    ",
        expect![[r#"
            ann [0,10) n=3 sum=7.5 min=1 max=4 avg=2.5
            ann t=9 late
            bob [10,20) n=1 sum=null min=null max=null avg=null
        "#]],
    );
}

#[test]
fn times_before_zero_round_down() {
    check(
        "tumbling 10 3",
        "
        ann t=-8
        ann t=-7
        ann t=2
        ann t=3
        watermark 100
    ",
        expect![[r#"
            ann [-17,-7) n=1 sum=null min=null max=null avg=null
            ann [-7,3) n=2 sum=null min=null max=null avg=null
            ann [3,13) n=1 sum=null min=null max=null avg=null
        "#]],
    );
}

#[test]
fn a_late_record_of_a_closed_window_still_counts_in_the_open_ones() {
    check(
        "hopping 10 4",
        "
        ann t=5 v=1
        watermark 5       # closes [-4,6)
        ann t=5 v=10
        ann t=3 v=100     # in [-4,6), which is closed, and [0,10)
        watermark 9
        ann t=3           # late
        watermark 100
    ",
        expect![[r#"
            ann [-4,6) n=1 sum=1 min=1 max=1 avg=1.0
            ann [0,10) n=3 sum=111 min=1 max=100 avg=37.0
            ann t=3 late
            ann [4,14) n=2 sum=11 min=1 max=10 avg=5.5
        "#]],
    );
}

#[test]
fn every_record_writes_a_row_for_each_window_that_holds_it() {
    check(
        "hopping 10 5 on-update",
        "
        ann t=5 v=1
        bob t=6 v=1
        ann t=7 v=2
        watermark 9       # closes [0,10): nothing is written again
        ann t=8 v=4
    ",
        expect![[r#"
            ann [0,10) n=1 sum=1 min=1 max=1 avg=1.0
            ann [5,15) n=1 sum=1 min=1 max=1 avg=1.0
            bob [0,10) n=1 sum=1 min=1 max=1 avg=1.0
            bob [5,15) n=1 sum=1 min=1 max=1 avg=1.0
            ann [0,10) n=2 sum=3 min=1 max=2 avg=1.5
            ann [5,15) n=2 sum=3 min=1 max=2 avg=1.5
            ann [5,15) n=3 sum=7 min=1 max=4 avg=2.3333333333333335
        "#]],
    );
}

#[test]
fn changed_windows_are_reported_once_and_at_close_only_with_news() {
    check(
        "tumbling 10 every",
        "
        ann t=1 v=1
        bob t=2 v=2
        changed
        changed           # no news
        ann t=3 v=3
        restart           # what is not reported survives
        changed
        bob t=4 v=4
        restart
        watermark 9       # bob has news, ann has not
        changed
    ",
        expect![[r#"
            bob [0,10) n=1 sum=2 min=2 max=2 avg=2.0
            ann [0,10) n=1 sum=1 min=1 max=1 avg=1.0
            ann [0,10) n=2 sum=4 min=1 max=3 avg=2.0
            bob [0,10) n=2 sum=6 min=2 max=4 avg=3.0
        "#]],
    );
}

#[test]
fn a_hopping_window_reports_the_changes_of_every_pane_it_shares() {
    check(
        "hopping 4 2 every",
        "
        ann t=2 v=1
        changed
        ann t=1 v=2
        watermark 1       # [-2,2) has news
        changed           # so has [0,4); [2,6) has none
        watermark 10
    ",
        expect![[r#"
            ann [0,4) n=1 sum=1 min=1 max=1 avg=1.0
            ann [2,6) n=1 sum=1 min=1 max=1 avg=1.0
            ann [-2,2) n=1 sum=2 min=2 max=2 avg=2.0
            ann [0,4) n=2 sum=3 min=1 max=2 avg=1.5
        "#]],
    );
}

#[test]
fn a_gap_of_exactly_the_length_splits_a_session() {
    check(
        "session 5",
        "
        ann t=0
        ann t=4           # 1 ms closer than the gap
        ann t=9           # exactly the gap
        bob t=9
        watermark 8       # the last millisecond of [0,9)
        watermark 100
    ",
        expect![[r#"
            ann [0,9) n=2 sum=null min=null max=null avg=null
            bob [9,14) n=1 sum=null min=null max=null avg=null
            ann [9,14) n=1 sum=null min=null max=null avg=null
        "#]],
    );
}

#[test]
fn a_record_between_two_sessions_makes_one_of_them() {
    check(
        "session 5 on-update",
        "
        ann t=0 v=1
        ann t=8 v=2
        ann t=4 v=4
        ann t=-4 v=8
    ",
        expect![[r#"
            ann [0,5) n=1 sum=1 min=1 max=1 avg=1.0
            ann [8,13) n=1 sum=2 min=2 max=2 avg=2.0
            ann [0,13) n=3 sum=7 min=1 max=4 avg=2.3333333333333335
            ann [-4,13) n=4 sum=15 min=1 max=8 avg=3.75
        "#]],
    );
}

#[test]
fn lateness_of_a_session_is_judged_on_the_merged_window() {
    check(
        "session 5",
        "
        ann t=10 v=1
        watermark 12      # [10,15) is open
        ann t=7 v=2       # closed by itself, but it joins [10,15)
        bob t=7           # late: there is nothing to join
        watermark 14
        ann t=14 v=4      # [7,15) has closed, and by itself it is on time
        ann t=9           # late
        ann t=15 v=8
        watermark 100
    ",
        expect![[r#"
            bob t=7 late
            ann [7,15) n=2 sum=3 min=1 max=2 avg=1.5
            ann t=9 late
            ann [14,20) n=2 sum=12 min=4 max=8 avg=6.0
        "#]],
    );
}

#[test]
fn a_rolling_window_holds_the_length_before_a_record_and_itself() {
    check(
        "rolling 10",
        "
        ann t=0 v=1
        ann t=9 v=2
        ann t=10 v=4      # t=0 is out
        bob t=10 v=8
        ann t=5 v=16      # what is after it is not in its answer
        ann t=11 v=32
        restart
        watermark 11
        ann t=11          # late
        ann t=12 v=64
        ann t=12          # no value: counts, and adds nothing
    ",
        expect![[r#"
            ann t=0 n=1 sum=1 min=1 max=1 avg=1.0
            ann t=9 n=2 sum=3 min=1 max=2 avg=1.5
            ann t=10 n=2 sum=6 min=2 max=4 avg=3.0
            bob t=10 n=1 sum=8 min=8 max=8 avg=8.0
            ann t=5 n=2 sum=17 min=1 max=16 avg=8.5
            ann t=11 n=4 sum=54 min=2 max=32 avg=13.5
            ann t=11 late
            ann t=12 n=5 sum=118 min=2 max=64 avg=23.6
            ann t=12 n=6 sum=118 min=2 max=64 avg=23.6
        "#]],
    );
}

/// What a seal writes, in hex: the key, then the value or `deleted`.
fn sealed(harness: &mut Harness) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|it| format!("{it:02x}")).collect::<String>();
    let line = |(key, value): &(Vec<u8>, Option<Vec<u8>>)| {
        let (text, number) = key.split_at(key.len() - 8);
        let value = value.as_ref().map_or("deleted".to_owned(), |it| hex(it));
        format!("{} {}: {value}\n", String::from_utf8_lossy(text), hex(number))
    };
    harness.seal().iter().map(line).collect()
}

fn feed(harness: &mut Harness, time: i64, value: Option<Number>) {
    let record = Record { key: "ann".to_owned(), time, value };
    harness.feed(&[record], &RowTimes { before: i64::MIN, stragglers: Vec::new(), after: i64::MIN });
}

#[test]
fn the_format_of_panes_is_frozen() {
    let mut harness = Harness::new(Window::Tumbling { size_ms: 10, offset_ms: 0 }, Emit::Every { interval_ms: 1 });
    feed(&mut harness, -1, Some(Number::Int(-2)));
    feed(&mut harness, 5, Some(Number::Float(1.5)));
    feed(&mut harness, 15, None);
    expect![[r#"
        "ann" 7fffffffffffffff: 01020203010301030203
        "ann" 8000000000000000: 01020300000000000000f83f02000000000000f83f02000000000000f83f0300000000000000f83f
        "ann" 8000000000000001: 010200000000
    "#]]
    .assert_eq(&sealed(&mut harness));
    assert_eq!(sealed(&mut harness), "", "a seal writes only what changed");
    harness.advance(-1);
    expect![[r#"
        "ann" 7fffffffffffffff: deleted
    "#]]
    .assert_eq(&sealed(&mut harness));
}

#[test]
fn the_format_of_sessions_is_frozen() {
    let mut harness = Harness::new(Window::session(5), Emit::OnClose);
    feed(&mut harness, 1, Some(Number::Int(7)));
    feed(&mut harness, 3, None);
    expect![[r#"
        "ann" 8000000000000001: 00030000000000000004020e010e010e020e
    "#]]
    .assert_eq(&sealed(&mut harness));
    feed(&mut harness, 0, None); // The session starts earlier now: its entry moves.
    expect![[r#"
        "ann" 8000000000000001: deleted
        "ann" 8000000000000000: 00030000000000000006020e010e010e020e
    "#]]
    .assert_eq(&sealed(&mut harness));
}

#[test]
fn the_format_of_rolling_windows_is_frozen() {
    let mut harness = Harness::new(Window::Rolling { size_ms: 640 }, Emit::OnClose);
    feed(&mut harness, 12, Some(Number::Int(7)));
    feed(&mut harness, 12, Some(Number::Int(1))); // After the other one of its time.
    feed(&mut harness, 11, None);
    feed(&mut harness, 25, None);
    expect![[r#"
        "ann" 8000000000000001: 0b000000000000000502000000000c000000000000000902020e010e010e020e0c0000000000000009020202010201020202
        "ann" 8000000000000002: 1900000000000000050200000000
    "#]]
    .assert_eq(&sealed(&mut harness));
    harness.advance(659);
    expect![[r#"
        "ann" 8000000000000001: deleted
    "#]]
    .assert_eq(&sealed(&mut harness));
}
