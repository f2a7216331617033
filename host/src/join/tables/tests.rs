//! The three operators in several workers, with queues between them that are emptied in any order, against a join of what the two
//! tables hold.

use super::*;
use crate::batch::{self, Keys};
use crate::spill::{Cold, Scratch, Sizes};
use crate::state::{Delta, Entries, Entry, Spills, TableId};
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

const TABLE: TableId = TableId(0);

#[derive(Clone, Copy, Debug)]
enum Happens {
    /// A left row with a foreign key (0 for none), or its end.
    Left(u8, Option<u8>),
    /// A right row, or its end.
    Right(u8, bool),
    /// Something of the queue with this number is handed on.
    Deliver(usize),
    /// All that is under way arrives, state is sealed, and as many workers go on from it.
    Restart(usize),
    /// The same without a new start.
    Barrier,
}

/// One entry of a queue.
type Message<T> = VecDeque<(u64, T)>;

/// A row of the result: the left one and the right one.
type Row = (Vec<u8>, Option<Vec<u8>>);

struct Workers {
    keeps: bool,
    changes: Vec<Changes>,
    matches: Vec<Matches>,
    results: Vec<Results>,
    /// From each worker to each.
    instructions: Vec<Message<Instructions>>,
    answers: Vec<Message<Answers>>,
    deltas: [Vec<Delta>; 3],
    /// The result, as who reads the output has it.
    table: BTreeMap<Vec<u8>, Row>,
    /// Where keys go that are not in memory, and how many operators have gone there: each has a table of its own.
    scratch: Option<(Arc<Scratch>, u16)>,
}

fn key(of: u8) -> Vec<u8> {
    if of == 0 { Vec::new() } else { format!("\"{of}\"").into_bytes() }
}

fn strings(text: &[u8]) -> Strings {
    let mut strings = Strings::default();
    strings.push(text);
    strings
}

fn keys(text: &[u8]) -> Keys {
    Keys { texts: strings(text), hashes: vec![batch::hash(text)] }
}

impl Workers {
    fn new(keeps: bool, count: usize, scratch: Option<Scratch>) -> Self {
        let mut workers = Workers {
            keeps,
            changes: Vec::new(),
            matches: Vec::new(),
            results: Vec::new(),
            instructions: Vec::new(),
            answers: Vec::new(),
            deltas: Default::default(),
            table: BTreeMap::new(),
            scratch: scratch.map(|it| (Arc::new(it), 0)),
        };
        workers.start(count);
        workers
    }

    fn count(&self) -> usize {
        self.changes.len()
    }

    fn start(&mut self, count: usize) {
        self.changes = (0..count).map(|_| Changes::new(TABLE)).collect();
        self.matches = (0..count).map(|_| Matches::new(self.keeps)).collect();
        self.results = (0..count).map(|_| Results::new(TABLE)).collect();
        if let Some((scratch, used)) = &mut self.scratch {
            let changes = self.changes.iter_mut().map(|it| it.state_mut() as &mut dyn Spills);
            let matches = self.matches.iter_mut().map(|it| it as &mut dyn Spills);
            let results = self.results.iter_mut().map(|it| it.state_mut() as &mut dyn Spills);
            for state in changes.chain(matches).chain(results) {
                state.spill_to(Cold::new(Arc::clone(scratch), *used), 100);
                *used += 1;
            }
        }
        (self.instructions, self.answers) =
            (vec![VecDeque::new(); count * count], vec![VecDeque::new(); count * count]);
        for (at, deltas) in self.deltas.iter().enumerate() {
            let mut live: BTreeMap<Vec<u8>, (u16, Vec<u8>)> = BTreeMap::new();
            for entry in deltas.iter().flat_map(|it| Entries(it.bytes())) {
                match entry.value {
                    Some(value) => live.insert(entry.key.to_vec(), (entry.group, value.to_vec())),
                    None => Some(live.remove(entry.key).expect("only what is there is deleted")),
                };
            }
            for (key, (group, value)) in live.iter().rev() {
                let (worker, entry) =
                    (*group as usize % count, Entry { table: TABLE, group: *group, key, value: Some(value) });
                match at {
                    0 => self.changes[worker].restore(entry).unwrap(),
                    1 => self.matches[worker].restore(entry).unwrap(),
                    _ => self.results[worker].restore(entry).unwrap(),
                }
            }
        }
        self.changes.iter_mut().for_each(|it| it.resume().unwrap());
    }

    /// Everything that can goes to the disk.
    fn shrink(&mut self) {
        self.changes.iter_mut().for_each(|it| it.state_mut().shrink(0).unwrap());
        self.matches.iter_mut().for_each(|it| it.shrink(0).unwrap());
        self.results.iter_mut().for_each(|it| it.state_mut().shrink(0).unwrap());
    }

    fn owner(&self, hash: u64) -> usize {
        batch::key_group(hash) as usize % self.count()
    }

