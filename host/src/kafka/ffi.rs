//! Every call into librdkafka, behind handles that are safe to use.
//!
//! The safety argument, once for the file:
//! - A handle is made by librdkafka, checked for null, owned by exactly one Rust value, and destroyed by its `Drop`.
//!   What lives inside another handle keeps it alive: [`Topic`] holds its [`Client`], [`Reader`] its [`Topic`].
//! - `rd_kafka_t` and `rd_kafka_topic_t` may be used from any thread (librdkafka's INTRODUCTION.md, "Threads and
//!   callbacks"), so [`Client`] and [`Topic`] are `Send` and `Sync`. A [`Reader`] is used by one thread at a time.
//! - Memory that librdkafka hands out (messages, metadata, errors) is read only while its owner is alive, and every slice
//!   that is lent borrows that owner. Null pointers are nulls; empty values have a pointer and no length.
//! - Callbacks get the address of [`Events`], which is boxed and freed after `rd_kafka_destroy`, when no librdkafka thread
//!   is left. They take a lock, copy text and return; they do not call librdkafka.
//! - Error codes are read as integers out of structures, because a broker may send a code that the bindings do not list.
#![expect(unsafe_code, reason = "librdkafka is a C library; this module is its only user")]

mod fault;

use super::Outgoing;
use crate::batch::headers;
use rdkafka_sys as sys;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::{self, NonNull};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) use fault::{Fault, code};
use fault::{describe, text};

fn c_string(text: &str) -> Result<CString, Fault> {
    CString::new(text).map_err(|_| Fault::other(format!("{text:?} contains a NUL byte")))
}

/// What callbacks report: read by the owner of the client between two calls.
#[derive(Debug, Default)]
pub(crate) struct Events {
    trouble: Mutex<Option<String>>,
    undelivered: Mutex<Option<Undelivered>>,
}

/// The first record that was not delivered.
#[derive(Clone, Debug)]
pub(crate) struct Undelivered {
    /// Its topic.
    pub(crate) topic: String,
    /// Its partition.
    pub(crate) partition: i32,
    /// Why.
    pub(crate) reason: String,
}

impl Events {
    /// The newest passing trouble (a broker that cannot be reached) since the last call.
    pub(crate) fn take_trouble(&self) -> Option<String> {
        self.lock_trouble().take()
    }

    /// Notes a passing trouble.
    pub(crate) fn trouble(&self, reason: String) {
        *self.lock_trouble() = Some(reason);
    }

