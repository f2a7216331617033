//! To be written.
pub mod kafka;
