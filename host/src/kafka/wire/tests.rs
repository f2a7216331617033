//! The reader against brokers that answer by a script: what one real broker cannot be made to do.

use super::cluster::Kept;
use super::messages::{FetchAnswer, PartitionAnswer, PartitionLeader};
use super::shared::Shared;
use super::*;
use crate::kafka::Deadline;
use ::bytes::{Bytes, BytesMut};
use kafka_protocol::messages::fetch_response::{EpochEndOffset, FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    ApiVersionsResponse, BrokerId, FetchRequest, FetchResponse, MetadataResponse, RequestHeader, ResponseHeader,
    TopicName, api_versions_response::ApiVersion,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const WAIT_MS: u64 = 20_000;

/// What a fetch is answered with.
enum Reply {
    Answer(Box<FetchResponse>),
    /// So many bytes of the answer, and then the connection is closed.
    Cut(Box<FetchResponse>, usize),
}

type Script = Box<dyn FnMut(&FetchRequest) -> Reply + Send>;

/// Some brokers: who leads partition 0 (node and epoch), and what each node answers.
struct Cluster {
    leader: Mutex<(i32, i32)>,
    nodes: Vec<(u16, Mutex<Script>)>,
    fetch_version_max: i16,
}

/// A batch of `count` records by its header; what is behind it nobody here reads.
fn batch(base_offset: i64, count: i32, epoch: i32, format: u8) -> Vec<u8> {
    let mut out = base_offset.to_be_bytes().to_vec();
    out.extend_from_slice(&54i32.to_be_bytes());
    out.extend_from_slice(&epoch.to_be_bytes());
    out.push(format);
    out.extend_from_slice(&[0; 6]);
    out.extend_from_slice(&(count - 1).to_be_bytes());
    out.extend_from_slice(&[0; 34]);
    out.extend_from_slice(&count.to_be_bytes());
    out.resize(66, 0);
    out
}

fn answer(data: PartitionData) -> Box<FetchResponse> {
    let topic = FetchableTopicResponse::default().with_topic(TopicName(StrBytes::from_static_str("t")));
    Box::new(FetchResponse::default().with_responses(vec![topic.with_partitions(vec![data])]))
}

fn records(batches: &[Vec<u8>]) -> Box<FetchResponse> {
    answer(PartitionData::default().with_records(Some(Bytes::from(batches.concat()))).with_high_watermark(100))
}

impl Cluster {
    fn start(fetch_version_max: i16, scripts: Vec<Script>) -> (Arc<Cluster>, Reader) {
        let listeners: Vec<_> = scripts.iter().map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let ports = listeners.iter().map(|it| it.local_addr().unwrap().port());
        let nodes: Vec<_> = ports.zip(scripts.into_iter().map(Mutex::new)).collect();
        let brokers = nodes.iter().map(|it| format!("127.0.0.1:{}", it.0)).collect();
        let cluster = Arc::new(Cluster { leader: Mutex::new((0, 1)), nodes, fetch_version_max });
        for (node, listener) in listeners.into_iter().enumerate() {
            let cluster = Arc::clone(&cluster);
            let accept = move || {
                for socket in listener.incoming() {
                    let (cluster, socket) = (Arc::clone(&cluster), socket.unwrap());
                    let serve = move || while cluster.serve(node, &socket).is_some() {};
                    std::thread::Builder::new().spawn(serve).unwrap();
                }
            };
            std::thread::Builder::new().spawn(accept).unwrap();
        }
        let spans = vec![Span { partition: 0, offset: 0, end: None }];
        let reading = Reading { brokers, topic: "t".into(), spans, queued_bytes_max: 1 << 20, bytes_max: None };
        (cluster, Reader::start(reading).unwrap())
    }

    /// Answers one request; none when the connection is closed.
    fn serve(&self, node: usize, mut socket: &TcpStream) -> Option<()> {
        let mut head = [0; 4];
        socket.read_exact(&mut head).ok()?;
        let mut request = vec![0; u32::from_be_bytes(head) as usize];
        socket.read_exact(&mut request).ok()?;
        let key = i16::from_be_bytes([request[0], request[1]]);
        let mut request = Bytes::from(request);
        let header = RequestHeader::decode(&mut request, if key == 18 { 1 } else { 2 }).unwrap();
        let (mut cut, mut out) = (None, BytesMut::new());
        fn put<T: Encodable + HeaderVersion>(out: &mut BytesMut, header: &RequestHeader, body: &T) {
            let version = header.request_api_version;
            let head = ResponseHeader::default().with_correlation_id(header.correlation_id);
            head.encode(out, T::header_version(version)).unwrap();
            body.encode(out, version).unwrap();
        }
        match key {
            18 => put(&mut out, &header, &self.versions()),
            3 => put(&mut out, &header, &self.metadata()),
            _ => {
                let request = FetchRequest::decode(&mut request, header.request_api_version).unwrap();
                let reply = (self.nodes[node].1.lock().unwrap())(&request);
                let (Reply::Answer(body) | Reply::Cut(body, _)) = &reply;
                put(&mut out, &header, &**body);
                cut = if let Reply::Cut(_, len) = reply { Some(len) } else { None };
            }
        }
        let mut bytes = (out.len() as u32).to_be_bytes().to_vec();
        bytes.extend_from_slice(&out);
        bytes.truncate(cut.unwrap_or(usize::MAX));
        socket.write_all(&bytes).ok()?;
        if cut.is_some() {
            let _ = socket.shutdown(std::net::Shutdown::Both);
        }
        Some(())
    }

    fn versions(&self) -> ApiVersionsResponse {
        let speaks = |key, max| ApiVersion::default().with_api_key(key).with_min_version(4).with_max_version(max);
        ApiVersionsResponse::default().with_api_keys(vec![speaks(1, self.fetch_version_max), speaks(3, 12)])
    }

    fn metadata(&self) -> MetadataResponse {
        let (leader, epoch) = *self.leader.lock().unwrap();
        let broker = |(node, it): (usize, &(u16, Mutex<Script>))| {
            let broker = MetadataResponseBroker::default().with_node_id(BrokerId(node as i32));
            broker.with_host(StrBytes::from_static_str("127.0.0.1")).with_port(i32::from(it.0))
        };
        let partition = MetadataResponsePartition::default().with_leader_id(BrokerId(leader)).with_leader_epoch(epoch);
        let topic = MetadataResponseTopic::default().with_name(Some(TopicName(StrBytes::from_static_str("t"))));
        let topics = vec![topic.with_partitions(vec![partition])];
        MetadataResponse::default()
            .with_brokers(self.nodes.iter().enumerate().map(broker).collect())
            .with_topics(topics)
    }
}

/// Takes pieces until `count` records have come or the partition has failed; the offsets, and the failure.
fn take(reader: &Reader, count: usize) -> (Vec<i64>, Option<Failure>) {
    let deadline = Deadline::after(WAIT_MS);
    let mut offsets = Vec::new();
    while offsets.len() < count {
        match reader.take(0) {
            Taken::Piece(piece) => {
                let mut at = piece.range.start;
                while at < piece.range.end {
                    let batch = Batch::at(&piece.wire[..piece.range.end], at).unwrap();
                    offsets.extend(batch.base_offset..batch.next_offset());
                    at = batch.range.end;
                }
            }
            Taken::Failed(failure) => return (offsets, Some(failure)),
            Taken::Empty => std::thread::sleep(Duration::from_millis(1)),
        }
        assert!(!deadline.passed(), "{offsets:?}, {:?}", reader.take_trouble());
    }
    (offsets, None)
}

fn nothing() -> Reply {
    std::thread::sleep(Duration::from_millis(5)); // As a broker waits for records.
    Reply::Answer(records(&[]))
}

fn always(mut reply: impl FnMut(i64) -> Reply + Send + 'static) -> Script {
    Box::new(move |request| reply(request.topics[0].partitions[0].fetch_offset))
}

#[test]
fn a_partition_that_moves_to_another_broker_is_read_on_there_with_its_epochs() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let note = |node: i32, seen: &Arc<Mutex<Vec<_>>>, request: &FetchRequest| {
        let it = &request.topics[0].partitions[0];
        seen.lock().unwrap().push((node, it.fetch_offset, it.current_leader_epoch, it.last_fetched_epoch));
        it.fetch_offset
    };
    let (first, second) = (Arc::clone(&seen), Arc::clone(&seen));
    let one: Script = Box::new(move |request| match note(0, &first, request) {
        0 => Reply::Answer(records(&[batch(0, 3, 1, 2)])),
        _ => Reply::Answer(answer(PartitionData::default().with_error_code(6))),
    });
    let two: Script = Box::new(move |request| match note(1, &second, request) {
        3 => Reply::Answer(records(&[batch(3, 2, 2, 2), batch(5, 1, 2, 2)])),
        _ => nothing(),
    });
    let (cluster, reader) = Cluster::start(12, vec![one, two]);
    assert_eq!(take(&reader, 3).0, [0, 1, 2]);
    *cluster.leader.lock().unwrap() = (1, 2);
    assert_eq!(take(&reader, 3).0, [3, 4, 5]);
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0], (0, 0, 1, -1));
    assert!(seen.contains(&(0, 3, 1, 1)), "the first broker was asked on: {seen:?}");
    assert!(seen.contains(&(1, 3, 2, 1)), "the second is told what was read last: {seen:?}");
    assert_eq!(reader.high(0), 100);
    assert!(reader.take_trouble().is_some_and(|it| it.contains("NOT_LEADER_OR_FOLLOWER")));
}