    fn lock_trouble(&self) -> MutexGuard<'_, Option<String>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first record that was not delivered since [`Events::forget_undelivered`].
    pub(crate) fn undelivered(&self) -> Option<Undelivered> {
        self.undelivered.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// After an abort: what was not delivered does not matter any more.
    pub(crate) fn forget_undelivered(&self) {
        *self.undelivered.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// librdkafka's log, to `tracing`: what it retries by itself is chatter.
unsafe extern "C" fn on_log(_: *const sys::rd_kafka_t, level: c_int, facility: *const c_char, line: *const c_char) {
    let (facility, line) = (text(facility), text(line));
    match level {
        ..=2 => tracing::error!(target: "librdkafka", facility, "{line}"),
        3 | 4 if facility != "FAIL" => tracing::warn!(target: "librdkafka", facility, "{line}"),
        _ => tracing::debug!(target: "librdkafka", facility, "{line}"),
    }
}

unsafe extern "C" fn on_error(_: *mut sys::rd_kafka_t, error: c_int, reason: *const c_char, events: *mut c_void) {
    // SAFETY: `events` is the boxed `Events` of the client that calls; see the head of the file.
    let events = unsafe { &*events.cast::<Events>() };
    // "All brokers are down" comes after the reason, and says less.
    if error != code::ALL_BROKERS_DOWN || events.lock_trouble().is_none() {
        events.trouble(text(reason));
    }
}

unsafe extern "C" fn on_delivery(
    _: *mut sys::rd_kafka_t,
    message: *const sys::rd_kafka_message_t,
    events: *mut c_void,
) {
    // SAFETY: `events` as in `on_error`; the message is valid during the call, and its topic is a topic handle.
    let (events, code, undelivered) = unsafe {
        let code = error_of(message);
        let topic = text(sys::rd_kafka_topic_name((*message).rkt));
        let undelivered = Undelivered { topic, partition: (*message).partition, reason: describe(code) };
        (&*events.cast::<Events>(), code, undelivered)
    };
    if code != code::NONE && !code::PURGED.contains(&code) {
        events.undelivered.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(undelivered);
    }
}

/// The message's error as an integer.
///
/// # Safety
/// `message` points to a message.
unsafe fn error_of(message: *const sys::rd_kafka_message_t) -> i32 {
    // SAFETY: the field is an enum over `i32`; it is read as the integer it is, whatever its value.
    unsafe { (&raw const (*message).err).cast::<i32>().read() }
}

/// What a client is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Reads records, watermarks, and committed offsets.
    Consumer,
    /// Writes records.
    Producer,
}

/// A librdkafka instance with its threads.
pub(crate) struct Client {
    handle: NonNull<sys::rd_kafka_t>,
    events: Box<Events>,
}

// SAFETY: librdkafka's handles may be used from any thread, and `Events` is `Sync`.
unsafe impl Send for Client {}
// SAFETY: as above; no call changes anything that Rust can see.
unsafe impl Sync for Client {}

impl Drop for Client {
    fn drop(&mut self) {
        // SAFETY: destroyed once; topics and readers hold an `Arc` of the client, so none is left.
        unsafe { sys::rd_kafka_destroy(self.handle.as_ptr()) }
    }
}

impl Client {
    /// Starts a client with `settings` (librdkafka's names). It does not wait for a broker.
    pub(crate) fn new(role: Role, settings: &[(&str, String)]) -> Result<Arc<Client>, Fault> {
        let events = Box::<Events>::default();
        let mut message = [0; 512];
        // SAFETY: the configuration is owned here until `rd_kafka_new` takes it over (which it does on success only);
        // strings end with a NUL; the callbacks have librdkafka's signatures and `events` outlives the handle.
        unsafe {
            let conf = sys::rd_kafka_conf_new();
            for (name, value) in settings {
                let result = c_string(name).and_then(|name| Ok((name, c_string(value)?))).and_then(|(name, value)| {
                    let set = sys::rd_kafka_conf_set(
                        conf,
                        name.as_ptr(),
                        value.as_ptr(),
                        message.as_mut_ptr(),
                        message.len(),
                    );
                    let fine = set == sys::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK;
                    if fine { Ok(()) } else { Err(Fault::other(text(message.as_ptr()))) }
                });
                if let Err(fault) = result {
                    sys::rd_kafka_conf_destroy(conf);
                    return Err(fault);
                }
            }
            sys::rd_kafka_conf_set_log_cb(conf, Some(on_log));
            sys::rd_kafka_conf_set_error_cb(conf, Some(on_error));
            let role = match role {
                Role::Consumer => sys::rd_kafka_type_t::RD_KAFKA_CONSUMER,
                Role::Producer => {
                    sys::rd_kafka_conf_set_dr_msg_cb(conf, Some(on_delivery));
                    sys::rd_kafka_type_t::RD_KAFKA_PRODUCER
                }
            };
            sys::rd_kafka_conf_set_opaque(conf, (&raw const *events).cast_mut().cast());
            let handle = sys::rd_kafka_new(role, conf, message.as_mut_ptr(), message.len());
            let Some(handle) = NonNull::new(handle) else {
                sys::rd_kafka_conf_destroy(conf);
                return Err(Fault::other(text(message.as_ptr())));
            };
            Ok(Arc::new(Client { handle, events }))
        }
    }

    /// What callbacks have reported.
    pub(crate) fn events(&self) -> &Events {
        &self.events
    }

    /// Runs the callbacks that are due; does not wait.
    pub(crate) fn poll(&self) {
        // SAFETY: a live handle.
        unsafe { sys::rd_kafka_poll(self.handle.as_ptr(), 0) };
    }

    /// A handle for `topic`, with `settings` of its own beside the client's.
    pub(crate) fn topic(self: &Arc<Client>, topic: &str, settings: &[(&str, &str)]) -> Result<Topic, Fault> {
        let name = c_string(topic)?;
        let settings = settings.iter().map(|(key, value)| Ok((c_string(key)?, c_string(value)?)));
        let settings: Vec<_> = settings.collect::<Result<_, Fault>>()?;
        let mut message = [0; 512];
        // SAFETY: the topic configuration is owned here until `rd_kafka_topic_new` takes it over, which it always does.
        unsafe {
            let conf = sys::rd_kafka_default_topic_conf_dup(self.handle.as_ptr());
            for (key, value) in &settings {
                let set = sys::rd_kafka_topic_conf_set(
                    conf,
                    key.as_ptr(),
                    value.as_ptr(),
                    message.as_mut_ptr(),
                    message.len(),
                );
                if set != sys::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK {
                    sys::rd_kafka_topic_conf_destroy(conf);
                    return Err(Fault::other(text(message.as_ptr())));
                }
            }
            let handle = sys::rd_kafka_topic_new(self.handle.as_ptr(), name.as_ptr(), conf);
            let handle = NonNull::new(handle).ok_or_else(|| Fault::of(sys::rd_kafka_last_error() as i32))?;
            Ok(Topic { handle, name, client: Arc::clone(self) })
        }
    }

    /// Asks a broker for `topic`, or for all topics.
    pub(crate) fn metadata(&self, topic: Option<&Topic>, wait_ms: i32) -> Result<Vec<TopicInfo>, Fault> {
        let mut metadata = ptr::null();
        let only = topic.map_or(ptr::null_mut(), |it| it.handle.as_ptr());
        // SAFETY: live handles; on success `metadata` is ours until it is destroyed, and its arrays have the lengths it
        // states.
        unsafe {
            let all = c_int::from(topic.is_none());
            Fault::check(sys::rd_kafka_metadata(self.handle.as_ptr(), all, only, &mut metadata, wait_ms))?;
            let topics = slice((*metadata).topics, (*metadata).topic_cnt as usize);
            let topics = topics.iter().map(|it| TopicInfo {
                name: text(it.topic),
                error: (&raw const it.err).cast::<i32>().read(),
                partitions: slice(it.partitions, it.partition_cnt as usize).iter().map(|it| it.id).collect(),
            });
            let topics = topics.collect();
            sys::rd_kafka_metadata_destroy(metadata);
            Ok(topics)
        }
    }

    /// Asks for the configuration of `topic`: names and values.
    pub(crate) fn topic_config(&self, topic: &str, wait_ms: i32) -> Result<Vec<(String, String)>, Fault> {
        let topic = c_string(topic)?;
        // SAFETY: the resource, the queue and the event are made, used and destroyed here; the result and what it lists
        // belong to the event, and are copied. An answer that comes after the wait finds the queue's reference held by
        // librdkafka.
        unsafe {
            let kind = sys::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC;
            let mut resource = sys::rd_kafka_ConfigResource_new(kind, topic.as_ptr());
            let queue = sys::rd_kafka_queue_new(self.handle.as_ptr());
            sys::rd_kafka_DescribeConfigs(self.handle.as_ptr(), &mut resource, 1, ptr::null(), queue);
            sys::rd_kafka_ConfigResource_destroy(resource);
            let event = sys::rd_kafka_queue_poll(queue, wait_ms);
            sys::rd_kafka_queue_destroy(queue);
            if event.is_null() {
                return Err(Fault::of(sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__TIMED_OUT as i32));
            }
            let mut config = Vec::new();
            let mut answer = Fault::check(sys::rd_kafka_event_error(event));
            let result = sys::rd_kafka_event_DescribeConfigs_result(event);
            if answer.is_ok() && !result.is_null() {
                let mut count = 0;
                let resources = sys::rd_kafka_DescribeConfigs_result_resources(result, &mut count);
                for &resource in slice(resources, count) {
                    answer = answer.and(Fault::check(sys::rd_kafka_ConfigResource_error(resource)));
                    let mut count = 0;
                    let entries = sys::rd_kafka_ConfigResource_configs(resource, &mut count);
                    config.extend(slice(entries, count).iter().map(|&it| {
                        (text(sys::rd_kafka_ConfigEntry_name(it)), text(sys::rd_kafka_ConfigEntry_value(it)))
                    }));
                }
            }
            sys::rd_kafka_event_destroy(event);
            answer.map(|()| config)
        }
    }

    /// Reads what `group` has committed for the partitions of `offsets` into it.
    pub(crate) fn committed(&self, offsets: &mut Offsets, wait_ms: i32) -> Result<(), Fault> {
        // SAFETY: a live handle and list; the call has ended when it returns.
        Fault::check(unsafe { sys::rd_kafka_committed(self.handle.as_ptr(), offsets.list.as_ptr(), wait_ms) })
    }

    /// Commits `offsets` for the client's group and waits for the answer.
    pub(crate) fn commit(&self, offsets: &Offsets, wait_ms: i32) -> Result<(), Fault> {
        // SAFETY: the queue and the event are made, used and destroyed here; the list is copied by the call. An answer
        // that comes after the wait finds the queue's reference held by librdkafka.
        unsafe {
            let queue = sys::rd_kafka_queue_new(self.handle.as_ptr());
            let sent = Fault::check(sys::rd_kafka_commit_queue(
                self.handle.as_ptr(),
                offsets.list.as_ptr(),
                queue,
                None,
                ptr::null_mut(),
            ));
            let answer = sent.and_then(|()| {
                let event = sys::rd_kafka_queue_poll(queue, wait_ms);
                if event.is_null() {
                    return Err(Fault::of(sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__TIMED_OUT as i32));
                }
                let mut result = Fault::check(sys::rd_kafka_event_error(event));
                let list = sys::rd_kafka_event_topic_partition_list(event);
                if result.is_ok() && !list.is_null() {
                    let codes = slice((*list).elems, (*list).cnt as usize).iter();
                    let codes = codes.map(|it| (&raw const it.err).cast::<i32>().read());
                    result = codes.filter(|&it| it != code::NONE).map(|it| Err(Fault::of(it))).next().unwrap_or(Ok(()));
                }
                sys::rd_kafka_event_destroy(event);
                result
            });
            sys::rd_kafka_queue_destroy(queue);
            answer
        }
    }

    /// As [`Client::commit`], without waiting: there is no answer.
    pub(crate) fn commit_unheard(&self, offsets: &Offsets) -> Result<(), Fault> {
        // SAFETY: a live handle and list, which is copied by the call.
        Fault::check(unsafe { sys::rd_kafka_commit(self.handle.as_ptr(), offsets.list.as_ptr(), 1) })
    }

    /// Fences older producers of the transactional id and aborts what they left open.
    pub(crate) fn init_transactions(&self, wait_ms: i32) -> Result<(), Fault> {
        // SAFETY: a live handle.
        Fault::take(unsafe { sys::rd_kafka_init_transactions(self.handle.as_ptr(), wait_ms) })
    }

    /// Opens a transaction, locally.
    pub(crate) fn begin_transaction(&self) -> Result<(), Fault> {
        // SAFETY: a live handle.
        Fault::take(unsafe { sys::rd_kafka_begin_transaction(self.handle.as_ptr()) })
    }

    /// Adds `offsets` of `group` to the open transaction.
    pub(crate) fn send_offsets(&self, offsets: &Offsets, group: &str, wait_ms: i32) -> Result<(), Fault> {
        let group = c_string(group)?;
        // SAFETY: a live handle and list; the group's metadata is made, used and destroyed here.
        unsafe {
            let group = sys::rd_kafka_consumer_group_metadata_new(group.as_ptr());
            let error =
                sys::rd_kafka_send_offsets_to_transaction(self.handle.as_ptr(), offsets.list.as_ptr(), group, wait_ms);
            sys::rd_kafka_consumer_group_metadata_destroy(group);
            Fault::take(error)
        }
    }

    /// Commits the open transaction.
    pub(crate) fn commit_transaction(&self, wait_ms: i32) -> Result<(), Fault> {
        // SAFETY: a live handle.
        Fault::take(unsafe { sys::rd_kafka_commit_transaction(self.handle.as_ptr(), wait_ms) })
    }

    /// Aborts the open transaction and drops what is queued.
    pub(crate) fn abort_transaction(&self, wait_ms: i32) -> Result<(), Fault> {
        // SAFETY: a live handle.
        Fault::take(unsafe { sys::rd_kafka_abort_transaction(self.handle.as_ptr(), wait_ms) })
    }

    /// Sends what is queued without lingering; true when everything was answered within `wait_ms`.
    pub(crate) fn flush(&self, wait_ms: i32) -> bool {
        // SAFETY: a live handle.
        let result = unsafe { sys::rd_kafka_flush(self.handle.as_ptr(), wait_ms) };
        result as i32 == code::NONE
    }

    /// Drops what is queued and what is in flight.
    pub(crate) fn purge(&self) {
        let flags = sys::RD_KAFKA_PURGE_F_QUEUE | sys::RD_KAFKA_PURGE_F_INFLIGHT;
        // SAFETY: a live handle.
        unsafe { sys::rd_kafka_purge(self.handle.as_ptr(), flags) };
    }
}

/// A slice of librdkafka's memory; empty for null.
///
/// # Safety
/// `pointer` is null or points to `len` values that outlive the use of the slice.
unsafe fn slice<'a, T>(pointer: *const T, len: usize) -> &'a [T] {
    if pointer.is_null() || len == 0 {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(pointer, len) }
}

/// A topic as a broker describes it.
#[derive(Clone, Debug)]
pub(crate) struct TopicInfo {
    /// Its name.
    pub(crate) name: String,
    /// [`code::NONE`], or why there is nothing to say about it.
    pub(crate) error: i32,
    /// Its partitions.
    pub(crate) partitions: Vec<i32>,
}

/// A topic of a client.
pub(crate) struct Topic {
    handle: NonNull<sys::rd_kafka_topic_t>,
    name: CString,
    client: Arc<Client>,
}

// SAFETY: as for `Client`.
unsafe impl Send for Topic {}
// SAFETY: as for `Client`.
unsafe impl Sync for Topic {}

impl Drop for Topic {
    fn drop(&mut self) {
        // SAFETY: destroyed once, before the client's reference goes.
        unsafe { sys::rd_kafka_topic_destroy(self.handle.as_ptr()) }
    }
}

impl Topic {
    /// Asks for the oldest offset kept and the end (for `read_committed`: the end of what is decided).
    pub(crate) fn query_watermarks(&self, partition: i32, wait_ms: i32) -> Result<(i64, i64), Fault> {
        let (mut low, mut high) = (-1, -1);
        // SAFETY: live handles; the two integers are written before the call returns.
        Fault::check(unsafe {
            sys::rd_kafka_query_watermark_offsets(
                self.client.handle.as_ptr(),
                self.name.as_ptr(),
                partition,
                &mut low,
                &mut high,
                wait_ms,
            )
        })?;
        Ok((low, high))
    }

    /// The watermarks as of the last fetch, without asking; -1 for not known.
    pub(crate) fn cached_watermarks(&self, partition: i32) -> (i64, i64) {
        let (mut low, mut high) = (-1, -1);
        // SAFETY: as above. A failure leaves both at -1.
        unsafe {
            sys::rd_kafka_get_watermark_offsets(
                self.client.handle.as_ptr(),
                self.name.as_ptr(),
                partition,
                &mut low,
                &mut high,
            );
        }
        (low.max(-1), high.max(-1))
    }

    /// Queues a copy of a record.
    pub(crate) fn produce(&self, record: &Outgoing<'_>) -> Result<(), Fault> {
        type Variant = sys::rd_kafka_vtype_t;
        type Value = sys::rd_kafka_vu_s__bindgen_ty_1;
        fn argument(vtype: Variant, u: Value) -> sys::rd_kafka_vu_t {
            sys::rd_kafka_vu_t { vtype, u }
        }
        fn bytes(bytes: Option<&[u8]>) -> Value {
            // An empty value has a pointer (dangling, never read): only null is null.
            let (ptr, size) = bytes.map_or((ptr::null_mut(), 0), |it| (it.as_ptr().cast_mut().cast(), it.len()));
            Value { mem: sys::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 { ptr, size } }
        }
        let headers = header_list(record.headers);
        let arguments = [
            argument(Variant::RD_KAFKA_VTYPE_RKT, Value { rkt: self.handle.as_ptr() }),
            argument(Variant::RD_KAFKA_VTYPE_PARTITION, Value { i32_: record.partition }),
            argument(Variant::RD_KAFKA_VTYPE_MSGFLAGS, Value { i: sys::RD_KAFKA_MSG_F_COPY }),
            argument(Variant::RD_KAFKA_VTYPE_VALUE, bytes(record.value)),
            argument(Variant::RD_KAFKA_VTYPE_KEY, bytes(record.key)),
            argument(Variant::RD_KAFKA_VTYPE_TIMESTAMP, Value { i64_: record.timestamp }),
            argument(Variant::RD_KAFKA_VTYPE_HEADERS, Value { headers }),
        ];
        let count = arguments.len() - usize::from(headers.is_null()); // The headers come last, so that they can be left off.
        // SAFETY: live handles; key and value are copied by the call (F_COPY); the headers are librdkafka's on success
        // and ours on failure.
        unsafe {
            let client = self.client.handle.as_ptr();
            Fault::take(sys::rd_kafka_produceva(client, arguments.as_ptr(), count)).inspect_err(|_| {
                if !headers.is_null() {
                    sys::rd_kafka_headers_destroy(headers);
                }
            })
        }
    }
}

/// Headers as librdkafka wants them; null for none. The caller owns them.
fn header_list(encoded: &[u8]) -> *mut sys::rd_kafka_headers_t {
    if encoded.is_empty() {
        return ptr::null_mut();
    }
    // SAFETY: names and values are copied by `rd_kafka_header_add`; a null value is a null pointer.
    unsafe {
        let list = sys::rd_kafka_headers_new(8);
        for (name, value) in headers::iter(encoded) {
            let (pointer, len) = value.map_or((ptr::null(), 0), |it| (it.as_ptr(), it.len()));
            sys::rd_kafka_header_add(list, name.as_ptr().cast(), name.len() as isize, pointer.cast(), len as isize);
        }
        list
    }
}

/// One message, or what librdkafka puts in its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Incoming<'a> {
    /// [`code::NONE`] for a record; otherwise the other fields but `offset` mean nothing, and `value` is a text.
    pub(crate) error: i32,
    /// The record's offset; at the end of a partition the offset to go on from.
    pub(crate) offset: i64,
    /// Ms since the Unix epoch; -1 for none.
    pub(crate) timestamp: i64,
    /// The key.
    pub(crate) key: Option<&'a [u8]>,
    /// The value.
    pub(crate) value: Option<&'a [u8]>,
}

/// A partition that is being read, with the messages taken from its queue and not yet looked at.
///
/// It reads by librdkafka's simple consumer: the partition's own queue is read directly. The queues of an assignment are
/// forwarded to a common one and have to be split off, and a record may slip into the common one in between.
pub(crate) struct Reader {
    topic: Arc<Topic>,
    partition: i32,
    messages: Vec<*mut sys::rd_kafka_message_t>,
    next: usize,
}

// SAFETY: the messages are owned, and nothing else refers to them.
unsafe impl Send for Reader {}

impl Drop for Reader {
    fn drop(&mut self) {
        self.discard();
        // SAFETY: live handles; the partition was started by `start`. The call waits for librdkafka's own threads only.
        unsafe { sys::rd_kafka_consume_stop(self.topic.handle.as_ptr(), self.partition) };
    }
}

impl Reader {
    /// Starts to fetch `partition` from `offset`.
    pub(crate) fn start(topic: &Arc<Topic>, partition: i32, offset: i64) -> Result<Reader, Fault> {
        // SAFETY: live handles.
        let started = unsafe { sys::rd_kafka_consume_start(topic.handle.as_ptr(), partition, offset) };
        if started != 0 {
            // SAFETY: reads a number of the calling thread.
            return Err(Fault::of(unsafe { sys::rd_kafka_last_error() } as i32));
        }
        Ok(Reader { topic: Arc::clone(topic), partition, messages: Vec::new(), next: 0 })
    }

