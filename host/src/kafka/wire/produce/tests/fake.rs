//! Brokers for tests: a log of a topic's partitions with Kafka's check of sequence numbers, a coordinator, and faults by a script.

use crate::kafka::wire::Batch;
use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{
    AddOffsetsToTxnResponse, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, ApiVersionsResponse, BrokerId,
    EndTxnResponse, FindCoordinatorResponse, InitProducerIdRequest, InitProducerIdResponse, MetadataResponse,
    ProduceRequest, ProduceResponse, ProducerId, RequestHeader, ResponseHeader, TopicName, TxnOffsetCommitResponse,
    add_partitions_to_txn_response::{AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult},
    api_versions_response::ApiVersion,
    txn_offset_commit_response::{TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic},
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};
use kafka_protocol::records::RecordBatchDecoder;
use std::collections::{BTreeMap, VecDeque};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// Numbers of messages.
pub(super) mod key {
    pub(in super::super) const PRODUCE: i16 = 0;
    pub(in super::super) const FIND: i16 = 10;
    pub(in super::super) const INIT: i16 = 22;
    pub(in super::super) const ADD_PARTITIONS: i16 = 24;
    pub(in super::super) const ADD_OFFSETS: i16 = 25;
    pub(in super::super) const END: i16 = 26;
    pub(in super::super) const COMMIT_OFFSETS: i16 = 28;
}

/// In place of an error code: the connection is closed instead of an answer.
pub(super) const CUT: i16 = i16::MIN;
/// Of the topic.
const PARTITIONS: i32 = 3;
/// How many batches are known again.
const REMEMBERED: usize = 5;

/// What happens to a request with a batch.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    None,
    /// It is lost on the way.
    CutBefore,
    /// It is written, and the answer is lost.
    CutAfter,
    /// It is not written.
    Refuse(i16),
    /// It is written, and an error is answered.
    RefuseAfter(i16),
    /// Another broker leads from now on.
    Move,
    /// It takes some milliseconds.
    Slow,
    /// It is answered at once, and nothing else for so many milliseconds.
    Throttle(i32),
    /// There is no answer.
    Silence,
}

type Script = Box<dyn FnMut(usize) -> Fault + Send>;

struct State {
    leader: usize,
    log: Vec<String>,
    epoch: i16,
    /// By partition: the epoch of the last batch, its next number, and the last batches' numbers.
    written: BTreeMap<i32, (i16, i32, VecDeque<i32>)>,
    /// The partitions of each question that adds some to a transaction.
    enlisted: Vec<Vec<i32>>,
    script: Script,
    answers: BTreeMap<i16, VecDeque<i16>>,
    times: BTreeMap<i16, usize>,
    init_epochs: Vec<i16>,
    silent: bool,
    /// How long a coordinator takes to answer.
    late: Duration,
}

struct Inner {
    ports: Vec<u16>,
    produce_version_max: i16,
    state: Mutex<State>,
}

/// Some brokers.
pub(super) struct Cluster {
    inner: Arc<Inner>,
}

impl Cluster {
    pub(super) fn start(nodes: usize, script: impl FnMut(usize) -> Fault + Send + 'static) -> Cluster {
        Self::start_speaking(nodes, 9, script)
    }

    pub(super) fn start_speaking(
        nodes: usize,
        produce_version_max: i16,
        script: impl FnMut(usize) -> Fault + Send + 'static,
    ) -> Cluster {
        let listeners: Vec<_> = (0..nodes).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let ports = listeners.iter().map(|it| it.local_addr().unwrap().port()).collect();
        let state = Mutex::new(State {
            leader: 0,
            log: Vec::new(),
            epoch: -1,
            written: BTreeMap::new(),
            enlisted: Vec::new(),
            script: Box::new(script),
            answers: BTreeMap::new(),
            times: BTreeMap::new(),
            init_epochs: Vec::new(),
            silent: false,
            late: Duration::ZERO,
        });
        let inner = Arc::new(Inner { ports, produce_version_max, state });
        for (node, listener) in listeners.into_iter().enumerate() {
            let inner = Arc::clone(&inner);
            let accept = move || {
                for socket in listener.incoming() {
                    let (inner, socket) = (Arc::clone(&inner), socket.unwrap());
                    let serve = move || {
                        while inner.serve(node, &socket).is_some() {}
                        let _ = socket.shutdown(Shutdown::Both);
                    };
                    std::thread::Builder::new().spawn(serve).unwrap();
                }
            };
            std::thread::Builder::new().spawn(accept).unwrap();
        }
        Cluster { inner }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap()
    }

