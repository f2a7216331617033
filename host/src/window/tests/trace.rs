//! Accumulators that are texts, as a plugin's would be: they show in which order records were folded, and every misuse of
//! a slot panics.

use super::long::windows as long;
use super::{Disk, canonical, row_times};
use crate::batch::{self, Keys};
use crate::column::Strings;
use crate::config::{Accumulate, CalendarUnit, Emit, Firing, LatePanes, Window};
use crate::state::{Delta, Entries, TableId};
use crate::window::{Accumulators, Add, Input, Merge, Operator, SlotId, StateError};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

/// A slot holds its records' times in the order of folding; none where it is free.
#[derive(Debug, Default)]
pub(super) struct Trace {
    slots: Vec<Option<String>>,
    pub(super) calls: usize,
    /// Shows by brackets what was merged with what, and lets no call touch an accumulator that another merge of it changes.
    strict: bool,
    pub(super) merges: usize,
    pub(super) merge_calls: usize,
}

impl Trace {
    pub(super) fn strict() -> Self {
        Trace { strict: true, ..Trace::default() }
    }

    fn slot(&mut self, slot: SlotId) -> &mut String {
        self.slots[slot.0 as usize].as_mut().expect("a slot is used while it is there")
    }

    pub(super) fn used(&self) -> usize {
        self.slots.iter().flatten().count()
    }
}

impl Accumulators for Trace {
    type Output = Strings;
    type Error = Infallible;

    fn output(&self, _: usize) -> Strings {
        Strings::default()
    }

    fn create(&mut self) -> SlotId {
        self.slots.push(Some(String::new())); // No id is used again: a stale one is seen.
        SlotId(self.slots.len() as u32 - 1)
    }

    fn reset(&mut self, slot: SlotId) {
        self.slot(slot).clear();
    }

    fn free(&mut self, slot: SlotId) {
        self.slot(slot);
        self.slots[slot.0 as usize] = None;
    }

    fn add(&mut self, input: &Input<'_>, adds: &[Add]) -> Result<(), Infallible> {
        self.calls += 1;
        for add in adds {
            let time = format!("{} ", input.times[add.row as usize]);
            self.slot(add.slot).push_str(&time);
        }
        Ok(())
    }

    fn merge(&mut self, merges: &[Merge]) -> Result<(), Infallible> {
        self.merges += merges.len();
        self.merge_calls += 1;
        let into: BTreeSet<u32> = merges.iter().map(|it| it.into.0).collect();
        let alone = into.len() == merges.len() && merges.iter().all(|it| !into.contains(&it.from.0));
        assert!(alone || !self.strict, "{merges:?}");
        for merge in merges {
            assert_ne!(merge.into, merge.from);
            let from = self.slot(merge.from).clone();
            let strict = self.strict;
            let into = self.slot(merge.into);
            if strict && !into.is_empty() && !from.is_empty() {
                *into = format!("({into}+{from})");
            } else {
                into.push_str(&from);
            }
        }
        Ok(())
    }

    fn collect(&self, slot: SlotId, out: &mut Strings) {
        out.push(self.slots[slot.0 as usize].as_ref().expect("a slot is read while it is there").as_bytes());
    }

    fn encode(&self, slot: SlotId, out: &mut Vec<u8>) {
        self.collect(slot, &mut Strings::default());
        out.extend_from_slice(self.slots[slot.0 as usize].as_deref().unwrap_or("").as_bytes());
    }

    fn decode(&mut self, bytes: &[u8]) -> Result<SlotId, StateError> {
        let slot = self.create();
        self.slot(slot).push_str(std::str::from_utf8(bytes).unwrap());
        Ok(slot)
    }

    fn bytes(&self) -> usize {
        self.slots.len()
    }
}

/// What each row said was folded. Records are (key, time); a batch ends after each chunk of `rows`, and so does an operator. With `spills`, all keys are on
/// the disk between two chunks.
fn run(window: &Window, emit: Emit, delay: i64, records: &[(usize, i64)], rows: usize, spills: bool) -> Vec<String> {
    let mut operator = Operator::new(window, emit, Trace::default());
    let mut disk = Disk::new();
    let (mut snapshot, mut out, mut watermark) = (BTreeMap::new(), Vec::new(), i64::MIN);
    let empty = operator.accumulators().used();
    for chunk in records.chunks(rows) {
        let mut keys = Keys::default();
        for (key, _) in chunk {
            let text = canonical(["ann", "bob"][*key]);
            keys.texts.push(text.as_bytes());
            keys.hashes.push(batch::hash(text.as_bytes()));
        }
        if spills {
            disk.furnish(&mut operator, 0);
            let windows = operator.spills_mut().unwrap();
            windows.shrink(0).unwrap();
            windows.warm(&keys).unwrap();
        }
        let times: Vec<i64> = chunk.iter().map(|it| it.1).collect();
        let clock = row_times(&times, delay, watermark);
        let Ok(processed) =
            operator.process(&Input { keys: &keys, times: &times, columns: &[], clock: &clock, gaps: &[] });
        watermark = clock.after;
        for values in [Some(processed.fired.values), processed.answers].into_iter().flatten() {
            out.extend(values.iter().map(|it| String::from_utf8(it.to_vec()).unwrap()));
        }
        close(&mut operator, watermark, &mut out);
        let mut delta = Delta::default();
        operator.seal(TableId(0), &mut delta);
        for entry in Entries(delta.bytes()) {
            match entry.value {
                Some(value) => snapshot.insert(entry.key.to_vec(), value.to_vec()),
                None => snapshot.remove(entry.key),
            };
        }
        operator.forget_sums();
        let used = operator.accumulators().used();
        let mut restored = Operator::new(window, emit, Trace::default());
        for (key, value) in &snapshot {
            restored.restore(crate::state::Entry { table: TableId(0), group: 0, key, value: Some(value) }).unwrap();
        }
        restored.resume(watermark);
        assert!(spills || restored.accumulators().used() == used, "a restored operator holds what the sealed one held");
        operator = restored;
    }
    close(&mut operator, i64::MAX, &mut out);
    if !matches!(window, Window::Count { .. }) {
        assert_eq!(operator.accumulators().used(), empty, "every slot is freed");
    }
    out
}

