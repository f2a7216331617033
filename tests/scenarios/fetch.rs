//! The native reader against librdkafka, record for record, on a real broker; and what only a broker can do to a reader.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use rdkafka::config::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::time::Duration;
use wasmill::batch::{RawBatch, headers};
use wasmill::config::{ClientProperties, Fetch, KafkaOptions, KafkaStart, Produce};
use wasmill::source::kafka::{KafkaError, KafkaSource, Polled, Start, partitions};
use wasmill_tests::kafka::{Broker, Isolation, flush, shared, unique};
use wasmill_tests::random::Random;
use wasmill_tests::settings;
use wasmill_tests::wait::{Deadline, pause, until};

const WAIT: Duration = Duration::from_secs(60);
const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];
/// Few bytes: what is cut off at the end of an answer is fetched again.
const FEW_BYTES: Option<i32> = Some(40_000);

/// A record as it was read.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    partition: i32,
    offset: i64,
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

fn options(broker: &Broker, topic: &str, fetch: Fetch) -> KafkaOptions {
    KafkaOptions {
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
    }
}

fn producer(broker: &Broker, codec: &str, transactional_id: Option<&str>) -> BaseProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker.address()).set("compression.codec", codec);
    config.set("linger.ms", "20").set("batch.num.messages", "50").set("enable.idempotence", "true");
    if let Some(id) = transactional_id {
        config.set("transactional.id", id);
    }
    let producer: BaseProducer = config.create().unwrap();
    if transactional_id.is_some() {
        producer.init_transactions(WAIT).unwrap();
    }
    producer
}

fn send(producer: &BaseProducer, topic: &str, partition: i32, random: &mut Random, count: u64) {
    for _ in 0..count {
        let size = random.within(0..600) as usize;
        let value: Vec<u8> = (0..size).map(|it| b"abcdefgh"[(it / 7 + size) % 8]).collect();
        let key = random.within(0..1_000).to_string();
        let mut record = BaseRecord::<[u8], [u8]>::to(topic).partition(partition);
        record = record.timestamp(1_700_000_000_000 + random.within(0..100_000) as i64);
        if !random.one_in(3) {
            record = record.key(key.as_bytes());
        }
        if !random.one_in(9) {
            record = record.payload(&value);
        }
        if random.one_in(4) {
            let named = Header { key: "trace", value: Some(key.as_bytes()) };
            record = record.headers(OwnedHeaders::new().insert(named).insert(Header::<&[u8]> { key: "", value: None }));
        }
        producer.send(record).map_err(|it| it.0).unwrap();
    }
}

fn seen(batch: &RawBatch) -> impl Iterator<Item = Seen> {
    let bytes = |it: Option<&[u8]>| it.map(<[u8]>::to_vec);
    (0..batch.offsets.len()).map(move |row| Seen {
        partition: batch.origin.partition,
        offset: batch.offsets[row],
        timestamp: batch.timestamps[row],
        key: bytes(batch.rows.key(row)),
        value: bytes(batch.rows.value(row)),
        headers: headers::iter(batch.rows.headers(row)).map(|(name, value)| (name.to_vec(), bytes(value))).collect(),
    })
}

/// Everything between the starts and their ends, by partition and offset, and where each partition's position went.
fn read(options: &KafkaOptions, starts: &[Start]) -> (Vec<Seen>, Vec<(i32, i64)>) {
    let mut source = KafkaSource::open(options, 0, starts.to_vec()).unwrap();
    let reads_native = format!("{source:?}").contains("native");
    assert_eq!(reads_native, options.fetch != Fetch::Librdkafka);
    let (mut all, mut positions, mut ended) = (Vec::new(), Vec::new(), 0);
    let deadline = Deadline::after(WAIT);
    while ended < starts.len() {
        match source.poll(700, 64 << 10).unwrap() {
            Polled::Batch(batch) => {
                all.extend(seen(&batch));
                positions.retain(|it: &(i32, i64)| it.0 != batch.origin.partition);
                positions.push((batch.origin.partition, batch.next_offset));
            }
            Polled::Ended(_) => ended += 1,
            Polled::Empty => pause(Duration::from_millis(1)),
        }
        assert!(!deadline.is_over(), "the source does not end: {source:?}, {:?}", source.trouble());
    }
    all.sort_by_key(|it| (it.partition, it.offset));
    positions.sort_unstable();
    (all, positions)
}

