//! The best rows of windows against sorting all of them, for any batches, restarts and order of arrival.

use crate::batch::{self, Keys};
use crate::column::{Column, Kind, Number, Strings, Values};
use crate::config::{Emit, Window};
use crate::state::{Delta, Entries, TableId};
use crate::window::{Accumulators, Fired, Input, Operator, Ranked, Top};
use proptest::prelude::*;
use std::collections::BTreeMap;

const K: usize = 3;

/// A record: its key, time, rank and name, which is its own key as well.
type Row = (u8, i64, Option<Number>, u8);

fn input_of(rows: &[Row]) -> (Keys, Vec<i64>, [Column; 3]) {
    let (mut keys, mut times) = (Keys::default(), Vec::new());
    let (mut ranks, mut names) = (Column::empty(Kind::Number, 0), Strings::default());
    for (key, time, rank, name) in rows {
        let text = format!("\"{key}\"");
        keys.hashes.push(batch::hash(text.as_bytes()));
        keys.texts.push(text.as_bytes());
        times.push(*time);
        match (&mut ranks.values, rank) {
            (Values::Number(values), Some(rank)) => {
                values.push(*rank);
                ranks.pushed();
            }
            _ => ranks.push_null(),
        }
        names.push(&[*name]);
    }
    let names: Column = Values::Bytes(names).into();
    (keys, times, [ranks, names.clone(), names])
}

/// What fired: for each window its key, start and the names of its best rows.
fn shown(fired: &Fired<Ranked>, out: &mut Vec<(String, i64, Vec<u8>)>) {
    let mut rows = fired.values.rows.iter();
    for (at, &count) in fired.values.counts.iter().enumerate() {
        let key = String::from_utf8(fired.keys.get(at).to_vec()).unwrap();
        out.push((key, fired.starts[at], rows.by_ref().take(count).map(|it| it[0]).collect()));
    }
}

fn run(window: &Window, largest: bool, rows: &[Row], cuts: &[(usize, bool)]) -> Vec<(String, i64, Vec<u8>)> {
    let new = || Operator::new(window, Emit::OnClose, Top::new(K, largest, false));
    let (mut operator, mut sealed, mut out, mut from) = (new(), Delta::default(), Vec::new(), 0);
    let clock = crate::batch::RowTimes { before: i64::MIN, stragglers: Vec::new(), after: i64::MIN };
    for &(count, restart) in cuts.iter().cycle() {
        let to = (from + count).min(rows.len());
        let (keys, times, columns) = input_of(&rows[from..to]);
        let columns = columns.each_ref();
        let input = Input { keys: &keys, times: &times, columns: &columns, clock: &clock, gaps: &[] };
        let Ok(processed) = operator.process(&input);
        assert!(processed.late.is_empty());
        if restart {
            operator.seal(TableId(1), &mut sealed);
            operator = new();
            Entries(sealed.bytes()).for_each(|it| operator.restore(it).unwrap());
            operator.resume(i64::MIN);
        }
        from = to;
        if from == rows.len() {
            break;
        }
    }
    let Ok(fired) = operator.advance(i64::MAX);
    shown(&fired, &mut out);
    out.sort();
    out
}

fn naive(size: i64, slide: i64, largest: bool, rows: &[Row]) -> Vec<(String, i64, Vec<u8>)> {
    type Ranks = Vec<(f64, i64, u8)>;
    let mut windows: BTreeMap<(String, i64), Ranks> = BTreeMap::new();
    for (key, time, rank, name) in rows {
        let last = time.div_euclid(slide) * slide;
        for start in (0..size / slide).map(|it| last - it * slide) {
            let window = windows.entry((format!("\"{key}\""), start)).or_default();
            let rank = rank.map(|it| match it {
                Number::Int(it) => it as f64,
                Number::Float(it) => it,
            });
            window.extend(rank.map(|it| (if largest { -it } else { it }, *time, *name)));
        }
    }
    let best = |mut rows: Ranks| {
        rows.sort_by(|a, b| a.partial_cmp(b).unwrap());
        rows.iter().take(K).map(|it| it.2).collect()
    };
    windows.into_iter().map(|((key, start), rows)| (key, start, best(rows))).collect()
}

fn rank() -> impl Strategy<Value = Option<Number>> {
    // No integer equals one of the floats: which of the two is less is not by value.
    prop_oneof![
        1 => Just(None),
        6 => (-4..4_i64).prop_map(|it| Some(Number::Int(it))),
        3 => (-4..4_i64).prop_map(|it| Some(Number::Float(it as f64 + 0.5))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_best_of_each_window_are_those_of_sorting_all_in_whichever_order_they_come(
        rows in prop::collection::vec((0..3_u8, 0..40_i64, rank(), 0..200_u8), 1..60),
        shuffled in any::<prop::sample::Index>(),
        cuts in prop::collection::vec((1..9_usize, any::<bool>()), 1..9),
        largest in any::<bool>(),
    ) {
        let mut other = rows.clone();
        other.rotate_left(shuffled.index(rows.len()));
        for (window, size, slide) in [
            (Window::Tumbling { size_ms: 10, offset_ms: 0 }, 10, 10),
            (Window::Hopping { size_ms: 15, slide_ms: 5, offset_ms: 0 }, 15, 5),
        ] {
            let expected = naive(size, slide, largest, &rows);
            prop_assert_eq!(run(&window, largest, &rows, &cuts), expected.clone());
            prop_assert_eq!(run(&window, largest, &other, &cuts), expected);
        }
    }
}

#[test]
fn sessions_that_merge_have_the_best_of_both() {
    let number = |it: i64| Some(Number::Int(it));
    let rows = [
        (0, 0, number(1), 10),
        (0, 1, number(5), 11),
        (0, 20, number(4), 12),
        (0, 21, number(3), 13),
        (0, 10, number(2), 14),
    ];
    let found = run(&Window::session(11), true, &rows, &[(1, true)]);
    assert_eq!(found, [("\"0\"".to_owned(), 0, vec![11, 12, 13])]);
}

#[test]
fn texts_rank_and_what_is_kept_never_changes_its_bytes() {
    let mut top = Top::new(2, false, true);
    let slot = top.create();
    let mut texts = Strings::default();
    ["pear", "fig", "apple"].iter().for_each(|it| texts.push(it.as_bytes()));
    let (keys, _, [_, own, rows]) = input_of(&[(0, 0, None, b'p'), (0, 0, None, b'f'), (0, 0, None, b'a')]);
    let texts: Column = Values::Text(texts).into();
    let clock = crate::batch::RowTimes { before: i64::MIN, stragglers: Vec::new(), after: i64::MIN };
    let input = Input { keys: &keys, times: &[7, 8, 9], columns: &[&texts, &own, &rows], clock: &clock, gaps: &[] };
    let Ok(()) = top.add(&input, &[0, 1, 2].map(|row| crate::window::Add { slot, row }));
    let mut bytes = Vec::new();
    top.encode(slot, &mut bytes);
    assert_eq!(bytes, b"\x02\x05apple\x12\x01a\x01a\x03fig\x10\x01f\x01f");
    let mut again = Top::new(2, false, true);
    let slot = again.decode(&bytes).unwrap();
    let mut out = again.output(1);
    again.collect(slot, &mut out);
    assert_eq!((out.counts, out.rows.get(0), out.rows.get(1)), (vec![2], &b"a"[..], &b"f"[..]));
    for len in 0..bytes.len() {
        assert!(again.decode(&bytes[..len]).is_err(), "cut at {len}");
    }
    bytes.push(0);
    assert!(again.decode(&bytes).is_err(), "a byte too many");
}
