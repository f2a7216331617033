//! What is written and read by hand, against a crate that knows every version of every message.

use super::*;
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::fetch_response::{
    AbortedTransaction as OtherAborted, EpochEndOffset, FetchableTopicResponse, LeaderIdAndEpoch, PartitionData,
};
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, BrokerId, FetchRequest, FetchResponse, MetadataRequest, MetadataResponse,
    ProducerId, RequestHeader, ResponseHeader, TopicName, api_versions_response::ApiVersion,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};

fn name(text: &'static str) -> TopicName {
    TopicName(StrBytes::from_static_str(text))
}

/// Writes a request and has the other crate read it: the header, and the body with nothing behind it.
fn asked<T: Decodable + HeaderVersion>(api: Api, write: impl FnOnce(&mut Vec<u8>)) -> (RequestHeader, T) {
    let mut out = Vec::new();
    begin(&mut out, api, 77);
    write(&mut out);
    finish(&mut out);
    let mut bytes = Bytes::from(out);
    let len = bytes.split_to(4);
    assert_eq!(u32::from_be_bytes([len[0], len[1], len[2], len[3]]) as usize, bytes.len());
    let header = RequestHeader::decode(&mut bytes, T::header_version(api.version)).unwrap();
    let body = T::decode(&mut bytes, api.version).unwrap();
    assert!(bytes.is_empty(), "{} bytes too many", bytes.len());
    assert_eq!((header.request_api_key, header.request_api_version), (api.key, api.version));
    (header, body)
}

/// An answer as the other crate writes it.
fn answered<T: Encodable + HeaderVersion>(api: Api, body: &T) -> Vec<u8> {
    let mut out = BytesMut::new();
    ResponseHeader::default().with_correlation_id(77).encode(&mut out, T::header_version(api.version)).unwrap();
    body.encode(&mut out, api.version).unwrap();
    out.to_vec()
}

#[test]
fn questions_are_what_they_should_be() {
    let (header, _) = asked::<ApiVersionsRequest>(API_VERSIONS, |_| {});
    assert_eq!((header.correlation_id, header.client_id.as_deref()), (77, Some("wasmill")));

    let topics = ["orders".to_owned()];
    let (_, metadata) = asked::<MetadataRequest>(METADATA, |out| write_metadata(out, &topics));
    let topics = metadata.topics.unwrap();
    assert_eq!(topics.iter().map(|it| it.name.clone().unwrap()).collect::<Vec<_>>(), [name("orders")]);
    assert!(!metadata.allow_auto_topic_creation);

    let wanted = [
        Wanted { partition: 3, leader_epoch: 7, offset: 1 << 40, last_epoch: -1 },
        Wanted { partition: 200, leader_epoch: 8, offset: 0, last_epoch: 6 },
    ];
    let limits = FetchLimits { wait_ms: 500, bytes_max: 4 << 20, partition_bytes_max: 1 << 20 };
    let (_, fetch) = asked::<FetchRequest>(FETCH, |out| write_fetch(out, "orders", &wanted, limits));
    assert_eq!((fetch.max_wait_ms, fetch.min_bytes, fetch.max_bytes, fetch.isolation_level), (500, 1, 4 << 20, 1));
    assert_eq!((fetch.session_id, fetch.session_epoch, fetch.rack_id.as_str()), (0, -1, ""));
    assert_eq!((fetch.topics.len(), &fetch.topics[0].topic), (1, &name("orders")));
    let found = fetch.topics[0].partitions.iter().map(|it| {
        assert_eq!((it.partition_max_bytes, it.log_start_offset), (1 << 20, -1));
        let (leader_epoch, last_epoch) = (it.current_leader_epoch, it.last_fetched_epoch);
        Wanted { partition: it.partition, leader_epoch, offset: it.fetch_offset, last_epoch }
    });
    assert_eq!(found.collect::<Vec<_>>(), wanted);
}

fn metadata() -> Vec<u8> {
    let brokers = [(1, "one.example.com", 9092), (2, "::1", 9093)].map(|(node, host, port)| {
        let broker = MetadataResponseBroker::default().with_node_id(BrokerId(node)).with_port(port);
        broker.with_host(StrBytes::from_static_str(host)).with_rack(Some(StrBytes::from_static_str("r")))
    });
    let partitions = [(0, 2, 5), (1, -1, 4)].map(|(partition, leader, epoch)| {
        let made = MetadataResponsePartition::default().with_partition_index(partition).with_leader_epoch(epoch);
        made.with_leader_id(BrokerId(leader)).with_replica_nodes(vec![BrokerId(1), BrokerId(2)])
    });
    let topic = MetadataResponseTopic::default().with_name(Some(name("orders"))).with_partitions(partitions.to_vec());
    answered(METADATA, &MetadataResponse::default().with_brokers(brokers.to_vec()).with_topics(vec![topic]))
}

