//! The native producer against librdkafka on a real broker: the same rows become the same records, whoever reads them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::sync::Arc;
use std::time::Duration;
use wasmill::batch::{RawRecord, RawRows, Span, headers};
use wasmill::config::{ClientProperties, Fetch, KafkaOptions, KafkaStart, Produce};
use wasmill::sink::kafka::{KafkaError, KafkaSink, Mode, OffsetCommit, Outcome, Timeouts, TopicOptions};
use wasmill::source::kafka::{KafkaSource, Polled, Start, partitions};
use wasmill_tests::kafka::{Broker, Isolation, shared, unique};
use wasmill_tests::random::Random;
use wasmill_tests::settings;
use wasmill_tests::wait::{Deadline, pause};

const WAIT: Duration = Duration::from_secs(60);
const TIMEOUTS: Timeouts = Timeouts { wait_ms: 20_000, transaction_ms: 20_000 };
const PARTITIONS: i32 = 3;
/// How often rows are appended, and how many at once at most.
const APPENDS: usize = 60;
const ROWS_MAX: u64 = 400;

/// A record as it was read, without its offset: it is in its place.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

fn put(arena: &mut Vec<u8>, bytes: Option<&[u8]>) -> Span {
    let Some(bytes) = bytes else { return Span::NULL };
    arena.extend_from_slice(bytes);
    Span { start: (arena.len() - bytes.len()) as u32, len: bytes.len() as u32 }
}

/// Rows of every kind: without a key, without a value, without either, empty, large, with headers that repeat or are null.
fn rows(random: &mut Random) -> (RawRows, Vec<i64>) {
    let (mut arena, mut records, mut times) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..random.within(1..ROWS_MAX) {
        let key = random.within(0..500).to_string();
        let key = (!random.one_in(3)).then_some(if random.one_in(20) { "" } else { &key });
        let size = if random.one_in(150) { 70_000 } else { random.within(0..400) as usize };
        let value: Vec<u8> = (0..size).map(|it| b"abcdefgh"[(it / 5 + size) % 8]).collect();
        let value = (!random.one_in(9)).then_some(value);
        let mut encoded = Vec::new();
        if random.one_in(4) {
            for _ in 0..random.within(1..5) {
                let name: &[u8] = if random.one_in(4) { b"" } else { b"trace" };
                headers::push(&mut encoded, name, (!random.one_in(3)).then_some(&b"value"[..]));
            }
        }
        let (key, value) = (put(&mut arena, key.map(str::as_bytes)), put(&mut arena, value.as_deref()));
        let headers = put(&mut arena, (!encoded.is_empty()).then_some(&encoded[..]));
        records.push(RawRecord { key, value, headers });
        times.push(1_700_000_000_000 + random.within(0..100_000) as i64);
    }
    (RawRows { arena: Arc::new(arena), records }, times)
}

fn open(broker: &Broker, produce: Produce, topic: &str, codec: &str, mode: Mode) -> KafkaSink {
    let topics = [TopicOptions { topic: topic.to_owned(), compression: codec.to_owned() }];
    let none = ClientProperties::default();
    let mut sink = KafkaSink::open(broker.address(), &none, produce, &topics, mode, TIMEOUTS).unwrap();
    sink.init().unwrap();
    sink
}

fn append(sink: &mut KafkaSink, rows: &RawRows, times: &[i64]) {
    let (mut rows, mut times) = (rows.clone(), times.to_vec());
    let limit = Deadline::after(WAIT);
    while !rows.records.is_empty() {
        let taken = sink.append(0, &rows, &times).unwrap();
        rows.records.drain(..taken);
        times.drain(..taken);
        assert!(!limit.is_over(), "the queue stays full");
    }
}

/// Writes the same whatever `produce`, as `seed` has it: what is committed, partition by partition, and what is in the log.
fn write(broker: &Broker, produce: Produce, codec: &str, transactional: bool, seed: u64) -> String {
    let mut random = Random::new(seed);
    let topic = broker.topic("produced", PARTITIONS);
    let id = unique("t");
    let mode = if transactional { Mode::Transactional { transactional_id: id } } else { Mode::Idempotent };
    let mut sink = open(broker, produce, &topic, codec, mode);
    for _ in 0..APPENDS {
        let (rows, times) = rows(&mut random);
        append(&mut sink, &rows, &times);
        match random.within(0..8) {
            0 if transactional => {
                sink.flush().unwrap(); // librdkafka may find its own transaction in another state than it thinks, else.
                sink.abort().unwrap();
            }
            1 | 2 => assert_eq!(sink.commit(&[], "g"), Outcome::Committed),
            3 => sink.flush().unwrap(),
            _ => {}
        }
    }
    assert_eq!(sink.commit(&[], "g"), Outcome::Committed);
    topic
}

