//! The operators against references that know only what was accepted, across restarts and whatever the batches.

use super::*;
use crate::batch;
use crate::spill::{Cold, Scratch, Sizes};
use crate::state::{Delta, Entries, Entry, Spills, TableId};
use crate::watermark::{WATERMARK_END, WATERMARK_NONE};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

mod windows;

/// An operator, whichever it is.
trait Join {
    fn process(&mut self, side: Side, input: &Arrivals<'_>) -> Joined;
    fn advance_some(&mut self, watermark: EventTime, pairs_max: usize) -> (Pairs, bool);
    fn seal(&mut self, delta: &mut Delta);
    fn restore(&mut self, entry: Entry<'_>);
    fn resume(&mut self, watermark: EventTime);
    fn store_mut(&mut self) -> &mut Store;
}

macro_rules! join {
    ($name:ident) => {
        impl Join for $name {
            fn process(&mut self, side: Side, input: &Arrivals<'_>) -> Joined {
                $name::process(self, side, input).unwrap()
            }
            fn advance_some(&mut self, watermark: EventTime, pairs_max: usize) -> (Pairs, bool) {
                $name::advance_some(self, watermark, pairs_max).unwrap()
            }
            fn seal(&mut self, delta: &mut Delta) {
                $name::seal(self, TableId(0), delta);
            }
            fn restore(&mut self, entry: Entry<'_>) {
                $name::restore(self, entry).unwrap();
            }
            fn resume(&mut self, watermark: EventTime) {
                $name::resume(self, watermark);
            }
            fn store_mut(&mut self) -> &mut Store {
                $name::store_mut(self)
            }
        }
    };
}

join!(Interval);
join!(AsOf);
join!(Windowed);

/// What happens to a join.
#[derive(Clone, Debug)]
enum Happens {
    /// Records of one side, in one batch: keys (0 for none) and times.
    Records(Side, Vec<(u8, EventTime)>),
    /// Event time moves on by so much.
    Time(i64),
    /// A snapshot, and a new process that goes on from it.
    Restart,
}

/// A record that was taken: side, key, time, and its number, which is its bytes.
type Taken = (Side, u8, EventTime, u32);

/// A pair as (left, right): the records' numbers, with its time.
type Shown = (Option<u32>, Option<u32>, EventTime);

/// Runs a join; what was given out, with the watermark before it (none where a record made it).
struct Run<J> {
    join: J,
    fresh: fn() -> J,
    deltas: Vec<Delta>,
    watermark: EventTime,
    next: u32,
    taken: Vec<Taken>,
    given: Vec<(Shown, Option<(EventTime, EventTime)>)>,
    /// Where all keys go between two happenings; none where they stay.
    scratch: Option<(tempfile::TempDir, Arc<Scratch>)>,
}

fn text(key: u8) -> String {
    if key == 0 { String::new() } else { format!("\"{key}\"") }
}

impl<J: Join> Run<J> {
    fn new(fresh: fn() -> J) -> Self {
        let join = fresh();
        Run {
            join,
            fresh,
            deltas: Vec::new(),
            watermark: WATERMARK_NONE,
            next: 0,
            taken: Vec::new(),
            given: Vec::new(),
            scratch: None,
        }
    }

    /// With all keys on the disk between two happenings, if `spills`.
    fn spilling(mut self, spills: bool) -> Self {
        if spills {
            let (dir, scratch) = scratch();
            self.join = furnished((self.fresh)(), Some(&scratch), 0);
            self.scratch = Some((dir, scratch));
        }
        self
    }

    fn spill(&mut self) {
        let store = self.join.store_mut();
        store.shrink(0).unwrap();
        if self.scratch.is_some() {
            assert_eq!(store.cold_keys(), store.keys(), "all went");
            assert_eq!(store.bytes(), 0);
        }
    }

    fn take(&mut self, side: Side, records: &[(u8, EventTime)], deletes: bool) {
        let (mut keys, mut rows) = (Keys::default(), Strings::default());
        let mut stragglers = Vec::new();
        let mut expected_late = Vec::new();
        for (at, &(key, time)) in records.iter().enumerate() {
            let key_text = text(key);
            keys.texts.push(key_text.as_bytes());
            keys.hashes.push(batch::hash(key_text.as_bytes()));
            rows.push(&self.next.to_le_bytes());
            if time <= self.watermark {
                stragglers.push((at as u32, self.watermark));
            }
            if time < self.watermark {
                expected_late.push(at as u32);
            } else {
                self.taken.push((side, key, time, self.next));
            }
            self.next += 1;
        }
        let clock = RowTimes { before: self.watermark, stragglers, after: self.watermark };
        let times: Vec<_> = records.iter().map(|it| it.1).collect();
        let deletes = vec![deletes; records.len()];
        let input = Arrivals { keys: &keys, times: &times, rows: &rows, deletes: &deletes, clock: &clock };
        let joined = self.join.process(side, &input);
        assert_eq!(joined.late, expected_late);
        assert_eq!(joined.pairs.origins.len(), joined.pairs.len());
        self.given.extend(shown(&joined.pairs).map(|it| (it, None)));
        self.spill();
    }

    fn advance(&mut self, watermark: EventTime) {
        let before = self.watermark;
        let mut done = false;
        // In the smallest parts that there are.
        while !done {
            let (pairs, all) = self.join.advance_some(watermark, 1);
            assert!(pairs.len() <= 1, "no row has more than one answer");
            self.given.extend(shown(&pairs).map(|it| (it, Some((before, watermark)))));
            self.spill();
            done = all;
        }
        self.watermark = watermark;
    }

    fn restart(&mut self) {
        let (fresh, table) = (self.fresh, self.deltas.len() + 1);
        let scratch = self.scratch.as_ref().map(|it| &it.1);
        restart(&mut self.join, &mut self.deltas, || furnished(fresh(), scratch, table));
        self.join.resume(self.watermark);
    }

    fn run(&mut self, script: &[Happens]) {
        for step in script {
            match step {
                Happens::Records(side, records) => self.take(*side, records, false),
                Happens::Time(by) => {
                    self.advance(if self.watermark == WATERMARK_NONE { *by } else { self.watermark + by })
                }
                Happens::Restart => self.restart(),
            }
        }
        self.advance(WATERMARK_END);
    }

    fn pairs(&self) -> Vec<Shown> {
        let mut pairs: Vec<Shown> = self.given.iter().map(|it| it.0).collect();
        pairs.sort_unstable();
        pairs
    }
}

/// A scratch space whose tree has many files.
fn scratch() -> (tempfile::TempDir, Arc<Scratch>) {
    let dir = tempfile::tempdir().unwrap();
    let scratch = Scratch::new(dir.path().join("scratch"), Sizes { buffer: 1_000, cache: 10_000 });
    (dir, Arc::new(scratch))
}

/// `join` with a place on the disk. Each process has a scratch space of its own: here a table.
fn furnished<J: Join>(mut join: J, scratch: Option<&Arc<Scratch>>, table: usize) -> J {
    if let Some(scratch) = scratch {
        join.store_mut().spill_to(Cold::new(Arc::clone(scratch), table as u16), 200);
    }
    join
}

/// Seals `join` and puts a fresh one with what was sealed so far in its place.
fn restart<J: Join>(join: &mut J, deltas: &mut Vec<Delta>, fresh: impl Fn() -> J) {
    let mut delta = Delta::default();
    join.seal(&mut delta);
    deltas.push(delta);
    *join = fresh();
    let mut live: BTreeMap<Vec<u8>, (u16, Vec<u8>)> = BTreeMap::new();
    for entry in deltas.iter().flat_map(|it| Entries(it.bytes())) {
        match entry.value {
            Some(value) => live.insert(entry.key.to_vec(), (entry.group, value.to_vec())),
            None => Some(live.remove(entry.key).expect("only what is there is deleted")),
        };
    }
    // In no order that means anything, as a restore does.
    for (key, (group, value)) in live.iter().rev() {
        join.restore(Entry { table: TableId(0), group: *group, key, value: Some(value) });
    }
}

fn shown(pairs: &Pairs) -> impl Iterator<Item = Shown> {
    let number = |side: usize, at: usize| {
        let half = &pairs.rows[side];
        (!half.missing[at]).then(|| u32::from_le_bytes(half.rows.get(at).try_into().unwrap()))
    };
    (0..pairs.len()).map(move |it| (number(0, it), number(1, it), pairs.times[it]))
}

fn a_side() -> impl Strategy<Value = Side> {
    prop::sample::select(vec![Side::Left, Side::Right])
}

fn a_script() -> impl Strategy<Value = Vec<Happens>> {
    let records = (a_side(), prop::collection::vec((0_u8..4, 0_i64..60), 1..6));
    let step = prop_oneof![
        6 => records.prop_map(|(side, records)| Happens::Records(side, records)),
        3 => (1_i64..12).prop_map(Happens::Time),
        1 => Just(Happens::Restart),
    ];
    prop::collection::vec(step, 1..40)
}

/// Every pair of records that were taken, and those left over.
fn reference(taken: &[Taken], before: i64, after: i64, keeps: [bool; 2]) -> Vec<Shown> {
    let mut pairs = Vec::new();
    for (side, keep) in [(Side::Left, keeps[0]), (Side::Right, keeps[1])] {
        for &(_, key, time, number) in taken.iter().filter(|it| it.0 == side) {
            let near = |it: &&Taken| {
                let (left, right) = if side == Side::Left { (time, it.2) } else { (it.2, time) };
                it.0 != side && it.1 == key && key != 0 && left - before <= right && right <= left + after
            };
            let matches: Vec<&Taken> = taken.iter().filter(near).collect();
            if side == Side::Left {
                pairs.extend(matches.iter().map(|it| (Some(number), Some(it.3), time.max(it.2))));
            }
            if matches.is_empty() && keep {
                pairs.push(if side == Side::Left { (Some(number), None, time) } else { (None, Some(number), time) });
            }
        }
    }
    pairs.sort_unstable();
    pairs
}

macro_rules! intervals {
    ($($name:ident: $before:expr, $after:expr, $keeps:expr;)*) => {
        proptest! {
            #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
            $(
                #[test]
                fn $name(script in a_script(), spills in prop::bool::weighted(0.1)) {
                    let mut run = Run::new(|| Interval::new($before, $after, $keeps)).spilling(spills);
                    run.run(&script);
                    prop_assert_eq!(run.pairs(), reference(&run.taken, $before, $after, $keeps));
                    prop_assert_eq!(run.join.keys(), 0, "all is forgotten at the end");
                    let hold = run.join.hold_ms();
                    for ((left, _, time), at) in &run.given {
                        let Some((before, watermark)) = *at else { continue };
                        let wait: i64 = if left.is_some() { $after } else { $before };
                        prop_assert!(watermark > time + wait, "given out while a match could come");
                        prop_assert!(
                            before == WATERMARK_NONE || before <= time + wait || *time >= before,
                            "given out later than it could be"
                        );
                        prop_assert!(
                            before == WATERMARK_NONE || *time > before - hold || *time >= before,
                            "its readers would take it for late"
                        );
                    }
                }
            )*
        }
    };
}

intervals! {
    an_inner_join_pairs_all_that_were_in_time: 5, 10, [false, false];
    a_left_join_gives_every_left_row_once_or_with_its_matches: 5, 10, [true, false];
    an_outer_join_gives_every_row_of_both_sides: 3, 0, [true, true];
    an_interval_wholly_after_the_left_row: -2, 6, [true, true];
    an_interval_wholly_before_the_left_row: 7, -3, [true, true];
    a_join_of_equal_times: 0, 0, [true, true];
}

/// Versions are on time here: whether a late one is seen depends on what has been asked before.
fn a_temporal_script() -> impl Strategy<Value = Vec<(Happens, bool)>> {
    let on_time = |(side, records): (Side, Vec<(u8, i64)>)| Happens::Records(side, records);
    let step = prop_oneof![
        6 => (a_side(), prop::collection::vec((0_u8..4, 0_i64..20), 1..4)).prop_map(on_time),
        3 => (1_i64..8).prop_map(Happens::Time),
        1 => Just(Happens::Restart),
    ];
    prop::collection::vec((step, prop::bool::weighted(0.2)), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn a_record_meets_the_version_of_its_time(
        script in a_temporal_script(), keeps in any::<bool>(), spills in prop::bool::weighted(0.1),
    ) {
        let fresh: fn() -> AsOf = if keeps { || AsOf::new(true) } else { || AsOf::new(false) };
        let mut run = Run::new(fresh).spilling(spills);
        let mut deleted = Vec::new();
        for (step, deletes) in &script {
            match step {
                Happens::Records(side, records) => {
                    // Times from the watermark on; records may be a little late.
                    let base = run.watermark.max(0) - if *side == Side::Left { 2 } else { -1 };
                    let records: Vec<_> = records.iter().map(|it| (it.0, base + it.1)).collect();
                    let deletes = *deletes && *side == Side::Right;
                    let from = run.next;
                    run.take(*side, &records, deletes);
                    deleted.extend((from..run.next).filter(|_| deletes));
                }
                Happens::Time(by) => run.advance(run.watermark.max(0) + by),
                Happens::Restart => run.restart(),
            }
        }
        run.advance(WATERMARK_END);
        let mut expected = Vec::new();
        for &(_, key, time, number) in run.taken.iter().filter(|it| it.0 == Side::Left) {
            let versions = run.taken.iter().filter(|it| it.0 == Side::Right && it.1 == key && key != 0 && it.2 <= time);
            let newest = versions.max_by_key(|it| (it.2, it.3)).map(|it| it.3).filter(|it| !deleted.contains(it));
            if newest.is_some() || keeps {
                expected.push((Some(number), newest, time));
            }
        }
        expected.sort_unstable();
        prop_assert_eq!(run.pairs(), expected);
        let keyed: std::collections::BTreeSet<u8> =
            run.taken.iter().filter(|it| it.0 == Side::Right && it.1 != 0).map(|it| it.1).collect();
        prop_assert!(run.join.keys() <= keyed.len(), "only the table is left");
        for (_, at) in &run.given {
            prop_assert!(at.is_none_or(|(before, watermark)| before < watermark));
        }
    }
}

#[test]
fn a_version_that_nobody_can_ask_for_is_late_and_a_deleted_key_is_forgotten() {
    let mut join = AsOf::new(true);
    let mut at = |side, key: &str, time, row: &str, deletes, watermark| {
        let (mut keys, mut rows) = (Keys::default(), Strings::default());
        keys.texts.push(key.as_bytes());
        keys.hashes.push(batch::hash(key.as_bytes()));
        rows.push(row.as_bytes());
        let clock = RowTimes { before: watermark, stragglers: vec![(0, watermark)], after: watermark };
        let input = Arrivals { keys: &keys, times: &[time], rows: &rows, deletes: &[deletes], clock: &clock };
        let joined = join.process(side, &input).unwrap();
        join.advance(watermark).unwrap();
        (joined.late.len(), join.keys())
    };
    assert_eq!(at(Side::Right, "\"a\"", 10, "ten", false, 20), (0, 1));
    assert_eq!(at(Side::Right, "\"a\"", 9, "nine", false, 21), (1, 1), "ten hides it");
    assert_eq!(at(Side::Right, "\"a\"", 12, "twelve", false, 22), (0, 1), "newer than what was there");
    assert_eq!(at(Side::Right, "\"a\"", 25, "", true, 23), (0, 1));
    assert_eq!(
        at(Side::Right, "\"b\"", 30, "b", false, 25),
        (0, 1),
        "at 25 only the end of `a` is left, which is nothing"
    );
}

#[test]
fn latest_answers_with_what_is_there_on_arrival() {
    latest_answers(false);
}

#[test]
fn latest_answers_with_what_went_to_the_disk() {
    latest_answers(true);
}

fn latest_answers(spills: bool) {
    let (_dir, scratch) = scratch();
    let furnished = |mut join: Latest, table: u16| {
        if spills {
            join.store_mut().spill_to(Cold::new(Arc::clone(&scratch), table), 0);
        }
        join
    };
    let mut join = furnished(Latest::new(true), 0);
    let at = |join: &mut Latest, side, key: &str, row: &str, deletes| {
        let (mut keys, mut rows) = (Keys::default(), Strings::default());
        keys.texts.push(key.as_bytes());
        keys.hashes.push(batch::hash(key.as_bytes()));
        rows.push(row.as_bytes());
        let clock = RowTimes { before: 99, stragglers: vec![(0, 99)], after: 99 };
        let input = Arrivals { keys: &keys, times: &[5], rows: &rows, deletes: &[deletes], clock: &clock };
        let pairs = join.process(side, &input).unwrap().pairs;
        join.store_mut().shrink(0).unwrap();
        assert!(!spills || join.store().cold_keys() == join.keys());
        (0..pairs.len())
            .map(|it| String::from_utf8_lossy(pairs.rows[1].rows.get(it)).into_owned())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(at(&mut join, Side::Left, "1", "x", false), "", "nothing is there: given out alone");
    assert!(at(&mut join, Side::Right, "1", "old", false).is_empty());
    assert_eq!(at(&mut join, Side::Left, "1", "x", false), "old");
    assert!(at(&mut join, Side::Right, "1", "new", false).is_empty());
    assert_eq!(at(&mut join, Side::Left, "1", "x", false), "new");
    let mut delta = Delta::default();
    join.seal(TableId(0), &mut delta);
    let mut again = furnished(Latest::new(false), 1);
    Entries(delta.bytes()).for_each(|it| again.restore(it).unwrap());
    assert_eq!(at(&mut again, Side::Left, "1", "x", false), "new");
    assert!(at(&mut again, Side::Right, "1", "", true).is_empty());
    assert_eq!((at(&mut again, Side::Left, "1", "x", false), again.keys()), (String::new(), 0));
}

#[test]
fn the_bytes_of_a_snapshot_never_change() {
    let mut run = Run::new(|| Interval::new(5, 10, [true, true]));
    run.take(Side::Left, &[(1, 100)], false);
    run.take(Side::Right, &[(1, 98), (2, 300)], false);
    let mut delta = Delta::default();
    run.join.seal(TableId(0), &mut delta);
    run.advance(120);
    run.take(Side::Left, &[(2, 295)], false);
    run.join.seal(TableId(0), &mut delta);
    let hex = |bytes: &[u8]| bytes.iter().map(|it| format!("{it:02x}")).collect::<String>();
    let lines: Vec<String> = Entries(delta.bytes())
        .map(|it| format!("{} {} {}", it.group, hex(it.key), it.value.map_or("-".to_owned(), hex)))
        .collect();
    expect_test::expect![[r#"
        82 0064000000000000000000000000000000223122 010100000000
        82 0162000000000000000100000000000000223122 010101000000
        59 012c010000000000000200000000000000223222 010002000000
        82 0162000000000000000100000000000000223122 -
        82 0064000000000000000000000000000000223122 -
        59 0027010000000000000300000000000000223222 010103000000
        59 012c010000000000000200000000000000223222 010102000000"#]]
    .assert_eq(&lines.join("\n"));
}

#[test]
fn entries_that_nobody_wrote_are_refused() {
    let refused = |key: &[u8], value: &[u8]| {
        let entry = Entry { table: TableId(0), group: 0, key, value: Some(value) };
        Interval::new(1, 1, [true, true]).restore(entry).unwrap_err()
    };
    let key = [[0; 17].as_slice(), b"\"a\""].concat();
    assert_eq!(refused(&key, &[2, 0]), EntryError::Version { found: 2 });
    for (key, value) in [(&key[..16], &[1, 0][..]), (&key, &[1]), (&key, &[1, 4]), (&[9; 20], &[1, 0])] {
        assert!(matches!(refused(key, value), EntryError::Damaged { .. }));
    }
}
