//! What is written and read by hand, against a crate that knows every version of every message.

use super::super::{Api, begin, body, finish};
use super::*;
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, BrokerId,
    EndTxnRequest, EndTxnResponse, FindCoordinatorRequest, FindCoordinatorResponse, InitProducerIdRequest,
    InitProducerIdResponse, ProduceRequest as OtherProduceRequest, ProduceResponse, ProducerId, RequestHeader,
    ResponseHeader, TopicName, TxnOffsetCommitRequest, TxnOffsetCommitResponse,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};

const WHO: Identity = Identity { id: 1 << 33, epoch: 7 };

/// Reads a request with the other crate, to its last byte, and checks that it would write the same bytes.
fn reread<T: Decodable + Encodable + HeaderVersion>(api: Api, bytes: Vec<u8>) -> T {
    let len = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
    assert_eq!(len, bytes.len() - 4);
    let mut rest = Bytes::from(bytes.clone()).split_off(4);
    let header = RequestHeader::decode(&mut rest, T::header_version(api.version)).unwrap();
    assert_eq!((header.request_api_key, header.request_api_version), (api.key, api.version));
    let read = T::decode(&mut rest, api.version).unwrap();
    assert!(rest.is_empty(), "{} bytes too many", rest.len());
    let mut again = BytesMut::new();
    header.encode(&mut again, T::header_version(api.version)).unwrap();
    read.encode(&mut again, api.version).unwrap();
    assert_eq!(again, bytes[4..], "byte for byte");
    read
}

fn asked<T: Decodable + Encodable + HeaderVersion>(api: Api, write: impl FnOnce(&mut Vec<u8>)) -> T {
    let mut bytes = Vec::new();
    begin(&mut bytes, api, 77);
    write(&mut bytes);
    finish(&mut bytes);
    reread(api, bytes)
}

fn answered<T: Encodable + HeaderVersion>(api: Api, answer: &T) -> Vec<u8> {
    let mut out = BytesMut::new();
    ResponseHeader::default().with_correlation_id(77).encode(&mut out, T::header_version(api.version)).unwrap();
    answer.encode(&mut out, api.version).unwrap();
    out.to_vec()
}

fn read<T>(api: Api, bytes: &[u8], read: impl FnOnce(Cursor<'_>) -> Result<T, Broken>) -> Result<T, Broken> {
    body(bytes, api, 77).and_then(read)
}

fn text(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

#[test]
fn questions_about_numbers_and_coordinators_are_what_they_should_be() {
    let find: FindCoordinatorRequest =
        asked(FIND_COORDINATOR, |out| write_find_coordinator(out, Coordinated::Transaction, "mine"));
    assert_eq!((find.key.as_str(), find.key_type), ("mine", 1));
    let find: FindCoordinatorRequest =
        asked(FIND_COORDINATOR, |out| write_find_coordinator(out, Coordinated::Group, "group"));
    assert_eq!((find.key.as_str(), find.key_type), ("group", 0));

    let init: InitProducerIdRequest = asked(INIT_PRODUCER_ID, |out| write_init(out, Some("mine"), 60_000, WHO));
    assert_eq!(init.transactional_id.as_ref().map(|it| it.as_str()), Some("mine"));
    assert_eq!((init.transaction_timeout_ms, init.producer_id.0, init.producer_epoch), (60_000, 1 << 33, 7));
    let init: InitProducerIdRequest = asked(INIT_PRODUCER_ID, |out| write_init(out, None, 1, Identity::NONE));
    assert_eq!((init.transactional_id, init.producer_id.0, init.producer_epoch), (None, -1, -1));
}

#[test]
fn questions_about_transactions_are_what_they_should_be() {
    let partitions = [("a", 0), ("a", 300), ("b", 1)];
    let add: AddPartitionsToTxnRequest =
        asked(ADD_PARTITIONS, |out| write_add_partitions(out, "mine", WHO, &partitions));
    assert_eq!(add.v3_and_below_transactional_id.as_str(), "mine");
    assert_eq!((add.v3_and_below_producer_id.0, add.v3_and_below_producer_epoch), (1 << 33, 7));
    let found = add.v3_and_below_topics.iter().flat_map(|it| it.partitions.iter().map(|id| (it.name.as_str(), *id)));
    assert_eq!(found.collect::<Vec<_>>(), partitions);

    let add: AddOffsetsToTxnRequest = asked(ADD_OFFSETS, |out| write_add_offsets(out, "mine", WHO, "group"));
    assert_eq!((add.transactional_id.as_str(), add.group_id.as_str()), ("mine", "group"));
    assert_eq!((add.producer_id.0, add.producer_epoch), (1 << 33, 7));

    let long = "m".repeat(4_000);
    let positions = [
        Position { topic: "in", partition: 0, offset: 1 << 40, metadata: &long },
        Position { topic: "in", partition: 1, offset: 0, metadata: "" },
        Position { topic: "other", partition: 9, offset: 3, metadata: "m" },
    ];
    let commit: TxnOffsetCommitRequest =
        asked(COMMIT_OFFSETS, |out| write_commit_offsets(out, "mine", "group", WHO, &positions));
    assert_eq!((commit.transactional_id.as_str(), commit.group_id.as_str()), ("mine", "group"));
    assert_eq!((commit.producer_id.0, commit.producer_epoch), (1 << 33, 7));
    assert_eq!((commit.generation_id, commit.member_id.as_str(), &commit.group_instance_id), (-1, "", &None));
    let found = commit.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|it| {
            assert_eq!(it.committed_leader_epoch, -1);
            let metadata = it.committed_metadata.as_ref().unwrap().as_str();
            Position {
                topic: topic.name.as_str(),
                partition: it.partition_index,
                offset: it.committed_offset,
                metadata,
            }
        })
    });
    assert_eq!(found.collect::<Vec<_>>(), positions);

    for committed in [true, false] {
        let end: EndTxnRequest = asked(END_TRANSACTION, |out| write_end(out, "mine", WHO, committed));
        assert_eq!((end.transactional_id.as_str(), end.committed), ("mine", committed));
        assert_eq!((end.producer_id.0, end.producer_epoch), (1 << 33, 7));
    }
}

