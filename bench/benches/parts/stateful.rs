//! What keeps records by key and time: windows that overlap, sessions that merge, rankings, duplicates, and joins of a million rows a side.
//!
//! Time goes on as it does in a pipeline, and what closes is part of what is measured.

use super::{
    Aggregate, Builtin, Column, Emit, Function, Input, Keys, Kind, Operator, Random, RowTimes, Strings, Values, Window,
    batch,
};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use wasmill::dedupe::Dedupe;
use wasmill::join::{Arrivals, Interval, Side};
use wasmill::state::TableId;
use wasmill::window::{Accumulators, Top};

const ROWS: usize = 4_096;
const SECOND_MS: i64 = 1_000;

/// Records in the order of their times.
struct Records {
    keys: Keys,
    times: Vec<i64>,
    values: Column,
    clock: RowTimes,
}

/// A batch of `keys` random keys from `start` on, `per_second` records a second of event time. Event time is right behind each record.
fn records(random: &mut Random, keys: u64, start: i64, per_second: i64) -> Records {
    let mut made = Keys::default();
    let mut values = Vec::new();
    for _ in 0..ROWS {
        let text = format!("\"c{:06}\"", random.within(0..keys));
        made.hashes.push(batch::hash(text.as_bytes()));
        made.texts.push(text.as_bytes());
        values.push(random.within(0..1_000_000) as f64 / 100.0);
    }
    let times: Vec<i64> = (0..ROWS as i64).map(|it| start + it * SECOND_MS / per_second).collect();
    let clock = RowTimes { before: start - 1, stragglers: Vec::new(), after: times[ROWS - 1] - 1 };
    Records { keys: made, times, values: Column::from(Values::F64(values)), clock }
}

/// Batches one after the other.
fn stream(keys: u64, per_second: i64, batches: i64) -> Vec<Records> {
    let mut random = Random::new(4);
    let length = ROWS as i64 * SECOND_MS / per_second;
    (0..batches).map(|it| records(&mut random, keys, it * length, per_second)).collect()
}

fn sums() -> Builtin {
    let aggregate = |name: &str, function, field: Option<&str>| Aggregate {
        name: name.into(),
        function,
        field: field.map(Into::into),
    };
    let aggregates = [aggregate("count", Function::Count, None), aggregate("sum", Function::Sum, Some("value"))];
    Builtin::new(&aggregates, &[Kind::F64]).expect("numbers are summed")
}

/// A batch, and the watermark after it. Answers the rows that were written.
fn feed<A: Accumulators>(operator: &mut Operator<A>, records: &Records, columns: &[&Column], gaps: &[i64]) -> usize
where
    A::Error: std::fmt::Debug,
{
    let Records { keys, times, clock, .. } = records;
    let done = operator.process(&Input { keys, times, columns, clock, gaps }).expect("nothing fails");
    let closed = operator.advance(clock.after).expect("nothing fails");
    let answers = if done.answers.is_some() { times.len() } else { 0 };
    let rows = done.fired.len() + answers + closed.len();
    drop(black_box((done, closed)));
    rows
}

/// Runs all of `stream` through operators that `make` makes.
fn through(bencher: Bencher<'_, '_>, stream: &[Records], make: impl Fn() -> Operator<Builtin>) {
    let run = |mut operator: Operator<Builtin>| -> usize {
        stream.iter().map(|it| feed(&mut operator, it, &[&it.values], &[])).sum()
    };
    assert!(run(make()) > 0, "windows close");
    bencher.counter(ItemsCount::new(stream.len() * ROWS)).with_inputs(make).bench_local_values(|it| black_box(run(it)));
}

/// Windows of so many slides of a second, over 1,000 records a second of so many keys: each key has a hundred a slide, or one. A window's row costs
/// more than a record of it, so with one record a slide nearly all is the rows'.
#[divan::bench(args = [5, 60, 600], consts = [10, 1_000], sample_count = 10)]
fn hopping<const KEYS: u64>(bencher: Bencher<'_, '_>, slides: i64) {
    let stream = stream(KEYS, 1_000, 200);
    let window = Window::Hopping { size_ms: slides * SECOND_MS, slide_ms: SECOND_MS, offset_ms: 0 };
    through(bencher, &stream, || Operator::new(&window, Emit::OnClose, sums()));
}

/// A result for each record: what came in the window before it, ten records of each of 1,000 keys.
#[divan::bench]
fn rolling(bencher: Bencher<'_, '_>) {
    let stream = stream(1_000, 10_000, 100);
    let window = Window::Rolling { size_ms: SECOND_MS };
    through(bencher, &stream, || Operator::new(&window, Emit::OnClose, sums()));
}

/// The same records: a record is in the windows that end with it and with those after it, each written when it closes.
#[divan::bench]
fn sliding(bencher: Bencher<'_, '_>) {
    let stream = stream(1_000, 10_000, 100);
    let window = Window::Sliding { difference_ms: SECOND_MS };
    through(bencher, &stream, || Operator::new(&window, Emit::OnClose, sums()));
}

/// The last so many records of each of 1,000 keys, after each of them, and after every tenth.
#[divan::bench(args = [(10, 1), (100, 10)])]
fn counted(bencher: Bencher<'_, '_>, (records, every): (u64, u64)) {
    let stream = stream(1_000, 10_000, 100);
    through(bencher, &stream, || Operator::new(&Window::Count { records, every }, Emit::OnClose, sums()));
}

