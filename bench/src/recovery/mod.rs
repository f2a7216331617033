//! `kill -9` of a job with much state: how long until it has caught up.
//!
//! The job counts and sums up by key, keeps 1 KiB of state a key, and writes a line for each record. Its topic is filled with a first
//! record of every key, and further ones. When a `read_committed` reader has a line for each, the system is killed; more
//! records are written; the system is started again in the same folder. It has caught up when the reader has the line of the
//! last record. All lines together must be those that the records give, or there is no figure.

pub mod job;
pub mod reader;
pub mod run;
pub mod systems;