    fn left(&mut self, own: u8, foreign: Option<u8>, row: &[u8]) {
        let own = keys(&key(own));
        let (foreign, rows) = (strings(&key(foreign.unwrap_or(0))), strings(row));
        let deletes = [row.is_empty()];
        let from = self.owner(own.hashes[0]);
        let input = LeftRows { own: &own, foreign: &foreign, times: &[0], rows: &rows, deletes: &deletes };
        let out = self.changes[from].process(&input).unwrap();
        self.shrink();
        for at in 0..out.len() {
            let hash = batch::hash(out.foreign.get(at));
            let mut one = Instructions::default();
            one.push(
                (out.foreign.get(at), out.own.get(at)),
                out.versions[at],
                out.instructions[at],
                out.times[at],
                out.rows.get(at),
            );
            let to = self.owner(hash);
            let queue = from * self.count() + to;
            self.instructions[queue].push_back((hash, one));
        }
    }

    fn right(&mut self, own: u8, row: &[u8]) {
        let own = keys(&key(own));
        let at = self.owner(own.hashes[0]);
        let answers = self.matches[at].right(&own, &[0], &strings(row), &[row.is_empty()]).unwrap();
        self.shrink();
        self.answer(at, &answers);
    }

    fn answer(&mut self, from: usize, answers: &Answers) {
        for at in 0..answers.len() {
            let hash = batch::hash(answers.own.get(at));
            let mut one = Answers::default();
            let half = |side: usize| {
                let half = &answers.rows[side];
                (!half.missing[at]).then(|| half.rows.get(at))
            };
            one.push(answers.own.get(at), answers.versions[at], answers.times[at], half(0).map(|it| (it, half(1))));
            let queue = from * self.count() + self.owner(hash);
            self.answers[queue].push_back((hash, one));
        }
    }

    /// Hands on the first message of one queue. False where it is empty.
    fn deliver(&mut self, queue: usize) -> bool {
        let (all, count) = (self.instructions.len(), self.count());
        let queue = queue % (2 * all);
        if queue < all {
            let Some((hash, one)) = self.instructions[queue].pop_front() else { return false };
            let answers = self.matches[queue % count].left(&one, &[hash]).unwrap();
            self.shrink();
            self.answer(queue % count, &answers);
            return true;
        }
        let Some((hash, one)) = self.answers[queue - all].pop_front() else { return false };
        let own = Keys { texts: one.own.clone(), hashes: vec![hash] };
        let outcome = self.results[queue % count].process(&own, &one.versions, &[!one.rows[0].missing[0]]);
        let outcome = outcome.unwrap();
        self.shrink();
        let own = one.own.get(0).to_vec();
        match outcome[0] {
            Outcome::Row => {
                let right = (!one.rows[1].missing[0]).then(|| one.rows[1].rows.get(0).to_vec());
                self.table.insert(own, (one.rows[0].rows.get(0).to_vec(), right));
            }
            Outcome::End => drop(self.table.remove(&own).expect("only a row that is out ends")),
            Outcome::Nothing => {}
        }
        true
    }

    fn barrier(&mut self) {
        while (0..2 * self.instructions.len()).fold(false, |any, queue| any | self.deliver(queue)) {}
        for worker in 0..self.count() {
            let mut sealed: [Delta; 3] = Default::default();
            self.changes[worker].seal(&mut sealed[0]);
            self.matches[worker].seal(TABLE, &mut sealed[1]);
            self.results[worker].seal(&mut sealed[2]);
            self.deltas.iter_mut().zip(sealed).for_each(|(all, it)| all.push(it));
        }
    }
}

