//! Scripts over keyed state and timers, the entry format, and a map as the model.

use super::*;
use crate::state::Entries;
use expect_test::{Expect, expect};
use proptest::prelude::*;
use std::fmt::Write;

fn set(state: &mut KeyedState, key: &str, value: Option<&str>) {
    state.set(batch::hash(key.as_bytes()), key.as_bytes(), value.map(str::as_bytes));
}

fn timer(state: &mut KeyedState, key: &str, id: u32, at: Option<i64>) {
    state.set_timer(batch::hash(key.as_bytes()), key.as_bytes(), id, at);
}

fn rows(due: &Due) -> String {
    let rows = due.keys.texts.iter().zip(&due.ids).zip(&due.times);
    rows.map(|((key, id), at)| format!("{}.{id}@{at} ", String::from_utf8_lossy(key))).collect()
}

/// One line a command: `KEY = VALUE`, `KEY =` (deletes), `KEY.ID @ TIME`, `KEY.ID @` (cancels), `watermark W` (up to three
/// rows a batch; `on KEY.ID : COMMAND` lines say what the plugin does when that timer fires), `seal`.
fn check(script: &str, expected: Expect) {
    let mut state = KeyedState::new(TableId(0));
    let mut on = Vec::new();
    let mut out = String::new();
    for line in script.lines().map(str::trim) {
        match line.split_once(' ') {
            Some(("on", rest)) => on.push(rest.split_once(" : ").unwrap()),
            Some(("watermark", at)) => {
                let at = if at == "end" { i64::MAX } else { at.parse().unwrap() };
                loop {
                    let due = state.due(at, 3).unwrap();
                    if due.is_empty() {
                        break;
                    }
                    writeln!(out, "{at}: {}", rows(&due).trim_end()).unwrap();
                    for row in rows(&due).split_whitespace() {
                        let fired = row.split('@').next().unwrap();
                        on.iter().filter(|it| it.0 == fired).for_each(|it| run(&mut state, it.1));
                    }
                }
            }
            None => {
                let mut delta = Delta::default();
                state.seal(&mut delta);
                let entries = Entries(delta.bytes()).map(|it| {
                    let sign = if it.value.is_some() { '+' } else { '-' };
                    format!("{sign}{} ", String::from_utf8_lossy(it.key))
                });
                writeln!(out, "sealed {}", entries.collect::<String>().trim_end()).unwrap();
            }
            Some(_) => run(&mut state, line),
        }
    }
    expected.assert_eq(&out);
}

fn run(state: &mut KeyedState, command: &str) {
    if let Some((name, at)) = command.split_once('@') {
        let (key, id) = name.trim().split_once('.').unwrap();
        timer(state, key, id.parse().unwrap(), at.trim().parse().ok());
    } else {
        let (key, value) = command.split_once('=').unwrap();
        let value = value.trim();
        set(state, key.trim(), (!value.is_empty()).then_some(value));
    }
}