fn fetched() -> Vec<u8> {
    let aborted = OtherAborted::default().with_producer_id(ProducerId(9)).with_first_offset(11);
    let first = PartitionData::default().with_partition_index(3).with_high_watermark(50).with_log_start_offset(2);
    let first = first.with_records(Some(Bytes::from_static(b"batches"))).with_aborted_transactions(Some(vec![aborted]));
    let first = first.with_current_leader(LeaderIdAndEpoch::default().with_leader_id(BrokerId(4)).with_leader_epoch(2));
    let diverged = EpochEndOffset::default().with_epoch(1).with_end_offset(40);
    let second = PartitionData::default().with_partition_index(4).with_diverging_epoch(diverged);
    let third = PartitionData::default().with_partition_index(5).with_error_code(6);
    let topic =
        FetchableTopicResponse::default().with_topic(name("orders")).with_partitions(vec![first, second, third]);
    answered(FETCH, &FetchResponse::default().with_throttle_time_ms(30).with_responses(vec![topic]))
}

fn versions(list: &[(i16, i16, i16)]) -> Vec<u8> {
    let versions = list
        .iter()
        .map(|&(key, min, max)| ApiVersion::default().with_api_key(key).with_min_version(min).with_max_version(max));
    answered(API_VERSIONS, &ApiVersionsResponse::default().with_api_keys(versions.collect()))
}

#[test]
fn answers_are_read_as_they_are_meant() {
    let read = read_metadata(body(&metadata(), METADATA, 77).unwrap(), &["orders".to_owned()]).unwrap();
    let hosts: Vec<_> = read.brokers.iter().map(|it| (it.node, it.host.as_str(), it.port)).collect();
    assert_eq!(hosts, [(1, "one.example.com", 9092), (2, "::1", 9093)]);
    let leaders: Vec<_> = read.leaders.iter().map(|it| (it.partition, it.node, it.epoch)).collect();
    assert_eq!((read.errors, leaders), (vec![0], vec![(0, 2, 5), (1, -1, 4)]));

    let bytes = fetched();
    let read = read_fetch(body(&bytes, FETCH, 77).unwrap()).unwrap();
    assert_eq!((read.throttle_ms, read.error, read.partitions.len()), (30, 0, 3));
    let [first, second, third] = &read.partitions[..] else { panic!() };
    assert_eq!((first.partition, first.high, first.low, first.diverged_at), (3, 50, 2, None));
    assert_eq!(first.aborted, [AbortedTransaction { producer_id: 9, first_offset: 11 }]);
    assert_eq!(&bytes[first.batches.clone()], b"batches");
    assert_eq!((second.partition, second.diverged_at, second.batches.len()), (4, Some(40), 0));
    assert_eq!((third.partition, third.error), (5, 6));
}

#[test]
fn a_broker_that_is_too_old_is_told_by_what_it_does_not_speak() {
    let spoken = |list: &[(i16, i16, i16)]| {
        read_api_versions(body(&versions(list), API_VERSIONS, 77).unwrap(), &[METADATA, FETCH]).unwrap()
    };
    assert_eq!(spoken(&[(1, 4, 18), (3, 0, 13), (18, 0, 4)]), None);
    let old = spoken(&[(1, 0, 11), (3, 0, 9)]).unwrap();
    assert_eq!(old, "the broker does not speak Fetch version 12 (Kafka 2.7 and later do)");
    assert!(spoken(&[]).unwrap().contains("Metadata"));
}

#[test]
fn an_answer_to_another_question_is_refused() {
    assert!(body(&metadata(), METADATA, 78).is_err());
}

#[test]
fn every_cut_and_every_changed_byte_of_an_answer_is_never_a_panic() {
    let read = |bytes: &[u8]| {
        let fetch = body(bytes, FETCH, 77).and_then(read_fetch).is_ok();
        let metadata = body(bytes, METADATA, 77).and_then(|it| read_metadata(it, &["orders".to_owned()])).is_ok();
        let versions = body(bytes, API_VERSIONS, 77).and_then(|it| read_api_versions(it, &[METADATA, FETCH])).is_ok();
        (fetch, metadata, versions)
    };
    for bytes in [fetched(), metadata(), versions(&[(1, 4, 18), (3, 0, 13)])] {
        for cut in 0..bytes.len() {
            read(&bytes[..cut]);
        }
        for at in 0..bytes.len() {
            for byte in [0, 1, 0x7f, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[at] = byte;
                read(&changed);
            }
        }
    }
    let bytes = fetched();
    assert!((0..bytes.len()).all(|cut| !read(&bytes[..cut]).0), "a cut answer was read");
}