fn events() -> impl Strategy<Value = Vec<Happens>> {
    let event = prop_oneof![
        6 => (1_u8..5, prop::option::weighted(0.85, 0_u8..4)).prop_map(|(own, foreign)| Happens::Left(own, foreign)),
        4 => (1_u8..4, prop::bool::weighted(0.3)).prop_map(|(own, ends)| Happens::Right(own, ends)),
        12 => any::<usize>().prop_map(Happens::Deliver),
        1 => (1_usize..4).prop_map(Happens::Restart),
        1 => Just(Happens::Barrier),
    ];
    prop::collection::vec(event, 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn the_result_is_the_join_of_the_two_tables_in_whatever_order_answers_come(
        events in events(),
        keeps in any::<bool>(),
        count in 1_usize..4,
        spills in prop::bool::weighted(0.2),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let scratch = spills.then(|| Scratch::new(dir.path().join("scratch"), Sizes { buffer: 1_000, cache: 10_000 }));
        let mut workers = Workers::new(keeps, count, scratch);
        let (mut left, mut right) = (BTreeMap::new(), BTreeMap::new());
        for (at, event) in events.iter().chain([&Happens::Barrier]).enumerate() {
            let row = format!("row {at}").into_bytes();
            match *event {
                Happens::Left(own, Some(foreign)) => {
                    workers.left(own, Some(foreign), &row);
                    left.insert(own, (foreign, row));
                }
                Happens::Left(own, None) => {
                    workers.left(own, None, b"");
                    left.remove(&own);
                }
                Happens::Right(own, true) => {
                    workers.right(own, b"");
                    right.remove(&own);
                }
                Happens::Right(own, false) => {
                    workers.right(own, &row);
                    right.insert(own, row);
                }
                Happens::Deliver(queue) => drop(workers.deliver(queue)),
                Happens::Restart(_) | Happens::Barrier => {
                    workers.barrier();
                    let named = left.iter().map(|(own, (foreign, row))| (own, row, right.get(foreign)));
                    let out = named.filter(|it| keeps || it.2.is_some());
                    let expected: BTreeMap<_, _> = out.map(|it| (key(*it.0), (it.1.clone(), it.2.cloned()))).collect();
                    prop_assert_eq!(&workers.table, &expected);
                }
            }
            if let Happens::Restart(count) = event {
                workers.start(*count);
            }
        }
        let rows = |count: fn(&Workers, usize) -> usize| (0..workers.count()).map(|it| count(&workers, it)).sum::<usize>();
        prop_assert_eq!(rows(|it, at| it.changes[at].keys()), left.len());
        prop_assert_eq!(rows(|it, at| it.results[at].keys()), workers.table.len());
        let named: std::collections::BTreeSet<u8> =
            left.values().map(|it| it.0).filter(|it| *it != 0).chain(right.keys().copied()).collect();
        prop_assert_eq!(rows(|it, at| it.matches[at].keys()), named.len());
    }
}

#[test]
fn an_answer_of_the_owner_before_does_not_hide_that_of_the_owner_after() {
    let mut results = Results::new(TABLE);
    let own = keys(b"\"a\"");
    let mut process = |version: Version, row: bool| results.process(&own, &[version], &[row]).unwrap();
    assert_eq!(process(7, true), [Outcome::Row]);
    assert_eq!(process(6, true), [Outcome::Nothing], "stale");
    assert_eq!(process(6, false), [Outcome::Nothing], "stale");
    assert_eq!(process(7, true), [Outcome::Row], "its right row changed");
    assert_eq!(process(8, false), [Outcome::End]);
    assert_eq!(process(7, true), [Outcome::Nothing], "the end is remembered");
}

#[test]
fn what_changed_is_counted_by_rows_and_not_by_foreign_keys() {
    let mut workers = Workers::new(true, 1, None);
    (1..101).for_each(|own| workers.left(own, Some(1), &[b'x'; 100]));
    while workers.deliver(0) {}
    let matches = &mut workers.matches[0];
    let (held, changed) = (matches.bytes(), matches.changed_bytes());
    assert!((held / 2..=held).contains(&changed), "{changed} bytes changed of {held}");
    matches.seal(TABLE, &mut Delta::default());
    assert_eq!(matches.changed_bytes(), 0);
}

#[test]
fn the_bytes_of_a_snapshot_never_change() {
    let mut workers = Workers::new(true, 1, None);
    workers.left(1, Some(2), b"left");
    workers.left(3, Some(2), b"more");
    workers.right(2, b"right");
    workers.barrier();
    workers.left(1, Some(0), b"alone");
    workers.right(2, b"");
    workers.left(3, None, b"");
    workers.barrier();
    let hex = |bytes: &[u8]| bytes.iter().map(|it| format!("{it:02x}")).collect::<String>();
    let lines = |deltas: &[Delta]| -> String {
        let entries = deltas.iter().flat_map(|it| Entries(it.bytes()));
        let line = |it: Entry<'_>| format!("{} {} {}\n", it.group, hex(it.key), it.value.map_or("-".to_owned(), hex));
        entries.map(line).collect()
    };
    let text: String = workers.deltas.iter().map(|it| lines(it) + "--\n").collect();
    expect_test::expect![[r#"
        82 223122 0101000000000000000000000000223222
        124 223322 0101000000000100000000000000223222
        82 223122 0101000000000200000000000000
        124 223322 -
        --
        59 0103000000223222 01000000000000000000000000000000007269676874
        59 0003000000223222223122 01000000000000000000000000000000006c656674
        59 0003000000223222223322 01000000000000000001000000000000006d6f7265
        59 0103000000223222 -
        59 0003000000223222223122 -
        59 0003000000223222223322 -
        --
        82 223122 010100000000
        124 223322 010100000000
        124 223322 -
        --
    "#]]
    .assert_eq(&text);
}

#[test]
fn entries_that_nobody_wrote_are_refused() {
    let refused = |key: &[u8], value: &[u8]| {
        let entry = Entry { table: TABLE, group: 0, key, value: Some(value) };
        Matches::new(true).restore(entry).is_err()
    };
    let value = [&[1][..], &[0; 16], b"row"].concat();
    assert!(!refused(b"\0\x01\0\0\0fown", &value));
    assert!(refused(b"\x01\x01\0\0\0fown", &value), "a right row has no other key");
    assert!(refused(b"\x02\x01\0\0\0f", &value), "a third side");
    assert!(refused(b"\0\x09\0\0\0f", &value), "a key cut short");
    assert!(refused(b"\0\x01\0\0\0fown", &value[..16]), "a value cut short");
    assert!(refused(b"\0\x01\0\0\0fown", &[&[2][..], &value[1..]].concat()), "another form");
}
