//! Sliding windows: Kafka Streams' by example, and by their definition for any records.

use super::Record;
use super::properties::{Cuts, config, cuts, records, run};
use super::reference::results;
use super::scripts::check;
use crate::batch;
use crate::config::{Emit, Window};
use expect_test::expect;
use proptest::prelude::*;
use std::collections::BTreeSet;

#[test]
fn each_record_ends_a_window_and_begins_one_right_after_it_where_records_follow() {
    check(
        "sliding 10",
        "ann t=100 v=1
         ann t=105 v=2
         bob t=105 v=7
         ann t=120 v=4
         watermark 104
         watermark 110    # bob's only window has closed, and ann's right after 100 a moment later
         restart
         watermark 200",
        expect![[r#"
            ann [90,101) n=1 sum=1 min=1 max=1 avg=1.0
            bob [95,106) n=1 sum=7 min=7 max=7 avg=7.0
            ann [95,106) n=2 sum=3 min=1 max=2 avg=1.5
            ann [101,112) n=1 sum=2 min=2 max=2 avg=2.0
            ann [110,121) n=1 sum=4 min=4 max=4 avg=4.0
        "#]],
    );
}

#[test]
fn a_record_behind_is_in_the_open_windows_that_hold_it_and_is_late_where_none_can() {
    check(
        "sliding 10",
        "ann t=100 v=1
         ann t=112 v=2
         watermark 105
         ann t=103 v=4    # the window that would end with it has closed, that right after 100 has not: both ends count
         ann t=96 v=8     # in no open window, but one begins right after it
         ann t=95 v=16
         watermark 200",
        expect![[r#"
            ann [90,101) n=1 sum=1 min=1 max=1 avg=1.0
            ann t=95 late
            ann [97,108) n=2 sum=5 min=1 max=4 avg=2.5
            ann [101,112) n=1 sum=4 min=4 max=4 avg=4.0
            ann [102,113) n=2 sum=6 min=2 max=4 avg=3.0
            ann [104,115) n=1 sum=2 min=2 max=2 avg=2.0
        "#]],
    );
}

#[test]
fn the_first_records_of_1970_share_the_window_that_begins_with_it() {
    check(
        "sliding 50",
        "ann t=0 v=1
         ann t=5 v=2
         ann t=3 v=4
         watermark 200",
        expect![[r#"
            ann [0,51) n=3 sum=7 min=1 max=4 avg=2.3333333333333335
            ann [1,52) n=2 sum=6 min=2 max=4 avg=3.0
            ann [4,55) n=1 sum=2 min=2 max=2 avg=2.0
        "#]],
    );
}

#[test]
fn on_update_writes_each_open_window_that_a_record_is_in_or_made() {
    check(
        "sliding 10 on-update",
        "ann t=100 v=1
         ann t=105 v=2
         ann t=98 v=4
         watermark 110",
        expect![[r#"
            ann [90,101) n=1 sum=1 min=1 max=1 avg=1.0
            ann [95,106) n=2 sum=3 min=1 max=2 avg=1.5
            ann [101,112) n=1 sum=2 min=2 max=2 avg=2.0
            ann [88,99) n=1 sum=4 min=4 max=4 avg=4.0
            ann [90,101) n=2 sum=5 min=1 max=4 avg=2.5
            ann [95,106) n=3 sum=7 min=1 max=4 avg=2.3333333333333335
            ann [99,110) n=2 sum=3 min=1 max=2 avg=1.5
        "#]],
    );
}

/// The records on time, each at its watermark, by the definition: every window of whole ms is looked at.
struct Definition {
    difference: i64,
    on_update: bool,
    seen: Vec<Record>,
    watermark: i64,
    lines: Vec<String>,
    late: Vec<usize>,
}

impl Definition {
    fn inside(&self, key: &str, (first, last): (i64, i64)) -> Vec<&Record> {
        self.seen.iter().filter(|it| it.key == key && (first..=last).contains(&it.time)).collect()
    }

    fn is_there(&self, key: &str, (first, last): (i64, i64)) -> bool {
        let at = |time: i64| !self.inside(key, (time, time)).is_empty();
        let early = 0..self.difference;
        let ends = at(last) && !early.contains(&last);
        let shared = first == 0 && !self.inside(key, (0, self.difference - 1)).is_empty();
        ends || shared || (at(first - 1) && !self.inside(key, (first, last)).is_empty())
    }

    fn line(&self, key: &str, (first, last): (i64, i64)) -> String {
        let values: Vec<_> = self.inside(key, (first, last)).iter().map(|it| it.value).collect();
        format!("{key} [{first},{}) {}", last + 1, results(&values))
    }

    fn record(&mut self, number: usize, record: &Record) {
        if record.time + self.difference <= self.watermark {
            self.late.push(number);
            return;
        }
        let windows: Vec<(i64, i64)> =
            (record.time - self.difference..=record.time + 1).map(|it| (it, it + self.difference)).collect();
        self.seen.push(record.clone());
        let open = windows.into_iter().filter(|it| it.1 > self.watermark && self.is_there(&record.key, *it));
        let lines: Vec<String> = open.map(|it| self.line(&record.key, it)).collect();
        if self.on_update {
            self.lines.extend(lines);
        }
    }

    fn advance(&mut self, watermark: i64) {
        let (from, to) = (self.watermark.max(-200), watermark.min(1_000));
        self.watermark = self.watermark.max(watermark);
        let mut keys: Vec<&String> = self.seen.iter().map(|it| &it.key).collect::<BTreeSet<_>>().into_iter().collect();
        keys.sort_by_key(|it| batch::hash(super::canonical(it).as_bytes()));
        let windows = (from + 1..=to).map(|last| (last - self.difference, last));
        let windows = windows.flat_map(|it| keys.iter().map(move |key| (*key, it)));
        let closed: Vec<String> =
            windows.filter(|it| self.is_there(it.0, it.1)).map(|it| self.line(it.0, it.1)).collect();
        if !self.on_update {
            self.lines.extend(closed);
        }
    }
}

pub(super) fn defined(difference: i64, on_update: bool, delay: i64, records: &[Record]) -> (Vec<String>, Vec<usize>) {
    let (seen, lines, late) = (Vec::new(), Vec::new(), Vec::new());
    let mut definition = Definition { difference, on_update, seen, watermark: i64::MIN, lines, late };
    for (number, record) in records.iter().enumerate() {
        definition.record(number, record);
        definition.advance(record.time - delay - 1);
    }
    definition.advance(i64::MAX);
    (definition.lines, definition.late)
}

proptest! {
    #![proptest_config(config(2_000))]

    #[test]
    fn rows_and_late_records_are_those_of_the_definition_for_any_batches_and_restarts(
        difference_ms in 1..24i64, on_update in any::<bool>(), delay in 0..20i64,
        base in prop_oneof![Just(0i64), Just(500i64), Just(-20i64)],
        records in records(0), cuts in cuts(),
    ) {
        let records: Vec<Record> = records.into_iter().map(|it| Record { time: it.time + base, ..it }).collect();
        let emit = if on_update { Emit::OnUpdate } else { Emit::OnClose };
        let found = run(&Window::Sliding { difference_ms }, emit, delay, &records, &cuts);
        prop_assert_eq!(found, defined(difference_ms, on_update, delay, &records));
    }
}

#[test]
fn at_the_end_of_time_everything_goes() {
    let record = |time: i64| Record { key: "ann".to_owned(), time, value: None };
    let records = [i64::MAX - 30, i64::MAX - 12, i64::MAX - 1].map(record);
    let (lines, late) =
        run(&Window::Sliding { difference_ms: 20 }, Emit::OnClose, 0, &records, &Cuts(vec![(true, false, true); 3]));
    assert_eq!((lines.len(), late.len()), (4, 0), "{lines:?}");
}
