//! End-to-end latency under an even load: from when a record should have been sent until a `read_committed` reader has it.
//!
//! The load is open: records are due at fixed times whatever becomes of those before, and latency counts from when a record
//! was due, not from when it was sent. A system that stalls is charged for everything that was due meanwhile (Tene,
//! "How not to measure latency": coordinated omission).

pub mod load;
pub mod quantiles;
