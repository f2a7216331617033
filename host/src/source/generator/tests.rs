use super::*;
use expect_test::{Expect, expect};
use std::collections::{BTreeMap, BTreeSet};

const KINDS: [GeneratorKind; 5] = [
    GeneratorKind::Transactions,
    GeneratorKind::Orders,
    GeneratorKind::Sensors,
    GeneratorKind::Rides,
    GeneratorKind::Nexmark,
];

fn options(kind: GeneratorKind) -> GeneratorOptions {
    GeneratorOptions { kind, seed: 42, rate: None, count: Some(1000), partitions: 1 }
}

fn starts(options: &GeneratorOptions) -> Vec<Start> {
    options.partitions().iter().map(|it| Start { partition: it.id, offset: 0, end: it.high }).collect()
}

fn record(kind: GeneratorKind, seed: u64, index: u64) -> (String, i64) {
    let mut out = Vec::new();
    let time = kinds::write(kind, seed, index, &mut out);
    (String::from_utf8(out).unwrap(), time)
}

fn check(kind: GeneratorKind, indexes: &[u64], expected: Expect) {
    let lines: Vec<_> = indexes.iter().map(|&it| record(kind, 42, it).0).collect();
    expected.assert_eq(&lines.join("\n"));
}

/// These bytes never change: examples and their expected outputs are built on them.
#[test]
fn the_same_seed_gives_the_same_bytes_for_ever() {
    check(
        GeneratorKind::Transactions,
        &[0, 1, 123_456],
        expect![[r#"
        {"transaction_id":"t-000001","customer_id":"c-3089","amount":227.53,"timestamp":"2026-01-01T00:00:00.000Z"}
        {"transaction_id":"t-000002","customer_id":"c-3980","amount":232.35,"timestamp":"2026-01-01T00:00:00.250Z"}
        {"transaction_id":"t-123457","customer_id":"c-3380","amount":316.98,"timestamp":"2026-01-01T08:34:24.000Z"}"#]],
    );
    check(
        GeneratorKind::Orders,
        &[0, 1, 123_456],
        expect![[r#"
        {"order_id":"o-000001","customer_id":"c-1235","seller_id":"s-17","amount":37.04,"timestamp":"2026-01-01T00:00:00.000Z"}
        {"order_id":"o-000002","customer_id":"c-1592","seller_id":"s-14","amount":19.44,"timestamp":"2026-01-01T00:00:00.200Z"}
        {"order_id":"o-123457","customer_id":"c-1352","seller_id":"s-01","amount":292.00,"timestamp":"2026-01-01T06:51:31.200Z"}"#]],
    );
    check(
        GeneratorKind::Sensors,
        &[0, 1, 123_456],
        expect![[r#"
        {"device":"d-00","temperature":46.1,"timestamp":"2026-01-01T00:00:00.000Z"}
        {"device":"d-01","temperature":48.2,"timestamp":"2026-01-01T00:00:00.010Z"}
        {"device":"d-56","temperature":63.5,"timestamp":"2026-01-01T00:20:34.560Z"}"#]],
    );
    check(
        GeneratorKind::Rides,
        &[0, 1, 123_456],
        expect![[r#"
        {"ride_id":"r-000001","cell":"2-6","timestamp":"2026-01-01T00:00:00.000Z"}
        {"ride_id":"r-000002","cell":"2-2","timestamp":"2026-01-01T00:00:00.050Z"}
        {"ride_id":"r-123457","cell":"0-1","timestamp":"2026-01-01T01:42:52.800Z"}"#]],
    );
    check(
        GeneratorKind::Nexmark,
        &[0, 1, 4, 123_456],
        expect![[r#"
        {"event_type":0,"person":{"id":1000,"name":"kate white","emailAddress":"gotmj@nnbo.com","creditCard":"1137 9391 3289 6803","city":"redmond","state":"or","dateTime":1700000000000,"extra":"ksgbarjsuagpbduwxganqtyhaofgytnchslkcxzsimuhaaehxjetrpoleczgbkptxnebtsrqkzlemvoijcjcurturfmemg"}}
        {"event_type":1,"auction":{"id":1000,"itemName":"ruzlrmvluhtlkvhn","description":"ntvcyezuqakkgksfgcvgtnflvnnhcxduasxovefaenrsoztamxvatbooaemmryqvjnpmtaapf","initialBid":53428,"reserve":117250,"dateTime":1700000000000,"expires":1700000000005,"seller":1007,"category":10,"extra":"ymjjupftkfbvismgieancfttlxzbynavstlhfzvtekjdtkgnmktqszpvcfcsuwhtnggxrsprdooyrnzlgpvrukdniipvmypnupymoekjfwxekykgkhrrokduvqvbaojkzbltsgtvpvhbljoimqodauavembccfbxltzftsxxtvrdgrhhrrlmaseyoueqqfeugprrfnuxyncotoymybrrktmqcaijbmtdxogzjiocnievkegwxkhuibkegbtbchcypkiiaptrcgbfbwszeivznwsuzbrcfdwwkjklvbwkyulzbfzxaaekcyknurxoylkvdcatspfftogtkcxvewigqpyobfssgujrfzrogwi"}}
        {"event_type":2,"bid":{"auction":1002,"bidder":1001,"price":3284,"channel":"channel-946","url":"https://www.nexmark.com/hhg/hln/wtw/item.htm?query=1&channel_id=1304428544","dateTime":1700000000000,"extra":"prvosvgzfhmxaaajpklwpthsndpopovrixyxtzitqovrmmzbyctcpldczpf"}}
        {"event_type":2,"bid":{"auction":8400,"bidder":2713,"price":7335736,"channel":"Google","url":"https://www.nexmark.com/djgq/xiz/pvie/item.htm?query=1","dateTime":1700000001234,"extra":"wkrnfbcntgrytrngygysokdrzgkrkhxuzqfftcarizxzhpwxdcezzcrzvwdoenowlhzt"}}"#]],
    );
    let all: Vec<u8> =
        KINDS.iter().flat_map(|&kind| (0..5_000).map(move |it| record(kind, 7, it).0)).collect::<String>().into();
    assert_eq!(format!("{:016x}", xxhash_rust::xxh3::xxh3_64(&all)), "205b067f5f1b0ada");
}

#[test]
fn every_record_is_a_json_object_whose_time_is_its_timestamp() {
    for kind in KINDS {
        let mut last = 0;
        for index in 0..2_000 {
            let (text, time) = record(kind, 1, index);
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            let written = match value["event_type"].as_u64() {
                None => crate::decode::rfc3339_ms(value["timestamp"].as_str().unwrap().as_bytes()),
                Some(0) => value["person"]["dateTime"].as_i64(),
                Some(1) => value["auction"]["dateTime"].as_i64(),
                Some(_) => value["bid"]["dateTime"].as_i64(),
            };
            assert_eq!(written, Some(time), "{text}");
            assert!(time >= last);
            last = time;
        }
    }
}

#[test]
fn some_customers_are_fraudulent_and_most_are_not() {
    let mut recent: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    let (mut bursts, mut large) = (BTreeSet::new(), 0);
    for index in 0..20_000 {
        let (text, time) = record(GeneratorKind::Transactions, 42, index);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let times = recent.entry(value["customer_id"].as_str().unwrap().to_owned()).or_default();
        times.retain(|it| *it > time - 300_000);
        times.push(time);
        if times.len() > 5 {
            bursts.insert(value["customer_id"].to_string());
        }
        large += i32::from(value["amount"].as_f64().unwrap() > 10_000.0);
    }
    assert!((5..30).contains(&bursts.len()), "{} bursts", bursts.len());
    assert!((2..30).contains(&large), "{large} large amounts");
}

#[test]
fn devices_get_too_hot_now_and_then() {
    let hot = |index| {
        let value: serde_json::Value = serde_json::from_str(&record(GeneratorKind::Sensors, 3, index).0).unwrap();
        value["temperature"].as_f64().unwrap() > 85.0
    };
    let hot = (0..20_000).filter(|&it| hot(it)).count();
    assert!((100..1_000).contains(&hot), "{hot} of 20,000");
}

#[test]
fn partitions_split_the_same_records_and_end_once() {
    let whole: Vec<_> = (0..1000).map(|it| record(GeneratorKind::Rides, 42, it).0).collect();
    for partitions in [1, 3, 7] {
        let options = GeneratorOptions { partitions, ..options(GeneratorKind::Rides) };
        let mut source = GeneratorSource::open(options.clone(), 5, &starts(&options)).unwrap();
        let (mut found, mut ended) = (BTreeMap::new(), Vec::new());
        loop {
            match source.poll(64, 4_000, 0).unwrap() {
                Polled::Empty => break,
                Polled::Ended(partition) => ended.push(partition),
                Polled::Batch(batch) => {
                    assert_eq!(batch.origin.source, 5);
                    assert!(batch.offsets.len() <= 64 && batch.rows.arena.len() < 4_100);
                    assert_eq!(batch.next_offset, batch.offsets.last().unwrap() + 1);
                    for (row, offset) in batch.offsets.iter().enumerate() {
                        let index = offset * i64::from(partitions) + i64::from(batch.origin.partition);
                        found.insert(index, String::from_utf8(batch.rows.value(row).unwrap().to_vec()).unwrap());
                    }
                }
            }
        }
        ended.sort_unstable();
        assert_eq!(ended, (0..partitions as i32).collect::<Vec<_>>());
        assert!(found.keys().copied().eq(0..1000) && found.into_values().eq(whole.iter().cloned()));
    }
}

#[test]
fn an_end_before_the_count_ends_the_partition_and_a_later_one_does_not_move_it() {
    let options = options(GeneratorKind::Orders);
    let ends = |end| {
        let start = Start { partition: 0, offset: 990, end };
        let mut source = GeneratorSource::open(options.clone(), 0, &[start]).unwrap();
        let Polled::Batch(batch) = source.poll(100, 1 << 20, 0).unwrap() else { panic!("no batch") };
        assert!(matches!(source.poll(100, 1 << 20, 0), Ok(Polled::Ended(0))));
        assert!(matches!(source.poll(100, 1 << 20, 0), Ok(Polled::Empty)));
        batch.next_offset
    };
    assert_eq!((ends(Some(995)), ends(Some(5_000)), ends(None)), (995, 1000, 1000));
    let nowhere = Start { partition: 1, offset: 0, end: None };
    assert!(matches!(
        GeneratorSource::open(options.clone(), 0, &[nowhere]),
        Err(SourceError::NoSuchPartition { partition: 1, count: 1 })
    ));
}

#[test]
fn a_rate_paces_records_by_the_time_handed_in() {
    let options = GeneratorOptions { rate: Some(100), count: None, partitions: 2, ..options(GeneratorKind::Rides) };
    let starts = [Start { partition: 0, offset: 50, end: None }, Start { partition: 1, offset: 50, end: None }];
    let mut source = GeneratorSource::open(options, 0, &starts).unwrap();
    let mut take = |now_ms| {
        let mut rows = 0;
        while let Polled::Batch(batch) = source.poll(10, 1 << 20, now_ms).unwrap() {
            rows += batch.offsets.len();
        }
        rows
    };
    assert_eq!([take(5_000), take(5_009), take(5_010), take(5_500), take(5_500), take(7_000)], [1, 0, 1, 49, 0, 150]);
}
