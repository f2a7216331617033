//! The walk over bytes that are right, and over bytes that are not.

use super::codec::{Codecs, EXPANDED_BYTES_MAX};
use super::piece::{Limits, Piece, Run, Tools};
use super::{Native, Start};
use crate::batch::headers;
use crate::config::{ClientProperties, Fetch, KafkaOptions, KafkaStart, Produce};
use crate::kafka::wire::{AbortedTransaction, Fetched};
use proptest::prelude::*;
use std::io::Write;
use std::sync::Arc;

/// What a batch is made of.
#[derive(Clone, Debug)]
struct Made {
    base_offset: i64,
    /// What the header says; none for the last record's.
    last_delta: Option<i32>,
    attributes: i16,
    base_timestamp: i64,
    max_timestamp: i64,
    producer: i64,
    records: Vec<Record>,
}

#[derive(Clone, Debug, PartialEq)]
struct Record {
    offset_delta: i64,
    timestamp_delta: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

const TRANSACTIONAL: i16 = 16;
const CONTROL: i16 = 32;
const LOG_APPEND_TIME: i16 = 8;

fn varint(out: &mut Vec<u8>, value: i64) {
    let mut value = (value << 1 ^ value >> 63) as u64;
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn bytes(out: &mut Vec<u8>, value: Option<&[u8]>) {
    varint(out, value.map_or(-1, |it| it.len() as i64));
    out.extend_from_slice(value.unwrap_or_default());
}

fn compress(codec: i16, plain: &[u8]) -> Vec<u8> {
    match codec {
        0 => plain.to_vec(),
        1 => {
            let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            out.write_all(plain).unwrap();
            out.finish().unwrap()
        }
        2 => snap::raw::Encoder::new().compress_vec(plain).unwrap(),
        3 => {
            let mut out = lz4_flex::frame::FrameEncoder::new(Vec::new());
            out.write_all(plain).unwrap();
            out.finish().unwrap()
        }
        4 => zstd::stream::encode_all(plain, 1).unwrap(),
        other => panic!("no codec {other}"),
    }
}

/// Snappy as Java's library frames it.
fn xerial(plain: &[u8]) -> Vec<u8> {
    let mut out = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".to_vec();
    for block in plain.chunks(100) {
        let block = compress(2, block);
        out.extend_from_slice(&(block.len() as u32).to_be_bytes());
        out.extend_from_slice(&block);
    }
    out
}

impl Made {
    fn new(base_offset: i64, values: &[&str]) -> Made {
        let record = |(delta, value): (usize, &&str)| Record {
            offset_delta: delta as i64,
            timestamp_delta: delta as i64 * 10,
            key: None,
            value: Some(value.as_bytes().to_vec()),
            headers: Vec::new(),
        };
        Made {
            base_offset,
            last_delta: None,
            attributes: 0,
            base_timestamp: 1_000,
            max_timestamp: 9_000,
            producer: -1,
            records: values.iter().enumerate().map(record).collect(),
        }
    }

    fn by(self, producer: i64) -> Made {
        Made { producer, attributes: self.attributes | TRANSACTIONAL, ..self }
    }

    /// A marker that ends a transaction.
    fn marker(base_offset: i64, producer: i64, commit: bool) -> Made {
        let mut made = Made::new(base_offset, &["\0\0\0\0\0\0"]).by(producer);
        made.attributes |= CONTROL;
        made.records[0].key = Some(vec![0, 0, 0, u8::from(commit)]);
        made
    }

    fn last_offset(&self) -> i64 {
        let last = self.records.last().map_or(0, |it| it.offset_delta);
        self.base_offset + self.last_delta.map_or(last, i64::from)
    }

    fn plain(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for it in &self.records {
            let mut record = vec![0];
            varint(&mut record, it.timestamp_delta);
            varint(&mut record, it.offset_delta);
            bytes(&mut record, it.key.as_deref());
            bytes(&mut record, it.value.as_deref());
            varint(&mut record, it.headers.len() as i64);
            for (name, value) in &it.headers {
                bytes(&mut record, Some(name));
                bytes(&mut record, value.as_deref());
            }
            varint(&mut out, record.len() as i64);
            out.extend_from_slice(&record);
        }
        out
    }

    fn encode(&self) -> Vec<u8> {
        self.encode_as(&compress(self.attributes & 7, &self.plain()))
    }

    fn encode_as(&self, records: &[u8]) -> Vec<u8> {
        let mut checked = Vec::new();
        checked.extend_from_slice(&self.attributes.to_be_bytes());
        checked.extend_from_slice(&((self.last_offset() - self.base_offset) as i32).to_be_bytes());
        checked.extend_from_slice(&self.base_timestamp.to_be_bytes());
        checked.extend_from_slice(&self.max_timestamp.to_be_bytes());
        checked.extend_from_slice(&self.producer.to_be_bytes());
        checked.extend_from_slice(&0i16.to_be_bytes());
        checked.extend_from_slice(&0i32.to_be_bytes());
        checked.extend_from_slice(&(self.records.len() as i32).to_be_bytes());
        checked.extend_from_slice(records);
        let mut out = self.base_offset.to_be_bytes().to_vec();
        out.extend_from_slice(&(checked.len() as i32 + 9).to_be_bytes());
        out.extend_from_slice(&7i32.to_be_bytes());
        out.push(2);
        out.extend_from_slice(&crc32c::crc32c(&checked).to_be_bytes());
        out.extend_from_slice(&checked);
        out
    }
}

/// A record as it was read: offset, timestamp, key, value, headers.
type Seen = (i64, i64, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(Vec<u8>, Option<Vec<u8>>)>);

fn seen(run: &Run) -> Vec<Seen> {
    let rows = run.rows.records.iter().enumerate();
    let bytes = |it: Option<&[u8]>| it.map(<[u8]>::to_vec);
    let read = rows.map(|(row, it)| {
        let list = headers::iter(it.headers.of(&run.arena).unwrap_or_default());
        let list = list.map(|(name, value)| (name.to_vec(), bytes(value))).collect();
        let (key, value) = (bytes(it.key.of(&run.arena)), bytes(it.value.of(&run.arena)));
        (run.rows.offsets[row], run.rows.timestamps[row], key, value, list)
    });
    read.collect()
}

const ALL: Limits = Limits { from: 0, end: i64::MAX, rows_max: usize::MAX, bytes_max: usize::MAX };

fn fetched(wire: Vec<u8>, aborted: &[(i64, i64)]) -> Fetched {
    let aborted = aborted.iter().map(|it| AbortedTransaction { producer_id: it.0, first_offset: it.1 }).collect();
    Fetched { range: 0..wire.len(), wire: Arc::new(wire), aborted }
}

/// Reads everything; the records, the next offset, and how many runs it took.
fn read(wire: Vec<u8>, aborted: &[(i64, i64)], limits: Limits) -> Result<(Vec<Seen>, i64, usize), String> {
    let mut piece = Piece::new(fetched(wire, aborted), false);
    let (mut tools, mut all, mut runs, mut from) = (Tools::default(), Vec::new(), 0, limits.from);
    while !piece.is_empty() {
        let run = piece.run(Limits { from, ..limits }, &mut tools).map_err(|it| it.to_string())?;
        assert!(run.next_offset >= from, "the position goes back");
        assert_eq!(run.rows.records.len(), run.rows.offsets.len());
        all.extend(seen(&run));
        (from, runs) = (run.next_offset, runs + 1);
        assert!(runs <= 1_000, "it does not end");
    }
    Ok((all, from, runs))
}

fn values(seen: &[Seen]) -> Vec<String> {
    seen.iter().map(|it| String::from_utf8(it.3.clone().unwrap_or_default()).unwrap()).collect()
}

fn wire(batches: &[Made]) -> Vec<u8> {
    batches.iter().flat_map(Made::encode).collect()
}

#[test]
fn how_much_is_left_is_said_of_partitions_whose_end_is_known() {
    let options = KafkaOptions {
        brokers: "127.0.0.1:1".to_owned(), // Nothing listens there: no broker says where a partition ends.
        topic: "t".to_owned(),
        more_topics: Vec::new(),
        start: KafkaStart::Earliest,
        fetch: Fetch::Native,
        fetch_bytes_max: None,
        produce: Produce::Auto,
        compression: "none".to_owned(),
        wait_ms: 0,
        transaction_timeout_ms: 60_000,
        properties: ClientProperties::default(),
    };
    let starts = [(0, None), (1, Some(30)), (2, Some(4))].map(|(partition, end)| Start { partition, offset: 10, end });
    let native = Native::open(&options, 0, &starts, starts.len()).unwrap();
    assert_eq!(native.lags(), [(1, 20), (2, 0)]);
}

#[test]
fn a_batch_that_a_broker_sent_is_read() {
    // One record: key "k", value "v", a header "h" without a value; 2023-11-14T22:13:20Z.
    let golden = "0000000000000005 0000003d 00000000 02 ecc46c11 0000 00000000 0000018bcfe56800 0000018bcfe56800 \
                  ffffffffffffffff ffff ffffffff 00000001 16 00 00 00 02 6b 02 76 02 02 68 01";
    let hex: String = golden.split_whitespace().collect();
    let byte = |it: &[u8]| u8::from_str_radix(std::str::from_utf8(it).unwrap(), 16).unwrap();
    let bytes = hex.as_bytes().chunks(2).map(byte).collect();
    let (found, next, _) = read(bytes, &[], ALL).unwrap();
    let header = (b"h".to_vec(), None);
    assert_eq!(found, [(5, 1_700_000_000_000, Some(b"k".to_vec()), Some(b"v".to_vec()), vec![header])]);
    assert_eq!(next, 6);
}

#[test]
fn every_codec_gives_the_same_records() {
    let texts: Vec<String> = (0..500).map(|it| format!("value {it} of many")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    for codec in 0..=4 {
        let made = Made { attributes: codec, ..Made::new(100, &texts) };
        let (found, next, runs) = read(made.encode(), &[], ALL).unwrap();
        assert_eq!((values(&found), next, runs), (texts.iter().map(ToString::to_string).collect(), 600, 1), "{codec}");
        assert_eq!(found[3].1, 1_030);
    }
    let made = Made { attributes: 2, ..Made::new(100, &texts) };
    let (found, ..) = read(made.encode_as(&xerial(&made.plain())), &[], ALL).unwrap();
    assert_eq!(values(&found), texts);
    let reason = read(Made { attributes: 5, ..made.clone() }.encode_as(&[]), &[], ALL).unwrap_err();
    assert!(reason.contains("codec 5"), "{reason}");
}

#[test]
fn reading_begins_and_ends_in_the_middle_of_a_batch() {
    let bytes = wire(&[Made::new(0, &["a", "b", "c"]), Made::new(3, &["d", "e", "f"])]);
    let part = |from, end| {
        let (found, next, _) = read(bytes.clone(), &[], Limits { from, end, ..ALL }).unwrap();
        (values(&found).concat(), next)
    };
    assert_eq!(part(1, i64::MAX), ("bcdef".into(), 6));
    assert_eq!(part(4, i64::MAX), ("ef".into(), 6));
    assert_eq!(part(2, 4), ("cd".into(), 4));
    assert_eq!(part(0, 3), ("abc".into(), 3));
    assert_eq!(part(5, 6), ("f".into(), 6));
}

#[test]
fn compaction_leaves_gaps_and_empty_batches_and_the_position_passes_them() {
    let mut gaps = Made::new(10, &["a", "b"]);
    gaps.records[0].offset_delta = 3;
    gaps.records[1].offset_delta = 7;
    gaps.last_delta = Some(9);
    let empty = Made { last_delta: Some(4), ..Made::new(20, &[]) };
    let (found, next, _) = read(wire(&[gaps, empty]), &[], ALL).unwrap();
    assert_eq!(found.iter().map(|it| it.0).collect::<Vec<_>>(), [13, 17]);
    assert_eq!(next, 25);
}

#[test]
fn the_logs_own_time_holds_for_every_record() {
    let made = Made { attributes: LOG_APPEND_TIME, ..Made::new(0, &["a", "b"]) };
    let (found, ..) = read(made.encode(), &[], ALL).unwrap();
    assert_eq!(found.iter().map(|it| it.1).collect::<Vec<_>>(), [9_000, 9_000]);
}

#[test]
fn aborted_transactions_are_left_out_from_their_first_record_to_their_marker() {
    let log = [
        Made::new(0, &["plain"]),
        Made::new(1, &["a1 lost"]).by(1),
        Made::new(2, &["b1"]).by(2),
        Made::new(3, &["plain 2"]),
        Made::new(4, &["a2 lost"]).by(1),
        Made::marker(5, 1, false),
        Made::new(6, &["a3"]).by(1),
        Made::marker(7, 2, true),
        Made::new(8, &["b2 lost"]).by(2),
        Made::marker(9, 1, true),
        Made::new(10, &["a4 lost"]).by(1),
        Made::marker(11, 2, false),
        Made::marker(12, 1, false),
        Made::new(13, &["b3"]).by(2),
    ];
    let aborted = [(1, 10), (2, 8), (1, 1)];
    let expected = ["plain", "b1", "plain 2", "a3", "b3"];
    let (found, next, _) = read(wire(&log), &aborted, ALL).unwrap();
    assert_eq!(values(&found), expected);
    assert_eq!(next, 14);
    // As many runs as batches, and a start after the first marker.
    let small = Limits { rows_max: 1, ..ALL };
    assert_eq!(values(&read(wire(&log), &aborted, small).unwrap().0), expected);
    let (found, ..) = read(wire(&log[6..]), &aborted[..2], Limits { from: 6, ..ALL }).unwrap();
    assert_eq!(values(&found), ["a3", "b3"]);
}

#[test]
fn headers_of_uncompressed_records_do_not_disturb_those_without() {
    let mut with = Made::new(1, &["b", "c"]);
    with.records[1].headers = vec![(b"h".to_vec(), Some(b"1".to_vec())), (b"h".to_vec(), None)];
    let bytes = wire(&[Made::new(0, &["a"]), with.clone(), Made::new(3, &["d"])]);
    let (found, _, runs) = read(bytes, &[], ALL).unwrap();
    assert_eq!(values(&found).concat(), "abcd");
    assert_eq!(found[2].4, with.records[1].headers);
    assert!(found[0].4.is_empty() && found[3].4.is_empty());
    assert_eq!(runs, 2, "one over the answer, one over a copy");
}

#[test]
fn what_comes_before_a_broken_batch_is_handed_over_first() {
    let mut bytes = wire(&[Made::new(0, &["a"]), Made::new(1, &["b"])]);
    let last = bytes.len() - 2;
    bytes[last] ^= 1;
    let mut piece = Piece::new(fetched(bytes, &[]), false);
    let mut tools = Tools::default();
    let run = piece.run(ALL, &mut tools).unwrap();
    assert_eq!((values(&seen(&run)), run.next_offset), (vec!["a".to_owned()], 1));
    let reason = piece.run(Limits { from: 1, ..ALL }, &mut tools).unwrap_err().to_string();
    assert!(reason.contains("checksum"), "{reason}");
}

#[test]
fn a_few_bytes_do_not_become_more_than_the_limit() {
    const MAX: usize = 1 << 20;
    let zeros = vec![0; MAX + 1];
    for codec in [1, 2, 3, 4] {
        let bomb = compress(codec, &zeros);
        let mut out = Vec::new();
        let within = |bytes: &[u8], out: &mut _| Codecs::default().expand_within(codec as u8, bytes, out, MAX);
        let reason = within(&bomb, &mut out).unwrap_err().to_string();
        assert!(reason.contains("expands to more than"), "{codec}: {reason}");
        assert!(out.capacity() <= 3 * MAX, "{codec}: {} bytes", out.capacity());
        within(&compress(codec, &zeros[1..]), &mut Vec::new()).unwrap();
    }
    let bomb = compress(4, &vec![0; EXPANDED_BYTES_MAX + 1]);
    let reason = Codecs::default().expand(4, &bomb, &mut Vec::new()).unwrap_err().to_string();
    assert_eq!(reason, "a batch expands to more than 134217728 bytes");
    // The length comes first here, and is only a claim.
    for claim in [b"\xff\xff\xff\xff\x0f\0".as_slice(), b"\xff\xff\xff\x3f\0"] {
        let mut out = Vec::new();
        Codecs::default().expand(2, claim, &mut out).unwrap_err();
        assert!(out.capacity() <= 1 << 20);
    }
}

/// Some batches with everything in them that a batch may have.
fn varied() -> Vec<Vec<u8>> {
    let mut with = Made::new(0, &["one", "two", "three"]);
    with.records[1].key = Some(b"key".to_vec());
    with.records[1].headers = vec![(b"name".to_vec(), Some(b"value".to_vec())), (b"null".to_vec(), None)];
    with.records[2].value = None;
    let all = (0..=4).map(|codec| Made { attributes: codec | TRANSACTIONAL, producer: 4, ..with.clone() });
    all.chain([Made::marker(0, 4, false)]).map(|it| it.encode()).collect()
}

/// Puts the right checksum into what was broken behind it, so that the bytes get as far as they can.
fn repaired(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.len() >= 61 {
        let crc = crc32c::crc32c(&bytes[21..]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
        let len = bytes.len() as u32 - 12;
        bytes[8..12].copy_from_slice(&len.to_be_bytes());
    }
    bytes
}

#[test]
fn every_cut_and_every_flipped_bit_is_an_error_or_other_records_and_never_a_panic() {
    for bytes in varied() {
        for cut in 0..bytes.len() {
            let found = read(bytes[..cut].to_vec(), &[], ALL);
            assert!(cut == 0 || found.is_err(), "{cut} of {} bytes gave {found:?}", bytes.len());
            let _ = read(repaired(bytes[..cut].to_vec()), &[(4, 0)], ALL);
        }
        for bit in 0..bytes.len() * 8 {
            let mut broken = bytes.clone();
            broken[bit / 8] ^= 1 << (bit % 8);
            let checked = bit / 8 >= 21;
            let found = read(broken.clone(), &[], ALL);
            assert!(!checked || found.is_err(), "bit {bit} was flipped and not noticed: {found:?}");
            let _ = read(repaired(broken), &[], ALL);
        }
    }
}

fn record() -> impl Strategy<Value = Record> {
    let some = || prop::option::of(prop::collection::vec(any::<u8>(), 0..40));
    let header = (prop::collection::vec(any::<u8>(), 0..5), some());
    (1i64..5, -50i64..50, some(), some(), prop::collection::vec(header, 0..3)).prop_map(
        |(offset_delta, timestamp_delta, key, value, headers)| Record {
            offset_delta,
            timestamp_delta,
            key,
            value,
            headers,
        },
    )
}

/// Offsets ascend, in the batches and between them.
fn log() -> impl Strategy<Value = Vec<Made>> {
    let batch = (prop::collection::vec(record(), 0..8), 0i16..5, any::<bool>(), 0i32..3, 0i64..4);
    prop::collection::vec(batch, 1..6).prop_map(|batches| {
        let mut next = 0;
        let make = |(mut records, codec, log_time, more, gap): (Vec<Record>, i16, bool, i32, i64)| {
            let mut delta = -1;
            records.iter_mut().for_each(|it| {
                delta += it.offset_delta;
                it.offset_delta = delta;
            });
            let attributes = codec | if log_time { LOG_APPEND_TIME } else { 0 };
            let last_delta = Some(delta.max(0) as i32 + more);
            let made = Made { records, attributes, last_delta, ..Made::new(next + gap, &[]) };
            next = made.last_offset() + 1;
            made
        };
        batches.into_iter().map(make).collect()
    })
}

/// What a reader should see, from the very records that were written.
fn expected(log: &[Made], from: i64, end: i64) -> Vec<Seen> {
    let rows = log.iter().flat_map(|batch| batch.records.iter().map(move |it| (batch, it)));
    let rows = rows.map(|(batch, it)| {
        let log_time = batch.attributes & LOG_APPEND_TIME != 0;
        let time = if log_time { batch.max_timestamp } else { batch.base_timestamp + it.timestamp_delta };
        (batch.base_offset + it.offset_delta, time, it.key.clone(), it.value.clone(), it.headers.clone())
    });
    rows.filter(|it| (from..end).contains(&it.0)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_written_is_read_whatever_the_limits(
        log in log(), from in 0i64..40, len in 0i64..60, rows_max in 1usize..6, bytes_max in 1usize..200,
    ) {
        let end = from + len;
        let (found, next, _) = read(wire(&log), &[], Limits { from, end, rows_max, bytes_max }).unwrap();
        prop_assert_eq!(found, expected(&log, from, end));
        let last = log.last().map_or(0, |it| it.last_offset() + 1);
        prop_assert_eq!(next, last.min(end).max(from));
    }

    #[test]
    fn bytes_of_any_kind_are_never_a_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..300), codec in 0u8..6, count in 0u8..20,
    ) {
        let mut out = Vec::new();
        let _ = Codecs::default().expand(codec, &bytes, &mut out);
        prop_assert!(out.capacity() <= 64 << 20);
        let mut batch = Made { attributes: i16::from(codec), ..Made::new(3, &[]) }.encode_as(&bytes);
        batch[60] = count;
        batch[26] = 200;
        let _ = read(repaired(batch), &[(1, 2)], ALL);
        let _ = read(bytes, &[], ALL);
    }

    #[test]
    fn a_log_with_some_bytes_changed_is_never_a_panic(
        log in log(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        for made in log {
            let mut plain = made.plain();
            for (at, byte) in &changes {
                if !plain.is_empty() {
                    let at = at.index(plain.len());
                    plain[at] = *byte;
                }
            }
            let codec = made.attributes & 7;
            if let Ok((found, next, _)) = read(made.encode_as(&compress(codec, &plain)), &[], ALL) {
                prop_assert!(found.is_sorted_by(|a, b| a.0 < b.0));
                prop_assert!(found.iter().all(|it| (made.base_offset..next).contains(&it.0)));
            }
        }
    }
}