/// What a reader sees of each partition.
fn read(broker: &Broker, topic: &str, fetch: Fetch) -> Vec<Vec<Seen>> {
    let options = KafkaOptions {
        brokers: broker.address().to_owned(),
        topic: topic.to_owned(),
        more_topics: Vec::new(),
        start: KafkaStart::Earliest,
        fetch,
        fetch_bytes_max: None,
        produce: Produce::Auto,
        compression: "none".to_owned(),
        wait_ms: 20_000,
        transaction_timeout_ms: 20_000,
        properties: ClientProperties::default(),
    };
    let starts = partitions(&options).unwrap();
    let starts: Vec<_> =
        starts.iter().map(|it| Start { partition: it.id, offset: it.low, end: Some(it.high) }).collect();
    let mut source = KafkaSource::open(&options, 0, starts).unwrap();
    let (mut all, mut ended) = (vec![Vec::new(); PARTITIONS as usize], 0);
    let limit = Deadline::after(WAIT);
    while ended < PARTITIONS {
        match source.poll(1_000, 1 << 20).unwrap() {
            Polled::Batch(batch) => {
                let bytes = |it: Option<&[u8]>| it.map(<[u8]>::to_vec);
                all[batch.origin.partition as usize].extend((0..batch.offsets.len()).map(|row| Seen {
                    timestamp: batch.timestamps[row],
                    key: bytes(batch.rows.key(row)),
                    value: bytes(batch.rows.value(row)),
                    headers: headers::iter(batch.rows.headers(row)).map(|it| (it.0.to_vec(), bytes(it.1))).collect(),
                }));
            }
            Polled::Ended(_) => ended += 1,
            Polled::Empty => pause(Duration::from_millis(1)),
        }
        assert!(!limit.is_over(), "the source does not end");
    }
    all
}

#[test]
fn both_producers_write_the_same_records_and_both_readers_read_them() {
    let broker = shared();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        for transactional in [true, false] {
            let seed = settings::seed(&format!("{codec}, transactional {transactional}"));
            let ours = write(broker, Produce::Native, codec, transactional, seed);
            let theirs = write(broker, Produce::Librdkafka, codec, transactional, seed);
            let expected = read(broker, &theirs, Fetch::Librdkafka);
            assert!(expected.iter().all(|it| it.len() > 100), "every partition has records");
            for fetch in [Fetch::Native, Fetch::Librdkafka] {
                let found = read(broker, &ours, fetch);
                for (partition, (found, expected)) in found.iter().zip(&expected).enumerate() {
                    let differs = found.iter().zip(expected).position(|it| it.0 != it.1);
                    let at = differs.map(|it| (&found[it], &expected[it]));
                    assert!(at.is_none(), "partition {partition} at {differs:?}: {at:?}, read by {fetch:?}");
                    assert_eq!(found.len(), expected.len(), "partition {partition}, read by {fetch:?}");
                }
            }
            let committed: usize = expected.iter().map(Vec::len).sum();
            let all = broker.read(&ours, Isolation::Uncommitted).len();
            assert!(all >= committed && transactional || all == committed, "{all} {committed}");
        }
    }
}

/// So many rows of a kilobyte with one key: of one partition.
fn kilobytes(count: usize, key: &str) -> RawRows {
    let mut arena = Vec::new();
    let mut record = |_| {
        let (key, value) = (put(&mut arena, Some(key.as_bytes())), put(&mut arena, Some(&[b'v'; 1_000])));
        RawRecord { key, value, headers: Span::NULL }
    };
    let records = (0..count).map(&mut record).collect();
    RawRows { arena: Arc::new(arena), records }
}

fn append_kilobytes(sink: &mut KafkaSink, count: usize, key: &str) {
    append(sink, &kilobytes(count, key), &vec![1_700_000_000_000; count]);
}

/// Waits until the log has so many records, and sees that no more are committed than `committed`.
fn until_sent(broker: &Broker, sink: &mut KafkaSink, topic: &str, sent: usize, committed: usize) {
    let limit = Deadline::after(WAIT);
    while broker.read(topic, Isolation::Uncommitted).len() < sent {
        assert_eq!(sink.trouble(), None);
        assert!(!limit.is_over(), "what was appended waits for the commit, of {sent} records");
        pause(Duration::from_millis(5));
    }
    let visible: usize = read(broker, topic, Fetch::Native).iter().map(Vec::len).sum();
    assert_eq!(visible, committed, "it is seen before the commit");
}