#[test]
fn a_log_that_went_another_way_is_an_error_and_never_read_on() {
    let diverged = EpochEndOffset::default().with_epoch(1).with_end_offset(2);
    let script = always(move |offset| match offset {
        0 => Reply::Answer(records(&[batch(0, 3, 1, 2)])),
        _ => Reply::Answer(answer(PartitionData::default().with_diverging_epoch(diverged.clone()))),
    });
    let (_cluster, reader) = Cluster::start(12, vec![script]);
    assert_eq!(take(&reader, 10), (vec![0, 1, 2], Some(Failure::OutOfRange)));
}

#[test]
fn an_old_broker_and_an_old_batch_are_for_another_reader() {
    let (_cluster, reader) = Cluster::start(11, vec![always(|_| nothing())]);
    let (_, failure) = take(&reader, 1);
    assert!(matches!(&failure, Some(Failure::Unsupported(it)) if it.contains("Fetch version 12")), "{failure:?}");

    let script = always(|_| Reply::Answer(records(&[batch(0, 3, 1, 2), batch(3, 3, 1, 1)])));
    let (_cluster, reader) = Cluster::start(12, vec![script]);
    let (offsets, failure) = take(&reader, 10);
    assert_eq!(offsets, [0, 1, 2], "what is before it is read");
    assert!(matches!(&failure, Some(Failure::Unsupported(it)) if it.contains("format 1")), "{failure:?}");
}