/// Compares the readers on a topic: all of it, and from and to some places in the middle, with large and small fetches.
fn compare(broker: &Broker, topic: &str, random: &mut Random) -> Vec<Seen> {
    let referee = options(broker, topic, Fetch::Librdkafka);
    let found = partitions(&referee).unwrap();
    let whole = found.iter().map(|it| Start { partition: it.id, offset: it.low, end: Some(it.high) }).collect();
    let mut tries: Vec<Vec<Start>> = vec![whole];
    for _ in 0..4 {
        let part = found.iter().map(|it| {
            let offset = random.within(it.low as u64..it.high as u64) as i64;
            Start { partition: it.id, offset, end: Some(random.within(offset as u64..it.high as u64) as i64 + 1) }
        });
        tries.push(part.collect());
    }
    let mut all = Vec::new();
    for (turn, starts) in tries.iter().enumerate() {
        let expected = read(&referee, starts);
        for fetch_bytes_max in [None, FEW_BYTES] {
            let native = KafkaOptions { fetch_bytes_max, ..options(broker, topic, Fetch::Native) };
            let got = read(&native, starts);
            let differs = got.0.iter().zip(&expected.0).find(|it| it.0 != it.1);
            assert!(differs.is_none(), "{topic} {starts:?}, at most {fetch_bytes_max:?}: {differs:?}");
            assert_eq!(got.0.len(), expected.0.len(), "{topic} {starts:?}");
            assert_eq!(got.1, expected.1, "positions of {topic} {starts:?}");
        }
        if turn == 0 {
            all = expected.0;
        }
    }
    all
}

#[test]
fn both_readers_see_the_same_records_in_every_codec_with_aborted_transactions_between() {
    let broker = shared();
    let mut random = Random::new(settings::seed("codecs and transactions"));
    let topic = broker.topic("both", 2);
    let plain: Vec<_> = CODECS.iter().map(|it| producer(broker, it, None)).collect();
    let transactional: Vec<_> =
        ["none", "lz4", "zstd"].iter().map(|it| producer(broker, it, Some(&unique("t")))).collect();
    let (mut aborted, mut sent) = (0, 0);
    for _ in 0..12 {
        transactional.iter().for_each(|it| it.begin_transaction().unwrap());
        // Batches of all of them alternate, so that transactions overlap.
        for _ in 0..4 {
            for producer in plain.iter().chain(&transactional) {
                let (partition, count) = (random.within(0..2) as i32, random.within(1..60));
                send(producer, &topic, partition, &mut random, count);
                flush(producer);
                sent += count;
            }
        }
        for producer in &transactional {
            if random.one_in(3) {
                producer.abort_transaction(WAIT).unwrap();
                aborted += 1;
            } else {
                producer.commit_transaction(WAIT).unwrap();
            }
        }
    }
    let in_the_log = broker.read(&topic, Isolation::Uncommitted).len() as u64;
    let visible = broker.read(&topic, Isolation::Committed).len();
    assert_eq!(in_the_log, sent);
    assert!(aborted > 0 && visible < in_the_log as usize, "nothing was aborted");
    let all = compare(broker, &topic, &mut random);
    assert_eq!(all.len(), visible);
    println!("{visible} of {in_the_log} records count, {aborted} transactions were aborted");
}

#[test]
fn both_readers_see_the_time_that_the_log_sets() {
    let broker = shared();
    let mut random = Random::new(settings::seed("log append time"));
    let topic = broker.topic_with("log-time", 1, &[("message.timestamp.type", "LogAppendTime")]);
    for codec in ["none", "gzip"] {
        let producer = producer(broker, codec, None);
        send(&producer, &topic, 0, &mut random, 200);
        flush(&producer);
    }
    let all = compare(broker, &topic, &mut random);
    assert_eq!(all.len(), 400);
    assert!(all.iter().all(|it| it.timestamp > 1_750_000_000_000), "the producer's time was kept");
}

