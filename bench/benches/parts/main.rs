//! The parts of the host, each alone in this process. Figures are items a second: a thousand million over them is ns a record.

mod stateful;

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use std::cell::RefCell;
use std::sync::Arc;
use wasmill::batch::{self, Keys, Origin, RawBatch, RawRecord, RawRows, RowTimes, Span};
use wasmill::checkpoint::{CompactionLimits, Epoch, Meta, Store};
use wasmill::column::{Column, Kind, Strings, Values};
use wasmill::config::{Aggregate, Emit, EventTimeOptions, Format, Function, Late, PluginLimits, TimeFormat, Window};
use wasmill::decode::{Decoder, Projection};
use wasmill::plugin::{Body, Call, Plugin, PluginEngine, Produced, Table, TransformRunner};
use wasmill::state::{Delta, TableId};
use wasmill::window::{Builtin, Input, Operator};
use wasmill_bench::nexmark::events::Events;
use wasmill_bench::records::Payments;
use wasmill_bench::shapes::{Records, Shape};
use wasmill_tests::random::Random;
use wasmill_tests::settings;

/// As in the product: allocation is part of what is measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}

/// A call of a plugin as the pipeline makes it, and what becomes of the answer: it is dropped.
fn process(bencher: Bencher<'_, '_>, plugin: &str, config: &str, columns: &[&Column], passed: usize) {
    let engine = PluginEngine::new(None).expect("an engine");
    let plugin = Plugin::load(&engine, &settings::plugin(plugin)).expect("a plugin");
    let (mut runner, _) = TransformRunner::start(&plugin, config, &PluginLimits::default()).expect("an instance");
    let call = Call { rows: columns[0].len(), columns, watermark: i64::MIN };
    let mut run = || runner.process(black_box(&call)).expect("an answer");
    let rows: usize = run().tables.iter().map(|it| it.origins.len()).sum();
    assert_eq!(rows, passed);
    bencher.counter(ItemsCount::new(call.rows)).bench_local(|| drop(black_box(run())));
}

/// 100 bytes of each of 1,024 records into a plugin, and out of it again.
#[divan::bench_group]
mod boundary {
    use super::*;

    const ROWS: usize = 1_024;

    fn values() -> Column {
        let mut strings = Strings::default();
        for _ in 0..ROWS {
            strings.push(&[b'x'; 100]);
        }
        Column::from(Values::Bytes(strings))
    }

    /// The answer has the bytes.
    #[divan::bench]
    fn copy_100_bytes(bencher: Bencher<'_, '_>) {
        process(bencher, "echo", "{}", &[&values()], ROWS);
    }

    /// The answer has the rows' numbers.
    #[divan::bench]
    fn pass_100_bytes(bencher: Bencher<'_, '_>) {
        process(bencher, "echo", r#"{"pass": true}"#, &[&values()], ROWS);
    }
}

/// A number and a text of each record decide whether it goes on; one in eight does.
#[divan::bench_group]
mod filter {
    use super::*;

    const ROWS: [usize; 2] = [1_024, 4_096];
    const MIN_AMOUNT: f64 = 5_000.0;

    fn columns(rows: usize) -> [Column; 2] {
        let mut random = Random::new(1);
        let mut texts = Strings::default();
        let mut amounts = Vec::new();
        for _ in 0..rows {
            amounts.push(random.within(0..1_000_000) as f64 / 100.0);
            texts.push([b"EUR", b"USD", b"GBP", b"JPY"][random.within(0..4) as usize]);
        }
        [Column::from(Values::F64(amounts)), Column::from(Values::Text(texts))]
    }

    /// The plugin's rule on the host's columns, to the answer that its plugin would give.
    fn native(columns: &[Column; 2]) -> Produced {
        let (Values::F64(amounts), Values::Text(texts)) = (&columns[0].values, &columns[1].values) else {
            unreachable!("these are the columns that `columns` makes")
        };
        let currency = black_box("EUR").as_bytes();
        let mut origins = Vec::new();
        for (row, amount) in amounts.iter().enumerate() {
            if *amount >= black_box(MIN_AMOUNT) && texts.get(row) == currency {
                origins.push(row as u32);
            }
        }
        Produced { tables: vec![Table { port: 0, origins, body: Body::Unchanged }], rejects: Vec::new() }
    }