    pub(super) fn addresses(&self) -> Vec<String> {
        self.inner.ports.iter().map(|it| format!("127.0.0.1:{it}")).collect()
    }

    /// What was written, in order.
    pub(super) fn log(&self) -> Vec<String> {
        self.lock().log.clone()
    }

    /// The next answers to a question, by their error codes.
    pub(super) fn answer(&self, api: i16, codes: &[i16]) {
        self.lock().answers.entry(api).or_default().extend(codes);
    }

    /// The partitions of each question that adds some to a transaction.
    pub(super) fn enlisted(&self) -> Vec<Vec<i32>> {
        self.lock().enlisted.clone()
    }

    /// How often something was asked.
    pub(super) fn times(&self, api: i16) -> usize {
        self.lock().times.get(&api).copied().unwrap_or(0)
    }

    /// The epochs that producers had when they asked for a number.
    pub(super) fn init_epochs(&self) -> Vec<i16> {
        self.lock().init_epochs.clone()
    }

    /// Coordinators take so long from now on.
    pub(super) fn be_late(&self, by: Duration) {
        self.lock().late = by;
    }

    /// Every further request is lost.
    pub(super) fn stop_answering(&self) {
        self.lock().silent = true;
    }
}

/// An answer, or none where the connection is closed.
type Answer = Option<BytesMut>;

fn answer<T: Encodable + HeaderVersion>(header: &RequestHeader, body: &T) -> Answer {
    let (mut out, version) = (BytesMut::new(), header.request_api_version);
    let head = ResponseHeader::default().with_correlation_id(header.correlation_id);
    head.encode(&mut out, T::header_version(version)).unwrap();
    body.encode(&mut out, version).unwrap();
    Some(out)
}

fn topic() -> TopicName {
    TopicName(StrBytes::from_static_str("t"))
}

impl Inner {
    /// Answers one request; none when the connection is closed.
    fn serve(&self, node: usize, mut socket: &TcpStream) -> Option<()> {
        let mut head = [0; 4];
        socket.read_exact(&mut head).ok()?;
        let mut request = vec![0; u32::from_be_bytes(head) as usize];
        socket.read_exact(&mut request).ok()?;
        let mut request = Bytes::from(request);
        let key = request.clone().get_i16();
        let header = RequestHeader::decode(&mut request, if key == 18 { 1 } else { 2 }).unwrap();
        let out = match key {
            18 => answer(&header, &self.versions()),
            3 => answer(&header, &self.metadata()),
            0 => self.produce(node, &header, request),
            _ => {
                let late = self.state.lock().unwrap().late;
                std::thread::sleep(late);
                self.control(key, &header, request)
            }
        }?;
        let mut bytes = (out.len() as u32).to_be_bytes().to_vec();
        bytes.extend_from_slice(&out);
        socket.write_all(&bytes).ok()
    }

    fn versions(&self) -> ApiVersionsResponse {
        let speaks = |key| ApiVersion::default().with_api_key(key).with_min_version(0).with_max_version(9);
        let produce = speaks(key::PRODUCE).with_max_version(self.produce_version_max);
        let all = [3, key::FIND, key::INIT, key::ADD_PARTITIONS, key::ADD_OFFSETS, key::END, key::COMMIT_OFFSETS];
        ApiVersionsResponse::default().with_api_keys(all.map(speaks).into_iter().chain([produce]).collect())
    }

    fn metadata(&self) -> MetadataResponse {
        let leader = self.state.lock().unwrap().leader as i32;
        let broker = |(node, port): (usize, &u16)| {
            let broker = MetadataResponseBroker::default().with_node_id(BrokerId(node as i32));
            broker.with_host(StrBytes::from_static_str("127.0.0.1")).with_port(i32::from(*port))
        };
        let partition =
            |it| MetadataResponsePartition::default().with_partition_index(it).with_leader_id(BrokerId(leader));
        let partitions = (0..PARTITIONS).map(partition).collect();
        let topic = MetadataResponseTopic::default().with_name(Some(topic())).with_partitions(partitions);
        let brokers = self.ports.iter().enumerate().map(broker).collect();
        MetadataResponse::default().with_brokers(brokers).with_topics(vec![topic])
    }

