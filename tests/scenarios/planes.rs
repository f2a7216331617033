//! The Kafka source and the Kafka sink on a real broker.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
#![expect(clippy::disallowed_methods, reason = "waiting for a real broker is bounded in real time")]

use rdkafka::producer::BaseRecord;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wasmill::batch::{RawBatch, RawRecord, RawRows, Span, headers};
use wasmill::config::{Fetch, KafkaOptions, KafkaStart, Produce};
use wasmill::sink::kafka::{KafkaSink, Mode, OffsetCommit, Outcome, Timeouts, TopicOptions};
use wasmill::sink::partition::Partitioner;
use wasmill::source::kafka::{KafkaError, KafkaSource, Polled, Start, partitions};
use wasmill_tests::kafka::{Broker, Isolation, flush, shared, unique};

const TIMEOUTS: Timeouts = Timeouts { wait_ms: 20_000, transaction_ms: 20_000 };
const WAIT: Duration = Duration::from_secs(30);
/// Whoever writes, the same is written.
const PRODUCERS: [Produce; 2] = [Produce::Native, Produce::Librdkafka];

type Header<'a> = (&'a str, Option<&'a [u8]>);
type Row<'a> = (Option<&'a [u8]>, Option<&'a [u8]>, &'a [Header<'a>]);

fn rows(rows: &[Row<'_>]) -> RawRows {
    let mut arena = Vec::new();
    let mut records = Vec::new();
    for (key, value, list) in rows {
        let mut put = |bytes: Option<&[u8]>| {
            let Some(bytes) = bytes else { return Span::NULL };
            arena.extend_from_slice(bytes);
            Span { start: (arena.len() - bytes.len()) as u32, len: bytes.len() as u32 }
        };
        let (key, value) = (put(*key), put(*value));
        let mut encoded = Vec::new();
        list.iter().for_each(|(name, value)| headers::push(&mut encoded, name.as_bytes(), *value));
        let headers = put((!list.is_empty()).then_some(&encoded[..]));
        records.push(RawRecord { key, value, headers });
    }
    RawRows { arena: Arc::new(arena), records }
}

fn values(texts: &[&str]) -> RawRows {
    rows(&texts.iter().map(|it| (None, Some(it.as_bytes()), &[][..])).collect::<Vec<_>>())
}

fn options(broker: &Broker, topic: &str) -> KafkaOptions {
    KafkaOptions {
        brokers: broker.address().to_owned(),
        topic: topic.to_owned(),
        more_topics: Vec::new(),
        start: KafkaStart::Earliest,
        fetch: Fetch::Auto,
        fetch_bytes_max: None,
        produce: Produce::Auto,
        compression: "none".to_owned(),
        wait_ms: 20_000,
        transaction_timeout_ms: 20_000,
        properties: Default::default(),
    }
}

fn topics(names: &[&str], compression: &str) -> Vec<TopicOptions> {
    let options = |it: &&str| TopicOptions { topic: (*it).to_owned(), compression: compression.to_owned() };
    names.iter().map(options).collect()
}

fn open(
    brokers: &str,
    produce: Produce,
    names: &[&str],
    compression: &str,
    mode: Mode,
    timeouts: Timeouts,
) -> Result<KafkaSink, KafkaError> {
    KafkaSink::open(brokers, &Default::default(), produce, &topics(names, compression), mode, timeouts)
}

fn transactional(broker: &Broker, produce: Produce, id: &str, names: &[&str]) -> KafkaSink {
    let mode = Mode::Transactional { transactional_id: id.to_owned() };
    let mut sink = open(broker.address(), produce, names, "none", mode, TIMEOUTS).unwrap();
    sink.init().unwrap();
    sink
}

fn idempotent(broker: &Broker, produce: Produce, names: &[&str], compression: &str) -> KafkaSink {
    let mut sink = open(broker.address(), produce, names, compression, Mode::Idempotent, TIMEOUTS).unwrap();
    sink.init().unwrap();
    let expected = if produce == Produce::Native { "native" } else { "librdkafka" };
    assert!(format!("{sink:?}").contains(expected), "{sink:?}");
    sink
}

fn append_all(sink: &mut KafkaSink, topic: usize, rows: &RawRows, times: &[i64]) {
    let (mut rows, mut times) = (rows.clone(), times.to_vec());
    let deadline = Instant::now() + WAIT;
    while !rows.records.is_empty() {
        let taken = sink.append(topic, &rows, &times).unwrap();
        rows.records.drain(..taken);
        times.drain(..taken.min(times.len()));
        assert!(Instant::now() < deadline, "the queue stays full");
    }
}

fn position(topic: &str, partition: i32, offset: i64, metadata: &str) -> OffsetCommit {
    OffsetCommit { topic: topic.to_owned(), partition, offset, metadata: metadata.to_owned() }
}

/// Reads until every partition has ended.
fn read_to_end(source: &mut KafkaSource, partitions: usize) -> Vec<RawBatch> {
    let (mut batches, mut ended) = (Vec::new(), 0);
    let deadline = Instant::now() + WAIT;
    while ended < partitions {
        match source.poll(1_000, 64 << 10).unwrap() {
            Polled::Batch(batch) => batches.push(batch),
            Polled::Ended(_) => ended += 1,
            Polled::Empty => std::thread::sleep(Duration::from_millis(1)),
        }
        assert!(Instant::now() < deadline, "the source does not end: {source:?}");
    }
    batches
}

/// Opens every partition from its start to its end as of now.
fn bounded(broker: &Broker, topic: &str) -> (KafkaSource, usize) {
    let options = options(broker, topic);
    let found = partitions(&options).unwrap();
    let starts = found.iter().map(|it| Start { partition: it.id, offset: it.low, end: Some(it.high) }).collect();
    (KafkaSource::open(&options, 7, starts).unwrap(), found.len())
}

fn texts(batches: &[RawBatch]) -> Vec<String> {
    let text = |batch: &RawBatch, row| String::from_utf8(batch.rows.value(row).unwrap().to_vec()).unwrap();
    batches.iter().flat_map(|it| (0..it.offsets.len()).map(move |row| text(it, row))).collect()
}

fn round_trip(produce: Produce, compression: &str) {
    let broker = shared();
    let topic = broker.topic("round-trip", 1);
    let large = vec![b'x'; 300_000];
    let list: [Row<'_>; 8] = [
        (None, Some(b"no key"), &[]),
        (Some(b"tombstone"), None, &[]),
        (Some(b""), Some(b""), &[]),
        (None, None, &[]),
        (Some(b"\0\xff"), Some(b"\xf0\x28\x8c\x28"), &[("trace", Some(b"1")), ("trace", None), ("trace", Some(b""))]),
        (Some(b"k"), Some(b"v"), &[("", Some(b"\0\x01"))]),
        (None, Some(&large), &[("large", Some(&large[..70_000]))]),
        (Some(b"last"), Some(b"last"), &[]),
    ];
    let written = rows(&list);
    let times = [1_700_000_000_000, 5, 1, 1_600_000_000_000, 2, 3, 4, 1_700_000_000_000];
    let mut sink = idempotent(broker, produce, &[&topic], compression);
    append_all(&mut sink, 0, &written, &times);
    assert_eq!(sink.commit(&[], "g"), Outcome::Committed);

    let (mut source, count) = bounded(broker, &topic);
    let batches = read_to_end(&mut source, count);
    let read: Vec<_> = batches.iter().flat_map(|it| (0..it.offsets.len()).map(move |row| (it, row))).collect();
    assert_eq!(read.len(), list.len());
    for (index, &(batch, row)) in read.iter().enumerate() {
        assert_eq!((batch.origin.source, batch.origin.partition), (7, 0));
        assert_eq!(batch.offsets[row], index as i64);
        assert_eq!(batch.timestamps[row], times[index]);
        assert_eq!(batch.rows.key(row), list[index].0, "key of row {index}");
        assert_eq!(batch.rows.value(row), list[index].1, "value of row {index}");
        let expected: Vec<_> = list[index].2.iter().map(|(name, value)| (name.as_bytes(), *value)).collect();
        assert_eq!(headers::iter(batch.rows.headers(row)).collect::<Vec<_>>(), expected, "headers of row {index}");
        assert_eq!(batch.rows.records[row].headers.is_null(), list[index].2.is_empty());
    }
    assert_eq!(batches.last().unwrap().next_offset, list.len() as i64);

    // Another client reads the same.
    let seen = broker.read(&topic, Isolation::Committed);
    for (index, message) in seen.iter().enumerate() {
        assert_eq!((message.key.as_deref(), message.value.as_deref()), (list[index].0, list[index].1));
        assert_eq!(message.timestamp, Some(times[index]));
        let expected: Vec<_> =
            list[index].2.iter().map(|(name, it)| ((*name).to_owned(), it.map(<[u8]>::to_vec))).collect();
        assert_eq!(message.headers, expected);
    }
    assert_eq!(seen.len(), list.len());
}

#[test]
fn records_come_back_bit_for_bit() {
    PRODUCERS.into_iter().for_each(|it| round_trip(it, "none"));
}

#[test]
fn records_come_back_bit_for_bit_through_every_codec() {
    for compression in ["lz4", "zstd", "gzip", "snappy"] {
        PRODUCERS.into_iter().for_each(|it| round_trip(it, compression));
    }
}

#[test]
fn a_record_without_a_time_gets_the_present() {
    for produce in PRODUCERS {
        let broker = shared();
        let topic = broker.topic("now", 1);
        let before = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64;
        let mut sink = idempotent(broker, produce, &[&topic], "none");
        append_all(&mut sink, 0, &values(&["a", "b"]), &[-1]);
        sink.flush().unwrap();
        for message in broker.read(&topic, Isolation::Committed) {
            assert!((before..before + 60_000).contains(&message.timestamp.unwrap()), "{message:?}");
        }
    }
}

#[test]
fn readers_never_see_an_aborted_record_and_the_position_passes_it() {
    for produce in PRODUCERS {
        let broker = shared();
        let topic = broker.topic("aborted", 1);
        let mut sink = transactional(broker, produce, &unique("t"), &[&topic]);
        append_all(&mut sink, 0, &values(&["a", "b"]), &[]);
        assert_eq!(sink.commit(&[], "g"), Outcome::Committed); // 0, 1, marker at 2
        append_all(&mut sink, 0, &values(&["lost"]), &[]);
        sink.flush().unwrap();
        sink.abort().unwrap(); // 3, marker at 4
        append_all(&mut sink, 0, &values(&["c"]), &[]);
        assert_eq!(sink.commit(&[], "g"), Outcome::Committed); // 5, marker at 6
        append_all(&mut sink, 0, &values(&["lost too"]), &[]);
        sink.flush().unwrap();
        sink.abort().unwrap(); // 7, marker at 8

        assert_eq!(broker.read(&topic, Isolation::Uncommitted).len(), 5, "the aborted records are in the log");
        let found = partitions(&options(broker, &topic)).unwrap();
        assert_eq!((found[0].id, found[0].low, found[0].high), (0, 0, 9));

        let (mut source, count) = bounded(broker, &topic);
        let batches = read_to_end(&mut source, count);
        assert_eq!(texts(&batches), ["a", "b", "c"]);
        assert_eq!(batches.last().unwrap().next_offset, 9, "past the last marker");
        assert!(source.lags().iter().all(|it| it.1 == 0), "{:?}", source.lags());
    }
}

#[test]
fn an_unbounded_reader_moves_past_markers_too() {
    for produce in PRODUCERS {
        let broker = shared();
        let topic = broker.topic("unbounded", 1);
        let mut sink = transactional(broker, produce, &unique("t"), &[&topic]);
        append_all(&mut sink, 0, &values(&["a"]), &[]);
        assert_eq!(sink.commit(&[], "g"), Outcome::Committed);
        let start = Start { partition: 0, offset: 0, end: None };
        let mut source = KafkaSource::open(&options(broker, &topic), 0, vec![start]).unwrap();
        assert_eq!(positions_until(&mut source, 2).0, ["a"]);
        assert!(source.lags().iter().all(|it| it.1 == 0), "{:?}", source.lags());
        append_all(&mut sink, 0, &values(&["b"]), &[]);
        assert_eq!(sink.commit(&[], "g"), Outcome::Committed);
        assert_eq!(positions_until(&mut source, 4).0, ["b"]);
    }
}

/// Reads until partition 0's position is `next_offset`.
fn positions_until(source: &mut KafkaSource, next_offset: i64) -> (Vec<String>, i64) {
    let (mut batches, mut reached) = (Vec::new(), -1);
    let deadline = Instant::now() + WAIT;
    while reached < next_offset {
        match source.poll(1_000, 64 << 10).unwrap() {
            Polled::Batch(batch) => {
                reached = batch.next_offset;
                batches.push(batch);
            }
            Polled::Ended(_) => panic!("an unbounded partition ended"),
            Polled::Empty => std::thread::sleep(Duration::from_millis(1)),
        }
        assert!(Instant::now() < deadline, "stuck at {reached}: {source:?}");
    }
    (texts(&batches), reached)
}

#[test]
fn a_bounded_reader_stops_at_its_end_although_there_is_more() {
    let broker = shared();
    let topic = broker.topic("bounded", 2);
    let producer = broker.producer(None);
    for (partition, text) in [(0, "a"), (0, "b"), (0, "c"), (1, "d"), (1, "e")] {
        producer.send(BaseRecord::<(), str>::to(&topic).partition(partition).payload(text)).unwrap();
    }
    flush(&producer);
    let starts = vec![
        Start { partition: 0, offset: 1, end: Some(2) },
        Start { partition: 1, offset: 2, end: Some(2) }, // Nothing to read: ends at once.
    ];
    let mut source = KafkaSource::open(&options(broker, &topic), 0, starts).unwrap();
    let batches = read_to_end(&mut source, 2);
    assert_eq!(texts(&batches), ["b"]);
    assert_eq!(batches.last().unwrap().next_offset, 2);
}

#[test]
fn a_batch_keeps_to_its_limits_and_holds_one_partition() {
    let broker = shared();
    let topic = broker.topic("limits", 3);
    let producer = broker.producer(None);
    for index in 0..300 {
        let value = format!("{index:0100}");
        producer.send(BaseRecord::<(), str>::to(&topic).partition(index % 3).payload(&value)).unwrap();
    }
    flush(&producer);
    let (mut source, _) = bounded(broker, &topic);
    let (mut next, mut rows, mut ended) = ([0; 3], 0, 0);
    let deadline = Instant::now() + WAIT;
    while ended < 3 {
        assert!(Instant::now() < deadline);
        match source.poll(7, 350).unwrap() {
            Polled::Batch(batch) => {
                assert!(batch.offsets.len() <= 3, "350 bytes hold 3 records of 100 bytes");
                let partition = batch.origin.partition as usize;
                for (row, &offset) in batch.offsets.iter().enumerate() {
                    assert_eq!(offset, next[partition]);
                    let expected = format!("{:0100}", offset * 3 + partition as i64);
                    assert_eq!(batch.rows.value(row), Some(expected.as_bytes()));
                    next[partition] += 1;
                    rows += 1;
                }
                assert_eq!(batch.next_offset, next[partition]);
            }
            Polled::Ended(_) => ended += 1,
            Polled::Empty => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    assert_eq!(rows, 300);
}

#[test]
fn positions_and_their_metadata_are_read_back_by_the_next_instance() {
    for produce in PRODUCERS {
        let broker = shared();
        let (topic, id, group) = (broker.topic("positions", 3), unique("t"), unique("g"));
        let metadata = "m".repeat(4_000);
        let mut sink = transactional(broker, produce, &id, &[&topic]);
        append_all(&mut sink, 0, &values(&["a"]), &[]);
        let offsets = [position(&topic, 0, 42, &metadata), position(&topic, 2, 7, "")];
        assert_eq!(sink.commit(&offsets, &group), Outcome::Committed);
        drop(sink);

        let mut sink = transactional(broker, produce, &id, &[&topic]);
        let asked: Vec<_> = (0..3).map(|it| (topic.clone(), it)).collect();
        let committed = sink.committed(&group, &asked).unwrap();
        let found: Vec<_> = committed.iter().map(|it| (it.partition, it.offset, it.metadata.as_str())).collect();
        assert_eq!(found, [(0, Some(42), &metadata[..]), (1, None, ""), (2, Some(7), "")]);

        // Positions alone are a transaction as well, and an aborted one leaves them.
        assert_eq!(sink.commit(&[position(&topic, 0, 43, "next")], &group), Outcome::Committed);
        let committed = sink.committed(&group, &asked[..1]).unwrap();
        assert_eq!((committed[0].offset, committed[0].metadata.as_str()), (Some(43), "next"));
        assert_eq!(broker.read(&topic, Isolation::Committed).len(), 1);
    }
}

#[test]
fn a_second_instance_fences_the_first_and_hides_what_it_left_open() {
    for (before, produce) in PRODUCERS.into_iter().flat_map(|it| PRODUCERS.map(|other| (it, other))) {
        let broker = shared();
        let (topic, id, group) = (broker.topic("zombie", 1), unique("t"), unique("g"));
        let mut first = transactional(broker, before, &id, &[&topic]);
        append_all(&mut first, 0, &values(&["first"]), &[]);
        assert_eq!(first.commit(&[position(&topic, 0, 1, "first")], &group), Outcome::Committed);
        append_all(&mut first, 0, &values(&["zombie"]), &[]);
        first.flush().unwrap();

        let mut second = transactional(broker, produce, &id, &[&topic]);
        assert_eq!(first.commit(&[position(&topic, 0, 2, "zombie")], &group), Outcome::Fenced);
        assert!(first.append(0, &values(&["again"]), &[]).is_err(), "a fenced sink takes nothing any more");

        let committed = second.committed(&group, &[(topic.clone(), 0)]).unwrap();
        assert_eq!((committed[0].offset, committed[0].metadata.as_str()), (Some(1), "first"));
        append_all(&mut second, 0, &values(&["second"]), &[]);
        assert_eq!(second.commit(&[position(&topic, 0, 2, "second")], &group), Outcome::Committed);
        let seen = broker.read(&topic, Isolation::Committed);
        assert_eq!(seen.iter().map(|it| it.text()).collect::<Vec<_>>(), ["first", "second"]);
    }
}

#[test]
fn an_aborted_sink_goes_on() {
    for produce in PRODUCERS {
        let broker = shared();
        let (topic, group) = (broker.topic("abort", 2), unique("g"));
        let mut sink = transactional(broker, produce, &unique("t"), &[&topic]);
        append_all(&mut sink, 0, &values(&["lost"; 1_000]), &[]);
        sink.abort().unwrap();
        sink.abort().unwrap(); // Nothing is open.
        append_all(&mut sink, 0, &values(&["kept"]), &[]);
        assert_eq!(sink.commit(&[position(&topic, 0, 1, "")], &group), Outcome::Committed);
        let seen = broker.read(&topic, Isolation::Committed);
        assert_eq!(seen.iter().map(|it| it.text()).collect::<Vec<_>>(), ["kept"]);
    }
}

#[test]
fn without_transactions_records_are_visible_at_once_and_positions_follow() {
    for produce in PRODUCERS {
        let broker = shared();
        let (topic, group) = (broker.topic("at-least-once", 1), unique("g"));
        let mut sink = idempotent(broker, produce, &[&topic], "lz4");
        append_all(&mut sink, 0, &values(&["a", "b"]), &[]);
        sink.flush().unwrap();
        assert_eq!(broker.read(&topic, Isolation::Committed).len(), 2);
        let asked = [(topic.clone(), 0)];
        assert_eq!(sink.committed(&group, &asked).unwrap()[0].offset, None);
        for (offset, metadata) in [(2, "manifest-1"), (3, "manifest-2")] {
            assert_eq!(sink.commit(&[position(&topic, 0, offset, metadata)], &group), Outcome::Committed);
            let committed = sink.committed(&group, &asked).unwrap();
            assert_eq!((committed[0].offset, committed[0].metadata.as_str()), (Some(offset), metadata));
        }
        // Told in passing, they are there some time.
        sink.tell_positions(&[position(&topic, 0, 4, "manifest-3")], &group).unwrap();
        wasmill_tests::wait::until("the positions that were told", WAIT, || {
            sink.committed(&group, &asked).unwrap()[0].offset == Some(4)
        });
    }
}

#[test]
fn more_rows_than_the_queue_holds_arrive_once_each() {
    for produce in PRODUCERS {
        let broker = shared();
        let topic = broker.topic("pieces", 2);
        let mut sink = transactional(broker, produce, &unique("t"), &[&topic]);
        let texts: Vec<_> = (0..400_000).map(|it| it.to_string()).collect();
        let texts: Vec<_> = texts.iter().map(String::as_str).collect();
        let rows = values(&texts);
        append_all(&mut sink, 0, &rows, &[]);
        assert_eq!(sink.commit(&[], "g"), Outcome::Committed);
        let (mut source, count) = bounded(broker, &topic);
        let mut numbers: Vec<u32> = read_to_end(&mut source, count)
            .iter()
            .flat_map(|it| self::texts(std::slice::from_ref(it)))
            .map(|it| it.parse().unwrap())
            .collect();
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(0..400_000), "every row once");
    }
}

#[test]
fn a_row_that_is_too_large_is_named_and_the_others_are_written() {
    for produce in PRODUCERS {
        let broker = shared();
        let topic = broker.topic("large", 1);
        let mut sink = idempotent(broker, produce, &[&topic], "none");
        let (fits, too_large) = (vec![b'f'; 1_000_000], vec![b'l'; 1_048_589]);
        let rows = rows(&[(None, Some(&fits), &[]), (None, Some(&too_large), &[]), (None, Some(b"after"), &[])]);
        match sink.append(0, &rows, &[]) {
            Err(KafkaError::RowTooLarge { row: 1, bytes, bytes_max, .. }) => assert!(bytes > bytes_max),
            other => panic!("{other:?}"),
        }
        append_all(&mut sink, 0, &rows.gather(&[2]), &[]);
        sink.flush().unwrap();
        let seen = broker.read(&topic, Isolation::Committed);
        assert_eq!(seen.iter().map(|it| it.value.as_ref().unwrap().len()).collect::<Vec<_>>(), [1_000_000, 5]);
    }
}

#[test]
fn a_topic_that_takes_larger_or_smaller_rows_is_believed() {
    for produce in PRODUCERS {
        let broker = shared();
        let large = broker.topic_with("larger", 1, &[("max.message.bytes", "5000000")]);
        let small = broker.topic_with("smaller", 1, &[("max.message.bytes", "10000")]);
        let mut sink = idempotent(broker, produce, &[&large, &small], "none");
        append_all(&mut sink, 0, &rows(&[(None, Some(&vec![b'l'; 4_000_000]), &[])]), &[]);
        let piece = vec![b's'; 3_000];
        append_all(&mut sink, 1, &rows(&vec![(None, Some(&piece[..]), &[][..]); 100]), &[]); // As several batches.
        let too_large = sink.append(1, &rows(&[(None, Some(&[b's'; 10_000]), &[])]), &[]);
        assert!(matches!(too_large, Err(KafkaError::RowTooLarge { bytes_max: 10_000, .. })), "{too_large:?}");
        sink.flush().unwrap();
        assert_eq!(broker.read(&large, Isolation::Committed).len(), 1);
        assert_eq!(broker.read(&small, Isolation::Committed).len(), 100);
    }
}

#[test]
fn a_time_that_the_broker_refuses_does_not_stop_the_sink() {
    for produce in PRODUCERS {
        let broker = shared();
        let topic = broker.topic("future", 1);
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64;
        let mut sink = idempotent(broker, produce, &[&topic], "none");
        append_all(&mut sink, 0, &values(&["soon", "in ten years"]), &[now + 60_000, now + 315_360_000_000]);
        sink.flush().unwrap();
        let seen = broker.read(&topic, Isolation::Committed);
        assert_eq!(seen[0].timestamp, Some(now + 60_000));
        assert!((now..now + 60_000).contains(&seen[1].timestamp.unwrap()), "{:?}", seen[1]);
    }
}

#[test]
fn keys_go_to_the_partition_that_other_clients_choose() {
    for produce in PRODUCERS {
        let broker = shared();
        let topic = broker.topic("partitioner", 12);
        let producer = broker.producer(None); // With librdkafka's own port of Java's partitioner.
        let mut sink = idempotent(broker, produce, &[&topic], "none");
        let keys: Vec<_> = (0..200).map(|it| format!("key-{it}-{}", "x".repeat(it % 9))).collect();
        let list: Vec<Row<'_>> = keys.iter().map(|it| (Some(it.as_bytes()), Some(&b"ours"[..]), &[][..])).collect();
        append_all(&mut sink, 0, &rows(&list), &[]);
        sink.flush().unwrap();
        for key in &keys {
            producer.send(BaseRecord::to(&topic).key(key).payload("theirs")).unwrap();
        }
        flush(&producer);
        let seen = broker.read(&topic, Isolation::Committed);
        assert_eq!(seen.len(), 400);
        let partitioner = Partitioner::new(12);
        for message in seen {
            assert_eq!(message.partition, partitioner.of_key(message.key.as_ref().unwrap()), "{message:?}");
        }
    }
}

#[test]
fn a_missing_topic_is_named_with_one_that_is_like_it() {
    let broker = shared();
    let topic = broker.topic("transactions", 1);
    let wrong = topic.replace("transactions", "transactoins");
    let started = Instant::now();
    match partitions(&options(broker, &wrong)) {
        Err(KafkaError::TopicMissing { topic: named, similar, .. }) => {
            assert_eq!(named, wrong);
            assert_eq!(similar[0], topic);
        }
        other => panic!("{other:?}"),
    }
    let sink = open(broker.address(), Produce::Auto, &[&wrong], "none", Mode::Idempotent, TIMEOUTS);
    assert!(matches!(sink, Err(KafkaError::TopicMissing { .. })), "{sink:?}");
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    // Asking has not made it.
    assert!(matches!(partitions(&options(broker, &wrong)), Err(KafkaError::TopicMissing { .. })));
}

#[test]
fn an_address_where_nobody_listens_is_reported_in_time() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut options = options(shared(), "any");
    options.brokers = silent.clone();
    options.wait_ms = 1_500;
    let started = Instant::now();
    match partitions(&options) {
        Err(KafkaError::Unreachable { brokers, waited_ms, reason }) => {
            assert_eq!(brokers, silent);
            assert!(waited_ms >= 1_500, "{waited_ms}");
            assert!(reason.contains("refused"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    let timeouts = Timeouts { wait_ms: 1_500, ..TIMEOUTS };
    let sink = open(&silent, Produce::Auto, &["any"], "none", Mode::Idempotent, timeouts);
    assert!(matches!(sink, Err(KafkaError::Unreachable { .. })), "{sink:?}");
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
}

#[test]
fn a_position_that_is_gone_is_an_error_and_never_a_jump() {
    let broker = shared();
    let topic = broker.topic("gone", 1);
    let producer = broker.producer(None);
    for text in ["a", "b", "c"] {
        producer.send(BaseRecord::<(), str>::to(&topic).payload(text)).unwrap();
    }
    flush(&producer);
    broker.delete_records(&topic, 0, 2);
    assert_eq!(partitions(&options(broker, &topic)).unwrap()[0].low, 2);
    for asked in [0, 99] {
        let start = Start { partition: 0, offset: asked, end: None };
        let mut source = KafkaSource::open(&options(broker, &topic), 0, vec![start]).unwrap();
        match first_error(&mut source) {
            KafkaError::OffsetOutOfRange { partition: 0, offset, low: 2, high: 3, .. } => assert_eq!(offset, asked),
            other => panic!("{other:?}"),
        }
    }
}

fn first_error(source: &mut KafkaSource) -> KafkaError {
    let deadline = Instant::now() + WAIT;
    while Instant::now() < deadline {
        match source.poll(100, 64 << 10) {
            Ok(Polled::Empty) => std::thread::sleep(Duration::from_millis(1)),
            Ok(other) => panic!("{other:?}"),
            Err(error) => return error,
        }
    }
    panic!("no error in time")
}

#[test]
fn a_broker_that_dies_is_waited_out_and_a_commit_that_it_did_not_answer_is_resolved_afterwards() {
    for produce in PRODUCERS {
        let broker = Broker::start();
        let (topic, other, id, group) = (broker.topic("dies", 1), broker.topic("other", 1), unique("t"), unique("g"));
        let mode = Mode::Transactional { transactional_id: id.clone() };
        let timeouts = Timeouts { wait_ms: 20_000, transaction_ms: 3_000 };
        let mut sink = open(broker.address(), produce, &[&topic], "none", mode, timeouts).unwrap();
        sink.init().unwrap();
        append_all(&mut sink, 0, &values(&["a"]), &[]);
        assert_eq!(sink.commit(&[position(&topic, 0, 1, "one")], &group), Outcome::Committed);
        let start = Start { partition: 0, offset: 0, end: None };
        let mut source = KafkaSource::open(&options(&broker, &topic), 0, vec![start]).unwrap();
        assert_eq!(positions_until(&mut source, 2).0, ["a"]);

        append_all(&mut sink, 0, &values(&["b"]), &[]);
        sink.flush().unwrap();
        let mut full = idempotent(&broker, produce, &[&other], "none");
        broker.kill();
        // Memory is bounded while nothing can be sent: librdkafka's in records, ours in bytes.
        let many = values(&vec!["x".repeat(100).as_str(); 600_000]);
        let taken = full.append(0, &many, &[]).unwrap();
        assert!((100_000..600_000).contains(&taken), "took {taken}");
        assert_eq!(full.append(0, &many, &[]).unwrap(), 0);
        drop(full);
        // Nothing tells whether the broker has seen the request.
        assert!(matches!(sink.commit(&[], &group), Outcome::Unknown(_)));
        assert!(matches!(sink.append(0, &values(&["c"]), &[]), Err(KafkaError::Other { .. })));
        drop(sink);
        let deadline = Instant::now() + WAIT;
        let trouble = loop {
            assert!(matches!(source.poll(100, 1 << 10), Ok(Polled::Empty)));
            match source.trouble() {
                Some(trouble) => break trouble,
                None => assert!(Instant::now() < deadline),
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        assert!(!trouble.is_empty());

        broker.restart();
        let mut sink = transactional(&broker, produce, &id, &[&topic]);
        let committed = sink.committed(&group, &[(topic.clone(), 0)]).unwrap();
        assert_eq!((committed[0].offset, committed[0].metadata.as_str()), (Some(1), "one"));
        append_all(&mut sink, 0, &values(&["b again"]), &[]);
        assert_eq!(sink.commit(&[position(&topic, 0, 2, "two")], &group), Outcome::Committed);
        // 2: "b", 3: its abort marker, 4: "b again", 5: a marker.
        assert_eq!(positions_until(&mut source, 6).0, ["b again"]);
    }
}