    /// Takes at most `count` messages from the queue where none are left from before; does not wait. False when there
    /// are none.
    pub(crate) fn fill(&mut self, count: usize) -> bool {
        if self.next < self.messages.len() {
            return true;
        }
        self.messages.clear();
        self.next = 0;
        self.messages.reserve(count);
        // SAFETY: the vector has room for `count` pointers; the call says how many it wrote (-1 for an error), and they
        // are ours.
        unsafe {
            let topic = self.topic.handle.as_ptr();
            let got = sys::rd_kafka_consume_batch(topic, self.partition, 0, self.messages.as_mut_ptr(), count);
            self.messages.set_len(usize::try_from(got).unwrap_or(0));
        }
        !self.messages.is_empty()
    }

    /// Bytes of keys and values of the messages that are left, error texts included.
    pub(crate) fn bytes(&self) -> usize {
        // SAFETY: the pointers from `next` on are messages of ours.
        self.messages[self.next..].iter().map(|&it| unsafe { (*it).len + (*it).key_len }).sum()
    }

    /// How many messages are left.
    pub(crate) fn len(&self) -> usize {
        self.messages.len() - self.next
    }

    /// The next message.
    pub(crate) fn peek(&self) -> Option<Incoming<'_>> {
        let &message = self.messages.get(self.next)?;
        // SAFETY: a message of ours; what is lent borrows `self`, and only `&mut self` destroys it.
        unsafe {
            let lent = |pointer: *mut c_void, len| (!pointer.is_null()).then(|| slice(pointer.cast::<u8>(), len));
            Some(Incoming {
                error: error_of(message),
                offset: (*message).offset,
                timestamp: sys::rd_kafka_message_timestamp(message, ptr::null_mut()),
                key: lent((*message).key, (*message).key_len),
                value: lent((*message).payload, (*message).len),
            })
        }
    }

