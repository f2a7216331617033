//! Keys on the disk against a map, with buffers so small that the tree has many files.

use super::*;
use crate::spill::Sizes;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn cold(dir: &std::path::Path, table: u16) -> Cold {
    Cold::new(Arc::new(Scratch::new(dir.join("scratch"), Sizes { buffer: 2_000, cache: 10_000 })), table)
}

#[derive(Clone, Debug)]
enum Step {
    Put(u8, Option<i64>, Option<i64>, usize),
    Take(u8),
    Forget(u8),
    Due(i64, usize),
}

fn a_step() -> impl Strategy<Value = Step> {
    let time = || proptest::option::of(-50..50_i64);
    prop_oneof![
        4 => (0..30_u8, time(), time(), 0..300_usize).prop_map(|(key, a, b, len)| Step::Put(key, a, b, len)),
        3 => (0..30_u8).prop_map(Step::Take),
        1 => (0..30_u8).prop_map(Step::Forget),
        2 => (-60..60_i64, 1..8_usize).prop_map(|(until, max)| Step::Due(until, max)),
    ]
}

type Model = BTreeMap<u8, (Vec<u8>, [Option<i64>; 2])>;

fn due_of(model: &Model, queue: usize, until: i64, max: usize) -> Vec<Due> {
    let mut due: Vec<_> = model.iter().filter_map(|it| Some((it.1.1[queue]?, *it.0))).collect();
    due.sort_unstable();
    due.retain(|it| it.0 <= until);
    due.into_iter().take(max).map(|(at, key)| Due { at, key: [key].into() }).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
    #[test]
    fn keys_on_the_disk_behave_as_a_map(steps in proptest::collection::vec(a_step(), 1..200)) {
        let dir = tempfile::tempdir().unwrap();
        let mut cold = cold(dir.path(), 3);
        // Another operator's keys are not these.
        let mut other = Cold::new(Arc::clone(&cold.scratch), 4);
        other.put(Moved { key: &[1], value: b"other", due: [Some(-100); 2] }).unwrap();
        let (mut model, mut copies) = (Model::new(), Model::new());
        for step in steps {
            match step {
                Step::Put(key, _, _, _) if model.contains_key(&key) => {}
                Step::Put(key, a, b, len) => {
                    let (value, due) = (vec![key; len], [a, b]);
                    // A key that is not due and has not changed is not written again.
                    if due == [None; 2] && copies.get(&key).is_some_and(|it| *it == (value.clone(), due)) {
                        cold.put_again();
                    } else {
                        cold.put(Moved { key: &[key], value: &value, due }).unwrap();
                    }
                    copies.remove(&key);
                    model.insert(key, (value, due));
                }
                Step::Take(key) if copies.contains_key(&key) => {}
                Step::Take(key) => {
                    let mut out = vec![9];
                    let found = cold.take(&[key], &mut out).unwrap();
                    let expected = model.remove(&key);
                    prop_assert_eq!(found.then_some(out), expected.as_ref().map(|it| it.0.clone()));
                    copies.extend(expected.map(|it| (key, it)));
                }
                Step::Forget(key) => {
                    if copies.remove(&key).is_some() {
                        cold.forget(&[key]);
                    }
                }
                Step::Due(until, max) => {
                    for queue in Queue::ALL {
                        let found = cold.due(queue, until, max).unwrap();
                        prop_assert_eq!(found, due_of(&model, queue as usize, until, max));
                    }
                }
            }
            prop_assert_eq!(cold.len(), model.len());
        }
        cold.scratch.check().unwrap();
        let (mut page, mut keys) = (cold.page(None, 3).unwrap(), Vec::new());
        while let Some(last) = page.last().cloned() {
            keys.append(&mut page);
            page = cold.page(Some(&last), 3).unwrap();
        }
        let expected: Vec<Box<[u8]>> = model.keys().chain(copies.keys()).map(|it| [*it].into()).collect();
        keys.sort();
        prop_assert_eq!(keys, { let mut it = expected; it.sort(); it });
    }
}

#[test]
fn nothing_is_on_the_disk_before_a_key_is_moved_and_nothing_after_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut cold = cold(dir.path(), 0);
    let mut out = Vec::new();
    assert!(!cold.take(b"ann", &mut out).unwrap());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    for at in 0..1_000_u32 {
        cold.put(Moved { key: &at.to_be_bytes(), value: &[7; 100], due: [None; 2] }).unwrap();
    }
    cold.scratch.check().unwrap();
    assert!(cold.take(&999_u32.to_be_bytes(), &mut out).unwrap());
    assert!(dir.path().join("scratch").exists());
    drop(cold);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn the_longest_key_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut cold = cold(dir.path(), 0);
    let (longest, mut out) = (vec![1; Cold::KEY_BYTES_MAX], Vec::new());
    cold.put(Moved { key: &longest, value: b"x", due: [Some(1); 2] }).unwrap();
    assert_eq!(*cold.due(Queue::Timers, 1, 9).unwrap()[0].key, *longest);
    assert!(cold.take(&longest, &mut out).unwrap());
    assert_eq!((out, cold.is_empty()), (b"x".to_vec(), true));
}
