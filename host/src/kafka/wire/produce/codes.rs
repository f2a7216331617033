//! What the error codes of a producer's answers ask for.

/// What to do after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// It is done; it may have been done before.
    Done,
    /// The same again, later.
    Again,
    /// The same again, of a broker that has to be found first.
    Elsewhere,
    /// Batches before this one are not written: it waits for them.
    Disordered,
    /// A newer producer has taken over.
    Fenced,
    /// Never.
    Refused,
}

/// Codes of Kafka's protocol that producers meet, with their names.
const CODES: [(i16, Class, &str); 47] = [
    (-1, Class::Refused, "UNKNOWN_SERVER_ERROR"),
    (0, Class::Done, "NONE"),
    (2, Class::Again, "CORRUPT_MESSAGE"),
    (3, Class::Elsewhere, "UNKNOWN_TOPIC_OR_PARTITION"),
    (5, Class::Elsewhere, "LEADER_NOT_AVAILABLE"),
    (6, Class::Elsewhere, "NOT_LEADER_OR_FOLLOWER"),
    (7, Class::Again, "REQUEST_TIMED_OUT"),
    (8, Class::Elsewhere, "BROKER_NOT_AVAILABLE"),
    (9, Class::Elsewhere, "REPLICA_NOT_AVAILABLE"),
    (10, Class::Refused, "MESSAGE_TOO_LARGE"),
    (12, Class::Refused, "OFFSET_METADATA_TOO_LARGE"),
    (13, Class::Again, "NETWORK_EXCEPTION"),
    (14, Class::Again, "COORDINATOR_LOAD_IN_PROGRESS"),
    (15, Class::Elsewhere, "COORDINATOR_NOT_AVAILABLE"),
    (16, Class::Elsewhere, "NOT_COORDINATOR"),
    (17, Class::Refused, "INVALID_TOPIC_EXCEPTION"),
    (18, Class::Refused, "RECORD_LIST_TOO_LARGE"),
    (19, Class::Again, "NOT_ENOUGH_REPLICAS"),
    (20, Class::Again, "NOT_ENOUGH_REPLICAS_AFTER_APPEND"),
    (22, Class::Refused, "ILLEGAL_GENERATION"),
    (24, Class::Refused, "INVALID_GROUP_ID"),
    (25, Class::Refused, "UNKNOWN_MEMBER_ID"),
    (29, Class::Refused, "TOPIC_AUTHORIZATION_FAILED"),
    (30, Class::Refused, "GROUP_AUTHORIZATION_FAILED"),
    (31, Class::Refused, "CLUSTER_AUTHORIZATION_FAILED"),
    (32, Class::Refused, "INVALID_TIMESTAMP"),
    (35, Class::Refused, "UNSUPPORTED_VERSION"),
    (42, Class::Refused, "INVALID_REQUEST"),
    (43, Class::Refused, "UNSUPPORTED_FOR_MESSAGE_FORMAT"),
    (44, Class::Refused, "POLICY_VIOLATION"),
    (45, Class::Disordered, "OUT_OF_ORDER_SEQUENCE_NUMBER"),
    (46, Class::Done, "DUPLICATE_SEQUENCE_NUMBER"),
    (47, Class::Fenced, "INVALID_PRODUCER_EPOCH"),
    (48, Class::Refused, "INVALID_TXN_STATE"),
    (49, Class::Refused, "INVALID_PRODUCER_ID_MAPPING"),
    (50, Class::Refused, "INVALID_TRANSACTION_TIMEOUT"),
    (51, Class::Again, "CONCURRENT_TRANSACTIONS"),
    (52, Class::Refused, "TRANSACTION_COORDINATOR_FENCED"),
    (53, Class::Refused, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED"),
    (55, Class::Refused, "OPERATION_NOT_ATTEMPTED"),
    (56, Class::Elsewhere, "KAFKA_STORAGE_ERROR"),
    (59, Class::Refused, "UNKNOWN_PRODUCER_ID"),
    (76, Class::Refused, "UNSUPPORTED_COMPRESSION_TYPE"),
    (87, Class::Refused, "INVALID_RECORD"),
    (89, Class::Again, "THROTTLING_QUOTA_EXCEEDED"),
    (90, Class::Fenced, "PRODUCER_FENCED"),
    (120, Class::Refused, "TRANSACTION_ABORTABLE"),
];

/// What `code` asks for. One that is not known is never tried again.
pub(super) fn class(code: i16) -> Class {
    CODES.iter().find(|it| it.0 == code).map_or(Class::Refused, |it| it.1)
}

/// The name of `code`.
pub(super) fn name(code: i16) -> String {
    CODES.iter().find(|it| it.0 == code).map_or_else(|| format!("error {code}"), |it| it.2.to_owned())
}
