//! Keyed state of which most is on the disk, against keyed state that is all in memory: whatever is done, both say the same.

use super::*;
use crate::spill::{Scratch, Sizes};
use crate::state::{Delta, Entries, Entry, TableId};
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Step {
    /// A batch: its keys, each set to so many bytes or deleted, used at that time.
    Batch(Vec<(u8, Option<usize>, i64)>),
    Timer(u8, u32, Option<i64>),
    Advance(i64, usize),
    /// Keys in memory go until they take so many bytes.
    Shrink(usize),
    Seal,
    /// Seals, and goes on with a state that was restored from all deltas so far.
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let row = || (0..12_u8, proptest::option::weighted(0.9, 0..40_usize), 0..120_i64);
    let time = proptest::option::weighted(0.8, 0..120_i64);
    let step = prop_oneof![
        5 => proptest::collection::vec(row(), 1..5).prop_map(Step::Batch),
        4 => (0..12_u8, 0..3_u32, time).prop_map(|(key, id, at)| Step::Timer(key, id, at)),
        3 => (0..12_i64, 1..5_usize).prop_map(|(by, max)| Step::Advance(by, max)),
        3 => prop_oneof![Just(0), 0..2_000_usize].prop_map(Step::Shrink),
        1 => Just(Step::Seal),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 1..80)
}

/// The states that are compared, and all that was sealed of each.
struct Pair {
    states: [KeyedState; 2],
    sealed: [Vec<Delta>; 2],
    scratch: Arc<Scratch>,
    tables: u16,
    ttl_ms: Option<i64>,
    watermark: i64,
    _dir: tempfile::TempDir,
}

impl Pair {
    fn new(ttl_ms: Option<i64>) -> Pair {
        let dir = tempfile::tempdir().unwrap();
        let sizes = Sizes { buffer: 1_000, cache: 10_000 };
        let scratch = Arc::new(Scratch::new(dir.path().join("scratch"), sizes));
        let fresh = || KeyedState::new(TableId(1)).expiring(ttl_ms);
        let (states, sealed) = ([fresh(), fresh()], Default::default());
        let mut pair = Pair { states, sealed, scratch, tables: 0, ttl_ms, watermark: 0, _dir: dir };
        pair.furnish();
        pair
    }

    /// The second one may move keys. A process that restarts has a scratch space of its own: here a table.
    fn furnish(&mut self) {
        self.tables += 1;
        self.states[1].spill_to(Cold::new(Arc::clone(&self.scratch), self.tables), 700);
    }

    fn seal(&mut self) {
        for (state, sealed) in self.states.iter_mut().zip(&mut self.sealed) {
            let mut delta = Delta::default();
            state.seal(&mut delta);
            sealed.push(delta);
        }
    }

