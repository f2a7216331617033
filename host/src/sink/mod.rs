//! To be written.
pub mod kafka;
pub mod partition;
