//! Sinks: rows of a batch as the bytes that are written, and the places that they are written to.
//!
//! [`encode`] makes raw records of a batch and is the same for every place; a sink takes raw records and knows no
//! columns.

pub mod encode;
pub mod file;
pub mod kafka;
mod lines;
pub mod partition;
pub mod stdout;

pub use lines::LineBreak;