    #[divan::bench(args = ROWS)]
    fn in_wasm(bencher: Bencher<'_, '_>, rows: usize) {
        let columns = columns(rows);
        let config = format!(r#"{{"min_amount": {MIN_AMOUNT}, "currency": "EUR"}}"#);
        let passed = native(&columns).tables[0].origins.len();
        process(bencher, "large-amounts", &config, &columns.each_ref(), passed);
    }

    #[divan::bench(args = ROWS)]
    fn in_native_code(bencher: Bencher<'_, '_>, rows: usize) {
        let columns = columns(rows);
        bencher.counter(ItemsCount::new(rows)).bench_local(|| drop(black_box(native(black_box(&columns)))));
    }
}

/// JSON records to the columns that are wanted of them.
#[divan::bench_group]
mod projection {
    use super::*;

    const ROWS: usize = 1_024;
    const SHAPES: [Shape; 7] =
        [Shape::Bid, Shape::Long, Shape::Escapes, Shape::Optional, Shape::Shuffled, Shape::Names, Shape::Unlike];

    /// A batch of records that `make` makes.
    fn batch(mut make: impl FnMut(&mut Vec<u8>)) -> RawBatch {
        let (mut arena, mut records) = (Vec::new(), Vec::new());
        for _ in 0..ROWS {
            let start = arena.len() as u32;
            make(&mut arena);
            let value = Span { start, len: arena.len() as u32 - start };
            records.push(RawRecord { key: Span::NULL, value, headers: Span::NULL });
        }
        RawBatch {
            origin: Origin { source: 0, partition: 0 },
            rows: RawRows { arena: Arc::new(arena), records },
            offsets: (0..ROWS as i64).collect(),
            timestamps: vec![1_767_225_600_000; ROWS],
            next_offset: ROWS as i64,
        }
    }

    fn decode(bencher: Bencher<'_, '_>, raw: &[RawBatch], wanted: &[(Arc<str>, Kind)], time: Option<Arc<str>>) {
        let event_time = EventTimeOptions {
            field: time,
            format: TimeFormat::Rfc3339,
            delay_ms: 0,
            idle_timeout_ms: None,
            drift_ms_max: None,
            late: Late::Drop,
        };
        let mut decoder = Decoder::new(Projection::plan(wanted, &event_time, Format::Json).expect("a projection"));
        assert!(raw.iter().all(|it| decoder.decode(it.clone()).rejects.is_empty()));
        let bytes = raw.iter().map(|it| it.rows.arena.len()).sum::<usize>() / raw.len();
        let bencher = bencher.counter(ItemsCount::new(ROWS)).counter(BytesCount::new(bytes));
        let mut turns = raw.iter().cycle();
        let next = || turns.next().expect("a batch").clone();
        bencher.with_inputs(next).bench_local_values(|raw| drop(black_box(decoder.decode(raw))));
    }

    fn payments(bencher: Bencher<'_, '_>, wanted: &[(Arc<str>, Kind)], time: Option<Arc<str>>) {
        let mut payments = Payments::new();
        decode(bencher, &[batch(|arena| arena.extend_from_slice(payments.make()))], wanted, time);
    }

    #[divan::bench]
    fn two_fields(bencher: Bencher<'_, '_>) {
        payments(bencher, &[("amount".into(), Kind::F64), ("currency".into(), Kind::Text)], None);
    }

    #[divan::bench]
    fn two_fields_and_event_time(bencher: Bencher<'_, '_>) {
        let wanted = [("amount".into(), Kind::F64), ("currency".into(), Kind::Text)];
        payments(bencher, &wanted, Some("timestamp".into()));
    }

    /// Four fields each.
    #[divan::bench(args = SHAPES)]
    fn shape(bencher: Bencher<'_, '_>, shape: &Shape) {
        let mut records = Records::new(*shape);
        let kind = |path: &str| if path == "text" { Kind::Text } else { Kind::Number };
        let wanted: Vec<_> = shape.wanted().iter().map(|&path| (Arc::from(path), kind(path))).collect();
        decode(bencher, &[batch(|arena| arena.extend_from_slice(records.make()))], &wanted, None);
    }

    /// Three fields of Nexmark's events, in so many batches that the processor cannot learn them by heart.
    #[divan::bench]
    fn nexmark(bencher: Bencher<'_, '_>) {
        const BATCHES: usize = 256;
        let (mut events, mut index) = (Events::default(), 0);
        let mut make = |arena: &mut Vec<u8>| {
            arena.extend_from_slice(events.make(index));
            index += 1;
        };
        let batches: Vec<RawBatch> = (0..BATCHES).map(|_| batch(&mut make)).collect();
        let wanted = ["event_type", "bid.auction", "bid.price"].map(|path| (Arc::from(path), Kind::Number));
        decode(bencher, &batches, &wanted, None);
    }
}

/// Records into the windows of their keys.
#[divan::bench_group]
mod window {
    use super::*;

