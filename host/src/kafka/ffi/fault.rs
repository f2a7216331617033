//! What went wrong in librdkafka.

use rdkafka_sys as sys;
use std::ffi::{CStr, c_char};

/// Error codes that callers tell apart.
pub(crate) mod code {
    use rdkafka_sys::rd_kafka_resp_err_t as code;

    pub(crate) const NONE: i32 = code::RD_KAFKA_RESP_ERR_NO_ERROR as i32;
    pub(crate) const PARTITION_EOF: i32 = code::RD_KAFKA_RESP_ERR__PARTITION_EOF as i32;
    pub(crate) const QUEUE_FULL: i32 = code::RD_KAFKA_RESP_ERR__QUEUE_FULL as i32;
    pub(crate) const OFFSET_RESET: i32 = code::RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET as i32;
    pub(crate) const OUT_OF_RANGE: i32 = code::RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE as i32;
    pub(crate) const UNKNOWN_TOPIC: i32 = code::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART as i32;
    pub(crate) const UNKNOWN_TOPIC_LOCALLY: i32 = code::RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC as i32;
    pub(crate) const UNKNOWN_PARTITION_LOCALLY: i32 = code::RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION as i32;
    pub(crate) const ALL_BROKERS_DOWN: i32 = code::RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN as i32;
    pub(crate) const UNSTABLE_OFFSETS: i32 = code::RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT as i32;
    pub(crate) const PURGED: [i32; 2] =
        [code::RD_KAFKA_RESP_ERR__PURGE_QUEUE as i32, code::RD_KAFKA_RESP_ERR__PURGE_INFLIGHT as i32];

    /// A newer producer has the transactional id.
    pub(crate) const FENCED: [i32; 3] = [
        code::RD_KAFKA_RESP_ERR__FENCED as i32,
        code::RD_KAFKA_RESP_ERR_PRODUCER_FENCED as i32,
        code::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH as i32,
    ];

    /// The broker cannot be asked now, and librdkafka goes on trying by itself.
    pub(crate) const PASSING: [i32; 18] = [
        code::RD_KAFKA_RESP_ERR__TRANSPORT as i32,
        ALL_BROKERS_DOWN,
        code::RD_KAFKA_RESP_ERR__RESOLVE as i32,
        code::RD_KAFKA_RESP_ERR__TIMED_OUT as i32,
        code::RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE as i32,
        code::RD_KAFKA_RESP_ERR__WAIT_COORD as i32,
        code::RD_KAFKA_RESP_ERR__WAIT_CACHE as i32,
        code::RD_KAFKA_RESP_ERR__IN_PROGRESS as i32,
        code::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE as i32,
        code::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION as i32,
        code::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT as i32,
        code::RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE as i32,
        code::RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION as i32,
        code::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS as i32,
        code::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE as i32,
        code::RD_KAFKA_RESP_ERR_NOT_COORDINATOR as i32,
        code::RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR as i32,
        code::RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE as i32,
    ];
}

/// A failed call.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    /// One of [`code`], or another of librdkafka's.
    pub(crate) code: i32,
    /// What librdkafka says.
    pub(crate) text: String,
    /// The same call may be made again.
    pub(crate) retriable: bool,
    /// The open transaction can only be aborted.
    pub(crate) requires_abort: bool,
}

impl Fault {
    /// A fault that is nothing but its code.
    pub(crate) fn of(code: i32) -> Fault {
        let retriable = code::PASSING.contains(&code);
        Fault { code, text: describe(code), retriable, requires_abort: false }
    }

    pub(super) fn other(text: impl Into<String>) -> Fault {
        Fault { text: text.into(), ..Fault::of(sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__FAIL as i32) }
    }

    /// `Err` for every code but "no error".
    pub(super) fn check(code: sys::rd_kafka_resp_err_t) -> Result<(), Fault> {
        if code as i32 == code::NONE { Ok(()) } else { Err(Fault::of(code as i32)) }
    }

    /// Takes an error object; null is success.
    pub(super) fn take(error: *mut sys::rd_kafka_error_t) -> Result<(), Fault> {
        if error.is_null() {
            return Ok(());
        }
        // SAFETY: not null, handed over by librdkafka, and destroyed once, after its text was copied.
        unsafe {
            let fault = Fault {
                code: sys::rd_kafka_error_code(error) as i32,
                text: text(sys::rd_kafka_error_string(error)),
                retriable: sys::rd_kafka_error_is_retriable(error) != 0,
                requires_abort: sys::rd_kafka_error_txn_requires_abort(error) != 0,
            };
            sys::rd_kafka_error_destroy(error);
            Err(fault)
        }
    }
}

/// What librdkafka calls `code`.
pub(super) fn describe(code: i32) -> String {
    match sys::rd_kafka_resp_err_t::try_from(code) {
        // SAFETY: a listed code; the answer is a static string.
        Ok(known) => text(unsafe { sys::rd_kafka_err2str(known) }),
        Err(_) => format!("error {code}"),
    }
}

/// A copy of a C string of librdkafka's; empty for null.
pub(super) fn text(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: librdkafka's strings end with a NUL and live at least as long as the call that handed them out.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}