/// The request as it goes over the wire.
fn whole(request: &ProduceRequest, pieces: &[Piece<'_>]) -> Vec<u8> {
    let (mut out, mut at) = (Vec::new(), 0);
    for (cut, piece) in request.cuts.iter().zip(pieces) {
        out.extend_from_slice(&request.small[at..*cut]);
        out.extend_from_slice(piece.records);
        at = *cut;
    }
    out.extend_from_slice(&request.small[at..]);
    out
}

#[test]
fn batches_are_sent_between_what_says_where_they_go() {
    let large = vec![b'x'; 100_000];
    let pieces = [
        Piece { topic: "a", partition: 0, header: b"head-0", records: &large },
        Piece { topic: "a", partition: 2, header: b"head-2", records: b"records" },
        Piece { topic: "b", partition: 0, header: b"head-b", records: b"" },
    ];
    for id in [Some("mine"), None] {
        let mut request = ProduceRequest::default();
        for _ in 0..2 {
            // The second time in the memory of the first.
            begin(&mut request.small, PRODUCE, 77);
            request.write(id, 30_000, &pieces);
        }
        let read: OtherProduceRequest = reread(PRODUCE, whole(&request, &pieces));
        assert_eq!(read.transactional_id.as_ref().map(|it| it.as_str()), id);
        assert_eq!((read.acks, read.timeout_ms), (-1, 30_000));
        let found = read.topic_data.iter().flat_map(|topic| {
            topic.partition_data.iter().map(|it| (topic.name.to_string(), it.index, it.records.clone().unwrap()))
        });
        let expected =
            pieces.iter().map(|it| (it.topic.to_owned(), it.partition, Bytes::from([it.header, it.records].concat())));
        assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    }
}

fn produced() -> Vec<u8> {
    let wrong =
        BatchIndexAndErrorMessage::default().with_batch_index(3).with_batch_index_error_message(Some(text("no")));
    let fine = PartitionProduceResponse::default().with_index(0).with_base_offset(9).with_log_start_offset(1);
    let bad = PartitionProduceResponse::default().with_index(2).with_error_code(87).with_record_errors(vec![wrong]);
    let bad = bad.with_error_message(Some(text("one record")));
    let topic = |name, partitions| {
        TopicProduceResponse::default().with_name(TopicName(text(name))).with_partition_responses(partitions)
    };
    let responses = vec![topic("a", vec![fine.clone(), bad]), topic("b", vec![fine])];
    answered(PRODUCE, &ProduceResponse::default().with_responses(responses).with_throttle_time_ms(40))
}

fn committed() -> Vec<u8> {
    let partition =
        |(id, error)| TxnOffsetCommitResponsePartition::default().with_partition_index(id).with_error_code(error);
    let topic = TxnOffsetCommitResponseTopic::default().with_name(TopicName(text("in")));
    let topic = topic.with_partitions([(0, 0), (1, 14)].map(partition).to_vec());
    answered(COMMIT_OFFSETS, &TxnOffsetCommitResponse::default().with_topics(vec![topic]))
}

fn found() -> Vec<u8> {
    let found = FindCoordinatorResponse::default().with_node_id(BrokerId(3)).with_host(text("::1")).with_port(9094);
    answered(FIND_COORDINATOR, &found)
}

fn numbered() -> Vec<u8> {
    let numbered = InitProducerIdResponse::default().with_producer_id(ProducerId(1 << 33)).with_producer_epoch(7);
    answered(INIT_PRODUCER_ID, &numbered)
}

#[test]
fn answers_are_read_as_they_are_meant() {
    let answer = read(PRODUCE, &produced(), read_produce).unwrap();
    assert_eq!(answer.throttle_ms, 40);
    let found_: Vec<_> =
        answer.written.iter().map(|it| (it.topic.as_str(), it.partition, it.error, it.message.as_str())).collect();
    assert_eq!(found_, [("a", 0, 0, ""), ("a", 2, 87, "one record"), ("b", 0, 0, "")]);

    let (error, broker) = read(FIND_COORDINATOR, &found(), read_coordinator).unwrap();
    assert_eq!((error, broker.address().as_str()), (0, "[::1]:9094"));
    let unknown = FindCoordinatorResponse::default().with_error_code(15).with_port(-1).with_node_id(BrokerId(-1));
    let unknown = answered(FIND_COORDINATOR, &unknown.with_error_message(Some(text("none"))));
    assert_eq!(read(FIND_COORDINATOR, &unknown, read_coordinator).unwrap().0, 15);

    assert_eq!(read(INIT_PRODUCER_ID, &numbered(), read_init), Ok((0, WHO)));
    let refused = InitProducerIdResponse::default().with_error_code(51).with_producer_id(ProducerId(-1));
    assert_eq!(read(INIT_PRODUCER_ID, &answered(INIT_PRODUCER_ID, &refused), read_init).unwrap().0, 51);

    assert_eq!(read(COMMIT_OFFSETS, &committed(), read_partition_errors), Ok((14, ())));
    let result = |(id, error)| {
        AddPartitionsToTxnPartitionResult::default().with_partition_index(id).with_partition_error_code(error)
    };
    for (codes, expected) in [([0, 0], 0), ([55, 29], 29), ([29, 55], 29), ([0, 51], 51)] {
        let results = codes.into_iter().zip(0..).map(|(error, id)| result((id, error))).collect();
        let topic = AddPartitionsToTxnTopicResult::default().with_name(TopicName(text("a")));
        let topics = vec![topic.with_results_by_partition(results)];
        let bytes =
            answered(ADD_PARTITIONS, &AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(topics));
        assert_eq!(read(ADD_PARTITIONS, &bytes, read_partition_errors), Ok((expected, ())), "{codes:?}");
    }
    let ended = answered(END_TRANSACTION, &EndTxnResponse::default().with_error_code(90));
    assert_eq!(read(END_TRANSACTION, &ended, read_error), Ok((90, ())));
    let added = answered(ADD_OFFSETS, &AddOffsetsToTxnResponse::default().with_error_code(16));
    assert_eq!(read(ADD_OFFSETS, &added, read_error), Ok((16, ())));
}

#[test]
fn every_cut_and_every_changed_byte_of_an_answer_is_never_a_panic() {
    let all = |bytes: &[u8]| {
        let _ = read(PRODUCE, bytes, read_produce);
        let _ = read(FIND_COORDINATOR, bytes, read_coordinator);
        let _ = read(INIT_PRODUCER_ID, bytes, read_init);
        let _ = read(COMMIT_OFFSETS, bytes, read_partition_errors);
        let _ = read(END_TRANSACTION, bytes, read_error);
    };
    for bytes in [produced(), committed(), found(), numbered()] {
        for cut in 0..bytes.len() {
            all(&bytes[..cut]);
        }
        for at in 0..bytes.len() {
            for byte in [0, 1, 0x7f, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[at] = byte;
                all(&changed);
            }
        }
    }
    let bytes = produced();
    assert!((0..bytes.len()).all(|cut| read(PRODUCE, &bytes[..cut], read_produce).is_err()), "a cut answer was read");
}