    const KEYS: [u64; 2] = [1_000, 100_000];
    const ROWS: usize = 4_096;
    const BATCHES: usize = 64;
    const HOUR_MS: i64 = 3_600_000;

    /// A batch of random keys.
    struct Keyed {
        keys: Keys,
        times: Vec<i64>,
        amounts: Column,
        clock: RowTimes,
    }

    impl Keyed {
        fn make(random: &mut Random, keys: u64, time: i64) -> Self {
            let mut made = Keys::default();
            let mut amounts = Vec::new();
            for _ in 0..ROWS {
                let text = format!("\"c{:06}\"", random.within(0..keys));
                made.hashes.push(batch::hash(text.as_bytes()));
                made.texts.push(text.as_bytes());
                amounts.push(random.within(0..1_000_000) as f64 / 100.0);
            }
            let clock = RowTimes { before: time - 1, stragglers: Vec::new(), after: time - 1 };
            Keyed { keys: made, times: vec![time; ROWS], amounts: Column::from(Values::F64(amounts)), clock }
        }
    }

    fn operator(window: Window) -> Operator<Builtin> {
        let aggregate = |name: &str, function, field: Option<&str>| Aggregate {
            name: name.into(),
            function,
            field: field.map(Into::into),
        };
        let aggregates = [aggregate("count", Function::Count, None), aggregate("sum", Function::Sum, Some("amount"))];
        Operator::new(&window, Emit::OnClose, Builtin::new(&aggregates, &[Kind::F64]).expect("numbers are summed"))
    }

    fn fold(operator: &mut Operator<Builtin>, batch: &Keyed) {
        let Keyed { keys, times, amounts, clock } = batch;
        let done = operator.process(&Input { keys, times, columns: &[amounts], clock, gaps: &[] });
        drop(black_box(done.expect("built-in aggregates do not fail")));
    }

    /// Every key has its window already: what a record costs in the middle of one.
    #[divan::bench(args = KEYS)]
    fn tumbling_count_and_sum(bencher: Bencher<'_, '_>, keys: u64) {
        let mut random = Random::new(2);
        let batches: Vec<_> = (0..BATCHES).map(|_| Keyed::make(&mut random, keys, HOUR_MS)).collect();
        let mut operator = operator(Window::Tumbling { size_ms: HOUR_MS, offset_ms: 0 });
        batches.iter().for_each(|it| fold(&mut operator, it));
        let mut next = batches.iter().cycle();
        let bencher = bencher.counter(ItemsCount::new(ROWS));
        bencher.bench_local(|| next.next().into_iter().for_each(|it| fold(&mut operator, it)));
    }

    /// Writing what changed of 10,000 keys: the work of a barrier.
    #[divan::bench]
    fn seal_10_000_keys(bencher: Bencher<'_, '_>) {
        let keys = 10_000;
        let mut random = Random::new(3);
        let batches: Vec<_> = (0..BATCHES).map(|_| Keyed::make(&mut random, keys, HOUR_MS)).collect();
        let operator = RefCell::new(operator(Window::Tumbling { size_ms: HOUR_MS, offset_ms: 0 }));
        let change = || batches.iter().for_each(|it| fold(&mut operator.borrow_mut(), it));
        let seal = || {
            let mut delta = Delta::default();
            operator.borrow_mut().seal(TableId(0), &mut delta);
            delta
        };
        change();
        let changed = seal().len();
        let bencher = bencher.counter(ItemsCount::new(changed)).with_inputs(change);
        bencher.bench_local_values(|()| drop(black_box(seal())));
    }
}

/// Making an epoch's changes durable: files, their names and the manifest, synced.
#[divan::bench(args = [10_000, 100_000])]
fn snapshot(bencher: Bencher<'_, '_>, entries: u64) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store =
        Store::open(folder.path(), "bench", "bench", CompactionLimits::default()).expect("a folder for the store");
    let mut delta = Delta::default();
    for entry in 0..entries {
        let key = format!("\"c{entry:06}\"");
        delta.put(TableId(0), batch::key_group(batch::hash(key.as_bytes())), key.as_bytes(), &[7; 24]);
    }
    let deltas = [delta];
    let meta = Meta { tables: vec!["window".to_owned()], ..Meta::default() };
    let mut epoch = Epoch(0);
    let bencher = bencher.counter(ItemsCount::new(entries)).counter(BytesCount::new(deltas[0].bytes().len()));
    bencher.with_inputs(|| meta.clone()).bench_local_values(|meta| {
        epoch = epoch.next();
        store.persist(epoch, &deltas, meta).expect("room on the disk")
    });
}