    fn control(&self, key: i16, header: &RequestHeader, mut request: Bytes) -> Answer {
        let mut state = self.state.lock().unwrap();
        *state.times.entry(key).or_default() += 1;
        if state.silent {
            return None;
        }
        let code = state.answers.get_mut(&key).and_then(VecDeque::pop_front).unwrap_or(0);
        if code == CUT {
            return None;
        }
        match key {
            key::FIND => {
                let found = FindCoordinatorResponse::default().with_host(StrBytes::from_static_str("127.0.0.1"));
                answer(header, &found.with_port(i32::from(self.ports[0])).with_error_code(code))
            }
            key::INIT => {
                let asked = InitProducerIdRequest::decode(&mut request, header.request_api_version).unwrap();
                state.init_epochs.push(asked.producer_epoch);
                state.epoch += 1;
                let numbered = InitProducerIdResponse::default().with_producer_id(ProducerId(7));
                answer(header, &numbered.with_producer_epoch(state.epoch).with_error_code(code))
            }
            key::ADD_PARTITIONS => {
                let asked = AddPartitionsToTxnRequest::decode(&mut request, header.request_api_version).unwrap();
                let partitions = asked.v3_and_below_topics[0].partitions.clone();
                let result = |it: &i32| AddPartitionsToTxnPartitionResult::default().with_partition_index(*it);
                let results = partitions.iter().map(|it| result(it).with_partition_error_code(code)).collect();
                state.enlisted.push(partitions);
                let topic = AddPartitionsToTxnTopicResult::default().with_name(topic());
                let topics = vec![topic.with_results_by_partition(results)];
                answer(header, &AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(topics))
            }
            key::ADD_OFFSETS => answer(header, &AddOffsetsToTxnResponse::default().with_error_code(code)),
            key::COMMIT_OFFSETS => {
                let partition = TxnOffsetCommitResponsePartition::default().with_error_code(code);
                let topic = TxnOffsetCommitResponseTopic::default().with_name(topic());
                let topic = topic.with_partitions(vec![partition]);
                answer(header, &TxnOffsetCommitResponse::default().with_topics(vec![topic]))
            }
            _ => answer(header, &EndTxnResponse::default().with_error_code(code)),
        }
    }

    fn produce(&self, node: usize, header: &RequestHeader, mut request: Bytes) -> Answer {
        let request = ProduceRequest::decode(&mut request, header.request_api_version).unwrap();
        let fault = {
            let mut state = self.state.lock().unwrap();
            let turn = state.times.entry(key::PRODUCE).or_default();
            *turn += 1;
            let turn = *turn - 1;
            (state.script)(turn)
        };
        match fault {
            Fault::CutBefore => return None,
            Fault::Slow => std::thread::sleep(Duration::from_millis(3)),
            Fault::Silence => std::thread::sleep(Duration::from_secs(60)),
            _ => {}
        }
        let mut state = self.state.lock().unwrap();
        if matches!(fault, Fault::Move) {
            state.leader = (state.leader + 1) % self.ports.len();
        }
        let mut answers = Vec::new();
        for asked in &request.topic_data[0].partition_data {
            let error = match fault {
                Fault::Refuse(code) => code,
                _ if state.leader != node => 6,
                _ => state.write(asked.index, asked.records.clone().unwrap()),
            };
            let error = match fault {
                Fault::RefuseAfter(code) if error == 0 => code,
                _ => error,
            };
            answers.push(PartitionProduceResponse::default().with_index(asked.index).with_error_code(error));
        }
        if matches!(fault, Fault::CutAfter) {
            return None;
        }
        let throttle_ms = if let Fault::Throttle(ms) = fault { ms } else { 0 };
        let topic = TopicProduceResponse::default().with_name(topic()).with_partition_responses(answers);
        answer(header, &ProduceResponse::default().with_responses(vec![topic]).with_throttle_time_ms(throttle_ms))
    }
}

impl State {
    /// Kafka's rule: a batch goes on where the last one ended, or was seen lately, or is refused.
    fn write(&mut self, partition: i32, records: Bytes) -> i16 {
        let batch = Batch::at(&records, 0).unwrap();
        assert!(batch.check(&records).is_ok());
        let records = RecordBatchDecoder::decode(&mut records.clone()).unwrap().records;
        let (epoch, sequence) = (records[0].producer_epoch, records[0].sequence);
        if epoch < self.epoch {
            return 47;
        }
        let written = self.written.entry(partition).or_insert((-1, 0, VecDeque::new()));
        if epoch > written.0 {
            *written = (epoch, 0, VecDeque::new());
        }
        let (_, next, lately) = written;
        if lately.contains(&sequence) {
            return 0;
        }
        if sequence != *next {
            return 45;
        }
        *next += records.len() as i32;
        lately.push_back(sequence);
        if lately.len() > REMEMBERED {
            lately.pop_front();
        }
        self.log.extend(records.iter().map(|it| String::from_utf8(it.value.clone().unwrap().to_vec()).unwrap()));
        0
    }
}