    /// What a restore would find: of each key the newest entry.
    fn live(&self, which: usize) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let mut live = BTreeMap::new();
        for entry in self.sealed[which].iter().flat_map(|it| Entries(it.bytes())) {
            assert_eq!((entry.table, entry.group), (TableId(1), batch::key_group(batch::hash(entry.key))));
            match entry.value {
                Some(value) => drop(live.insert(entry.key.to_vec(), value.to_vec())),
                None => assert!(live.remove(entry.key).is_some(), "only what is there is deleted"),
            }
        }
        live
    }

    fn restart(&mut self) {
        self.seal();
        self.states = std::array::from_fn(|_| KeyedState::new(TableId(1)).expiring(self.ttl_ms));
        self.furnish();
        for which in [0, 1] {
            for (key, value) in self.live(which) {
                let entry = Entry { table: TableId(1), group: 0, key: &key, value: Some(&value) };
                self.states[which].restore(entry).unwrap();
            }
            self.states[which].resume(self.watermark).unwrap();
        }
    }

    fn batch(&mut self, rows: &[(u8, Option<usize>, i64)]) {
        let mut keys = Keys::default();
        for row in rows {
            keys.texts.push(&[row.0]);
            keys.hashes.push(batch::hash(&[row.0]));
        }
        let mut seen = Vec::new();
        for state in &mut self.states {
            state.warm(&keys).unwrap();
            let found: Vec<_> =
                rows.iter().map(|it| state.get_at(batch::hash(&[it.0]), &[it.0], it.2).map(<[u8]>::to_vec)).collect();
            seen.push(found);
            for (key, len, at) in rows {
                state.set(batch::hash(&[*key]), &[*key], len.map(|it| vec![*at as u8; it]).as_deref());
                state.use_at(batch::hash(&[*key]), &[*key], *at);
            }
        }
        assert_eq!(seen[0], seen[1]);
    }

    fn timer(&mut self, key: u8, id: u32, at: Option<i64>) {
        let hash = batch::hash(&[key]);
        let mut keys = Keys::default();
        keys.texts.push(&[key]);
        keys.hashes.push(hash);
        for state in &mut self.states {
            state.warm(&keys).unwrap();
            state.set_timer(hash, &[key], id, at);
        }
    }

    fn advance(&mut self, by: i64, rows_max: usize) {
        self.watermark += by + 1;
        let fired = self.states.each_mut().map(|state| {
            let mut fired = Vec::new();
            loop {
                state.settle().unwrap();
                let due = state.due(self.watermark, rows_max).unwrap();
                if due.is_empty() {
                    break;
                }
                assert!(due.ids.len() <= rows_max);
                for (row, key) in due.keys.texts.iter().enumerate() {
                    assert!(state.find(due.keys.hashes[row], key).is_some(), "what is due is in memory");
                    fired.push((due.times[row], key.to_vec(), due.ids[row]));
                    // What a plugin may do: another one, now and then.
                    if due.ids[row] == 0 && key[0] % 2 == 0 {
                        state.set_timer(due.keys.hashes[row], key, 1, Some(due.times[row] + i64::from(key[0]) - 4));
                    }
                }
            }
            state.expire(self.watermark).unwrap();
            fired
        });
        assert_eq!(fired[0], fired[1]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]
    #[test]
    fn state_on_the_disk_says_what_state_in_memory_says(steps in steps(), ttl_ms in proptest::option::of(1..60_i64)) {
        let mut pair = Pair::new(ttl_ms);
        for step in steps {
            match step {
                Step::Batch(rows) => pair.batch(&rows),
                Step::Timer(key, id, at) => pair.timer(key, id, at),
                Step::Advance(by, rows_max) => pair.advance(by, rows_max),
                Step::Shrink(bytes) => pair.states[1].shrink(bytes).unwrap(),
                Step::Seal => pair.seal(),
                Step::Restart => pair.restart(),
            }
            prop_assert_eq!(pair.states[0].len(), pair.states[1].len());
            let [plain, spilling] = &pair.states;
            prop_assert!(spilling.bytes() <= plain.bytes() + 24 * SLOT_COST_ABOUT, "{} {}", spilling.bytes(), plain.bytes());
        }
        pair.seal();
        prop_assert_eq!(pair.live(0), pair.live(1));
        pair.scratch.check().unwrap();
        // All that is there is found page by page, once.
        pair.states[1].shrink(0).unwrap();
        let (mut after, mut pages) = (None, 0);
        while let Some(page) = pair.states[1].warm_page(&mut after).unwrap() {
            pages += page.hashes.len();
        }
        prop_assert!(pages <= pair.states[0].len());
        prop_assert_eq!(pair.states[1].cold_keys(), 0);
        let held = |state: &KeyedState| state.states().map(|it| (it.1.to_vec(), it.2.to_vec())).collect::<BTreeMap<_, _>>();
        prop_assert_eq!(held(&pair.states[0]), held(&pair.states[1]));
        // What memory is counted is what there is.
        let [plain, spilling] = &pair.states;
        prop_assert_eq!(plain.bytes(), spilling.bytes());
    }
}

/// A slot that waits to be forgotten may be there in one and gone in the other.
const SLOT_COST_ABOUT: usize = 300;

#[test]
fn keys_go_until_the_rest_fits_and_a_key_that_is_used_stays_longest() {
    let mut pair = Pair::new(None);
    let state = &mut pair.states[1];
    for key in 0..100_u8 {
        state.set(batch::hash(&[key]), &[key], Some(&[key; 50]));
    }
    let mut delta = Delta::default();
    state.seal(&mut delta);
    let all = state.bytes();
    assert!(all > 100 * 50, "{all}");
    // The first look finds all of them used.
    state.shrink(all / 2).unwrap();
    assert!(state.bytes() <= all / 2);
    assert!((45..60).contains(&state.cold_keys()), "{}", state.cold_keys());
    let held: Vec<u8> = (0..100).filter(|it| state.find(batch::hash(&[*it]), &[*it]).is_some()).collect();
    let used: Vec<u8> = held.iter().copied().filter(|it| it % 2 == 0).collect();
    let mut keys = Keys::default();
    for key in &used {
        keys.texts.push(&[*key]);
        keys.hashes.push(batch::hash(&[*key]));
    }
    state.warm(&keys).unwrap();
    state.shrink(all / 4).unwrap();
    assert!(used.iter().all(|it| state.find(batch::hash(&[*it]), &[*it]).is_some()), "what was used stays");
    // Nothing of it is in the next snapshot: nothing has changed.
    let mut delta = Delta::default();
    state.seal(&mut delta);
    assert!(delta.is_empty());
    assert_eq!(state.len(), 100);
}