#[test]
fn both_readers_pass_what_compaction_took_out() {
    let broker = shared();
    let mut random = Random::new(settings::seed("compacted"));
    let config = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "100"),
        ("min.cleanable.dirty.ratio", "0.001"),
        ("delete.retention.ms", "0"),
    ];
    let topic = broker.topic_with("compacted", 1, &config);
    let producer = producer(broker, "lz4", None);
    for index in 0..3_000 {
        let (key, value) = ((index * 7 % 40).to_string(), format!("{index} {}", "x".repeat(index % 300)));
        producer.send(BaseRecord::to(&topic).partition(0).key(&key).payload(&value)).map_err(|it| it.0).unwrap();
        if index % 50 == 0 {
            flush(&producer);
            pause(Duration::from_millis(10)); // The log begins a new segment when the last one is old enough.
        }
    }
    flush(&producer);
    until("compaction", WAIT, || broker.read(&topic, Isolation::Committed).len() < 2_000);
    let all = compare(broker, &topic, &mut random);
    assert!(all.last().is_some_and(|it| it.offset == 2_999));
    println!("{} of 3000 records are left", all.len());
}

#[test]
fn a_batch_larger_than_a_fetch_comes_whole() {
    let broker = shared();
    let mut random = Random::new(settings::seed("large"));
    let topic = broker.topic("larger", 2);
    let producer = producer(broker, "none", None);
    for (partition, size) in [(0, 300_000), (1, 900_000), (0, 10), (1, 500_000), (0, 900_000)] {
        let value = vec![b'v'; size];
        producer
            .send(BaseRecord::<[u8], [u8]>::to(&topic).partition(partition).payload(&value))
            .map_err(|it| it.0)
            .unwrap();
        flush(&producer);
    }
    assert_eq!(compare(broker, &topic, &mut random).len(), 5);
}

#[test]
fn a_broker_that_dies_is_waited_for_and_nothing_is_lost_or_doubled() {
    let broker = Broker::start();
    let topic = broker.topic("restart", 2);
    let options = options(&broker, &topic, Fetch::Native);
    let starts = (0..2).map(|partition| Start { partition, offset: 0, end: None }).collect();
    let mut source = KafkaSource::open(&options, 0, starts).unwrap();
    let mut next = [0; 2];
    let mut read_up_to = |source: &mut KafkaSource, upto: i64| {
        until("records", WAIT, || {
            match source.poll(100, 1 << 20).unwrap() {
                Polled::Batch(batch) => {
                    let next = &mut next[batch.origin.partition as usize];
                    for (row, &offset) in batch.offsets.iter().enumerate() {
                        assert_eq!(offset, *next, "lost or doubled");
                        assert_eq!(batch.rows.value(row).unwrap(), offset.to_string().as_bytes());
                        *next += 1;
                    }
                }
                Polled::Ended(_) => panic!("an unbounded partition ended"),
                Polled::Empty => {}
            }
            next == [upto; 2]
        });
    };
    let mut sent = 0;
    for turn in 1..=3 {
        let producer = producer(&broker, "lz4", None);
        while sent < turn * 1_000 {
            for partition in 0..2 {
                let value = sent.to_string();
                producer
                    .send(BaseRecord::<(), str>::to(&topic).partition(partition).payload(&value))
                    .map_err(|it| it.0)
                    .unwrap();
            }
            sent += 1;
        }
        flush(&producer);
        read_up_to(&mut source, sent);
        if turn < 3 {
            broker.kill();
            until("the trouble is told", WAIT, || {
                assert!(matches!(source.poll(100, 1 << 20), Ok(Polled::Empty)));
                source.trouble().is_some()
            });
            broker.restart();
        }
    }
}

#[test]
fn a_connection_that_only_librdkafka_can_have_is_left_to_it() {
    let broker = shared();
    let topic = broker.topic("secured", 1);
    let start = || vec![Start { partition: 0, offset: 0, end: None }];
    let with = |fetch, name: &str, value: &str| KafkaOptions {
        properties: ClientProperties(vec![(name.to_owned(), value.to_owned())]),
        ..options(broker, &topic, fetch)
    };
    let auto = KafkaSource::open(&with(Fetch::Auto, "sasl.mechanism", "PLAIN"), 0, start()).unwrap();
    assert!(format!("{auto:?}").contains("librdkafka"), "{auto:?}");
    let auto = KafkaSource::open(&with(Fetch::Auto, "security.protocol", "plaintext"), 0, start()).unwrap();
    assert!(format!("{auto:?}").contains("native"), "{auto:?}");
    match KafkaSource::open(&with(Fetch::Native, "sasl.mechanism", "PLAIN"), 0, start()) {
        Err(error @ KafkaError::Other { .. }) => assert!(error.to_string().contains("`sasl.mechanism`"), "{error}"),
        other => panic!("{other:?}"),
    }
}