    /// Adds the next message's headers to `out`; false when it has none. Names end at their first NUL.
    pub(crate) fn headers(&self, out: &mut Vec<u8>) -> bool {
        let Some(&message) = self.messages.get(self.next) else { return false };
        let mut list = ptr::null_mut();
        // SAFETY: a message of ours owns the list, the names and the values; they are copied.
        unsafe {
            if sys::rd_kafka_message_headers(message, &mut list) as i32 != code::NONE {
                return false;
            }
            let (mut name, mut value, mut len) = (ptr::null(), ptr::null(), 0);
            let mut index = 0;
            while sys::rd_kafka_header_get_all(list, index, &mut name, &mut value, &mut len) as i32 == code::NONE {
                let value = (!value.is_null()).then(|| slice(value.cast::<u8>(), len));
                headers::push(out, CStr::from_ptr(name).to_bytes(), value);
                index += 1;
            }
        }
        true
    }

    /// Gives the next message back.
    pub(crate) fn advance(&mut self) {
        if let Some(&message) = self.messages.get(self.next) {
            self.next += 1;
            // SAFETY: a message of ours, destroyed once: `next` has passed it.
            unsafe { sys::rd_kafka_message_destroy(message) };
        }
    }

    /// Gives all messages back.
    pub(crate) fn discard(&mut self) {
        while self.next < self.messages.len() {
            self.advance();
        }
    }
}

