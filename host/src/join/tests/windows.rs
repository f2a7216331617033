//! Joins within windows against a naive computation that looks at every record and every window each time something happens.

use super::*;

const OFFSET: i64 = 1;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Windows {
    Aligned { size: i64, slide: i64 },
    Session { gap: i64 },
}

impl Windows {
    fn join(self, keeps: [bool; 2]) -> Windowed {
        match self {
            Windows::Aligned { size, slide } => Windowed::aligned(size, slide, OFFSET.min(slide - 1), keeps),
            Windows::Session { gap } => Windowed::sessions(gap, keeps),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Happens {
    Record(Side, u8, EventTime),
    Time(i64),
    Restart,
}

/// The two numbers of a pair, its time, and the start of its window.
type Paired = (Option<u32>, Option<u32>, EventTime, EventTime);

#[derive(Clone, Copy, Debug)]
struct Kept {
    side: Side,
    key: u8,
    time: EventTime,
    number: u32,
    /// The watermark when it came.
    watermark: EventTime,
}

/// What a join gives out, with the number of the event after which it did; and the numbers of the late records.
#[derive(Debug, Default, PartialEq)]
struct Given {
    pairs: Vec<(usize, Paired)>,
    late: Vec<u32>,
}

/// The computation without any state but all that has ever come.
fn naive(events: &[Happens], windows: Windows, keeps: [bool; 2]) -> Given {
    let mut given = Given::default();
    let mut kept: Vec<Kept> = Vec::new();
    let (mut watermark, mut number) = (WATERMARK_NONE, 0);
    for (at, event) in events.iter().chain([&Happens::Time(i64::MAX)]).enumerate() {
        match *event {
            Happens::Record(side, key, time) => {
                let row = Kept { side, key, time, number, watermark };
                number += 1;
                let own = own_windows(windows, &row);
                let merges = |gap: i64| kept.iter().any(|it| it.key == key && key != 0 && (it.time - time).abs() < gap);
                let merged = matches!(windows, Windows::Session { gap } if merges(gap));
                if own.is_empty() && !merged {
                    given.late.push(row.number);
                } else if key != 0 {
                    kept.push(row);
                } else if keeps[side.index()] {
                    given.pairs.extend(own.iter().map(|&(start, last)| (at, alone(&row, start, last))));
                }
            }
            Happens::Time(by) => {
                let before = watermark;
                watermark = if before == WATERMARK_NONE { by } else { before.saturating_add(by) };
                for key in 1..4 {
                    let mut rows: Vec<Kept> = kept.iter().filter(|it| it.key == key).copied().collect();
                    rows.sort_by_key(|it| (it.time, it.number));
                    for (start, last, rows) in closed(windows, &rows, before, watermark) {
                        if let Windows::Session { .. } = windows {
                            kept.retain(|it| rows.iter().all(|row| row.number != it.number));
                        }
                        given.pairs.extend(product(&rows, start, last, keeps).into_iter().map(|it| (at, it)));
                    }
                }
            }
            Happens::Restart => {}
        }
    }
    given.pairs.sort_unstable();
    given
}

/// The windows, first and last millisecond, that a row is in by itself and that were open when it came.
fn own_windows(windows: Windows, row: &Kept) -> Vec<(EventTime, EventTime)> {
    match windows {
        Windows::Aligned { size, slide } => {
            let all = (-40..100).map(|it| it * slide + OFFSET.min(slide - 1)).map(|start| (start, start + size - 1));
            all.filter(|it| it.0 <= row.time && row.time <= it.1 && it.1 > row.watermark).collect()
        }
        Windows::Session { gap } => {
            let last = row.time + gap - 1;
            if last > row.watermark { vec![(row.time, last)] } else { Vec::new() }
        }
    }
}

/// The windows of a key that close on the way from one watermark to another, with their rows.
fn closed(
    windows: Windows,
    rows: &[Kept],
    before: EventTime,
    now: EventTime,
) -> Vec<(EventTime, EventTime, Vec<Kept>)> {
    let mut closed: Vec<(EventTime, EventTime, Vec<Kept>)> = Vec::new();
    match windows {
        Windows::Aligned { .. } => {
            for row in rows {
                let due = own_windows(windows, row).into_iter().filter(|it| before < it.1 && it.1 <= now);
                for (start, last) in due {
                    match closed.iter_mut().find(|it| it.0 == start) {
                        Some(window) => window.2.push(*row),
                        None => closed.push((start, last, vec![*row])),
                    }
                }
            }
        }
        Windows::Session { gap } => {
            for row in rows {
                match closed.last_mut() {
                    Some(session) if row.time <= session.1 => {
                        session.1 = row.time + gap - 1;
                        session.2.push(*row);
                    }
                    _ => closed.push((row.time, row.time + gap - 1, vec![*row])),
                }
            }
            closed.retain(|it| it.1 <= now);
        }
    }
    closed
}

fn alone(row: &Kept, start: EventTime, last: EventTime) -> Paired {
    match row.side {
        Side::Left => (Some(row.number), None, last, start),
        Side::Right => (None, Some(row.number), last, start),
    }
}

fn product(rows: &[Kept], start: EventTime, last: EventTime, keeps: [bool; 2]) -> Vec<Paired> {
    let of = |side: Side| rows.iter().filter(move |it| it.side == side);
    let pairs: Vec<Paired> = of(Side::Left)
        .flat_map(|left| of(Side::Right).map(move |right| (Some(left.number), Some(right.number), last, start)))
        .collect();
    if !pairs.is_empty() {
        return pairs;
    }
    rows.iter().filter(|it| keeps[it.side.index()]).map(|it| alone(it, start, last)).collect()
}

/// Hands the events to the operator in batches of at most `batch` records, during which event time may move. With a scratch
/// space all rows are on the disk between two events.
fn operated(
    events: &[Happens],
    windows: Windows,
    keeps: [bool; 2],
    batch: usize,
    scratch: Option<&Arc<Scratch>>,
) -> (Given, usize) {
    let mut given = Given::default();
    let fresh = |table: usize| furnished(windows.join(keeps), scratch, table);
    let mut join = fresh(0);
    let mut deltas = Vec::new();
    let (mut watermark, mut said, mut number) = (WATERMARK_NONE, WATERMARK_NONE, 0);
    let mut pending: Vec<Kept> = Vec::new();
    for (at, event) in events.iter().chain([&Happens::Time(i64::MAX)]).enumerate() {
        let other_side =
            matches!(event, Happens::Record(side, ..) if pending.first().is_some_and(|it| it.side != *side));
        if pending.len() == batch || other_side || matches!(event, Happens::Restart) || at == events.len() {
            flush(&mut join, &mut pending, said, watermark, at, &mut given);
            advance(&mut join, watermark, at, &mut given);
            said = watermark;
        }
        match *event {
            Happens::Record(side, key, time) => {
                pending.push(Kept { side, key, time, number, watermark });
                number += 1;
                if batch == 1 {
                    flush(&mut join, &mut pending, said, watermark, at, &mut given);
                }
            }
            Happens::Time(by) => {
                watermark = if watermark == WATERMARK_NONE { by } else { watermark.saturating_add(by) };
                if pending.is_empty() {
                    advance(&mut join, watermark, at, &mut given);
                    said = watermark;
                }
            }
            Happens::Restart => {
                let table = deltas.len() + 1;
                restart(&mut join, &mut deltas, || fresh(table));
                join.resume(watermark);
            }
        }
        join.store_mut().shrink(0).unwrap();
    }
    given.pairs.sort_unstable();
    (given, join.keys())
}

fn flush(
    join: &mut Windowed,
    pending: &mut Vec<Kept>,
    before: EventTime,
    after: EventTime,
    at: usize,
    given: &mut Given,
) {
    let rows = std::mem::take(pending);
    let Some(first) = rows.first() else { return };
    let (mut keys, mut bytes) = (Keys::default(), Strings::default());
    for row in &rows {
        keys.texts.push(text(row.key).as_bytes());
        keys.hashes.push(batch::hash(text(row.key).as_bytes()));
        bytes.push(&row.number.to_le_bytes());
    }
    let behind = rows.iter().enumerate().filter(|it| it.1.time <= it.1.watermark);
    let clock = RowTimes { before, stragglers: behind.map(|it| (it.0 as u32, it.1.watermark)).collect(), after };
    let times: Vec<_> = rows.iter().map(|it| it.time).collect();
    let input = Arrivals { keys: &keys, times: &times, rows: &bytes, deletes: &[], clock: &clock };
    let joined = join.process(first.side, &input).unwrap();
    given.late.extend(joined.late.iter().map(|it| rows[*it as usize].number));
    give(&joined.pairs, at, given);
}

/// In the smallest parts that there are: no part has more than one window's pairs.
fn advance(join: &mut Windowed, watermark: EventTime, at: usize, given: &mut Given) {
    let mut done = false;
    while !done {
        let (pairs, all) = join.advance_some(watermark, 1).unwrap();
        let at_once =
            pairs.starts.iter().zip(&pairs.times).all(|it| (it.0, it.1) == (&pairs.starts[0], &pairs.times[0]));
        assert!(at_once || pairs.times.contains(&EventTime::MAX), "{pairs:?}");
        give(&pairs, at, given);
        join.store_mut().shrink(0).unwrap();
        done = all;
    }
}

fn give(pairs: &Pairs, at: usize, given: &mut Given) {
    assert_eq!(pairs.starts.len(), pairs.len());
    let paired = shown(pairs).zip(&pairs.starts).map(|((left, right, time), start)| (left, right, time, *start));
    given.pairs.extend(paired.map(|it| (at, it)));
}

fn events() -> impl Strategy<Value = Vec<Happens>> {
    let event = prop_oneof![
        8 => (a_side(), 0_u8..4, 0_i64..60).prop_map(|(side, key, time)| Happens::Record(side, key, time)),
        3 => (1_i64..12).prop_map(Happens::Time),
        1 => Just(Happens::Restart),
    ];
    prop::collection::vec(event, 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    #[test]
    fn rows_that_share_a_window_are_joined_when_it_closes(
        events in events(),
        windows in prop::sample::select(vec![
            Windows::Aligned { size: 10, slide: 10 },
            Windows::Aligned { size: 10, slide: 4 },
            Windows::Aligned { size: 7, slide: 1 },
            Windows::Aligned { size: 1, slide: 1 },
            Windows::Session { gap: 1 },
            Windows::Session { gap: 6 },
        ]),
        keeps in prop::sample::select(vec![[false, false], [true, false], [true, true]]),
        batch in 2_usize..8,
        spills in prop::bool::weighted(0.05),
    ) {
        let expected = naive(&events, windows, keeps);
        let (given, keys) = operated(&events, windows, keeps, 1, None);
        prop_assert_eq!(&given, &expected);
        prop_assert_eq!(keys, 0, "all is forgotten at the end");
        if spills {
            let (_dir, scratch) = scratch();
            let (spilled, keys) = operated(&events, windows, keeps, 1, Some(&scratch));
            prop_assert_eq!(&spilled, &expected);
            prop_assert_eq!(keys, 0);
        }
        let (batched, _) = operated(&events, windows, keeps, batch, None);
        let when_ever = |given: &Given| {
            let mut pairs: Vec<Paired> = given.pairs.iter().map(|it| it.1).collect();
            pairs.sort_unstable();
            pairs
        };
        prop_assert_eq!(when_ever(&batched), when_ever(&expected));
        prop_assert_eq!(batched.late, expected.late);
    }
}

#[test]
fn windows_at_the_ends_of_time_close_at_the_end() {
    for time in [EventTime::MIN + 1, EventTime::MAX] {
        for windows in [Windows::Aligned { size: 10, slide: 4 }, Windows::Session { gap: 10 }] {
            let mut join = windows.join([true, false]);
            let mut given = Given::default();
            let mut pending = vec![Kept { side: Side::Left, key: 1, time, number: 0, watermark: WATERMARK_NONE }];
            flush(&mut join, &mut pending, WATERMARK_NONE, WATERMARK_NONE, 0, &mut given);
            advance(&mut join, EventTime::MAX - 1, 1, &mut given);
            advance(&mut join, WATERMARK_END, 2, &mut given);
            let pairs: std::collections::BTreeSet<Paired> = given.pairs.iter().map(|it| it.1).collect();
            assert_eq!(pairs.len(), given.pairs.len(), "each once");
            assert!(!given.pairs.is_empty());
            assert_eq!((given.late.len(), join.keys()), (0, 0));
        }
    }
}

#[test]
fn a_row_is_stored_once_however_many_windows_it_is_in() {
    let mut join = Windowed::aligned(600, 1, 0, [true, true]);
    let mut pending = vec![Kept { side: Side::Right, key: 1, time: 100, number: 7, watermark: WATERMARK_NONE }];
    flush(&mut join, &mut pending, WATERMARK_NONE, WATERMARK_NONE, 0, &mut Given::default());
    let mut delta = Delta::default();
    join.seal(TableId(0), &mut delta);
    assert_eq!(join.advance(150).unwrap().len(), 51);
    assert_eq!(join.advance(698).unwrap().len(), 548);
    join.seal(TableId(0), &mut delta);
    assert_eq!((join.advance(699).unwrap().len(), join.keys()), (1, 0));
    join.seal(TableId(0), &mut delta);
    let hex = |bytes: &[u8]| bytes.iter().map(|it| format!("{it:02x}")).collect::<String>();
    let lines: Vec<String> = Entries(delta.bytes())
        .map(|it| format!("{} {} {}", it.group, hex(it.key), it.value.map_or("-".to_owned(), hex)))
        .collect();
    expect_test::expect![[r#"
        82 0164000000000000000000000000000000223122 010007000000
        82 0164000000000000000000000000000000223122 -"#]]
    .assert_eq(&lines.join("\n"));
}