fn close(operator: &mut Operator<Trace>, watermark: i64, out: &mut Vec<String>) {
    let mut done = false;
    while !done {
        operator.warm_due(watermark).unwrap();
        let Ok((fired, all)) = operator.advance_some(watermark, usize::MAX);
        out.extend(fired.values.iter().map(|it| String::from_utf8(it.to_vec()).unwrap()));
        done = all;
    }
}

fn windows() -> impl Strategy<Value = Window> {
    prop_oneof![
        (1..20i64).prop_map(|size_ms| Window::Tumbling { size_ms, offset_ms: 0 }),
        (1..8i64, 1..6i64).prop_map(|(slide_ms, times)| Window::Hopping {
            size_ms: slide_ms * times + 1,
            slide_ms,
            offset_ms: 0
        }),
        long(),
        (1..10i64).prop_map(Window::session),
        (1..200i64).prop_map(|size_ms| Window::Rolling { size_ms }),
        (1..6u64, 1..6u64).prop_map(|(a, b)| Window::Count { records: a.max(b), every: a.min(b) }),
        Just(Window::Global),
        Just(Window::Calendar { unit: CalendarUnit::Day, zone: "Europe/Paris".into() }),
    ]
}

/// Every way of writing results that does not ask for the time.
fn emits() -> impl Strategy<Value = Emit> {
    let accumulate = [Accumulate::Accumulating, Accumulate::Discarding, Accumulate::Retracting];
    let firing = (
        prop::option::of(1..5u64),
        any::<bool>(),
        any::<bool>(),
        prop::sample::select(accumulate.to_vec()),
        prop_oneof![Just(0), 1..30i64, Just(i64::MAX)],
        any::<bool>(),
    );
    let firing = firing.prop_map(|(records, at_expiry, unchanged, accumulate, lateness_ms, upsert)| Firing {
        records,
        late: if at_expiry { LatePanes::AtExpiry } else { LatePanes::PerRecord },
        unchanged,
        accumulate,
        lateness_ms,
        upsert: upsert && accumulate == Accumulate::Accumulating,
        ..Firing::ON_CLOSE
    });
    prop_oneof![Just(Emit::OnClose), Just(Emit::OnUpdate), firing.prop_map(Emit::Repeatedly)]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn slots_are_never_leaked_or_used_after_their_end_and_folds_do_not_depend_on_batches(
        window in windows(),
        emit in emits(),
        delay in 0..15i64,
        steps in prop::collection::vec((0..2usize, 0..6i64, 0..20i64), 1..50),
        rows in 2..20usize,
        spills in prop::bool::weighted(0.2),
    ) {
        let mut now = 0;
        let records: Vec<(usize, i64)> = steps.into_iter().map(|(key, ahead, back)| {
            now += ahead;
            (key, now - back)
        }).collect();
        let mut rows = run(&window, emit, delay, &records, rows, false);
        let mut one_by_one = run(&window, emit, delay, &records, 1, spills);
        if let Emit::Repeatedly(_) = emit {
            // What a record makes due is written before what the batch's watermark does.
            rows.sort();
            one_by_one.sort();
        }
        prop_assert_eq!(&rows, &one_by_one);
        if let Window::Rolling { .. } = window {
            for row in &rows {
                let times: Vec<i64> = row.split_whitespace().map(|it| it.parse().unwrap()).collect();
                prop_assert!(times.is_sorted(), "records are merged in order of time: {row}");
            }
        }
    }
}

#[test]
fn a_batch_is_one_call_even_when_it_holds_stragglers_that_close_nothing() {
    let mut operator = Operator::new(&Window::Tumbling { size_ms: 100, offset_ms: 0 }, Emit::OnClose, Trace::default());
    let times: Vec<i64> = (0..50).map(|it| if it % 2 == 0 { it } else { it / 2 }).collect();
    let mut keys = Keys::default();
    for _ in &times {
        keys.texts.push(b"1");
        keys.hashes.push(batch::hash(b"1"));
    }
    let clock = row_times(&times, 0, i64::MIN);
    assert!(clock.stragglers.len() > 20);
    let Ok(out) = operator.process(&Input { keys: &keys, times: &times, columns: &[], clock: &clock, gaps: &[] });
    assert_eq!((out.late.len(), out.fired.len(), operator.accumulators().calls), (0, 0, 1));
}
