//! Nexmark and ShuffleBench over Kafka: the same events, queries and outputs that other systems are measured with, so that what they write
//! can be compared byte for byte before any figure counts.
//!
//! Nexmark is Tucker et al., "NEXMark: a benchmark for queries over data streams"; ids, hot keys, proportions and lengths of
//! the events follow nexmark-flink.

pub mod digest;
pub mod events;
pub mod peers;
pub mod queries;
pub mod random;
pub mod run;