/// A list of partitions with an offset and metadata each.
pub(crate) struct Offsets {
    list: NonNull<sys::rd_kafka_topic_partition_list_t>,
}

// SAFETY: the list is owned, and knows no thread.
unsafe impl Send for Offsets {}

impl Drop for Offsets {
    fn drop(&mut self) {
        // SAFETY: destroyed once, with the metadata of its entries.
        unsafe { sys::rd_kafka_topic_partition_list_destroy(self.list.as_ptr()) }
    }
}

/// One entry of [`Offsets`] as a broker answered it.
#[derive(Clone, Debug)]
pub(crate) struct OffsetEntry {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    /// Negative for none.
    pub(crate) offset: i64,
    pub(crate) metadata: Vec<u8>,
    /// [`code::NONE`], or why there is no answer.
    pub(crate) error: i32,
}

impl Offsets {
    /// An empty list with room for `count`.
    pub(crate) fn new(count: usize) -> Result<Offsets, Fault> {
        // SAFETY: a new list, owned here.
        let list = unsafe { sys::rd_kafka_topic_partition_list_new(count as c_int) };
        Ok(Offsets { list: NonNull::new(list).ok_or_else(|| Fault::other("out of memory"))? })
    }

    /// Adds a partition.
    pub(crate) fn add(&mut self, topic: &str, partition: i32, offset: i64, metadata: &[u8]) -> Result<(), Fault> {
        let topic = c_string(topic)?;
        // SAFETY: the entry is the list's; the metadata is allocated by librdkafka, because the list frees it, and copied
        // in full.
        unsafe {
            let entry = sys::rd_kafka_topic_partition_list_add(self.list.as_ptr(), topic.as_ptr(), partition);
            (*entry).offset = offset;
            if !metadata.is_empty() {
                let copy = sys::rd_kafka_mem_malloc(ptr::null_mut(), metadata.len());
                ptr::copy_nonoverlapping(metadata.as_ptr(), copy.cast(), metadata.len());
                (*entry).metadata = copy;
                (*entry).metadata_size = metadata.len();
            }
        }
        Ok(())
    }

    /// The entries.
    pub(crate) fn entries(&self) -> Vec<OffsetEntry> {
        // SAFETY: the list states its length; everything is copied.
        unsafe {
            let list = self.list.as_ref();
            let entries = slice(list.elems, list.cnt as usize).iter().map(|it| OffsetEntry {
                topic: text(it.topic),
                partition: it.partition,
                offset: it.offset,
                metadata: slice(it.metadata.cast::<u8>(), it.metadata_size).to_vec(),
                error: (&raw const it.err).cast::<i32>().read(),
            });
            entries.collect()
        }
    }
}