#[test]
fn timers_fire_once_by_time_then_key_then_id_and_a_key_once_a_batch() {
    check(
        "b.1 @ 5
         a.2 @ 5
         a.1 @ 5
         c.1 @ 4
         d.1 @ 9
         watermark 3
         watermark 5
         watermark 5
         watermark 8
         watermark 9",
        expect![[r#"
            5: c.1@4 a.1@5
            5: a.2@5 b.1@5
            9: d.1@9
        "#]],
    );
}

#[test]
fn setting_a_timer_replaces_it_and_none_cancels() {
    check(
        "a.1 @ 5
         a.1 @ 7
         b.1 @ 6
         b.1 @
         watermark 6
         watermark 7",
        expect![[r#"
            7: a.1@7
        "#]],
    );
}

#[test]
fn a_timer_that_sets_a_timer_fires_it_in_the_same_advance_only_if_it_is_later() {
    check(
        "on a.1 : a.2 @ 7
         on b.1 : b.1 @ 5
         on a.2 : a.2 @ 7
         a.1 @ 5
         b.1 @ 5
         watermark 10
         watermark 11
         watermark end",
        expect![[r#"
            10: a.1@5 b.1@5
            10: a.2@7
            11: b.1@5 a.2@7
            9223372036854775807: b.1@5 a.2@7
        "#]],
    );
}

#[test]
fn a_timer_set_for_a_time_already_passed_fires_at_the_next_advance() {
    check(
        "watermark 10
         a.1 @ 3
         watermark 11",
        expect![[r#"
            11: a.1@3
        "#]],
    );
}

#[test]
fn only_changed_keys_are_sealed_and_a_key_that_was_never_stored_is_not_deleted() {
    check(
        "a = 1
         b = 1
         c.1 @ 5
         new = 1
         new =
         seal
         a = 1
         b =
         seal
         watermark 5
         seal
         seal
         b = 2
         seal",
        expect![[r#"
            sealed +a +b +c
            sealed -b
            5: c.1@5
            sealed -c
            sealed 
            sealed +b
        "#]],
    );
}

#[test]
fn the_entry_format_never_changes() {
    let mut state = KeyedState::new(TableId(2));
    set(&mut state, "ann", Some("xy"));
    timer(&mut state, "ann", 7, Some(-1));
    timer(&mut state, "ann", 1, Some(258));
    timer(&mut state, "bob", 0, Some(1));
    let mut delta = Delta::default();
    state.seal(&mut delta);
    let hex = |it: &[u8]| it.iter().map(|it| format!("{it:02x}")).collect::<String>();
    let values: Vec<_> = Entries(delta.bytes()).map(|it| hex(it.value.unwrap())).collect();
    assert_eq!(
        values,
        [
            "01 01 02000000 01000000 0201000000000000 07000000 ffffffffffffffff 7879".replace(' ', ""),
            "01 00 01000000 00000000 0100000000000000".replace(' ', ""),
        ]
    );
}

#[test]
fn entries_that_were_never_written_are_refused_and_change_nothing() {
    let mut state = KeyedState::new(TableId(0));
    set(&mut state, "ann", Some("1"));
    let mut refuse = |value: &[u8]| {
        let entry = Entry { table: TableId(0), group: 0, key: b"ann", value: Some(value) };
        let error = state.restore(entry).unwrap_err();
        assert_eq!(state.get(batch::hash(b"ann"), b"ann"), Some(&b"1"[..]));
        error
    };
    assert!(matches!(refuse(&[3, 0]), EntryError::Version { found: 3, .. }));
    for damaged in [
        &b""[..],
        &[1, 0, 0, 0],
        &[1, 0, 0, 0, 0, 0],
        &[1, 2, 0, 0, 0, 0],
        &[1, 1, 1, 0, 0, 0, 5],
        &[1, 1, 255, 255, 255, 255, 5],
        &[2, 0],
        &[2, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8],
        &[2, 1, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7],
    ] {
        assert!(matches!(refuse(damaged), EntryError::Damaged { .. }), "{damaged:?}");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Set(u8, Option<u8>),
    Timer(u8, u32, Option<i64>),
    Advance(i64, usize),
    /// Seals, and goes on with a state that was restored from all deltas so far.
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..6_u8, proptest::option::of(any::<u8>())).prop_map(|(key, value)| Step::Set(key, value)),
        4 => (0..6_u8, 0..3_u32, proptest::option::weighted(0.8, 0..60_i64)).prop_map(|(k, id, at)| Step::Timer(k, id, at)),
        2 => (0..12_i64, 1..5_usize).prop_map(|(by, max)| Step::Advance(by, max)),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 1..80)
}

proptest! {
    #[test]
    fn keyed_state_behaves_as_two_maps(steps in steps()) {
        let mut state = KeyedState::new(TableId(0));
        let mut values: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
        let mut timers: BTreeMap<(u8, u32), i64> = BTreeMap::new();
        let mut deltas = Vec::new();
        let mut watermark = 0;
        for step in steps {
            match step {
                Step::Set(key, value) => {
                    state.set(batch::hash(&[key]), &[key], value.as_ref().map(std::slice::from_ref));
                    match value {
                        Some(value) => values.insert(key, vec![value]),
                        None => values.remove(&key),
                    };
                }
                Step::Timer(key, id, at) => {
                    state.set_timer(batch::hash(&[key]), &[key], id, at);
                    match at {
                        Some(at) => timers.insert((key, id), at),
                        None => timers.remove(&(key, id)),
                    };
                }
                Step::Advance(by, max) => {
                    watermark += by + 1;
                    let mut fired = Vec::new();
                    loop {
                        let due = state.due(watermark, max).unwrap();
                        if due.is_empty() {
                            break;
                        }
                        prop_assert!(due.ids.len() <= max);
                        for (row, key) in due.keys.texts.iter().enumerate() {
                            prop_assert_eq!(due.keys.hashes[row], batch::hash(key));
                            fired.push((due.times[row], key[0], due.ids[row]));
                        }
                    }
                    let mut expected: Vec<_> =
                        timers.iter().filter(|it| *it.1 <= watermark).map(|(&(key, id), &at)| (at, key, id)).collect();
                    expected.sort();
                    timers.retain(|_, at| *at > watermark);
                    prop_assert_eq!(fired, expected);
                }
                Step::Restart => {
                    let mut delta = Delta::default();
                    state.seal(&mut delta);
                    deltas.push(delta);
                    state = KeyedState::new(TableId(0));
                    for entry in deltas.iter().flat_map(|it| Entries(it.bytes())) {
                        prop_assert_eq!(entry.group, batch::key_group(batch::hash(entry.key)));
                        state.restore(entry).unwrap();
                    }
                }
            }
            let keys: std::collections::BTreeSet<_> =
                values.keys().copied().chain(timers.keys().map(|it| it.0)).collect();
            prop_assert_eq!(state.len(), keys.len());
            for key in 0..6 {
                prop_assert_eq!(state.get(batch::hash(&[key]), &[key]), values.get(&key).map(|it| &it[..]));
            }
        }
    }
}

fn at(key: &str) -> (u64, &[u8]) {
    (batch::hash(key.as_bytes()), key.as_bytes())
}

#[test]
fn state_expires_after_its_last_use_and_is_deleted_when_the_watermark_is_there() {
    let mut state = KeyedState::new(TableId(0)).expiring(Some(10));
    let (hash, key) = at("ann");
    set(&mut state, "ann", Some("1"));
    state.use_at(hash, key, 5);
    state.use_at(hash, key, 3);
    assert_eq!((state.get_at(hash, key, 14), state.get_at(hash, key, 15)), (Some(&b"1"[..]), None));
    state.use_at(hash, key, 8);
    state.expire(17).unwrap();
    assert_eq!(state.len(), 1, "it was used at 8");
    state.expire(i64::MAX).unwrap();
    assert_eq!(state.len(), 1, "the end of the input deletes nothing");
    timer(&mut state, "ann", 1, Some(40));
    state.expire(18).unwrap();
    assert_eq!((state.get(hash, key), state.len()), (None, 1), "its timer stays");
    assert_eq!(rows(&state.due(40, 9).unwrap()), "ann.1@40 ");
    set(&mut state, "ann", Some("2"));
    state.use_at(hash, key, 2);
    assert_eq!(state.get_at(hash, key, 12), None, "an earlier use than before counts, as that was of other state");
    state.expire(12).unwrap();
    assert_eq!(state.len(), 0);
}

#[test]
fn entries_of_state_that_expires_keep_its_last_use_and_earlier_ones_count_as_used_at_the_restart() {
    let mut state = KeyedState::new(TableId(0)).expiring(Some(10));
    let ((hash, key), mut delta) = (at("ann"), Delta::default());
    set(&mut state, "ann", Some("x"));
    state.use_at(hash, key, 258);
    state.seal(&mut delta);
    let entry = Entries(delta.bytes()).next().unwrap();
    assert_eq!(entry.value.unwrap(), b"\x02\x01\0\0\0\0\x02\x01\0\0\0\0\0\0x");
    for len in 1..14 {
        let cut = Entry { value: Some(&entry.value.unwrap()[..len]), ..entry };
        assert!(state.restore(cut).is_err(), "cut at {len}");
    }
    let (mut old, mut sealed) = (KeyedState::new(TableId(0)), Delta::default());
    set(&mut old, "bob", Some("y"));
    old.seal(&mut sealed);
    let mut new = KeyedState::new(TableId(0)).expiring(Some(10));
    Entries(delta.bytes()).chain(Entries(sealed.bytes())).for_each(|it| new.restore(it).unwrap());
    new.resume(300).unwrap();
    assert_eq!(new.get_at(hash, key, 267), Some(&b"x"[..]));
    new.expire(309).unwrap();
    assert_eq!(new.states().map(|it| it.1).collect::<Vec<_>>(), [b"bob"], "ann was last used at 258");
    new.expire(310).unwrap();
    assert_eq!(new.len(), 0);
    // Without an end of its own, state of either version is read and kept.
    let mut kept = KeyedState::new(TableId(0));
    Entries(delta.bytes()).chain(Entries(sealed.bytes())).for_each(|it| kept.restore(it).unwrap());
    kept.resume(i64::MAX - 1).unwrap();
    kept.expire(i64::MAX - 1).unwrap();
    assert_eq!(kept.len(), 2);
}