/// Each record is one of 1,000 keys, and joins what is there to its session or begins one.
#[divan::bench]
fn sessions(bencher: Bencher<'_, '_>) {
    let stream = stream(1_000, 10_000, 100);
    through(bencher, &stream, || Operator::new(&Window::session(SECOND_MS / 2), Emit::OnClose, sums()));
}

/// Every other record of a key comes late, and makes one session of two.
#[divan::bench]
fn sessions_that_merge(bencher: Bencher<'_, '_>) {
    const KEYS: i64 = 512;
    let key = |it: i64| format!("\"c{:06}\"", it % KEYS);
    let batch_of = |start: i64| {
        let mut keys = Keys::default();
        // Of each four records of a key the first two are 16 s apart and the others between them: 8 s make a session.
        let order = [0, 16, 8, 24];
        let times: Vec<i64> = (0..ROWS as i64)
            .map(|it| start + order[(it / KEYS % 4) as usize] * SECOND_MS / 2 + it / KEYS / 4 * 32_000)
            .collect();
        for row in 0..ROWS as i64 {
            keys.texts.push(key(row).as_bytes());
            keys.hashes.push(batch::hash(key(row).as_bytes()));
        }
        let clock = RowTimes { before: start - 1, stragglers: Vec::new(), after: start - 1 };
        Records { keys, times, values: Column::from(Values::F64(vec![1.0; ROWS])), clock }
    };
    let stream: Vec<Records> = (0..50).map(|it| batch_of(it * 64_000)).collect();
    through(bencher, &stream, || Operator::new(&Window::session(5 * SECOND_MS), Emit::OnClose, sums()));
}

/// The ten best of 1,000 keys in each second.
#[divan::bench]
fn top(bencher: Bencher<'_, '_>) {
    let stream = stream(1_000, 100_000, 100);
    let mut rows = Strings::default();
    (0..ROWS).for_each(|_| rows.push(&[b'x'; 100]));
    let (keys, rows) = (Column::null(Kind::Bytes, ROWS), Column::from(Values::Bytes(rows)));
    let window = Window::Tumbling { size_ms: SECOND_MS, offset_ms: 0 };
    let make = || Operator::new(&window, Emit::OnClose, Top::new(10, true, false));
    let run = |mut operator: Operator<Top>| -> usize {
        stream.iter().map(|it| feed(&mut operator, it, &[&it.values, &keys, &rows], &[])).sum()
    };
    assert!(run(make()) > 0, "windows close");
    bencher.counter(ItemsCount::new(stream.len() * ROWS)).with_inputs(make).bench_local_values(|it| black_box(run(it)));
}

/// Half of the records repeat one of the ten seconds before.
#[divan::bench]
fn dedupe(bencher: Bencher<'_, '_>) {
    let stream = stream(150_000, 10_000, 100);
    let run = |mut dedupe: Dedupe| -> usize {
        let each = stream.iter().map(|it| {
            let firsts = dedupe.process(&it.keys, &it.times, &it.clock).expect("all is in memory");
            dedupe.advance(it.clock.after).expect("all is in memory");
            firsts.rows.len()
        });
        each.sum()
    };
    let make = || Dedupe::new(10 * SECOND_MS, TableId(0));
    assert!(run(make()) > 0, "some go on");
    bencher.counter(ItemsCount::new(stream.len() * ROWS)).with_inputs(make).bench_local_values(|it| black_box(run(it)));
}

/// A million rows of each side are held, and go as new ones come: each row matches about one.
#[divan::bench(sample_count = 100, sample_size = 1)]
fn interval_join_of_a_million_rows_a_side(bencher: Bencher<'_, '_>) {
    const HELD: i64 = 1 << 20;
    const PER_SECOND: i64 = 10_000;
    let span_ms = HELD * SECOND_MS / PER_SECOND / 2;
    let batches = HELD / ROWS as i64;
    let mut rows = Strings::default();
    (0..ROWS).for_each(|_| rows.push(&[b'x'; 100]));
    let stream = stream(2 * HELD as u64, PER_SECOND, 2 * batches);
    let (fill, rest) = stream.split_at(batches as usize);
    let take = |join: &mut Interval, it: &Records| -> usize {
        let Records { keys, times, clock, .. } = it;
        let input = Arrivals { keys, times, rows: &rows, deletes: &[], clock };
        let joined = [Side::Left, Side::Right].map(|side| join.process(side, &input).expect("all is in memory"));
        let pairs: usize = joined.iter().map(|it| it.pairs.len()).sum();
        pairs + join.advance(clock.after).expect("all is in memory").len()
    };
    let mut join = Interval::new(2 * span_ms, 2 * span_ms, [false, false]);
    let held: usize = fill.iter().map(|it| take(&mut join, it)).sum();
    assert!(held > 0, "some rows match already");
    let mut rest = rest.iter();
    // Fewer samples than there are batches left: time never goes back.
    let bencher = bencher.counter(ItemsCount::new(2 * ROWS));
    bencher.bench_local(|| rest.next().map(|it| black_box(take(&mut join, it))));
}