#[test]
fn answers_that_are_cut_or_wrong_cost_a_connection_and_no_record() {
    let mut turn = 0;
    let script = always(move |offset| {
        turn += 1;
        let whole = records(&[batch(offset, 2, 1, 2)]);
        match turn {
            1..=4 => Reply::Cut(whole, [3, 10, 60, 100][turn - 1]),
            5 => Reply::Answer(Box::new(FetchResponse::default().with_error_code(-1))),
            6 => Reply::Answer(whole),
            _ => nothing(),
        }
    });
    let (_cluster, reader) = Cluster::start(12, vec![script]);
    assert_eq!(take(&reader, 2), (vec![0, 1], None));
    assert!(reader.take_trouble().is_some_and(|it| it.contains("127.0.0.1:")));
}

#[test]
fn a_broker_that_throttles_is_given_the_time() {
    const THROTTLE_MS: i32 = 200;
    let times = Arc::new(Mutex::new(Vec::new()));
    let (asked, started) = (Arc::clone(&times), Deadline::after(0));
    let script = always(move |offset| {
        asked.lock().unwrap().push(started.waited_ms());
        match offset {
            0 => Reply::Answer(Box::new(records(&[batch(0, 1, 1, 2)]).with_throttle_time_ms(THROTTLE_MS))),
            1 => Reply::Answer(records(&[batch(1, 1, 1, 2)])),
            _ => nothing(),
        }
    });
    let (_cluster, reader) = Cluster::start(12, vec![script]);
    assert_eq!(take(&reader, 2).0, [0, 1]);
    let times = times.lock().unwrap();
    assert!(times[1] - times[0] >= THROTTLE_MS as u64, "{times:?}");
}

#[test]
fn a_partition_that_is_full_is_not_asked_for_and_holds_up_no_other() {
    let spans = [0, 1].map(|partition| Span { partition, offset: 0, end: None });
    let shared = Shared::new("t", &spans, 100, None);
    let leaders = [0, 1].map(|partition| PartitionLeader { topic: 0, partition, node: 4, epoch: 1 });
    assert_eq!(shared.lead(&leaders), [4], "a thread is needed once");
    assert!(shared.lead(&leaders).is_empty());
    let mut wanted = Vec::new();
    assert_eq!(shared.plan(4, 0, &mut wanted), Some(500));
    assert_eq!(wanted.iter().map(|it| it.partition).collect::<Vec<_>>(), [0, 1]);
    shared.plan(4, 1, &mut wanted);
    assert_eq!(wanted.iter().map(|it| it.partition).collect::<Vec<_>>(), [1, 0], "each comes first in its turn");
    let wire = Arc::new([batch(0, 2, 1, 2), batch(2, 2, 1, 2)].concat());
    let full = PartitionAnswer {
        partition: 0,
        error: 0,
        high: 4,
        low: 0,
        diverged_at: None,
        aborted: Vec::new(),
        batches: 0..wire.len(),
    };
    let answer = |it: &PartitionAnswer| FetchAnswer { partitions: vec![it.clone()], ..FetchAnswer::default() };
    shared.accept(4, &wanted, answer(&full), &wire);
    shared.accept(4, &wanted, answer(&full), &wire); // The same once more, from a broker that led before.
    let asked = wanted.clone();
    assert_eq!(shared.plan(4, 0, &mut wanted), Some(20), "the other one's wait is short");
    assert_eq!(wanted.iter().map(|it| it.partition).collect::<Vec<_>>(), [1]);
    assert!(matches!(shared.take(0), Taken::Piece(it) if it.range == (0..132)));
    assert!(matches!(shared.take(0), Taken::Empty), "it came twice");
    shared.plan(4, 0, &mut wanted);
    let places: Vec<_> = wanted.iter().map(|it| (it.partition, it.offset)).collect();
    assert!(places.contains(&(0, 4)) && places.contains(&(1, 0)) && asked.len() == 2, "{places:?}");
}