#[test]
fn a_transaction_is_sent_as_it_grows_and_at_once_when_its_commit_begins() {
    let broker = shared();
    let topic = broker.topic("early", PARTITIONS);
    let mode = Mode::Transactional { transactional_id: unique("t") };
    let mut sink = open(broker, Produce::Native, &topic, "none", mode);
    let group = unique("g");
    let position = |offset| OffsetCommit { topic: topic.clone(), partition: 0, offset, metadata: "here".to_owned() };
    let mut seen = 0;
    // What is worth a request of its own, the little that a transaction begins with, the little that comes later, and that in a transaction which
    // is given up.
    let turns: [(&[usize], bool, bool); 5] = [
        (&[700], false, false),
        (&[3], false, false),
        (&[2, 1], true, false),
        (&[4, 1], true, true),
        (&[4], true, false),
    ];
    for (turn, (counts, begins, aborted)) in turns.into_iter().enumerate() {
        println!("turn {turn}");
        let count: usize = counts.iter().sum();
        let sent_before = broker.read(&topic, Isolation::Uncommitted).len();
        counts.iter().for_each(|it| append_kilobytes(&mut sink, *it, "a"));
        if begins {
            sink.begin_commit(Some(&group)).unwrap();
        }
        until_sent(broker, &mut sink, &topic, sent_before + count, seen);
        if aborted {
            sink.abort().unwrap();
            continue;
        }
        seen += count;
        assert_eq!(sink.commit(&[position(turn as i64)], &group), Outcome::Committed);
        assert_eq!(broker.read(&topic, Isolation::Committed).len(), seen);
        let committed = sink.committed(&group, &[(topic.clone(), 0)]).unwrap();
        assert_eq!(committed[0].offset, Some(turn as i64));
    }
}

#[test]
fn each_partition_that_was_written_to_before_begins_a_transaction_without_waiting_for_its_commit() {
    let broker = shared();
    let topic = broker.topic("begins", PARTITIONS);
    let mode = Mode::Transactional { transactional_id: unique("t") };
    let mut sink = open(broker, Produce::Native, &topic, "none", mode);
    let keys = ["a", "b", "c", "d", "e", "f", "g", "h"];
    keys.iter().for_each(|it| append_kilobytes(&mut sink, 1, it));
    assert_eq!(sink.commit(&[], ""), Outcome::Committed);
    // One key of each partition, one after the other.
    let written = broker.read(&topic, Isolation::Committed);
    let firsts: Vec<_> = written.chunk_by(|a, b| a.partition == b.partition).map(|it| it[0].key.clone()).collect();
    assert_eq!((written.len(), firsts.len()), (keys.len(), PARTITIONS as usize), "the keys are of all partitions");
    for (turn, key) in firsts.iter().enumerate() {
        let key = String::from_utf8(key.clone().unwrap()).unwrap();
        append_kilobytes(&mut sink, 1, &key);
        until_sent(broker, &mut sink, &topic, keys.len() + turn + 1, keys.len());
    }
    assert_eq!(sink.commit(&[], ""), Outcome::Committed);
    assert_eq!(broker.read(&topic, Isolation::Committed).len(), keys.len() + firsts.len());
}

#[test]
fn who_needs_more_than_the_native_producer_speaks_gets_librdkafka_or_is_told() {
    let broker = shared();
    let topic = broker.topic("needs", 1);
    let topics = [TopicOptions { topic, compression: "none".to_owned() }];
    let open = |produce, name: &str, value: &str| {
        let properties = ClientProperties(vec![(name.to_owned(), value.to_owned())]);
        KafkaSink::open(broker.address(), &properties, produce, &topics, Mode::Idempotent, TIMEOUTS)
    };
    let plane = |sink: KafkaSink| {
        let shown = format!("{sink:?}");
        if shown.contains("native") { "native" } else { "librdkafka" }
    };
    assert_eq!(plane(open(Produce::Auto, "linger.ms", "7").unwrap()), "librdkafka");
    assert_eq!(plane(open(Produce::Auto, "security.protocol", "PLAINTEXT").unwrap()), "native");
    assert_eq!(plane(open(Produce::Librdkafka, "security.protocol", "plaintext").unwrap()), "librdkafka");
    match open(Produce::Native, "linger.ms", "7") {
        Err(KafkaError::Other { doing, reason }) => {
            assert!(doing.contains("native") && reason.contains("linger.ms"), "{doing}: {reason}");
        }
        other => panic!("{other:?}"),
    }
}
