//! Batches as they are written, read with another crate, and their numbers.

use super::super::codec::{Codec, Codecs};
use super::*;
use crate::kafka::wire::Batch;
use bytes::Bytes;
use kafka_protocol::records::RecordBatchDecoder;
use proptest::prelude::*;
use std::io::Read;

const WHO: Sender = Sender { identity: Identity { id: 1 << 40, epoch: 3 }, transactional: true };

/// A record with its headers as a list.
#[derive(Clone, Debug)]
struct Made {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
    timestamp: i64,
}

fn records() -> impl Strategy<Value = Vec<Made>> {
    let bytes = || proptest::option::of(proptest::collection::vec(any::<u8>(), 0..300));
    // The other crate keeps one header of a name.
    let headers = proptest::collection::btree_map("[a-z]{0,9}", bytes(), 0..4).prop_map(|it| it.into_iter().collect());
    let timestamp =
        prop_oneof![0..2_000_000_000_000i64, Just(0), Just(i64::MAX), 1_700_000_000_000..1_700_000_000_100i64];
    let one = (bytes(), bytes(), headers, timestamp);
    let one = one.prop_map(|(key, value, headers, timestamp)| Made { key, value, headers, timestamp });
    proptest::collection::vec(one, 1..200)
}

fn written(records: &[Made]) -> Writing {
    let mut writing = Writing::within(Vec::new(), 100);
    for it in records {
        let mut headers = Vec::new();
        it.headers.iter().for_each(|(name, value)| headers::push(&mut headers, name.as_bytes(), value.as_deref()));
        let (key, value) = (it.key.as_deref(), it.value.as_deref());
        let before = writing.bytes();
        let record = Outgoing { partition: 0, key, value, headers: &headers, timestamp: it.timestamp };
        writing.push(&record, it.timestamp);
        let payload = key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len) + headers.len();
        assert!(writing.bytes() - before <= payload + RECORD_OVERHEAD_BYTES, "more than what limits count on");
    }
    writing
}

proptest! {
    #[test]
    fn another_crate_reads_what_was_written(records in records()) {
        let sealed = written(&records).seal(0, Codec::None, WHO, 42);
        let (header, body) = sealed.parts(&mut Codecs::default());
        let bytes = [header, body].concat();
        prop_assert_eq!(sealed.bytes(), bytes.len());

        let batch = Batch::at(&bytes, 0).unwrap();
        prop_assert!(batch.check(&bytes).is_ok() && batch.is_transactional() && !batch.is_control());
        prop_assert_eq!((batch.count as usize, batch.range.end), (records.len(), bytes.len()));
        prop_assert_eq!(batch.max_timestamp, records.iter().map(|it| it.timestamp).max().unwrap());

        let read = RecordBatchDecoder::decode(&mut Bytes::from(bytes)).unwrap().records;
        prop_assert_eq!(read.len(), records.len());
        for (index, (found, made)) in read.iter().zip(&records).enumerate() {
            prop_assert_eq!((found.producer_id, found.producer_epoch), (1 << 40, 3));
            prop_assert_eq!((found.offset, found.sequence), (index as i64, 42 + index as i32));
            prop_assert_eq!(found.timestamp, made.timestamp);
            prop_assert_eq!(found.key.as_deref(), made.key.as_deref());
            prop_assert_eq!(found.value.as_deref(), made.value.as_deref());
            let headers: Vec<_> = found.headers.iter().map(|(name, it)| (name.to_string(), it.as_ref().map(|it| it.to_vec()))).collect();
            prop_assert_eq!(&headers, &made.headers);
        }
    }

    #[test]
    fn compressed_records_come_back(records in records()) {
        let plain = written(&records).seal(0, Codec::None, WHO, 0);
        let plain = plain.parts(&mut Codecs::default()).1.to_vec();
        let mut codecs = Codecs::default();
        for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
            let sealed = written(&records).seal(0, codec, WHO, 0);
            let (header, body) = sealed.parts(&mut codecs);
            let bytes = [header, body].concat();
            let batch = Batch::at(&bytes, 0).unwrap();
            prop_assert!(batch.check(&bytes).is_ok());
            prop_assert!(body.len() <= plain.len(), "never larger than it was");
            prop_assert_eq!(&expanded(batch.codec(), body), &plain);
            prop_assert_eq!(sealed.parts(&mut codecs).1, &bytes[HEADER_BYTES..], "the same bytes each time");
        }
    }
}

fn expanded(codec: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match codec {
        0 => out.extend_from_slice(bytes),
        1 => drop(flate2::bufread::GzDecoder::new(bytes).read_to_end(&mut out).unwrap()),
        2 => out = snap::raw::Decoder::new().decompress_vec(bytes).unwrap(),
        3 => drop(lz4_flex::frame::FrameDecoder::new(bytes).read_to_end(&mut out).unwrap()),
        _ => out = zstd::decode_all(bytes).unwrap(),
    }
    out
}

#[test]
fn a_batch_that_compresses_says_by_what() {
    let record = Made { key: None, value: Some(vec![b'x'; 5_000]), headers: Vec::new(), timestamp: 1 };
    for (codec, number) in [(Codec::Gzip, 1), (Codec::Snappy, 2), (Codec::Lz4, 3), (Codec::Zstd, 4)] {
        let sealed = written(std::slice::from_ref(&record)).seal(0, codec, WHO, 0);
        let (header, body) = sealed.parts(&mut Codecs::default());
        assert!(body.len() < 1_000, "{codec:?}: {}", body.len());
        assert_eq!(Batch::at(&[header, body].concat(), 0).unwrap().codec(), number);
    }
}

#[test]
fn numbers_begin_again_after_the_largest() {
    assert_eq!(sequence_after(0, 5), 5);
    assert_eq!(sequence_after(i32::MAX, 1), 0);
    assert_eq!(sequence_after(i32::MAX - 1, 5), 3);
}
